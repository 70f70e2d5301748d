//! Zones of other servers, over TCP: their serial, all of them (RFC 5936), or what is new (RFC 1995).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::incoming::{Incoming, NoZone};
use crate::message::question::{Query, Question, RecordType};
use crate::message::record::{Record, numbers};
use crate::message::reply::{Composed, ResponseCode};
use crate::message::{encode_ixfr, encode_query, is_reply_to, rcode_name};
use crate::name::Name;
use crate::zonefile::FileZone;

/// How long a connection and each message may take: a server that makes a large zone's first message may think for a while.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a whole zone may take to come, so that the next primary is asked in the end.
const LONGEST: Duration = Duration::from_secs(600);

/// How many octets a zone may have on its way: some five million records, and an end to one that has none.
const MOST: usize = 256 << 20;

/// Why there is no zone.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0}")]
    Connection(#[from] io::Error),
    #[error("no answer in {PATIENCE:?}")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("a reply that cannot be read, or is to something else")]
    Unreadable,
    #[error("the zone does not come to an end: {MOST} octets and {} s are the most", LONGEST.as_secs())]
    TooLong,
    #[error("the reply is {}", rcode_name(*.0))]
    Denied(ResponseCode),
    #[error("{0}")]
    NoZone(#[from] NoZone),
}

/// A question to a server, and the messages that answer it.
struct Exchange {
    stream: TcpStream,
    id: u16,
    /// How many octets have come.
    octets: usize,
}

impl Exchange {
    /// `held`: the serial since which changes are asked for.
    async fn begin(
        question: Question,
        held: Option<u32>,
        server: SocketAddr,
    ) -> Result<Self, FetchError> {
        let id = rand::random();
        let message = match held {
            Some(serial) => encode_ixfr(id, &question, serial),
            None => {
                let query = Query {
                    recursion_desired: false,
                    ..Query::plain(question, server)
                };
                encode_query(id, &query)
            }
        };
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        let mut stream = timeout(PATIENCE, TcpStream::connect(server)).await??;
        let framed = [&length.to_be_bytes(), &message[..]].concat();
        timeout(PATIENCE, stream.write_all(&framed)).await??;
        Ok(Self {
            stream,
            id,
            octets: 0,
        })
    }

    async fn next(&mut self) -> Result<Composed, FetchError> {
        let length = timeout(PATIENCE, self.stream.read_u16()).await??;
        let mut message = vec![0; length.into()];
        timeout(PATIENCE, self.stream.read_exact(&mut message)).await??;
        self.octets += message.len();
        if !is_reply_to(&message, self.id) {
            return Err(FetchError::Unreadable);
        }
        let reply = Composed::read(&message).ok_or(FetchError::Unreadable)?;
        if reply.rcode != ResponseCode::NoError {
            return Err(FetchError::Denied(reply.rcode));
        }
        Ok(reply)
    }
}

/// The serial of a server's zone.
pub(super) async fn serial_of(apex: &Name, server: SocketAddr) -> Result<u32, FetchError> {
    let question = Question::new(apex, RecordType::SOA);
    let mut exchange = Exchange::begin(question, None, server).await?;
    let reply = exchange.next().await?;
    let found = reply.answer.iter().find_map(numbers);
    let found = found.map(|[serial, ..]| serial);
    found.ok_or(FetchError::NoZone(NoZone::NoStart))
}

/// Every record of a server's zone, the SOA once. `held`: the zone as it was, to which changes may come.
pub(super) async fn zone_of(
    apex: &Name,
    held: Option<&FileZone>,
    server: SocketAddr,
) -> Result<Vec<Record>, FetchError> {
    if let Some(held) = held {
        let records = held.records().cloned().collect();
        match transferred(apex, Some((held.serial(), records)), server).await {
            Ok(records) => return Ok(records),
            Err(error) => {
                debug!(zone = %apex, %server, %error, "no changes come: the zone is asked for")
            }
        }
    }
    transferred(apex, None, server).await
}

async fn transferred(
    apex: &Name,
    held: Option<(u32, Vec<Record>)>,
    server: SocketAddr,
) -> Result<Vec<Record>, FetchError> {
    let serial = held.as_ref().map(|(serial, _)| *serial);
    let qtype = match serial {
        Some(_) => RecordType::IXFR,
        None => RecordType::AXFR,
    };
    let question = Question::new(apex, qtype);
    let mut exchange = Exchange::begin(question, serial, server).await?;
    let mut incoming = Incoming::new(apex, held);
    let until = Instant::now() + LONGEST;
    loop {
        let reply = exchange.next().await?;
        if Instant::now() > until || exchange.octets > MOST {
            return Err(FetchError::TooLong);
        }
        if reply.answer.is_empty() {
            return Err(FetchError::NoZone(NoZone::NoStart));
        }
        for record in reply.answer {
            if incoming.take(record)? {
                return Ok(incoming.records());
            }
        }
        if incoming.is_unchanged() {
            return Ok(incoming.records());
        }
    }
}
