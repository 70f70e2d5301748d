//! Watches in protobuf say what watches in JSON say.

use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use headless_dns::api::Client;
use headless_dns::watch::wire::Shape;
use headless_dns::watch::{Options as Watched, Watches};
use http::{HeaderValue, Method, Request, Response, header};
use kube::client::Body;
use serde_json::json;

use crate::support::control_plane::{ControlPlane, Options, Programs};
use crate::support::kubelet::call;
use crate::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "what_comes_in_protobuf_is_what_comes_in_json",
    needs: Needs::ApiServer,
    run: |p| compare(p).boxed_local(),
}];

/// A client that asks for JSON, whatever it is told.
#[derive(Clone)]
struct JsonOnly(Client);

impl tower::Service<Request<Body>> for JsonOnly {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, kube::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), kube::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::ACCEPT, json);
        let client = self.0.clone();
        async move { client.send(request).await }.boxed()
    }
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
        shape: Shape {
            endpoint_pod_names: true,
            zonal: true,
        },
        pods: true,
        ..Watched::default()
    };
    let protobuf = Watches::start(&plane.client, &options);
    let json = Client::new(JsonOnly(plane.client.clone()), "default");
    let json = Watches::start(&json, &options);
    protobuf.synced().await;
    json.synced().await;
    assert_eq!(protobuf.zone, json.zone);
    assert_eq!(
        json.zone.services(headless_dns::zone::Set::Services).len(),
        7
    );
}
