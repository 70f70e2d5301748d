//! One kube client, from wherever an API server is told of: a kubeconfig, the Pod's service account, a URL.

mod backoff;
mod connection;
mod explain;
mod renewing;
mod watching;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use connection::Connection;
pub use explain::{explain, explain_status};
pub use kube::Client;
use kube::config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig};
pub use watching::watching;

/// Which API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Server {
    /// The Pod's service account; outside a cluster `$KUBECONFIG`, then `~/.kube/config`.
    #[default]
    Ambient,
    /// A URL, with client certificate, key and CA (files) where TLS needs them.
    Endpoint {
        /// The server.
        url: String,
        /// Files: certificate, key, CA.
        tls: Option<[String; 3]>,
    },
    /// A kubeconfig file, and a context where it is not the current one.
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// The context.
        context: Option<String>,
    },
}

/// An API server that cannot be talked to, whatever it would say.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No server is named anywhere.
    #[error("no API server is configured: give --kubeconfig, or run in a cluster ({0})")]
    Ambient(#[source] kube::config::InferConfigError),
    /// The kubeconfig cannot be used.
    #[error("kubeconfig {0}: {1}")]
    Kubeconfig(String, #[source] kube::config::KubeconfigError),
    /// The URL is none.
    #[error("{0} is no URL: {1}")]
    Url(String, #[source] http::uri::InvalidUri),
    /// A certificate file cannot be read.
    #[error("{0}: {1}")]
    File(String, #[source] std::io::Error),
    /// The client cannot be made.
    #[error("cannot make a client: {0}")]
    Client(#[source] kube::Error),
}

/// How long a connection may take to come about, before it counts as refused.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes a client, which reads its credentials again when the server refuses them.
///
/// # Errors
/// Where the configuration cannot be used; that the server does not answer is no error here.
pub async fn connect(server: &Server) -> Result<Client, ApiError> {
    let client = once(server).await?;
    let ns = client.default_namespace().to_owned();
    Ok(Client::new(
        renewing::Renewing::new(server.clone(), client),
        ns,
    ))
}

/// A client with what stands in files now.
async fn once(server: &Server) -> Result<Client, ApiError> {
    let mut config = match server {
        Server::Ambient => Config::infer().await.map_err(ApiError::Ambient)?,
        Server::Kubeconfig { file, context } => from_file(file, context.clone()).await?,
        Server::Endpoint { url, tls } => {
            let uri = url
                .parse()
                .map_err(|error| ApiError::Url(url.clone(), error))?;
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
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // Whoever watches or reconciles has a back-off of its own; a second one below it takes minutes.
    config.default_retry = false;
    Client::try_from(config).map_err(ApiError::Client)
}

async fn from_file(file: &Path, context: Option<String>) -> Result<Config, ApiError> {
    let error = |error| ApiError::Kubeconfig(file.display().to_string(), error);
    let kubeconfig = Kubeconfig::read_from(file).map_err(error)?;
    let options = KubeConfigOptions {
        context,
        ..KubeConfigOptions::default()
    };
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(error)
}
