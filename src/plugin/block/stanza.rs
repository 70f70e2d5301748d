//! What a block watches of a cluster, and shows.

use std::time::Duration;

use headless_objects::selector::Selector;

use crate::apiserver::ApiServer;
use crate::corefile::Token;
use crate::name::Origins;
use crate::zone::View;

/// `kubernetes [ZONES...] { ... }`.
#[derive(Clone, Debug)]
pub struct Stanza {
    /// What look-ups depend on, but for the server's own addresses.
    pub view: View,
    /// Of these names, those that do not exist go to the next plugin.
    pub fallthrough: Origins,
    /// Which API server.
    pub api: ApiServer,
    /// Where the file says so.
    pub api_token: Token,
    /// Which Services, slices and Pods to watch.
    pub labels: Selector,
    /// Which namespaces to watch.
    pub namespace_labels: Selector,
    /// Endpoints without hostname are named after their Pods.
    pub endpoint_pod_names: bool,
    /// Slices are not watched.
    pub noendpoints: bool,
    /// How long start-up waits for the first lists before it serves all the same.
    pub startup_timeout: Duration,
}
