//! Watches in protobuf say what watches in JSON say.

use futures::FutureExt;
use headless_dns::api::Client;
use headless_dns::name::ServiceKey;
use headless_dns::watch::wire::Reading;
use headless_dns::watch::{Options as Watched, Watches};
use headless_dns::zone::Zone;
use http::{Method, Request, header};
use serde_json::json;

use crate::support::api::{FakeApi, Fate};
use crate::support::control_plane::{ControlPlane, Options, Programs};
use crate::support::kubelet::call;
use crate::support::names::eventually;
use crate::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "what_comes_in_protobuf_is_what_comes_in_json",
        needs: Needs::ApiServer,
        run: |p| compare(p).boxed_local(),
    },
    Test {
        name: "an_annotation_that_is_not_utf_8_hides_no_service",
        needs: Needs::ApiServer,
        run: |p| not_utf_8(p).boxed_local(),
    },
];

/// A client that asks for JSON, whatever it is told.
fn json_only(client: &Client) -> Client {
    let api = FakeApi::before_server(client);
    api.all(Fate::ServeJson);
    api.client()
}

async fn compare(programs: Programs) {
    let plane = ControlPlane::start(&programs, Options::default()).await;
    let manifest = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/kubernetes/every-field.yaml"
    );
    let made = plane.kubectl(&["create", "-f", manifest]);
    assert!(made.status.success(), "{made:?}");
    let ingress = json!([{"ip": "192.0.2.7", "ipMode": "VIP"}, {"hostname": "lb.example.org"}]);
    for (path, status) in [
        (
            "services/balanced",
            json!({"loadBalancer": {"ingress": ingress}}),
        ),
        (
            "pods/single",
            json!({"phase": "Running", "podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}, {"ip": "fd00::9"}]}),
        ),
    ] {
        let path = format!("/api/v1/namespaces/default/{path}/status");
        call(
            &plane.client,
            Method::PATCH,
            &path,
            &json!({"status": status}),
        )
        .await
        .unwrap();
    }
    let options = Watched {
        reading: Reading {
            endpoint_pod_names: true,
            zonal: true,
            pod_labels: true,
        },
        pods: true,
        sets: true,
        ..Watched::default()
    };
    let protobuf = Watches::start(&plane.client, &options);
    let json = json_only(&plane.client);
    let json = Watches::start(&json, &options);
    protobuf.synced().await;
    json.synced().await;
    for watches in [&protobuf, &json] {
        both_sets(&watches.zone).await;
    }
    assert_eq!(protobuf.zone, json.zone);
    assert_eq!(
        json.zone.services(headless_dns::zone::Scope::Cluster).len(),
        7
    );
}

/// Waits for the StatefulSets, for which names do not wait.
async fn both_sets(zone: &Zone) {
    let ordinals = |svc: &[u8]| {
        let sets = zone.expected(ServiceKey::new(b"default", svc).wire());
        let ordinals = sets.iter().map(|set| (set.start, set.replicas));
        ordinals.collect::<Vec<_>>()
    };
    eventually("both sets", async || {
        let sets = [ordinals(b"headless"), ordinals(b"both")];
        (sets == [[(5, 2)], [(0, 1)]]).then_some(())
    })
    .await;
}

/// A field of a protobuf message: its number, with a length.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    [
        &[number << 3 | 2, u8::try_from(value.len()).unwrap()],
        value,
    ]
    .concat()
}

/// Kubernetes takes such an annotation from whoever writes protobuf, and gives it out again.
async fn not_utf_8(programs: Programs) {
    let plane = ControlPlane::start(&programs, Options::default()).await;
    let pair = [field(1, b"a/b"), field(2, b"bad \xff\xfe")].concat();
    let meta = [field(1, b"evil"), field(3, b"default"), field(12, &pair)].concat();
    let port = [field(1, b"http"), field(2, b"TCP"), vec![3 << 3, 80]].concat();
    let spec = [field(1, &port), field(3, b"None")].concat();
    let types = [field(1, b"v1"), field(2, b"Service")].concat();
    let service = [field(1, &meta), field(2, &spec)].concat();
    let body = [b"k8s\0".to_vec(), field(1, &types), field(2, &service)].concat();
    let request = Request::post("/api/v1/namespaces/default/services")
        .header(header::CONTENT_TYPE, "application/vnd.kubernetes.protobuf")
        .header(header::ACCEPT, "application/json")
        .body(body)
        .unwrap();
    plane
        .client
        .request::<serde_json::Value>(request)
        .await
        .unwrap();
    let good = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "good"}, "spec": {"clusterIP": "None"},
    });
    let path = "/api/v1/namespaces/default/services";
    call(&plane.client, Method::POST, path, &good)
        .await
        .unwrap();
    let json = json_only(&plane.client);
    for client in [&plane.client, &json] {
        let watches = Watches::start(client, &Watched::default());
        watches.synced().await;
        let services = watches.zone.services(headless_dns::zone::Scope::Cluster);
        let mut names: Vec<_> = services
            .iter()
            .map(|data| data.service().key.to_string())
            // The API server makes its own when it gets to it.
            .filter(|name| name != "kubernetes.default")
            .collect();
        names.sort();
        assert_eq!(names, ["evil.default", "good.default"]);
    }
}
