//! The scenarios that a black box can see: the same for the embedded cluster, for a real API server with our reconciler,
//! and for a real control plane with its own. Numbers and sentences are those of `docs/statefulset.md`.

mod failing;
mod ownership;
mod scaling;
mod storage;
mod updates;
mod validation;
pub mod world;

use futures::future::LocalBoxFuture;
use world::World;

/// A scenario: its name, and what shows it.
pub type Scenario = (&'static str, fn(&mut World) -> LocalBoxFuture<'_, ()>);

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    [
        scaling::SCENARIOS,
        failing::SCENARIOS,
        updates::SCENARIOS,
        ownership::SCENARIOS,
        storage::SCENARIOS,
        validation::SCENARIOS,
    ]
    .concat()
}

/// A table of scenarios from functions of these names.
macro_rules! table {
    ($($name:ident),* $(,)?) => {
        pub const SCENARIOS: &[super::Scenario] = &[$((stringify!($name), |world| Box::pin($name(world)))),*];
    };
}
use table;
