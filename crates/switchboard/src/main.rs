//! The program that `cargo run` starts. Everything is in the library, so that tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchboard::run()
}
