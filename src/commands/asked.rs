//! One request to a server's `admin`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take, the wait for a name that is asked for not counted.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a server is asked, and how.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Admin {
    /// The `admin` of a server.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8054")]
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
        let exchange = exchange(server, request(server, path, asked, self.token.as_deref())?);
        let answer = tokio::time::timeout(PATIENCE, exchange).await;
        let answer = answer.with_context(|| format!("{server} does not answer"))?;
        let answer = answer.with_context(|| format!("cannot ask {server}"))?;
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let body: Value = serde_json::from_str(body)
            .with_context(|| format!("{server} is no `admin` of a headless-dns"))?;
        if !head.starts_with("HTTP/1.1 200 ") {
            bail!("{server}: {}", body["error"].as_str().unwrap_or(head));
        }
        Ok(body)
    }
}

fn request(
    server: SocketAddr,
    path: &str,
    asked: &[(&str, &str)],
    token: Option<&Path>,
) -> anyhow::Result<String> {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(asked)
        .finish();
    let token = token.map(|file| {
        let text = std::fs::read_to_string(file);
        text.with_context(|| format!("cannot read {}", file.display()))
    });
    let bearer = match token.transpose()? {
        Some(token) => format!("Authorization: Bearer {}\r\n", token.trim()),
        None => String::new(),
    };
    Ok(format!(
        "GET {path}?{query} HTTP/1.1\r\nHost: {server}\r\n{bearer}Connection: close\r\n\r\n"
    ))
}

async fn exchange(server: SocketAddr, request: String) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}
