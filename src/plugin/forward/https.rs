//! An upstream over HTTPS (RFC 8484): HTTP/2, or HTTP/1.1 where that is all it speaks.

use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tower::Service;

use super::error::{unreadable, wrong};
use super::pool::Limits;
use crate::message::https::{LARGEST, MEDIA_TYPE, PATH, is_message};
use crate::message::question::Query;
use crate::message::{Received, encode_query, receive};

/// The id of every question, so that replies can be kept by whoever is between (RFC 8484 section 4.1).
const ID: u16 = 0;

/// How a question is put (RFC 8484 section 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DohMethod {
    /// In the body.
    #[default]
    Post,
    /// In the URI.
    Get,
}

/// An upstream that is asked over HTTPS.
pub(super) struct Https {
    client: Client<HttpsConnector<HttpConnector<Always>>, Full<Bytes>>,
    /// Its name, or its address, and its port.
    authority: String,
    method: DohMethod,
}

/// Whatever the name, it is at this address.
#[derive(Clone)]
struct Always(SocketAddr);

impl Service<Name> for Always {
    type Response = std::option::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(Some(self.0).into_iter()))
    }
}

impl Https {
    /// One at this address; `name`: that of its certificate.
    pub(super) fn new(
        address: SocketAddr,
        (config, name): (ClientConfig, ServerName<'static>),
        method: DohMethod,
        limits: Limits,
    ) -> Self {
        let authority = if let ServerName::DnsName(name) = &name {
            format!("{}:{}", name.as_ref(), address.port())
        } else {
            address.to_string()
        };
        let mut tcp = HttpConnector::new_with_resolver(Always(address));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_local_address(limits.source);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .with_server_name_resolver(FixedServerNameResolver::new(name))
            .enable_all_versions()
            .wrap_connector(tcp);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new());
        builder.pool_idle_timeout(limits.expire);
        if limits.max_idle > 0 {
            builder.pool_max_idle_per_host(limits.max_idle);
        }
        Self {
            client: builder.build(connector),
            authority,
            method,
        }
    }

    /// Asks; the reply has the id 0.
    pub(super) async fn ask(&self, query: &Query) -> io::Result<Vec<u8>> {
        let request = self.request(encode_query(ID, query))?;
        let response = self.client.request(request).await.map_err(cause)?;
        if response.status() != StatusCode::OK {
            let why = format!("{} says {}", self.authority, response.status());
            return Err(io::Error::other(why));
        }
        let says = response.headers().get(CONTENT_TYPE);
        let says = says.and_then(|says| says.to_str().ok());
        if !says.is_some_and(is_message) {
            let why = format!("{} does not say {MEDIA_TYPE}", self.authority);
            return Err(io::Error::other(why));
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let reply = body.map_err(io::Error::other)?.to_bytes().to_vec();
        match receive(&reply, ID, &query.question) {
            Received::Reply => Ok(reply),
            Received::Unreadable => Err(unreadable()),
            Received::Unusable | Received::Other => Err(wrong()),
        }
    }

    fn request(&self, message: Vec<u8>) -> io::Result<Request<Full<Bytes>>> {
        let text = match self.method {
            DohMethod::Post => String::new(),
            DohMethod::Get => format!("?dns={}", BASE64_URL_SAFE_NO_PAD.encode(&message)),
        };
        let uri = Uri::builder()
            .scheme("https")
            .authority(self.authority.as_str())
            .path_and_query(format!("{PATH}{text}"))
            .build()
            .map_err(io::Error::other)?;
        let request = Request::builder().uri(uri).header(ACCEPT, MEDIA_TYPE);
        let request = match self.method {
            DohMethod::Get => request.method(Method::GET).body(Full::default()),
            DohMethod::Post => request
                .method(Method::POST)
                .header(CONTENT_TYPE, MEDIA_TYPE)
                .body(Full::from(message)),
        };
        request.map_err(io::Error::other)
    }
}

/// What went wrong below HTTP, where it was there: `errors` has words for that.
fn cause(error: hyper_util::client::legacy::Error) -> io::Error {
    let mut below: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = below {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            let tls = io.get_ref().and_then(|inner| inner.downcast_ref());
            return match tls {
                Some(tls) => io::Error::new(io.kind(), rustls::Error::clone(tls)),
                None => io.kind().into(),
            };
        }
        below = error.source();
    }
    io::Error::other(error)
}
