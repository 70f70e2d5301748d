//! Zones of other servers, over TCP: their serial, and all of them (RFC 5936).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::message::question::{Query, Question, RecordType};
use crate::message::record::{Record, numbers};
use crate::message::reply::{Composed, ResponseCode};
use crate::message::{encode_query, is_reply_to, rcode_name};
use crate::name::Name;

/// How long a connection and each message may take: a server that makes a large zone's first message may think for a while.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no zone.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0}")]
    Connection(#[from] io::Error),
    #[error("no answer in {PATIENCE:?}")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("a reply that cannot be read, or is to something else")]
    Unreadable,
    #[error("the reply is {}", rcode_name(*.0))]
    Denied(ResponseCode),
    #[error("the reply does not begin with the zone's SOA")]
    NoZone,
}

/// A question to a server, and the messages that answer it.
struct Exchange {
    stream: TcpStream,
    id: u16,
}

impl Exchange {
    async fn begin(apex: &Name, qtype: RecordType, server: SocketAddr) -> Result<Self, FetchError> {
        let query = Query {
            recursion_desired: false,
            ..Query::plain(Question::new(apex, qtype), server)
        };
        let id = rand::random();
        let message = encode_query(id, &query);
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        let mut stream = timeout(PATIENCE, TcpStream::connect(server)).await??;
        let framed = [&length.to_be_bytes(), &message[..]].concat();
        timeout(PATIENCE, stream.write_all(&framed)).await??;
        Ok(Self { stream, id })
    }

    async fn next(&mut self) -> Result<Composed, FetchError> {
        let length = timeout(PATIENCE, self.stream.read_u16()).await??;
        let mut message = vec![0; length.into()];
        timeout(PATIENCE, self.stream.read_exact(&mut message)).await??;
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
    let mut exchange = Exchange::begin(apex, RecordType::SOA, server).await?;
    let reply = exchange.next().await?;
    let found = reply.answer.iter().find_map(numbers);
    found.map(|[serial, ..]| serial).ok_or(FetchError::NoZone)
}

/// Every record of a server's zone, the SOA once.
pub(super) async fn zone_of(apex: &Name, server: SocketAddr) -> Result<Vec<Record>, FetchError> {
    let mut exchange = Exchange::begin(apex, RecordType::AXFR, server).await?;
    let mut records = Vec::new();
    loop {
        let reply = exchange.next().await?;
        if reply.answer.is_empty() {
            return Err(FetchError::NoZone);
        }
        for record in reply.answer {
            // The zone's own SOA comes first, and again at the end (RFC 5936 section 2.2).
            let is_start = numbers(&record).is_some() && record.name == *apex;
            match (records.is_empty(), is_start) {
                (true, false) => return Err(FetchError::NoZone),
                (false, true) => return Ok(records),
                (true, true) | (false, false) => records.push(record),
            }
        }
    }
}
