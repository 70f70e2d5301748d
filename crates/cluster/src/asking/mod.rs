//! Calls webhooks: over TLS that their authority has signed, within their time.

mod trust;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

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
use crate::webhooks::{Conversion, Converted, Dialogue, Open, Question, Verdict, sent, verdict};

/// The largest response that is read: kube-apiserver's own limit.
const MOST: usize = 3 << 20;

/// How long a conversion may take: kube-apiserver's own limit.
const CONVERSION: Duration = Duration::from_secs(30);

/// A call of a webhook.
struct Call<'a> {
    /// `clientConfig`.
    client: &'a Value,
    timeout: Duration,
    /// As who it is called.
    agent: &'static str,
    review: Value,
}

/// Where a webhook is.
struct Place {
    /// As errors show it.
    url: String,
    /// What its certificate has to be of.
    host: String,
    to: To,
    path: String,
}

/// What is connected to.
enum To {
    /// A host and a port.
    Address(String),
    /// A Service, by namespace and name, and its port.
    Service(String, String, i64),
}

/// Has a question answered, and keeps the answer.
pub(crate) async fn answer(shared: &Shared, open: Open, dialogue: &Dialogue) {
    match open {
        Open::Admission(question) => {
            let verdict = admission(shared, &question).await;
            dialogue.tell(question, verdict);
        }
        Open::Conversion(conversion) => {
            let converted = convert(shared, &conversion).await;
            dialogue.tell_converted(conversion, converted);
        }
    }
}

/// The verdict of the webhook that a question is for.
async fn admission(shared: &Shared, question: &Question) -> Verdict {
    let (hook, uid) = (&question.hook, uid());
    let call = Call {
        client: &hook.client,
        timeout: hook.timeout,
        agent: "kube-apiserver-admission",
        review: sent(hook, &question.request, &uid),
    };
    match call.make(shared).await {
        Ok(review) => verdict(hook, &uid, &review),
        Err(why) => Verdict::Failed(format!("failed to call webhook: {why}")),
    }
}

/// Objects in another version.
pub(crate) async fn convert(shared: &Shared, conversion: &Conversion) -> Converted {
    let uid = uid();
    let call = Call {
        client: &conversion.converter.client,
        timeout: CONVERSION,
        agent: "kube-apiserver",
        review: conversion.sent(&uid),
    };
    let called = call.make(shared).await;
    let review = called.map_err(|why| conversion.failed(&why))?;
    conversion.read(&uid, &review)
}

fn uid() -> String {
    let uid = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    uid.to_string()
}

impl Call<'_> {
    /// The response, or why there is none.
    async fn make(&self, shared: &Shared) -> Result<Value, String> {
        let place = place(self.client)?;
        let url = format!("{}?timeout={}s", place.url, self.timeout.as_secs());
        let asked = tokio::time::timeout(self.timeout, self.ask(shared, &place)).await;
        let asked = asked.unwrap_or_else(|_| Err("context deadline exceeded".to_owned()));
        let (status, body) = asked.map_err(|why| format!("Post {url:?}: {why}"))?;
        if !status.is_success() {
            return Err(refused(status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| format!("the response is no JSON: {error}"))
    }
}

/// What client-go says of a response that is none (`NewGenericServerResponse`).
fn refused(status: StatusCode, body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let said = match body.trim() {
        "" => "unknown".to_owned(),
        said => said.to_owned(),
    };
    match status.as_u16() {
        404 => "the server could not find the requested resource".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        403 => said,
        405 => "the server does not allow this method on the requested resource".to_owned(),
        code if code >= 500 => {
            format!("an error on the server ({said:?}) has prevented the request from succeeding")
        }
        _ => format!("the server rejected our request for an unknown reason ({said})"),
    }
}

/// Where `clientConfig` leads.
fn place(client: &Value) -> Result<Place, String> {
    if let Some(url) = client["url"].as_str() {
        let parsed: http::Uri = url.parse().map_err(|error| format!("{url:?}: {error}"))?;
        let host = parsed.host().unwrap_or_default().to_owned();
        let port = parsed.port_u16().unwrap_or(443);
        return Ok(Place {
            url: url.to_owned(),
            to: To::Address(format!("{host}:{port}")),
            host: host.trim_matches(['[', ']']).to_owned(),
            path: clean(parsed.path()),
        });
    }
    let text = |field: &str| {
        let text = client["service"][field].as_str();
        text.unwrap_or_default().to_owned()
    };
    let (ns, name) = (text("namespace"), text("name"));
    let port = client["service"]["port"].as_i64().unwrap_or(443);
    let host = format!("{name}.{ns}.svc");
    let path = clean(&text("path"));
    Ok(Place {
        url: format!("https://{host}:{port}{path}"),
        to: To::Service(ns, name, port),
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

/// A connection to a webhook, and its address: where Pods run, to one of them from inside its network.
async fn connect(shared: &Shared, to: &To) -> Result<(TcpStream, String), String> {
    let (address, pod) = match to {
        To::Address(address) => (address.clone(), None),
        To::Service(ns, name, port) => {
            let (address, pod) = endpoint(shared, (ns, name), *port)?;
            (address.to_string(), pod.map(|uid| (uid, address.port())))
        }
    };
    let stream = match (pod, &shared.runtime) {
        (None, _) => TcpStream::connect(&address)
            .await
            .map_err(|error| error.to_string()),
        (Some((uid, port)), Some(runtime)) => runtime.connect(&uid, port).await,
        (Some(_), None) => Err("the Pod there has no program that runs".to_owned()),
    };
    match stream {
        Ok(stream) => Ok((stream, address)),
        Err(error) => Err(format!("dial tcp {address}: {error}")),
    }
}

impl Call<'_> {
    async fn ask(&self, shared: &Shared, place: &Place) -> Result<(StatusCode, Bytes), String> {
        let name = ServerName::try_from(place.host.clone()).map_err(|error| error.to_string())?;
        let bundle = self.client["caBundle"].as_str().unwrap_or_default();
        let tls = TlsConnector::from(Arc::new(trust::trusting(bundle)?));
        let (stream, address) = connect(shared, &place.to).await?;
        let stream = tls.connect(name, stream).await;
        let stream = stream.map_err(|error| format!("tls: {error}"))?;
        let io = TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
            .await
            .map_err(|error| error.to_string())?;
        let _connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
        let seconds = self.timeout.as_secs();
        let request = Request::post(format!("{}?timeout={seconds}s", place.path))
            .header(header::HOST, address)
            .header(header::ACCEPT, "application/json, */*")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, self.agent)
            .body(Full::new(Bytes::from(self.review.to_string())))
            .map_err(|error| error.to_string())?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        Ok((status, body))
    }
}
