//! Against a real Kubernetes control plane. Without one these tests wait, and say so; `CONTROL_PLANE=required` has
//! them fail instead.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod apply;
mod bad_input;
#[path = "../../crates/cluster/tests/support/cases.rs"]
mod cases;
mod deploy;
mod examples;
mod faults;
mod mistakes;
mod names;
mod protobuf;
mod schema;
mod starts;
mod statefulsets;
#[path = "../support/mod.rs"]
mod support;
mod transcript;

use std::process::ExitCode;

use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Trial};
use support::control_plane::Programs;

/// A test.
#[derive(Clone, Copy)]
struct Test {
    /// A sentence.
    name: &'static str,
    needs: Needs,
    /// What shows it.
    run: fn(Programs) -> LocalBoxFuture<'static, ()>,
}

/// What a test needs of a control plane: the assets of envtest have no controllers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    ApiServer,
    Controllers,
}

fn main() -> ExitCode {
    let programs = Programs::find();
    let tests: Vec<Test> = [
        apply::TESTS,
        starts::TESTS,
        examples::TESTS,
        names::TESTS,
        statefulsets::TESTS,
        faults::TESTS,
        mistakes::TESTS,
        bad_input::TESTS,
        deploy::TESTS,
        protobuf::TESTS,
        schema::TESTS,
        transcript::TESTS,
    ]
    .concat();
    let has = |test: &Test| match (&programs, test.needs) {
        (None, _) => false,
        (Some(_), Needs::ApiServer) => true,
        (Some(programs), Needs::Controllers) => programs.has("kube-controller-manager"),
    };
    let waiting = tests.iter().filter(|test| !has(test)).count();
    if waiting > 0 {
        support::report(&format!(
            "{waiting} tests wait for a control plane: `bash tests/control-plane/build` makes one, or set KUBEBUILDER_ASSETS"
        ));
        #[expect(
            clippy::disallowed_methods,
            reason = "where the tests are told of the environment"
        )]
        if std::env::var("CONTROL_PLANE").is_ok_and(|wanted| wanted == "required") {
            return ExitCode::FAILURE;
        }
    }
    let trials = tests.iter().map(|test| {
        let (programs, run) = (programs.clone(), test.run);
        let run = move || {
            let programs = programs.ok_or("there is no control plane")?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            runtime.block_on(run(programs));
            Ok(())
        };
        Trial::test(test.name, run).with_ignored_flag(!has(test))
    });
    let mut arguments = Arguments::from_args();
    // Some of them say how long a change may take: each has the machine to itself.
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
