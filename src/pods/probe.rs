//! Probes: is a program there, does it answer.

use headless_cluster::runtime::{Fact, Probe};

use super::{Shared, check};

/// Makes a probe, and says how it went; one that takes too long has failed.
pub(super) async fn make(shared: &Shared, probe: Probe) {
    let asked = (&probe.check, 200..=399);
    let good = check::holds(shared, &probe.run, asked, probe.timeout).await;
    shared.say(Fact::Probed(probe.run, probe.kind, good));
}
