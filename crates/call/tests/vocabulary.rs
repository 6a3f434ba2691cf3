//! One vocabulary: the same stories with each engine, in virtual time, through the public API alone.
//!
//! What the engines say differs in everything; what the phone hears, and what the journal says, does not. The vendors'
//! side is scripted here (`peer`): whole calls with simulated vendors are another suite.

#![expect(clippy::wildcard_enum_match_arm, reason = "a story looks at the few things it is about")]

#[path = "vocabulary/cascade.rs"]
mod cascade;
#[path = "vocabulary/peer.rs"]
mod peer;
mod rig;
#[path = "vocabulary/stories.rs"]
mod stories;
#[path = "vocabulary/switching.rs"]
mod switching;
