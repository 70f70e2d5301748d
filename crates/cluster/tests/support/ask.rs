//! A request to a cluster.

use bytes::Bytes;
use headless_cluster::Cluster;
use http::request::Builder;
use http::response::Parts;
use http_body_util::{BodyExt, Full};

/// The head of what is answered, and its octets.
pub(crate) async fn ask(cluster: &Cluster, request: Builder, body: String) -> (Parts, Bytes) {
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let (head, body) = cluster.api().call(request).await.into_parts();
    (head, body.collect().await.unwrap().to_bytes())
}
