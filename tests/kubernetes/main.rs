//! Against a real Kubernetes control plane. Without one these tests wait, and say so; `CONTROL_PLANE=required` has
//! them fail instead.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod bad_input;
mod faults;
mod names;
mod starts;
#[path = "../support/mod.rs"]
mod support;
mod transcript;

use std::process::ExitCode;

use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Trial};
use support::control_plane::Programs;

/// A test: a sentence, and what shows it.
type Test = (&'static str, fn(Programs) -> LocalBoxFuture<'static, ()>);

fn main() -> ExitCode {
    let programs = Programs::find();
    let tests: Vec<Test> = [
        starts::TESTS,
        names::TESTS,
        faults::TESTS,
        bad_input::TESTS,
        transcript::TESTS,
    ]
    .concat();
    if programs.is_none() {
        support::report(&format!(
            "{} tests wait for a control plane: `just control-plane` builds one (it needs Go 1.26), or set KUBEBUILDER_ASSETS",
            tests.len()
        ));
        #[expect(
            clippy::disallowed_methods,
            reason = "where the tests are told of the environment"
        )]
        if std::env::var("CONTROL_PLANE").is_ok_and(|wanted| wanted == "required") {
            return ExitCode::FAILURE;
        }
    }
    let waits = programs.is_none();
    let trials = tests.into_iter().map(|(name, test)| {
        let programs = programs.clone();
        let run = move || {
            let programs = programs.ok_or("there is no control plane")?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            runtime.block_on(test(programs));
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(waits)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
