//! What the API tells of itself at `/metrics`: the objects that it keeps, and requests that broke it.

use std::fmt::Write as _;

use super::kinds::KindId;
use super::shared::Shared;

/// The metrics in Prometheus' text form.
pub(super) fn text(shared: &Shared) -> String {
    let mut text = String::from(
        "# HELP apiserver_resource_objects Objects that are kept, by resource.\n# TYPE apiserver_resource_objects gauge\n",
    );
    let state = shared.read();
    for kind in KindId::all().filter(|kind| kind.kept() == *kind) {
        let info = kind.info();
        let count = state.objects.list(kind, None).count();
        if info.verbs.contains(&"list") {
            let (group, resource) = (info.group, info.plural);
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "apiserver_resource_objects{{group=\"{group}\",resource=\"{resource}\"}} {count}"
            );
        }
    }
    let (revision, panics) = (state.objects.revision(), shared.panics());
    drop(state);
    let _ = writeln!(
        text,
        "# HELP headless_cluster_revision The last revision.\n# TYPE headless_cluster_revision gauge\nheadless_cluster_revision {revision}\n\
         # HELP headless_cluster_panics_total Requests that broke the server.\n# TYPE headless_cluster_panics_total counter\n\
         headless_cluster_panics_total {panics}"
    );
    text
}
