//! Who has to show a certificate, and upstreams over HTTPS.

use std::net::SocketAddr;
use std::path::Path;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::encrypted::Pair;
use super::support::dns::{ask, data, question, receive, send};
use super::{Server, WEB, server};

/// Writes a pair's files, and says their names as `tls` takes them.
fn files(folder: &Path, name: &str, pair: &Pair) -> [String; 2] {
    [("pem", &pair.certificate), ("key", &pair.key)].map(|(kind, text)| {
        let path = folder.join(format!("{name}.{kind}"));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    })
}

/// The address of the Service, over TLS with this certificate; `None`: the server wants another.
async fn over_tls(server: &Server, pair: &Pair, client: Option<&Pair>) -> Option<Vec<String>> {
    let mut stream = pair.connect_as(server.address, "dot", client).await.ok()?;
    send(&mut stream, &question(5, WEB, RecordType::A)).await;
    Some(data(&receive(&mut stream).await?))
}

#[tokio::test]
async fn clients_show_the_certificates_that_the_file_wants() {
    let folder = tempfile::tempdir().unwrap();
    let [own, right, other] = [Pair::new(), Pair::new(), Pair::new()];
    let [chain, key] = files(folder.path(), "own", &own);
    let [authority, _] = files(folder.path(), "right", &right);
    for (wanted, with_none, with_other) in [
        ("nocert", true, true),
        ("request", true, true),
        ("require", false, true),
        ("verify_if_given", true, false),
        ("require_and_verify", false, false),
    ] {
        let server = server(&format!(
            "tls://.:0 {{\n bind 127.0.0.1\n tls {chain} {key} {authority} {{\n client_auth {wanted}\n }}\n \
             kubernetes cluster.local\n}}"
        ))
        .await;
        let clients = [
            (Some(&right), true),
            (None, with_none),
            (Some(&other), with_other),
        ];
        for (at, (client, is_taken)) in clients.into_iter().enumerate() {
            let found = over_tls(&server, &own, client).await;
            let address = is_taken.then(|| vec!["10.96.0.50".to_owned()]);
            assert_eq!(found, address, "{wanted}, client {at}");
        }
    }
}

/// What a server says of a name that it asks this upstream for.
async fn forwarded(to: &str, lines: &str) -> (ResponseCode, Vec<String>) {
    let server = server(&format!(
        ".:0 {{\n bind 127.0.0.1\n forward . {to} {{\n {lines}\n }}\n}}"
    ))
    .await;
    let reply = ask(server.address, WEB, RecordType::A).await;
    (reply.metadata.response_code, data(&reply))
}

#[tokio::test]
async fn an_upstream_is_asked_over_https_by_both_methods_where_its_certificate_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (Pair::new(), Pair::new());
    let [trusted, _] = files(folder.path(), "own", &own);
    let [untrusted, _] = files(folder.path(), "other", &other);
    let upstream = super::encrypted::encrypted(&own, "https", "kubernetes cluster.local").await;
    let SocketAddr::V4(at) = upstream.address else {
        panic!("{}", upstream.address);
    };
    let named = format!("https://{}%dns.example:{}", at.ip(), at.port());
    let good = (ResponseCode::NoError, vec!["10.96.0.50".to_owned()]);
    let bad = (ResponseCode::ServFail, Vec::new());
    for (to, ca, lines, wanted) in [
        (
            &*format!("https://{at}"),
            &trusted,
            "tls_servername dns.example",
            &good,
        ),
        (&named, &trusted, "doh_method GET", &good),
        (&named, &trusted, "doh_method POST", &good),
        (
            &format!("https://{at}"),
            &trusted,
            "tls_servername x.example",
            &bad,
        ),
        (&named, &untrusted, "max_connect_attempts 1", &bad),
    ] {
        let found = forwarded(to, &format!("tls {ca}\n {lines}")).await;
        assert_eq!(found, *wanted, "{to} {lines}");
    }
}
