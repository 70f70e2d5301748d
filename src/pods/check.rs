//! What probes and hooks do: run a program, connect, ask.

use std::fmt::Write as _;
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use headless_cluster::runtime::{Check, Exec, Http, Place, Run};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Shared, connect, grpc, session, tls};

/// Octets of a reply that its first line fits in.
const FIRST_LINE: usize = 512;

/// Codes of a reply that a hook is content with: all.
pub(super) const ANY_CODE: RangeInclusive<u16> = 100..=999;

/// Whether what a run's probe or hook does succeeds in that time; `codes`: what a GET may be answered with.
pub(super) async fn holds(
    shared: &Shared,
    run: &Run,
    (check, codes): (&Check, RangeInclusive<u16>),
    within: Duration,
) -> bool {
    if let Check::Exec(command) = check {
        return exec(shared, run, command.clone(), within).await;
    }
    let answered = tokio::time::timeout(within, answers(shared, check, codes)).await;
    matches!(answered, Ok(Ok(true)))
}

async fn answers(shared: &Shared, check: &Check, codes: RangeInclusive<u16>) -> io::Result<bool> {
    match check {
        Check::Tcp(address) => {
            connect(&shared.node, None, *address).await?;
            Ok(true)
        }
        Check::Http(http) => {
            let stream = connect(&shared.node, None, http.address).await?;
            let code = if http.tls {
                get(tls::over(stream, http.address).await?, http).await?
            } else {
                get(stream, http).await?
            };
            Ok(codes.contains(&code))
        }
        Check::Grpc { address, service } => {
            let stream = connect(&shared.node, None, *address).await?;
            grpc::serves(stream, *address, service).await
        }
        Check::Sleep(time) => {
            tokio::time::sleep(*time).await;
            Ok(true)
        }
        Check::Exec(_) | Check::Impossible => Ok(false),
    }
}

async fn exec(shared: &Shared, run: &Run, command: Vec<String>, within: Duration) -> bool {
    let place = Place {
        pod: run.pod.clone(),
        container: run.container.clone(),
    };
    let exec = Exec {
        command,
        stdin: false,
        tty: false,
    };
    let Ok((task, mut session)) = session::exec(shared, &place, exec).await else {
        return false;
    };
    let ended = async {
        while session.output.recv().await.is_some() {}
        session.exit.await
    };
    match tokio::time::timeout(within, ended).await {
        Ok(code) => code == Ok(0),
        Err(_) => {
            // It shall not stay behind; one that has ended meanwhile hears nothing.
            let _ended = shared.node.signal(task, super::KILL).await;
            false
        }
    }
}

/// The code that a GET is answered with.
async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin, http: &Http) -> io::Result<u16> {
    let Http {
        address,
        path,
        headers,
        ..
    } = http;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut request = format!("GET {slash}{path} HTTP/1.1\r\n");
    let named = |name: &str| {
        headers
            .iter()
            .any(|(given, _)| given.eq_ignore_ascii_case(name))
    };
    if !named("host") {
        let _infallible = write!(request, "Host: {address}\r\n");
    }
    if !named("user-agent") {
        request.push_str("User-Agent: kube-probe/1.37\r\n");
    }
    for (name, value) in headers {
        let _infallible = write!(request, "{name}: {value}\r\n");
    }
    request.push_str("Accept: */*\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut reply = Vec::new();
    while reply.len() < FIRST_LINE && !reply.contains(&b'\n') {
        if stream.read_buf(&mut reply).await? == 0 {
            break;
        }
    }
    code(&reply).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The code of a status line (RFC 9112 section 4).
fn code(reply: &[u8]) -> Option<u16> {
    let line = reply.split(|octet| *octet == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.strip_prefix("HTTP/1.")?.split(' ');
    words.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_reply_is_in_its_first_line() {
        assert_eq!(code(b"HTTP/1.1 204 No Content\r\nA: b\r\n"), Some(204));
        assert_eq!(code(b"HTTP/1.0 503\r\n"), Some(503));
        for reply in [&b""[..], b"SSH-2.0-x\r\n", b"HTTP/1.1 x\r\n"] {
            assert_eq!(code(reply), None);
        }
    }
}
