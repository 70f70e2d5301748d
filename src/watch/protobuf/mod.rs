//! Watches in protobuf, for a server that speaks it: half the bytes, and a third of the server's time.
//!
//! A layer below kube, which reads JSON only: a watch asks for protobuf first, and its events go up as JSON of the few
//! fields that are read here. A server that answers in JSON (for custom resources each does) is passed through.

mod messages;

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use headless_objects::envelope::{self, MEDIA_TYPE, TypeMeta};
use http::{HeaderValue, Request, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use prost::{DecodeError, Message};
use serde::Serialize;

use crate::api::{Unreadable, through};
use messages::{EndpointSlice, Namespace, Pod, Service, StatefulSet, Status, WatchEvent, as_str};

const ACCEPT: &str = "application/vnd.kubernetes.protobuf;stream=watch,application/vnd.kubernetes.protobuf,application/json";

/// The largest event that is read: far above the 1.5 MB that an object may have in etcd.
const MAX_EVENT: usize = 16 << 20;

/// A body in JSON.
type Json = UnsyncBoxBody<Bytes, io::Error>;

/// A client whose watches are in protobuf where the server can.
pub(super) fn client(client: &Client) -> Client {
    through(client, send)
}

async fn send(client: Client, mut request: Request<Body>) -> Result<Response<Json>, kube::Error> {
    let query = request.uri().query().unwrap_or_default();
    if query.split('&').any(|pair| pair == "watch=true") {
        let accept = HeaderValue::from_static(ACCEPT);
        request.headers_mut().insert(header::ACCEPT, accept);
    }
    as_json(client.send(request).await?).await
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
        let status = Full::from(object(&whole));
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
                transcode(&event, &mut lines);
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
fn transcode(event: &Bytes, lines: &mut Vec<u8>) {
    // An event that cannot be decoded does not say what happened to which object: it is passed on as an unreadable
    // object without a name.
    let (kind, object) = match WatchEvent::decode(event.clone()) {
        Ok(event) => (event.kind, object(&event.object.unwrap_or_default().raw)),
        Err(error) => (Bytes::from_static(b"ADDED"), broken(&Bytes::new(), &error)),
    };
    lines.extend_from_slice(b"{\"type\":\"");
    lines.extend_from_slice(as_str(&kind).as_bytes());
    lines.extend_from_slice(b"\",\"object\":");
    lines.extend_from_slice(&object);
    lines.extend_from_slice(b"}\n");
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Typed<'t, T> {
    api_version: &'t str,
    kind: &'t str,
    #[serde(flatten)]
    object: T,
}

/// An object as JSON; one that cannot be read says so there.
fn object(bytes: &Bytes) -> Vec<u8> {
    let unknown = match envelope::open(bytes) {
        None => return unreadable(&Bytes::new(), "", "an object that is no protobuf"),
        Some(Ok(unknown)) => unknown,
        Some(Err(error)) => return broken(&Bytes::new(), &error),
    };
    let (meta, raw) = (unknown.type_meta.unwrap_or_default(), unknown.raw);
    match as_str(&meta.kind) {
        "Service" => json::<Service>(&meta, &raw),
        "EndpointSlice" => json::<EndpointSlice>(&meta, &raw),
        "Pod" => json::<Pod>(&meta, &raw),
        "StatefulSet" => json::<StatefulSet>(&meta, &raw),
        "Status" => json::<Status>(&meta, &raw),
        _ => json::<Namespace>(&meta, &raw),
    }
}

fn json<T: Message + Default + Serialize>(meta: &TypeMeta, raw: &Bytes) -> Vec<u8> {
    match T::decode(raw.clone()) {
        Ok(object) => {
            let [api_version, kind] = [&meta.api_version, &meta.kind].map(as_str);
            let typed = Typed {
                api_version,
                kind,
                object,
            };
            serde_json::to_vec(&typed)
                .expect("messages have text and numbers in them, and keys that are text")
        }
        Err(error) => broken(raw, &error),
    }
}

/// The JSON for a message that cannot be decoded. Prost's error has `Message.field: ` for each level, the innermost
/// first.
fn broken(raw: &Bytes, error: &DecodeError) -> Vec<u8> {
    const PREFIX: &str = "failed to decode Protobuf message: ";
    let text = error.to_string();
    let mut rest = text.strip_prefix(PREFIX).unwrap_or(&text);
    let mut path = Vec::new();
    while let Some((at, further)) = rest.split_once(": ")
        && let Some((_, field)) = at.split_once('.')
    {
        path.push(field);
        rest = further;
    }
    path.reverse();
    unreadable(raw, &path.join("."), rest)
}

fn unreadable(raw: &Bytes, field: &str, problem: &str) -> Vec<u8> {
    // Its metadata, where at least those can be read.
    let known = Namespace::decode(raw.clone()).unwrap_or_default();
    let unreadable = Unreadable {
        metadata: known.identity(),
        field: field.into(),
        problem: problem.into(),
    };
    unreadable.to_json()
}

#[cfg(test)]
mod tests;
