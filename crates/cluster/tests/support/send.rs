//! A request with an object, which is answered with one.

#[path = "ask.rs"]
mod ask;

use ask::ask;
use headless_cluster::Cluster;
use http::{Method, Request};
use serde_json::Value;

/// The code of what is answered, and the object.
pub(crate) async fn send(
    cluster: &Cluster,
    method: Method,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json");
    let (head, body) = ask(cluster, request, body.to_string()).await;
    (head.status.as_u16(), serde_json::from_slice(&body).unwrap())
}
