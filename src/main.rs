//! The program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    headless_dns::args::Args::read().run()
}
