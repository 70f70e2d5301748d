//! Watches in protobuf, for a server that speaks it: half the bytes, and a third of the server's time.
//!
//! A layer below kube, which reads JSON only: a watch asks for protobuf first, and its events go up as JSON of the few
//! fields that are read here. A server that answers in JSON (for custom resources each does) is passed through.

mod messages;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use futures::FutureExt;
use http::{HeaderValue, Request, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use prost::Message;
use serde::Serialize;

use messages::{
    EndpointSlice, Namespace, Pod, Service, Status, TypeMeta, Unknown, WatchEvent, as_str,
};

/// The media type, of an object and of a watch's events.
const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

const ACCEPT: &str = "application/vnd.kubernetes.protobuf;stream=watch,application/vnd.kubernetes.protobuf,application/json";

/// What an object begins with.
const MAGIC: &[u8] = b"k8s\0";

/// The largest event that is read: an object may have 1.5 MB in etcd, and some in memory only.
const MAX_EVENT: usize = 16 << 20;

/// A body in JSON.
type Json = UnsyncBoxBody<Bytes, io::Error>;

/// A client whose watches are in protobuf where the server can.
pub(super) fn client(client: &Client) -> Client {
    let ns = client.default_namespace().to_owned();
    Client::new(Protobuf(client.clone()), ns)
}

#[derive(Clone)]
struct Protobuf(Client);

impl tower::Service<Request<Body>> for Protobuf {
    type Response = Response<Json>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Json>, kube::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), kube::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let query = request.uri().query().unwrap_or_default();
        if query.split('&').any(|pair| pair == "watch=true") {
            let accept = HeaderValue::from_static(ACCEPT);
            request.headers_mut().insert(header::ACCEPT, accept);
        }
        let client = self.0.clone();
        async move { as_json(client.send(request).await?).await }.boxed()
    }
}

/// The response in JSON, where it is in protobuf.
async fn as_json(response: Response<Body>) -> Result<Response<Json>, kube::Error> {
    let media_type = response.headers().get(header::CONTENT_TYPE);
    let is_protobuf =
        media_type.is_some_and(|media| media.as_bytes().starts_with(MEDIA_TYPE.as_bytes()));
    if !is_protobuf {
        return Ok(response.map(|body| body.map_err(io::Error::other).boxed_unsync()));
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = if parts.status.is_success() {
        let frames = Frames {
            body,
            buffer: BytesMut::new(),
        };
        let events = futures::stream::try_unfold(frames, |mut frames| async {
            let line = frames.next().await?;
            Ok::<_, io::Error>(line.map(|line| (http_body::Frame::data(line), frames)))
        });
        StreamBody::new(events).boxed_unsync()
    } else {
        // A refusal: one object.
        let whole = body.collect_bytes().await?;
        let status = Full::from(object(&whole).unwrap_or_default());
        status.map_err(|never| match never {}).boxed_unsync()
    };
    Ok(Response::from_parts(parts, body))
}

/// Events as they arrive: each behind its length, four bytes, the highest first.
struct Frames<B> {
    body: B,
    buffer: BytesMut,
}

impl<B> Frames<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// The next events, a line of JSON each; `None`: the server has ended the watch.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let mut lines = Vec::new();
            while let Some(event) = self.event()? {
                transcode(&event, &mut lines)?;
            }
            if !lines.is_empty() {
                return Ok(Some(lines.into()));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(io::Error::other(error)),
                Some(Ok(frame)) => self
                    .buffer
                    .extend_from_slice(&frame.into_data().unwrap_or_default()),
            }
        }
    }

    /// An event that is there whole.
    fn event(&mut self) -> io::Result<Option<Bytes>> {
        let Some(length) = self.buffer.first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > MAX_EVENT {
            return Err(io::Error::other(format!("an event of {length} bytes")));
        }
        if self.buffer.len() < 4 + length {
            self.buffer.reserve(4 + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

/// Appends an event as a line of JSON.
fn transcode(event: &Bytes, lines: &mut Vec<u8>) -> io::Result<()> {
    let event = WatchEvent::decode(event.clone()).map_err(io::Error::other)?;
    let object = object(&event.object.unwrap_or_default().raw)?;
    lines.extend_from_slice(b"{\"type\":\"");
    lines.extend_from_slice(as_str(&event.kind).as_bytes());
    lines.extend_from_slice(b"\",\"object\":");
    lines.extend_from_slice(&object);
    lines.extend_from_slice(b"}\n");
    Ok(())
}

#[derive(Serialize)]
struct Typed<T> {
    #[serde(flatten)]
    type_meta: TypeMeta,
    #[serde(flatten)]
    object: T,
}

/// An object as JSON.
fn object(bytes: &Bytes) -> io::Result<Vec<u8>> {
    if !bytes.starts_with(MAGIC) {
        return Err(io::Error::other("an object that is no protobuf"));
    }
    let unknown = Unknown::decode(bytes.slice(MAGIC.len()..)).map_err(io::Error::other)?;
    let (type_meta, raw) = (unknown.type_meta.unwrap_or_default(), unknown.raw);
    match as_str(&type_meta.kind) {
        "Service" => json::<Service>(type_meta, raw),
        "EndpointSlice" => json::<EndpointSlice>(type_meta, raw),
        "Pod" => json::<Pod>(type_meta, raw),
        "Status" => json::<Status>(type_meta, raw),
        _ => json::<Namespace>(type_meta, raw),
    }
}

fn json<T: Message + Default + Serialize>(type_meta: TypeMeta, raw: Bytes) -> io::Result<Vec<u8>> {
    let object = T::decode(raw).map_err(io::Error::other)?;
    serde_json::to_vec(&Typed { type_meta, object }).map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
