//! That the control plane is one.

use futures::FutureExt;

use crate::Test;
use crate::support::control_plane::{ControlPlane, Options, Programs};

pub const TESTS: &[Test] = &[("the_server_and_kubectl_are_of_the_version_that_was_built", |p| {
    versions(p).boxed()
})];

async fn versions(programs: Programs) {
    let plane = ControlPlane::start(&programs, Options::default()).await;
    let output = plane.kubectl(&["version"]);
    panic!("{output:?}");
}
