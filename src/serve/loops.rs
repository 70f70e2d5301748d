//! The probe of `loop`: a question to this server that nobody else asks. Where it comes back, there is a loop.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::sockets::reachable;
use crate::message::question::{Query, Question, RecordType};
use crate::message::reply::ResponseCode;
use crate::message::{encode_query, rcode_of};
use crate::plugin::LoopProbe;

/// How often it is tried at first, and how long one try takes, unless there is a reply: CoreDNS's.
const TRIES: u32 = 30;
const TRY: Duration = Duration::from_secs(1);

/// How long afterwards until it is tried again: an upstream that is not there yet says nothing of where it leads.
const LATER: Duration = Duration::from_secs(30);

/// How often it is looked whether the question has come back.
const LOOK: Duration = Duration::from_millis(100);

/// What is said of the first loop that is found; never returns where there is none.
pub(super) async fn first(probes: Vec<(LoopProbe, SocketAddr)>) -> String {
    let mut looking = JoinSet::new();
    for (probe, server) in probes {
        looking.spawn(find(probe, server));
    }
    while let Some(found) = looking.join_next().await {
        if let Ok(Some(said)) = found {
            return said;
        }
    }
    std::future::pending().await
}

/// Asks until somebody knows a reply: nothing then, and where there is a loop what to say of it.
async fn find(probe: LoopProbe, server: SocketAddr) -> Option<String> {
    let to = reachable(server);
    for tried in 1_u32.. {
        let begun = Instant::now();
        probe.seen.store(0, Ordering::Relaxed);
        if let Ok(end) = once(&probe, to).await {
            return end;
        }
        sleep_until(begun + if tried < TRIES { TRY } else { LATER }).await;
    }
    None
}

/// One question: what to say of the loop, nothing where there is a reply, an error where there is neither, or where the
/// reply is that nobody has one.
async fn once(probe: &LoopProbe, to: SocketAddr) -> std::io::Result<Option<String>> {
    let any = SocketAddr::new(to.ip(), 0);
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    let question = Question::new(probe.qname.clone(), RecordType::HINFO);
    let query = Query::plain(question, socket.local_addr()?);
    socket.send(&encode_query(rand::random(), &query)).await?;
    let mut reply = [0; 512];
    let mut looks = tokio::time::interval(LOOK);
    let end = tokio::time::sleep(TRY);
    tokio::pin!(end);
    loop {
        tokio::select! {
            received = socket.recv(&mut reply) => {
                let size = received?;
                if rcode_of(&reply[..size]) == ResponseCode::ServFail {
                    return Err(std::io::ErrorKind::NotFound.into());
                }
                return Ok(None);
            }
            _ = looks.tick() => {
                // Once it is this question, once more it is the same one come back.
                if probe.seen.load(Ordering::Relaxed) > 1 {
                    return Ok(Some(said(probe, &socket, to)));
                }
            }
            () = &mut end => return Err(std::io::ErrorKind::TimedOut.into()),
        }
    }
}

/// CoreDNS's words.
fn said(probe: &LoopProbe, socket: &UdpSocket, to: SocketAddr) -> String {
    let from = socket.local_addr().map(|from| from.to_string());
    format!(
        "plugin/loop: Loop ({} -> :{}) detected for zone \"{}\", see https://coredns.io/plugins/loop#troubleshooting. \
         Query: \"HINFO {}\"",
        from.unwrap_or_default(),
        to.port(),
        probe.zone,
        probe.qname,
    )
}
