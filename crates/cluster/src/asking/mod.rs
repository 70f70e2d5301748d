//! Calls a webhook: over TLS that its authority has signed, within its time.

mod trust;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::kinds;
use crate::shared::Shared;
use crate::webhooks::{Hook, Question, Verdict, sent, verdict};

/// The largest response that is read: kube-apiserver's own limit.
const MOST: usize = 3 << 20;

/// Where a webhook is.
struct Place {
    /// As errors show it.
    url: String,
    /// What its certificate has to be of.
    host: String,
    /// What is connected to: a host and a port.
    address: String,
    /// The Pod that is there, by its UID, and its port.
    pod: Option<(String, u16)>,
    path: String,
}

/// The answer of the webhook that a question is for.
pub(crate) async fn answer(shared: &Shared, question: &Question) -> Verdict {
    let hook = &question.hook;
    let uid = uuid::Builder::from_random_bytes(rand::random())
        .into_uuid()
        .to_string();
    let place = match place(shared, &hook.client) {
        Ok(place) => place,
        Err(why) => return failed(&why),
    };
    let sent = sent(hook, &question.request, &uid).to_string();
    let url = format!("{}?timeout={}s", place.url, hook.timeout.as_secs());
    let called = tokio::time::timeout(hook.timeout, ask(shared, &place, hook, sent)).await;
    let called = called.unwrap_or_else(|_| Err("context deadline exceeded".to_owned()));
    match called {
        Ok(review) => verdict(hook, &uid, &review),
        Err(why) => failed(&format!("Post {url:?}: {why}")),
    }
}

fn failed(why: &str) -> Verdict {
    Verdict::Failed(format!("failed to call webhook: {why}"))
}

/// Where `clientConfig` leads.
fn place(shared: &Shared, client: &Value) -> Result<Place, String> {
    if let Some(url) = client["url"].as_str() {
        let parsed: http::Uri = url.parse().map_err(|error| format!("{url:?}: {error}"))?;
        let host = parsed.host().unwrap_or_default().to_owned();
        let port = parsed.port_u16().unwrap_or(443);
        return Ok(Place {
            url: url.to_owned(),
            address: format!("{host}:{port}"),
            host: host.trim_matches(['[', ']']).to_owned(),
            pod: None,
            path: clean(parsed.path()),
        });
    }
    let text = |field: &str| client["service"][field].as_str().unwrap_or_default();
    let (ns, name) = (text("namespace"), text("name"));
    let port = client["service"]["port"].as_i64().unwrap_or(443);
    let host = format!("{name}.{ns}.svc");
    let path = clean(text("path"));
    let (address, pod) = endpoint(shared, (ns, name), port)?;
    Ok(Place {
        address: address.to_string(),
        pod: pod.map(|uid| (uid, address.port())),
        url: format!("https://{host}:{port}{path}"),
        host,
        path,
    })
}

/// A path without empty steps, as Go's client sends it.
fn clean(path: &str) -> String {
    let steps = path.split('/').filter(|step| !step.is_empty());
    format!("/{}", steps.collect::<Vec<_>>().join("/"))
}

/// The first ready endpoint of a Service's port, and the UID of the Pod that it is.
fn endpoint(
    shared: &Shared,
    (ns, name): (&str, &str),
    port: i64,
) -> Result<(SocketAddr, Option<String>), String> {
    let state = shared.read();
    let service = state.objects.named(kinds::SERVICE, ns, name);
    let service = service.ok_or_else(|| format!("service {name:?} not found"))?;
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let mut ports = ports.filter(|of| of["port"] == port);
    let none = || format!("no service port {port} found for service {name:?}");
    let port_name = ports.next().ok_or_else(none)?["name"]
        .as_str()
        .unwrap_or_default();
    let slices = state.objects.list(kinds::ENDPOINT_SLICE, Some(ns));
    let of = "kubernetes.io/service-name";
    let mut slices = slices.filter(|(_, slice)| slice["metadata"]["labels"][of] == name);
    let found = slices.find_map(|(_, slice)| {
        let mut ports = slice["ports"].as_array()?.iter();
        let port = ports.find(|of| of["name"].as_str().unwrap_or_default() == port_name)?;
        let mut all = slice["endpoints"].as_array()?.iter();
        let ready = all.find(|endpoint| endpoint["conditions"]["ready"] != false)?;
        let ip: IpAddr = ready["addresses"][0].as_str()?.parse().ok()?;
        let port = u16::try_from(port["port"].as_u64()?).ok()?;
        let of = &ready["targetRef"];
        let pod = of["uid"].as_str().filter(|_| of["kind"] == "Pod");
        Some((SocketAddr::new(ip, port), pod.map(str::to_owned)))
    });
    found.ok_or_else(|| format!("no endpoints available for service {name:?}"))
}

/// A connection to a webhook: where Pods run, to one of them from inside its network.
async fn connect(shared: &Shared, place: &Place) -> Result<TcpStream, String> {
    let stream = match (&place.pod, &shared.runtime) {
        (None, _) => TcpStream::connect(&place.address)
            .await
            .map_err(|error| error.to_string()),
        (Some((uid, port)), Some(runtime)) => runtime.connect(uid, *port).await,
        (Some(_), None) => Err("the Pod there has no program that runs".to_owned()),
    };
    stream.map_err(|error| format!("dial tcp {}: {error}", place.address))
}

async fn ask(shared: &Shared, place: &Place, hook: &Hook, review: String) -> Result<Value, String> {
    let name = ServerName::try_from(place.host.clone()).map_err(|error| error.to_string())?;
    let bundle = hook.client["caBundle"].as_str().unwrap_or_default();
    let tls = TlsConnector::from(Arc::new(trust::trusting(bundle)?));
    let stream = connect(shared, place).await?;
    let stream = tls.connect(name, stream).await;
    let stream = stream.map_err(|error| format!("tls: {error}"))?;
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
        .await
        .map_err(|error| error.to_string())?;
    let _connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::post(format!(
        "{}?timeout={}s",
        place.path,
        hook.timeout.as_secs()
    ))
    .header(header::HOST, &place.address)
    .header(header::ACCEPT, "application/json, */*")
    .header(header::CONTENT_TYPE, "application/json")
    .header(header::USER_AGENT, "kube-apiserver-admission")
    .body(Full::new(Bytes::from(review)))
    .map_err(|error| error.to_string())?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| error.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MOST).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    if status != StatusCode::OK {
        return Err(format!("the server answered {status}"));
    }
    serde_json::from_slice(&body).map_err(|error| format!("the response is no JSON: {error}"))
}
