//! Lists of objects as they are, for who looks once.

use kube::Client;
use serde_json::Value;

/// Objects in an answer, as many as `kubectl` asks for.
const PAGE: usize = 500;

/// All objects of a collection: its path, such as `/api/v1/namespaces/default/pods`.
///
/// # Errors
/// What the API server says, or that it does not answer.
pub async fn list(client: &Client, path: &str) -> Result<Vec<Value>, kube::Error> {
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let url = match next.is_empty() {
            true => format!("{path}?limit={PAGE}"),
            false => format!("{path}?limit={PAGE}&continue={next}"),
        };
        let request = http::Request::get(url).body(Vec::new());
        let mut page: Value = client
            .request(request.map_err(kube::Error::HttpError)?)
            .await?;
        if let Value::Array(items) = page["items"].take() {
            all.extend(items);
        }
        match page["metadata"]["continue"].as_str() {
            Some(more) if !more.is_empty() => more.clone_into(&mut next),
            _ => return Ok(all),
        }
    }
}

/// What is answered for a path in plain text, such as a log.
///
/// # Errors
/// As [`list`].
pub async fn text(client: &Client, path: &str) -> Result<String, kube::Error> {
    let request = http::Request::get(path).body(Vec::new());
    let request = request.map_err(kube::Error::HttpError)?;
    client.request_text(request).await
}
