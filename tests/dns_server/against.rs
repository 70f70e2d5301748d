//! A Corefile beside a server: what is not answered alike.

use headless_dns::serve::Ambient;
use headless_dns::serve::against::{Compared, against};

use crate::server;
use crate::support::names::setup;

const COREFILE: &str =
    ".:0 {\n bind 127.0.0.1\n kubernetes cluster.local in-addr.arpa {\n ttl 9\n }\n}";

/// What a server with this Corefile answers otherwise than [`COREFILE`]: each question with both answers.
async fn differences(corefile: &str) -> (usize, Vec<String>) {
    let server = server(corefile).await;
    let api = Ambient::Client(server.cluster.client());
    let Compared { asked, differences } =
        against(setup(COREFILE, api), server.address).await.unwrap();
    let line = |one: &headless_dns::serve::against::Difference| {
        format!("{} {}: {} | {}", one.name, one.rtype, one.ours, one.theirs)
    };
    (asked, differences.iter().map(line).collect())
}

#[tokio::test]
async fn a_server_with_the_same_names_differs_in_nothing() {
    let same = ".:0 {\n bind 127.0.0.1\n kubernetes cluster.local in-addr.arpa\n}";
    assert_eq!(differences(same).await, (11, vec![]));
}

#[tokio::test]
async fn what_a_server_hides_is_named_with_both_answers() {
    let other = ".:0 {\n bind 127.0.0.1\n kubernetes cluster.local in-addr.arpa {\n namespaces kube-system\n }\n}";
    let (_, differences) = differences(other).await;
    let a = "web.default.svc.cluster.local. A: A 10.96.0.50 | NXDOMAIN".to_owned();
    assert!(differences.contains(&a), "{differences:#?}");
    let ptr = "50.0.96.10.in-addr.arpa. PTR: PTR web.default.svc.cluster.local. | NXDOMAIN";
    assert!(differences.iter().any(|one| one == ptr), "{differences:#?}");
}
