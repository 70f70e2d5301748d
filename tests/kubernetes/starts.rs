//! That the control plane is one.

use futures::FutureExt;

use crate::support::control_plane::{ControlPlane, Options, Programs};
use crate::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "the_server_and_kubectl_are_of_the_version_that_was_built",
    needs: Needs::ApiServer,
    run: |p| versions(p).boxed_local(),
}];

async fn versions(programs: Programs) {
    let plane = ControlPlane::start(&programs, Options::default()).await;
    let output = plane.kubectl(&["version"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let versions: Vec<_> = said
        .lines()
        .filter_map(|line| line.split_once(" Version: v1."))
        .collect();
    assert_eq!(versions, [("Client", "37.2"), ("Server", "37.2")]);
}
