//! What the API server lets us do.

use http::Request;
use kube::Client;
use serde_json::{Value, json};

/// What is to be done with objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The kind's name in URLs.
    pub resource: &'static str,
    /// `list` or `watch`.
    pub verb: &'static str,
    /// In which namespace; empty: in all.
    pub ns: Box<str>,
}

/// Whether the API server grants a right to whoever asks (authorization.k8s.io/v1 SelfSubjectAccessReview).
///
/// # Errors
/// Where it does not say.
pub async fn is_granted(client: &Client, right: &Right) -> Result<bool, kube::Error> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "group": right.group, "resource": right.resource, "verb": right.verb,
            "namespace": right.ns,
        }},
    });
    let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        .header("content-type", "application/json")
        .body(review.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    let answer: Value = client.request(request).await?;
    Ok(answer["status"]["allowed"] == Value::Bool(true))
}
