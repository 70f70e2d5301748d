//! DNS over TLS and over HTTPS: the same answers, and what clients may not take.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::FutureExt;
use futures::future::BoxFuture;
use headless_dns::listen::{Bound, Budget, Inside, Kept};
use headless_dns::message::question::Query;
use headless_dns::metrics::Metrics;
use headless_dns::name::Name;
use headless_dns::plugin::{Handled, Next, Plugin, Router, Socket};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring};
use tokio_util::sync::CancellationToken;

use super::connections::whoami_router;
use super::support::dns::{data, question, receive, send};
use super::{Server, WEB, server};

/// A certificate for `dns.example` that signs itself, and its key, as PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Pair {
    pub(super) fn new() -> Self {
        let pair = rcgen::generate_simple_self_signed(["dns.example".into()]).unwrap();
        Self {
            certificate: pair.cert.pem(),
            key: pair.signing_key.serialize_pem(),
        }
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()]
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }

    /// A server's side.
    fn server(&self) -> ServerConfig {
        ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain(), self.key())
            .unwrap()
    }

    /// A connection on which this protocol is spoken.
    pub(super) async fn connect(&self, server: SocketAddr, protocol: &str) -> TlsStream<TcpStream> {
        self.connect_as(server, protocol, None).await.unwrap()
    }

    /// The same of a client that shows this certificate.
    pub(super) async fn connect_as(
        &self,
        server: SocketAddr,
        protocol: &str,
        client: Option<&Self>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.chain().remove(0)).unwrap();
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match client {
            None => builder.with_no_client_auth(),
            Some(client) => builder
                .with_client_auth_cert(client.chain(), client.key())
                .unwrap(),
        };
        config.alpn_protocols = vec![protocol.into()];
        let stream = TcpStream::connect(server).await?;
        let name = ServerName::try_from("dns.example").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await
    }
}

/// A server whose only block has this scheme, and these lines beside its certificate.
pub(super) async fn encrypted(pair: &Pair, scheme: &str, lines: &str) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (chain, key) = (
        file("cert.pem", &pair.certificate),
        file("key.pem", &pair.key),
    );
    server(&format!(
        "{scheme}://.:0 {{\n bind 127.0.0.1\n tls {chain} {key}\n {lines}\n}}"
    ))
    .await
}

/// One encrypted socket before this router.
fn bound(pair: &Pair, inside: Inside, router: Arc<Router>, budget: Budget) -> SocketAddr {
    bound_at("127.0.0.1:0", pair, (inside, router), budget)
}

fn bound_at(
    address: &str,
    pair: &Pair,
    (inside, router): (Inside, Arc<Router>),
    budget: Budget,
) -> SocketAddr {
    let mut bound = Bound::taking_over(Kept::default(), 1);
    let address = address.parse().unwrap();
    let address = bound.bind_encrypted(address, router, (inside, pair.server()));
    tokio::spawn(bound.run(CancellationToken::new(), budget));
    address.unwrap()
}

#[tokio::test]
async fn the_same_answers_come_over_tls() {
    let pair = Pair::new();
    let server = encrypted(&pair, "tls", "kubernetes cluster.local").await;
    let mut stream = pair.connect(server.address, "dot").await;
    for (qname, wanted) in [(WEB, vec!["10.96.0.50".to_owned()]), ("x.", vec![])] {
        send(&mut stream, &question(5, qname, RecordType::A)).await;
        let reply = receive(&mut stream).await.unwrap();
        assert_eq!((reply.metadata.id, data(&reply)), (5, wanted));
    }
}

#[tokio::test]
async fn a_transfer_comes_whole_over_tls() {
    let pair = Pair::new();
    let lines = "kubernetes cluster.local\n transfer cluster.local {\n to *\n }";
    let server = encrypted(&pair, "tls", lines).await;
    for n in 0..300 {
        let service = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web-{n}}}\nspec: {{ports: [{{port: 80}}]}}\n"
        );
        server.cluster.apply("web.yaml", &service).unwrap();
    }
    let mut stream = pair.connect(server.address, "dot").await;
    let mut last = Vec::new();
    while last.is_empty() {
        let question = question(0, "web-299.default.svc.cluster.local.", RecordType::A);
        send(&mut stream, &question).await;
        last = data(&receive(&mut stream).await.unwrap());
    }
    send(
        &mut stream,
        &question(1, "cluster.local.", RecordType::AXFR),
    )
    .await;
    let (mut authorities, mut messages) = (0, 0);
    while authorities < 2 {
        let message = receive(&mut stream).await.unwrap();
        let is = |r: &&hickory_proto::rr::Record| r.record_type() == RecordType::SOA;
        authorities += message.answers.iter().filter(is).count();
        messages += 1;
    }
    assert!(messages > 1);
}

/// What a request over HTTP is answered with.
async fn asked(
    pair: &Pair,
    address: SocketAddr,
    version: &str,
    request: Request<Full<Bytes>>,
) -> Response<Bytes> {
    let stream = TokioIo::new(pair.connect(address, version).await);
    let response: Response<Incoming> = if version == "h2" {
        let executor = TokioExecutor::new();
        let (mut client, connection) = hyper::client::conn::http2::handshake(executor, stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        client.send_request(request).await.unwrap()
    } else {
        let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        client.send_request(request).await.unwrap()
    };
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

fn get(path: &str) -> Request<Full<Bytes>> {
    let uri = format!("https://dns.example{path}");
    Request::get(uri).body(Full::default()).unwrap()
}

fn post(media_type: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    Request::post("https://dns.example/dns-query")
        .header(header::CONTENT_TYPE, media_type)
        .body(body.into())
        .unwrap()
}

const MEDIA_TYPE: &str = "application/dns-message";

#[tokio::test]
async fn the_same_answers_come_over_https_by_both_methods_and_versions() {
    let pair = Pair::new();
    let server = encrypted(&pair, "https", "kubernetes cluster.local").await;
    let packet = question(0, WEB, RecordType::A);
    let query = format!("/dns-query?dns={}", BASE64_URL_SAFE_NO_PAD.encode(&packet));
    for version in ["h2", "http/1.1"] {
        let with_parameter = "Application/DNS-message; q=1";
        for request in [
            get(&query),
            post(MEDIA_TYPE, packet.clone()),
            post(with_parameter, packet.clone()),
        ] {
            let response = asked(&pair, server.address, version, request).await;
            let header = |name| response.headers()[name].to_str().unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(header("content-type"), MEDIA_TYPE);
            assert_eq!(header("cache-control"), "max-age=5");
            let reply = Message::from_vec(response.body()).unwrap();
            assert_eq!(data(&reply), ["10.96.0.50"]);
        }
    }
}

#[tokio::test]
async fn what_is_no_request_for_dns_gets_a_status_that_says_so() {
    let pair = Pair::new();
    let server = encrypted(&pair, "https", "kubernetes cluster.local").await;
    let put = |method| {
        let mut request = post(MEDIA_TYPE, question(0, WEB, RecordType::A));
        *request.method_mut() = method;
        request
    };
    for (request, status, words) in [
        (get("/"), 404, "DNS is asked for at /dns-query"),
        (
            get("/dns-query"),
            400,
            "dns=MESSAGE was expected, in base64url without padding",
        ),
        (
            get("/dns-query?dns=_"),
            400,
            "dns=MESSAGE was expected, in base64url without padding",
        ),
        (
            get("/dns-query?dns=AAA&dns=AAA"),
            400,
            "dns=MESSAGE was expected, in base64url without padding",
        ),
        (
            get("/dns-query?x=1&dns=AA%41"),
            400,
            "a DNS query was expected",
        ),
        (
            post("text/plain", vec![0; 12]),
            415,
            "application/dns-message was expected",
        ),
        (
            post(MEDIA_TYPE, vec![0; 65_536]),
            413,
            "a DNS message has 65,535 octets at most",
        ),
        (put(Method::PUT), 405, "GET or POST was expected"),
        (put(Method::HEAD), 405, ""),
    ] {
        let response = asked(&pair, server.address, "h2", request).await;
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        assert_eq!(
            (response.status().as_u16(), body.trim_end()),
            (status, words)
        );
    }
}

#[tokio::test]
async fn responses_over_https_are_counted_by_their_status() {
    let (pair, metrics) = (Pair::new(), Arc::new(Metrics::default()));
    let socket = Socket {
        server: "https://:443".into(),
        metrics: Some(Arc::clone(&metrics)),
        ..Socket::default()
    };
    let router = Router::of(socket, Vec::new(), false);
    let address = bound(&pair, Inside::Http, router, Budget::of(20_000, 1 << 30));
    let packet = question(0, WEB, RecordType::A);
    for request in [post(MEDIA_TYPE, packet), get("/"), get("/")] {
        asked(&pair, address, "h2", request).await;
    }
    let text = metrics.text();
    let counted = text
        .lines()
        .filter(|line| line.starts_with("coredns_dns_https_responses_total"));
    let of = "coredns_dns_https_responses_total{server=\"https://:443\",status=";
    assert_eq!(
        counted.collect::<Vec<_>>(),
        [format!("{of}\"200\"}} 1"), format!("{of}\"404\"}} 2")]
    );
}

#[tokio::test]
async fn who_asks_nothing_after_the_handshake_is_given_up() {
    let pair = Pair::new();
    for (scheme, protocol) in [("tls", "dot"), ("https", "h2"), ("https", "http/1.1")] {
        let server = encrypted(
            &pair,
            scheme,
            "kubernetes cluster.local\n timeouts {\n idle 1s\n }",
        )
        .await;
        let mut stream = pair.connect(server.address, protocol).await;
        let mut rest = Vec::new();
        // Whatever it says before, it ends.
        let _ended = stream.read_to_end(&mut rest).await;
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_in_words_however_long_it_is() {
    let pair = Pair::new();
    let server = encrypted(&pair, "https", "kubernetes cluster.local").await;
    for version in ["http/1.1", "h2"] {
        for size in [65_536, 3 << 20] {
            let request = post(MEDIA_TYPE, vec![0; size]);
            let response = asked(&pair, server.address, version, request).await;
            assert_eq!(response.status(), 413, "{version} {size}");
        }
    }
}

/// RFC 9110 section 10.1.1.
#[tokio::test]
async fn who_waits_to_be_told_to_go_on_is_told_what_is_wrong_instead() {
    let pair = Pair::new();
    let server = encrypted(&pair, "https", "kubernetes cluster.local").await;
    let mut stream = pair.connect(server.address, "http/1.1").await;
    let head = format!(
        "POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: {MEDIA_TYPE}\r\n\
         content-length: 3000000\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
}

/// As many as a connection may have under way, and no longer than there is the connection.
#[tokio::test]
async fn requests_that_were_refused_before_they_came_whole_are_kept_with_their_connection_only() {
    let pair = Pair::new();
    let server = encrypted(&pair, "https", "kubernetes cluster.local").await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let stream = TokioIo::new(pair.connect(server.address, "h2").await);
    let executor = TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, stream)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..100 {
        let mut request = post("text/plain", vec![0; 12]);
        let waits = HeaderValue::from_static("100-continue");
        request.headers_mut().insert(header::EXPECT, waits);
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let most = before + 64;
    // The connection has some of its own.
    assert!(tasks() < most + 16, "{before} {}", tasks());
    let gone = Instant::now();
    drop(client);
    connection.abort();
    while tasks() > before + 16 {
        tokio::task::yield_now().await;
    }
    // Each would be kept for two seconds.
    assert!(gone.elapsed() < Duration::from_millis(1900));
}

#[tokio::test]
async fn encrypted_connections_count_and_an_idle_one_makes_room() {
    let pair = Pair::new();
    let budget = Budget {
        connections: 4,
        ..Budget::of(20_000, 1 << 30)
    };
    let address = bound(&pair, Inside::Dns, whoami_router(), budget);
    let packet = question(1, "x.", RecordType::A);
    let mut idle = pair.connect(address, "dot").await;
    send(&mut idle, &packet).await;
    assert!(receive(&mut idle).await.is_some());
    let mut other = pair.connect(address, "dot").await;
    send(&mut other, &packet).await;
    assert!(receive(&mut other).await.is_some(), "there is room for it");
    assert!(receive(&mut idle).await.is_none(), "the idle one has gone");
}

#[tokio::test]
async fn a_client_over_ipv4_is_itself_on_a_socket_of_both_families() {
    let pair = Pair::new();
    let budget = Budget::of(20_000, 1 << 30);
    let at = |router| bound_at("[::]:0", &pair, (Inside::Dns, router), budget);
    let port = at(whoami_router()).port();
    for (local, rtype) in [("127.0.0.1", RecordType::A), ("::1", RecordType::AAAA)] {
        let address = SocketAddr::new(local.parse().unwrap(), port);
        let mut stream = pair.connect(address, "dot").await;
        send(&mut stream, &question(1, "x.", RecordType::A)).await;
        let reply = receive(&mut stream).await.unwrap();
        let said = &reply.additionals[0];
        let wanted = (rtype, local.to_owned());
        assert_eq!((said.record_type(), said.data.to_string()), wanted);
    }
}

/// A request whose question is not there yet holds no place that another wants.
#[tokio::test]
async fn a_request_that_does_not_come_whole_makes_room() {
    let pair = Pair::new();
    let budget = Budget {
        connections: 4,
        ..Budget::of(20_000, 1 << 30)
    };
    let address = bound(&pair, Inside::Http, whoami_router(), budget);
    let mut first = pair.connect(address, "http/1.1").await;
    let head = "POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\ncontent-length: 40\r\n\r\n";
    first.write_all(head.as_bytes()).await.unwrap();
    let _second = pair.connect(address, "http/1.1").await;
    let mut rest = Vec::new();
    let _ended = first.read_to_end(&mut rest).await;
    assert_eq!(rest, b"", "it has gone");
}

/// Answers nothing, ever.
struct Silent;

impl Plugin for Silent {
    fn handle<'a>(&'a self, _: &'a Query, _: Next<'a>) -> BoxFuture<'a, Handled> {
        std::future::pending().boxed()
    }
}

#[tokio::test]
async fn questions_over_https_that_wait_have_a_limit() {
    let pair = Pair::new();
    let budget = Budget {
        waiting: 1,
        ..Budget::of(20_000, 1 << 30)
    };
    let chain = Arc::from([Arc::new(Silent) as Arc<dyn Plugin>]);
    let router = Router::new(vec![(Name::root(), chain)], false);
    let address = bound(&pair, Inside::Http, router, budget);
    let stream = TokioIo::new(pair.connect(address, "h2").await);
    let executor = TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut ask = || client.send_request(post(MEDIA_TYPE, question(0, "x.", RecordType::A)));
    let (first, second) = (ask(), ask());
    let response = tokio::select! {
        response = first => response,
        response = second => response,
    };
    let body = response
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    let reply = Message::from_vec(&body).unwrap();
    assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
}

/// A client that does not end its handshake holds no place that another wants.
#[tokio::test]
async fn a_handshake_under_way_makes_room_too() {
    let pair = Pair::new();
    let budget = Budget {
        connections: 4,
        ..Budget::of(20_000, 1 << 30)
    };
    let address = bound(&pair, Inside::Http, whoami_router(), budget);
    let mut half_open = TcpStream::connect(address).await.unwrap();
    let mut other = pair.connect(address, "http/1.1").await;
    assert_eq!(
        half_open.read(&mut [0]).await.unwrap_or(0),
        0,
        "it has gone"
    );
    other
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut status = [0; 12];
    other.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 404");
}

/// The kind of CVE-2026-123575: a body that does not come whole.
#[tokio::test]
async fn a_query_that_does_not_come_whole_is_given_up() {
    let pair = Pair::new();
    let lines = "kubernetes cluster.local\n timeouts {\n idle 1s\n }";
    let server = encrypted(&pair, "https", lines).await;
    let mut stream = pair.connect(server.address, "http/1.1").await;
    let head = "POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\ncontent-length: 40\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[0; 12]).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 408");
}
