//! The vendors' own packages as judges.
//!
//! The simulators and the call machine are strict by our reading of the vendors' pages. Here the vendors' Python packages
//! read the same messages: their models must accept all that our simulators and our engines send, without a key they do
//! not know; their clients must get through a conversation with our simulators; their signatures must be ours.
//!
//! Each vendor has one Rust test, which starts what has to run, writes down what was said in whole calls
//! ([`stories`]), and lets `pytest` judge ([`python`]). The Python tests stand beside this crate's manifest.
//!
//! **What is excused**: only what a story names, because one of its switches says things that no schema lists.
//!
//! **What this leaves to others**: whether a conversation goes well is judged by whole calls, not here.

pub mod python;
pub mod stories;
