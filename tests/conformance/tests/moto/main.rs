//! What the store promises, asked of a second DynamoDB and S3 that were written by others (moto, in Python): the store must
//! not lean on one emulator's habits. It is the store's own suite, every test of it.
//!
//! Where the two emulators differ, DynamoDB's documentation decides, and the store asks only for what both give.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod emulator;

#[path = "../../../../crates/store/tests/conformance/agents.rs"]
mod agents;
#[path = "../../../../crates/store/tests/conformance/allowance.rs"]
mod allowance;
#[path = "../../../../crates/store/tests/conformance/analysis.rs"]
mod analysis;
#[path = "../../../../crates/store/tests/conformance/calls.rs"]
mod calls;
#[path = "../../../../crates/store/tests/conformance/epochs.rs"]
mod epochs;
#[path = "../../../../crates/store/tests/conformance/erasing.rs"]
mod erasing;
#[path = "../../../../crates/store/tests/conformance/faults.rs"]
mod faults;
#[path = "../../../../crates/store/tests/conformance/journal.rs"]
mod journal;
#[path = "../../../../crates/store/tests/conformance/lists.rs"]
mod lists;
#[path = "../../../../crates/store/tests/conformance/recordings.rs"]
mod recordings;
#[path = "../../../../crates/store/tests/conformance/status.rs"]
mod status;
#[path = "../../../../crates/store/tests/conformance/transfers.rs"]
mod transfers;
#[path = "../../../../crates/store/tests/conformance/work.rs"]
mod work;
#[path = "../../../../crates/store/tests/conformance/world.rs"]
mod world;

#[test]
fn no_part_of_the_suite_is_left_out() {
    let (suite, here) = (include_str!("../../../../crates/store/tests/conformance/main.rs"), include_str!("main.rs"));
    let modules = |text: &'static str| text.lines().filter(|line| line.starts_with("mod "));
    // Whether the embedded emulators survive being killed is not moto's to say.
    for module in modules(suite).filter(|module| *module != "mod restart;") {
        assert!(modules(here).any(|ours| ours == module), "{module} is missing here, with its path");
    }
}
