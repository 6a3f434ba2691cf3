//! Everything on one port, and the command line.
