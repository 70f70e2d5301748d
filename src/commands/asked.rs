//! Requests to a server's `admin`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::{Buf, Bytes, BytesMut};
use headless_objects::object::array;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::sync::mpsc::Sender;

use super::admin_address;

/// How long an answer may take: longer than a look for a name that is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a stream may be silent: longer than the pauses between its signs of life.
const SILENCE: Duration = Duration::from_secs(40);

/// What a server refuses for what is asked, or for who asks: it would again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(String);

/// Where a server is asked, and how.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Admin {
    /// The `admin` of a server.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8054", value_parser = admin_address)]
    pub(super) server: SocketAddr,
    /// A file that holds the token, where the server wants one.
    #[arg(long, value_name = "FILE")]
    pub(super) token: Option<PathBuf>,
}

impl Admin {
    /// Asks for a path with these keys and values.
    ///
    /// # Errors
    /// A server that does not answer, or that refuses, with its reason.
    pub(super) async fn ask(&self, path: &str, asked: &[(&str, &str)]) -> anyhow::Result<Value> {
        let server = self.server;
        let exchange = exchange(self.request(path, asked)?);
        let answer = tokio::time::timeout(PATIENCE, exchange).await;
        let answer = answer.with_context(|| format!("{server} does not answer"))?;
        let answer = answer.with_context(|| format!("cannot ask {server}"))?;
        let body: Value = serde_json::from_slice(answer.body())
            .with_context(|| format!("{server} is no `admin` of a headless-dns"))?;
        let status = answer.status();
        if status.is_client_error() {
            return Err(Refused(format!("{server}: {}", reason(status, &body))).into());
        }
        if status != StatusCode::OK {
            bail!("{server}: {}", reason(status, &body));
        }
        Ok(body)
    }

    /// Tells the messages of a stream of events (HTML Living Standard section 9.2.6), each in JSON of one line, as what
    /// `kind` makes of them, until nobody listens or the server ends it.
    ///
    /// # Errors
    /// A server that does not answer, that refuses, with its reason, or that falls silent.
    pub(super) async fn follow<T: Send>(
        &self,
        path: &str,
        (tell, kind): (&Sender<T>, fn(Value) -> T),
    ) -> anyhow::Result<()> {
        let server = self.server;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = tokio::time::timeout(PATIENCE, client.request(self.request(path, &[])?)).await;
        let answer = answer.with_context(|| format!("{server} does not answer"))?;
        let (head, mut body) = answer
            .with_context(|| format!("cannot ask {server}"))?
            .into_parts();
        if head.status != StatusCode::OK {
            let body = body.collect().await?.to_bytes();
            let said: Value = serde_json::from_slice(&body).unwrap_or_default();
            bail!("{server}: {}", reason(head.status, &said));
        }
        let mut events = Events::default();
        loop {
            let frame = tokio::time::timeout(SILENCE, body.frame()).await;
            let frame = frame.with_context(|| format!("{server} has fallen silent"))?;
            let Some(frame) = frame
                .transpose()
                .with_context(|| format!("{server} has gone"))?
            else {
                return Ok(());
            };
            events.take(frame.data_ref().map_or(&[][..], |octets| octets));
            while let Some(event) = events.next() {
                let Some(json) = event.strip_prefix(b"data: ") else {
                    continue;
                };
                let message = serde_json::from_slice(json);
                let message =
                    message.with_context(|| format!("{server} is no `admin` of a headless-dns"))?;
                if tell.send(kind(message)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }

    fn request(&self, path: &str, asked: &[(&str, &str)]) -> anyhow::Result<Request<Empty<Bytes>>> {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(asked)
            .finish();
        let mut request = Request::get(format!("http://{}{path}?{query}", self.server));
        if let Some(file) = &self.token {
            let text = std::fs::read_to_string(file);
            let token = text.with_context(|| format!("cannot read {}", file.display()))?;
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        request.body(Empty::new()).context("no such request")
    }
}

/// What has come of a stream of events, up to the event that is not whole yet.
#[derive(Default)]
struct Events {
    octets: BytesMut,
    /// So many of them are known to hold no end of an event.
    looked: usize,
}

impl Events {
    fn take(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// The next whole event, without the blank line at its end.
    fn next(&mut self) -> Option<Bytes> {
        const END: &[u8] = b"\n\n";
        let new = &self.octets[self.looked..];
        let Some(at) = new.windows(END.len()).position(|two| two == END) else {
            // Its last octet may be the first of an end.
            self.looked = self.octets.len().saturating_sub(1);
            return None;
        };
        let event = self.octets.split_to(self.looked + at);
        self.octets.advance(END.len());
        self.looked = 0;
        Some(event.freeze())
    }
}

/// Why a server refuses.
fn reason(status: StatusCode, said: &Value) -> String {
    let error = said["error"].as_str();
    error.map_or_else(|| status.to_string(), str::to_owned)
}

async fn exchange(request: Request<Empty<Bytes>>) -> anyhow::Result<Response<Bytes>> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await?.into_parts();
    Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
}

/// The texts of a list of an answer, joined.
pub(super) fn texts(list: &Value, separator: &str) -> String {
    let texts: Vec<&str> = array(list).filter_map(Value::as_str).collect();
    texts.join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look at all of it with each piece would take minutes.
    #[test]
    fn events_come_whole_in_whatever_pieces_and_a_long_one_is_looked_through_once() {
        let long = "x".repeat(2 << 20);
        let text = format!("data: 1\n\ndata: {long}\n\n\n\ndata: 2\n\ndata: 3\n");
        for size in [16, 4096, text.len()] {
            let (mut events, mut all) = (Events::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                events.take(piece);
                all.extend(std::iter::from_fn(|| events.next()));
            }
            let wanted = ["data: 1", &format!("data: {long}"), "", "data: 2"];
            assert!(all == wanted, "{size}");
            assert_eq!(events.octets, "data: 3\n");
        }
    }
}
