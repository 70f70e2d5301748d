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
use super::authorizing;
use super::bearers::{AUDIENCE, Shown};
use super::call::failure;
use super::plane::Authorization;
use super::server::Api;
use super::status::ApiStatus;
use super::streaming;
use super::user::User;

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

/// Certificates that somebody else has made, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// The server's, and those that lead to its authority.
    pub chain: String,
    /// Its private key.
    pub key: String,
    /// The authorities whose clients may come in; without them nobody may.
    pub clients: Option<String>,
}

/// The API on a socket.
pub(super) struct Door {
    pub(super) listener: TcpListener,
    pub(super) acceptor: Acceptor,
    pub(super) address: SocketAddr,
    /// What a client verifies the API by, PEM.
    pub(super) certificate: String,
}

/// Binds with these certificates.
pub(super) async fn bind_as(
    address: SocketAddr,
    certificates: &Certificates,
) -> Result<Door, ListenError> {
    let (listener, address) = bound(address).await?;
    Ok(Door {
        acceptor: acceptor(certificates).map_err(ListenError::Tls)?,
        certificate: certificates.chain.clone(),
        listener,
        address,
    })
}

async fn bound(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    let failed = |source| ListenError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Binds with an authority that is made for it. Gives a kubeconfig of one who may do everything, too.
pub(super) async fn bind(address: SocketAddr) -> Result<(Door, Value), ListenError> {
    let (listener, address) = bound(address).await?;
    let authority = Authority::new()?;
    let loopback = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
        address.ip(),
        addresses::API.into(),
    ];
    let server = authority.server(&loopback)?;
    let client = authority.client("kubernetes-admin", Some("system:masters"))?;
    let kubeconfig = kubeconfig(address, &authority, &client);
    let certificates = Certificates {
        chain: server.certificate,
        key: server.key,
        clients: Some(authority.certificate()),
    };
    let door = Door {
        acceptor: acceptor(&certificates).map_err(ListenError::Tls)?,
        certificate: authority.certificate(),
        listener,
        address,
    };
    Ok((door, kubeconfig))
}

fn acceptor(certificates: &Certificates) -> Result<Acceptor, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let read = |what: &str, pem: &str| {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        match all {
            Ok(all) if !all.is_empty() => Ok(all),
            Ok(_) => Err(format!("{what}: no certificate in PEM was found")),
            Err(error) => Err(format!("{what}: {error}")),
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| text(&error))?;
    let config = match &certificates.clients {
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            for root in read("authorities of clients", clients)? {
                roots.add(root).map_err(|error| text(&error))?;
            }
            // Who has no certificate hears a 401 instead of a broken handshake.
            let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| text(&error))?;
            config.with_client_cert_verifier(clients)
        }
        None => config.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_slice(certificates.key.as_bytes());
    let key = key.map_err(|error| format!("private key: {error}"))?;
    let mut config = config
        .with_single_cert(read("certificate", &certificates.chain)?, key)
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

/// The user of the token that a request shows.
fn of_token(api: &Api, request: &Request<Incoming>) -> Option<User> {
    let shown = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = shown.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let now = api.shared.now();
    let state = api.shared.read();
    let shown = Shown {
        now,
        objects: &state.objects,
        tokens: &api.shared.tokens,
        audiences: &[AUDIENCE],
    };
    shown.user(token).ok().map(|(user, _)| user)
}

/// One who shows nothing, where roles say what they may do.
fn stranger(api: &Api, request: &Request<Incoming>) -> Option<User> {
    let shows = request.headers().contains_key(header::AUTHORIZATION);
    let asks = api.shared.read().plane().authorization == Authorization::Roles;
    (asks && !shows).then(User::anonymous)
}

/// What everybody may ask for (the role `system:public-info-viewer`): whether the server is well, and its version.
fn is_public(path: &str) -> bool {
    let first = path.split('/').find(|part| !part.is_empty());
    ["healthz", "livez", "readyz", "version"].contains(&first.unwrap_or_default())
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
    let shown = stream.get_ref().1.peer_certificates();
    let shown = shown.and_then(|certificates| User::of_certificate(certificates.first()?));
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let (api, shown) = (api.clone(), shown.clone());
        async move {
            let user = shown.or_else(|| of_token(&api, &request));
            let user = user.or_else(|| stranger(&api, &request));
            if user.is_none() && !is_public(request.uri().path()) {
                return Ok::<_, std::convert::Infallible>(failure(&ApiStatus::unauthorized()));
            }
            // Who is nobody is no administrator either, whatever is public one day.
            let user = user.unwrap_or_else(User::anonymous);
            request.extensions_mut().insert(user.clone());
            if let Some(asked) = streaming::asked(&api, &request) {
                if let Err(status) = authorizing::admitted(&api.shared, user, &request) {
                    return Ok(failure(&status));
                }
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
