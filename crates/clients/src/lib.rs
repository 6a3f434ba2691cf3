//! The REST services we call.
