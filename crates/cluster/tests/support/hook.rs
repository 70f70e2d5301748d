//! A webhook that answers, and keeps what it was asked.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use headless_cluster::authority::Authority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(crate) fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// What a webhook makes of a request.
pub(crate) type Answers = Box<dyn Fn(&Value) -> Value + Send + Sync>;

/// A webhook that answers, and keeps the requests that it was sent.
pub(crate) struct Hook {
    /// `clientConfig`.
    pub(crate) client: Value,
    /// Its own, PEM.
    pub(crate) certificate: String,
    heard: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
    pub(crate) async fn start(answers: Answers) -> Self {
        let authority = Authority::new().unwrap();
        let identity = authority.server(&[[127, 0, 0, 1].into()]).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let review = body(&mut stream).await;
                let mut response = answers(&review["request"]);
                if response["uid"].is_null() {
                    response["uid"] = review["request"]["uid"].clone();
                }
                kept.lock().unwrap().push(review["request"].clone());
                let review = json!({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response});
                let text = review.to_string();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
                stream.write_all((head + &text).as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
        });
        let client = json!({
            "url": format!("https://127.0.0.1:{port}/admit"), "caBundle": base64(&authority.certificate()),
        });
        Self {
            client,
            certificate: identity.certificate,
            heard,
        }
    }

    pub(crate) fn heard(&self) -> Vec<Value> {
        self.heard.lock().unwrap().clone()
    }
}

/// The JSON of one HTTP request.
async fn body(stream: &mut (impl AsyncReadExt + Unpin)) -> Value {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        text.extend_from_slice(&piece[..read]);
        let all = String::from_utf8_lossy(&text).into_owned();
        let parsed = all
            .split_once("\r\n\r\n")
            .map(|(_, body)| serde_json::from_str(body));
        if let Some(Ok(value)) = parsed {
            return value;
        }
        assert!(read > 0, "the request ended early");
    }
}
