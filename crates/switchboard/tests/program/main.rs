//! The program as people start it: the built binary, over its own sockets, with everything simulated.

mod calls;
mod harness;
mod refusals;
