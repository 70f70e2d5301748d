//! One kube client, from wherever an API server is told of: a kubeconfig, the Pod's service account, a URL.

mod backoff;
mod connection;
mod doubt;
mod explain;
mod http;
mod kubeconfig;
mod listing;
mod pace;
mod readable;
mod renewing;
mod rights;
mod utf8;
mod watch_client;
mod watching;
mod workers;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;

use crate::apiserver::{ApiServer, server_url};
pub use connection::{Away, Connection};
pub use explain::{explain, explain_status};
pub use kube::Client;
use kube::client::Body;
use kube::config::{
    AuthInfo, Config, InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError,
};
pub use kubeconfig::KubeconfigProblem;
pub use listing::{list, text};
pub use readable::Unreadable;
pub use rights::{Right, is_granted};
use secrecy::ExposeSecret;
pub use watching::{Event, Failure, watching};
use workers::Workers;

/// An API server that cannot be talked to, whatever it would say.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No server is named anywhere.
    #[error(
        "no API server is configured: give --kubeconfig, or run in a cluster ({in_cluster}; {kubeconfig})"
    )]
    Ambient {
        /// Why we are in none.
        in_cluster: Box<InClusterError>,
        /// Why there is no kubeconfig to use either.
        kubeconfig: Box<KubeconfigProblem>,
    },
    /// The kubeconfig cannot be used.
    #[error("kubeconfig {0}: {1}")]
    Kubeconfig(String, #[source] KubeconfigProblem),
    /// The server of a kubeconfig, or of an endpoint, cannot be one.
    #[error("{0}: {1}")]
    Server(String, String),
    /// A file of a certificate or token cannot be read.
    #[error("{0}: {1}")]
    File(String, #[source] std::io::Error),
    /// The user's token is none.
    #[error("the token of the user has a character that no token has, such as a line break")]
    Token,
    /// The client cannot be made.
    #[error("cannot make a client: {0}")]
    Client(#[source] kube::Error),
    /// Reading the credentials hangs or panics, or no threads can be started.
    #[error("cannot make a client: {0}")]
    Workers(#[source] std::io::Error),
}

/// How long a connection may take to come about, before it counts as refused.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection with requests on it may be silent; longer than a watch lasts, which the server ends.
const SILENCE: Duration = Duration::from_secs(15);

/// A request that has been answered, or has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The server, as its URL names it: host, and port where it has one.
    pub host: &'a str,
    /// The status code; `None`: there was no answer.
    pub code: Option<u16>,
}

/// Who is told of every request.
pub type Listener = Arc<dyn Fn(Sent<'_>) + Send + Sync>;

/// Makes a client, which reads its credentials again when the server refuses them.
///
/// # Errors
/// Where the configuration cannot be used; that the server does not answer is no error here.
pub async fn connect(server: &ApiServer, listener: Option<Listener>) -> Result<Client, ApiError> {
    let workers = Arc::new(Workers::start().map_err(ApiError::Workers)?);
    let (renewing, ns) = renewing::Renewing::start(server.clone(), workers, listener).await?;
    Ok(Client::new(renewing, ns))
}

/// A client whose requests are sent by this function, with the client that it has instead.
pub fn through<S, B>(
    client: &Client,
    send: impl Fn(Client, Request<Body>) -> S + Send + 'static,
) -> Client
where
    S: Future<Output = Result<Response<B>, kube::Error>> + Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError>,
{
    let ns = client.default_namespace().to_owned();
    let client = client.clone();
    let send = tower::service_fn(move |request| send(client.clone(), request));
    Client::new(send, ns)
}

/// A client, and the host that it talks to.
#[derive(Clone)]
struct Made {
    client: Client,
    host: Arc<str>,
}

async fn connect_once(server: &ApiServer) -> Result<Made, ApiError> {
    let mut config = match server {
        ApiServer::Ambient => ambient().await?,
        ApiServer::Kubeconfig { file, context } => from_file(file, context.clone()).await?,
        ApiServer::Endpoint { url, tls } => {
            let uri = server_url(url, tls.is_some())
                .map_err(|problem| ApiError::Server("endpoint".into(), problem))?;
            let mut config = Config::new(uri);
            if let Some([certificate, key, ca]) = tls {
                config.auth_info = AuthInfo {
                    client_certificate: Some(certificate.clone()),
                    client_key: Some(key.clone()),
                    ..AuthInfo::default()
                };
                std::fs::metadata(ca).map_err(|error| ApiError::File(ca.clone(), error))?;
                config.root_cert_file = Some(ca.into());
            }
            config
        }
    };
    trim_token_file(&mut config)?;
    if let Some(token) = &config.auth_info.token
        && ::http::HeaderValue::from_str(token.expose_secret()).is_err()
    {
        return Err(ApiError::Token);
    }
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(SILENCE);
    config.write_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    // Watches and reconciles have their own back-off; kube's retries below it would take minutes.
    config.default_retry = false;
    if config.cluster_url.scheme_str() == Some("http") {
        // Without TLS nobody is asked whom to trust: a machine without authorities is as good as any.
        config.root_cert = Some(Vec::new());
    }
    let host = config.cluster_url.authority().map_or("", |it| it.as_str());
    let host = host.into();
    let client = http::client(config).map_err(ApiError::Client)?;
    Ok(Made { client, host })
}

/// A token's file may end in a line feed, as client-go reads it; kube does not.
fn trim_token_file(config: &mut Config) -> Result<(), ApiError> {
    let Some(file) = &config.auth_info.token_file else {
        return Ok(());
    };
    let problem = |error| ApiError::File(file.clone(), error);
    let text = std::fs::read_to_string(file).map_err(problem)?;
    if text.trim().is_empty() {
        return Err(problem(std::io::Error::other("there is no token in it")));
    }
    if text.trim() != text {
        // It is read again where the server refuses it.
        config.auth_info.token = Some(text.trim().to_owned().into());
        config.auth_info.token_file = None;
    }
    Ok(())
}

/// What `$KUBECONFIG` or `~/.kube/config` names, else the cluster that we run in.
async fn ambient() -> Result<Config, ApiError> {
    let config = match Kubeconfig::read() {
        Ok(kubeconfig) => {
            let kubeconfig = complete("kubeconfig", kubeconfig, None)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
        }
        Err(error) => Err(error),
    };
    config.or_else(|kubeconfig| {
        Config::incluster().map_err(|in_cluster| ApiError::Ambient {
            in_cluster: Box::new(in_cluster),
            kubeconfig: Box::new(kubeconfig.into()),
        })
    })
}

async fn from_file(file: &Path, context: Option<String>) -> Result<Config, ApiError> {
    let name = file.display().to_string();
    let error = |error: KubeconfigError| ApiError::Kubeconfig(name.clone(), error.into());
    let kubeconfig = Kubeconfig::read_from(file).map_err(error)?;
    let kubeconfig = complete(
        &format!("kubeconfig {name}"),
        kubeconfig,
        context.as_deref(),
    )?;
    let options = KubeConfigOptions {
        context,
        ..KubeConfigOptions::default()
    };
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(error)
}

/// The kubeconfig with a scheme at every server.
fn complete(
    name: &str,
    mut kubeconfig: Kubeconfig,
    context: Option<&str>,
) -> Result<Kubeconfig, ApiError> {
    kubeconfig::complete_servers(&mut kubeconfig, context)
        .map_err(|problem| ApiError::Server(name.into(), problem))?;
    Ok(kubeconfig)
}
