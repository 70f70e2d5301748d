//! The program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = headless_dns::args::Args::read();
    match args.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(
                clippy::print_stderr,
                reason = "the last word is for the person who started it"
            )]
            {
                eprintln!("{error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
