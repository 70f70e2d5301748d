//! What a client wants its connection to become, of what there is.

use base64::Engine as _;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use ring::digest;

use super::channels::Version;
use crate::call::Body;
use crate::status::ApiStatus;

/// What a WebSocket's key is hashed with (RFC 6455 section 1.3).
const WEBSOCKET: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Where clients that speak SPDY offer protocols.
const STREAM_VERSION: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// How a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Streams in the messages of a WebSocket, each with its number first.
    Channels(Version),
    /// SPDY/3.1.
    Spdy,
    /// SPDY/3.1 in the messages of a WebSocket (KEP-4006).
    Tunnel,
}

/// A protocol by what it is carried in and its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Protocol(Carrier, &'static str, Dialect);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    WebSocket,
    Spdy,
}

const V5: Protocol = Protocol(
    Carrier::WebSocket,
    "v5.channel.k8s.io",
    Dialect::Channels(Version::V5),
);
const V4: Protocol = Protocol(
    Carrier::WebSocket,
    "v4.channel.k8s.io",
    Dialect::Channels(Version::V4),
);

/// Protocols of a program's streams, the best first.
pub(super) const PROGRAM: &[Protocol] = &[
    V5,
    V4,
    Protocol(Carrier::Spdy, "v5.channel.k8s.io", Dialect::Spdy),
    Protocol(Carrier::Spdy, "v4.channel.k8s.io", Dialect::Spdy),
];

/// Protocols of a Pod's ports.
pub(super) const FORWARD: &[Protocol] = &[
    Protocol(
        Carrier::WebSocket,
        "SPDY/3.1+portforward.k8s.io",
        Dialect::Tunnel,
    ),
    V5,
    V4,
    Protocol(Carrier::Spdy, "portforward.k8s.io", Dialect::Spdy),
];

impl Carrier {
    /// What a client asks for by name.
    fn of(headers: &HeaderMap) -> Result<Self, ApiStatus> {
        let wanted = headers.get(header::UPGRADE);
        let wanted = wanted.and_then(|value| value.to_str().ok());
        let wanted = wanted.unwrap_or_default();
        let mut all = [Self::WebSocket, Self::Spdy].into_iter();
        let carrier = all.find(|carrier| wanted.eq_ignore_ascii_case(carrier.name()));
        carrier.ok_or_else(|| {
            ApiStatus::bad_request(format!(
                "unable to upgrade: a WebSocket or SPDY/3.1 was expected, and not {wanted:?}"
            ))
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Spdy => "SPDY/3.1",
        }
    }

    /// Where protocols are offered, and the one that was chosen is said.
    fn header(self) -> HeaderName {
        match self {
            Self::WebSocket => header::SEC_WEBSOCKET_PROTOCOL,
            Self::Spdy => STREAM_VERSION,
        }
    }
}

/// An upgrade that a client asks for.
pub(super) struct Upgrade {
    pub(super) dialect: Dialect,
    protocol: &'static Protocol,
    /// What shows that a WebSocket's key was read.
    accept: Option<HeaderValue>,
}

impl Upgrade {
    /// The best that is offered of those that are known.
    ///
    /// # Errors
    /// 400: none is.
    pub(super) fn of(headers: &HeaderMap, known: &'static [Protocol]) -> Result<Self, ApiStatus> {
        let carrier = Carrier::of(headers)?;
        let offered = headers.get_all(carrier.header()).iter();
        let offered = offered.filter_map(|value| value.to_str().ok());
        let offered: Vec<_> = offered
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .collect();
        let mut fitting = known.iter().filter(|protocol| protocol.0 == carrier);
        let protocol = fitting.find(|protocol| offered.contains(&protocol.1));
        let protocol = protocol.ok_or_else(|| {
            let fitting = known.iter().filter(|protocol| protocol.0 == carrier);
            let known: Vec<_> = fitting.map(|protocol| protocol.1).collect();
            let known = known.join(" or ");
            ApiStatus::bad_request(format!(
                "unable to upgrade: {known} was expected of {offered:?}"
            ))
        })?;
        let accept = (carrier == Carrier::WebSocket).then(|| accept(headers));
        Ok(Self {
            dialect: protocol.2,
            protocol,
            accept,
        })
    }

    pub(super) fn accepted(self) -> Response<Body> {
        let Protocol(carrier, name, _) = *self.protocol;
        let mut response = Response::new(Empty::new().boxed_unsync());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static(carrier.name()));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(carrier.header(), HeaderValue::from_static(name));
        if let Some(accept) = self.accept {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        response
    }
}

fn accept(headers: &HeaderMap) -> HeaderValue {
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default();
    let hash = digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{WEBSOCKET}").as_bytes(),
    );
    let accept = base64::engine::general_purpose::STANDARD.encode(hash);
    HeaderValue::from_str(&accept).expect("base64 is text of a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(
        known: &'static [Protocol],
        headers: &[(HeaderName, &'static str)],
    ) -> Result<(Dialect, &'static str), String> {
        let headers = headers.iter().cloned();
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        let upgrade = Upgrade::of(&HeaderMap::from_iter(headers), known);
        let upgrade = upgrade.map_err(|status| status.message)?;
        Ok((upgrade.dialect, upgrade.protocol.1))
    }

    #[test]
    fn the_best_of_what_a_client_offers_is_spoken() {
        let socket = (header::UPGRADE, "WebSocket");
        let spdy = (header::UPGRADE, "SPDY/3.1");
        let offers = (
            header::SEC_WEBSOCKET_PROTOCOL,
            "v4.channel.k8s.io, v5.channel.k8s.io",
        );
        let v5 = (Dialect::Channels(Version::V5), "v5.channel.k8s.io");
        for known in [PROGRAM, FORWARD] {
            assert_eq!(dialect(known, &[socket.clone(), offers.clone()]), Ok(v5));
        }
        let tunnel = (
            header::SEC_WEBSOCKET_PROTOCOL,
            "SPDY/3.1+portforward.k8s.io",
        );
        let wanted = (Dialect::Tunnel, "SPDY/3.1+portforward.k8s.io");
        assert_eq!(dialect(FORWARD, &[socket.clone(), tunnel]), Ok(wanted));
        let streams = (STREAM_VERSION, "v4.channel.k8s.io");
        let wanted = (Dialect::Spdy, "v4.channel.k8s.io");
        assert_eq!(dialect(PROGRAM, &[spdy.clone(), streams]), Ok(wanted));
        let old = (STREAM_VERSION, "channel.k8s.io");
        assert_eq!(
            dialect(PROGRAM, &[spdy, old]),
            Err(
                "unable to upgrade: v5.channel.k8s.io or v4.channel.k8s.io was expected of [\"channel.k8s.io\"]"
                    .into()
            )
        );
        let told = dialect(PROGRAM, &[(header::UPGRADE, "h2c")]).unwrap_err();
        assert_eq!(
            told,
            "unable to upgrade: a WebSocket or SPDY/3.1 was expected, and not \"h2c\""
        );
    }

    #[test]
    fn the_key_of_a_websocket_is_answered_as_in_the_rfc() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        let headers = HeaderMap::from_iter([(header::SEC_WEBSOCKET_KEY, key)]);
        assert_eq!(accept(&headers), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
