//! The API over TCP: TLS of an authority that lives as long as the cluster, and only for those whom it has signed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use http::{Request, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
pub(super) use tokio_rustls::TlsAcceptor as Acceptor;
use tracing::{debug, warn};

use super::addresses;
use super::authority::{self, Authority, Identity};
use super::call::failure;
use super::server::Api;
use super::status::ApiStatus;
use super::streaming;

/// How long a client may take for its handshake: client-go's own patience.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long to wait where no connection can be accepted (no file left, mostly); each time is said.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// An address that the API cannot be served at.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// It is taken, or not ours.
    #[error("cannot listen on {address} (api): {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// No certificates can be made.
    #[error("cannot make the api's certificates: {0}")]
    Certificates(#[from] authority::Error),
    /// The certificates cannot be used.
    #[error("cannot use the api's certificates: {0}")]
    Tls(String),
}

/// The API on a socket, and what a client needs to come in.
pub(super) struct Door {
    pub(super) listener: TcpListener,
    pub(super) acceptor: Acceptor,
    pub(super) address: SocketAddr,
    pub(super) kubeconfig: Value,
    /// The authority's, PEM.
    pub(super) certificate: String,
}

pub(super) async fn bind(address: SocketAddr) -> Result<Door, ListenError> {
    let failed = |source| ListenError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let authority = Authority::new()?;
    let loopback = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
        address.ip(),
        addresses::API.into(),
    ];
    let server = authority.server(&loopback)?;
    let client = authority.client("admin", Some("system:masters"))?;
    Ok(Door {
        acceptor: acceptor(&authority, &server).map_err(ListenError::Tls)?,
        kubeconfig: kubeconfig(address, &authority, &client),
        certificate: authority.certificate(),
        listener,
        address,
    })
}

fn acceptor(authority: &Authority, server: &Identity) -> Result<Acceptor, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let certificate =
        |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| text(&error));
    let mut roots = RootCertStore::empty();
    let root = certificate(&authority.certificate())?;
    roots.add(root).map_err(|error| text(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // Who has no certificate hears a 401 instead of a broken handshake.
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| text(&error))?;
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).map_err(|error| text(&error))?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| text(&error))?
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate(&server.certificate)?], key)
        .map_err(|error| text(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Acceptor::from(Arc::new(config)))
}

/// A kubeconfig with all that it needs inside.
fn kubeconfig(address: SocketAddr, authority: &Authority, client: &Identity) -> Value {
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let cluster = json!({
        "server": format!("https://{address}"), "certificate-authority-data": base64(&authority.certificate()),
    });
    let user = json!({
        "client-certificate-data": base64(&client.certificate), "client-key-data": base64(&client.key),
    });
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "headless-dns",
        "clusters": [{"name": "headless-dns", "cluster": cluster}],
        "users": [{"name": "headless-dns", "user": user}],
        "contexts": [{"name": "headless-dns", "context": {"cluster": "headless-dns", "user": "headless-dns", "namespace": "default"}}],
    })
}

pub(super) async fn serve(listener: TcpListener, acceptor: Acceptor, api: Api) {
    // They end with the cluster.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, acceptor.clone(), api.clone()));
            }
            Err(error) => {
                warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether a request shows a token that a Pod was given.
fn has_token(api: &Api, request: &Request<Incoming>) -> bool {
    let shown = request.headers().get(header::AUTHORIZATION);
    let shown = shown.and_then(|value| value.to_str().ok());
    let token = shown.and_then(|shown| shown.strip_prefix("Bearer "));
    token.is_some_and(|token| api.shared.tokens.knows(token, api.shared.now()))
}

async fn connection(stream: TcpStream, acceptor: Acceptor, api: Api) {
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            debug!(%error, "api handshake failed");
            return;
        }
        Err(_) => return,
    };
    let known = stream.get_ref().1.peer_certificates().is_some();
    let answer = service_fn(move |request: Request<Incoming>| {
        let api = api.clone();
        async move {
            if !known && !has_token(&api, &request) {
                return Ok::<_, std::convert::Infallible>(failure(&ApiStatus::unauthorized()));
            }
            if let Some(asked) = streaming::asked(&api, &request) {
                return Ok(streaming::answer(&api, &asked, request).await);
            }
            Ok(Api::call(&api, request).await)
        }
    });
    let ended = Builder::new(TokioExecutor::new())
        .http1_only()
        .serve_connection_with_upgrades(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = ended {
        debug!(%error, "api connection ended");
    }
}
