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
                eprintln!("{}", whole(&error));
            }
            ExitCode::FAILURE
        }
    }
}

/// The error and what caused it, each said once.
fn whole(error: &anyhow::Error) -> String {
    error
        .chain()
        .skip(1)
        .fold(error.to_string(), |text, cause| {
            let cause = cause.to_string();
            if text.contains(&cause) {
                text
            } else {
                format!("{text}: {cause}")
            }
        })
}
