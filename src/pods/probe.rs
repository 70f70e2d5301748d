//! Probes: is a program there, does it answer.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use headless_cluster::runtime::{Check, Exec, Fact, Place, Probe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Shared, connect, session};

/// Octets of a reply that its first line fits in.
const FIRST_LINE: usize = 512;

/// Makes a probe, and says how it went; one that takes too long has failed.
pub(super) async fn make(shared: &Shared, probe: Probe) {
    let good = match &probe.check {
        Check::Exec(command) => exec(shared, &probe, command.clone()).await,
        Check::Tcp(address) => {
            let connected =
                tokio::time::timeout(probe.timeout, connect(&shared.node, *address)).await;
            matches!(connected, Ok(Ok(_)))
        }
        Check::Http {
            address,
            path,
            headers,
        } => {
            let asked = get(shared, *address, (path, headers));
            let code = tokio::time::timeout(probe.timeout, asked).await;
            matches!(code, Ok(Ok(200..=399)))
        }
        Check::Impossible => false,
    };
    shared.say(Fact::Probed(probe.run, probe.kind, good));
}

async fn exec(shared: &Shared, probe: &Probe, command: Vec<String>) -> bool {
    let place = Place {
        pod: probe.run.pod.clone(),
        container: probe.run.container.clone(),
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
    match tokio::time::timeout(probe.timeout, ended).await {
        Ok(code) => code == Ok(0),
        Err(_) => {
            // It shall not stay behind; one that has ended meanwhile hears nothing.
            let _ended = shared.node.signal(task, super::KILL).await;
            false
        }
    }
}

/// The code that a GET is answered with.
async fn get(
    shared: &Shared,
    address: SocketAddr,
    (path, headers): (&str, &[(String, String)]),
) -> io::Result<u16> {
    let mut stream = connect(&shared.node, address).await?;
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
