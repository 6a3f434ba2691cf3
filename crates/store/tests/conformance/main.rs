//! What the store promises, asked of whatever answers (`emulator.rs`): here, of the embedded emulators by default, of
//! another DynamoDB and S3 where `TEST_DYNAMODB_URL` and `TEST_S3_URL` say so. The tests that judge us by other people's
//! software ask the same of a second emulator.
//!
//! On bad days (`faults.rs`) requests meet faults by seed. A caller that is told to retry retries, as ours do; afterwards
//! the records must be those of a good day.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(clippy::print_stdout, reason = "the process that is killed says on its standard output how far it came")]

mod agents;
mod allowance;
mod calls;
mod emulator;
mod epochs;
mod erasing;
mod faults;
mod journal;
mod lists;
mod recordings;
mod restart;
mod status;
mod transfers;
mod work;
mod world;
