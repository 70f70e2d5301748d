//! The program.

use std::process::ExitCode;

fn main() -> ExitCode {
    headless_dns::args::main()
}
