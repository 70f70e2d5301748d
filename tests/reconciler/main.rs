//! The reconciler on the embedded cluster: the scenarios, what it does when the API server fails, leader election.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod executor;
mod lease;
#[path = "../support/mod.rs"]
mod support;

use futures::future::LocalBoxFuture;
use headless_cluster::{Cluster, Delays};
use headless_dns::reconciler;
use libtest_mimic::{Arguments, Trial};
use support::statefulset::scenarios;
use support::statefulset::world::{Keeper, World};

/// A test: its name, and what shows it.
pub(crate) type Test = (&'static str, fn() -> LocalBoxFuture<'static, ()>);

fn main() -> std::process::ExitCode {
    let black_box = scenarios().into_iter().map(|(name, scenario)| {
        Trial::test(name, move || {
            run(async move {
                let cluster = Cluster::start(Delays::default());
                tokio::spawn(reconciler::run(cluster.client(), cluster.clock()));
                let mut world = World::new(cluster.client(), "default-test", Keeper::Ours).await;
                scenario(&mut world).await;
            })
        })
    });
    let tests = [executor::TESTS, lease::TESTS].concat();
    let others = tests
        .into_iter()
        .map(|(name, test)| Trial::test(name, move || run(test())));
    libtest_mimic::run(&Arguments::from_args(), black_box.chain(others).collect()).exit_code()
}

/// Runs a test on one thread; what panics in it fails it.
fn run(test: impl Future<Output = ()>) -> Result<(), libtest_mimic::Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(test);
    Ok(())
}
