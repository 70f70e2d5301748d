//! HTTP/2 whose frames are sent by hand: what no client would do.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Server;
use super::encrypted::{Pair, encrypted};

/// Kinds of frames (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

/// Both ends: of the stream, and of its headers.
const END: u8 = 0x5;

fn frame((kind, flags): (u8, u8), stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A connection over which frames are sent by hand.
async fn by_hand(pair: &Pair, server: &Server) -> TlsStream<TcpStream> {
    let mut stream = pair.connect(server.address, "h2").await;
    let preface = [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &frame((SETTINGS, 0), 0, &[]),
    ]
    .concat();
    stream.write_all(&preface).await.unwrap();
    stream
}

/// The next frame: its kind, its flags and its stream.
async fn next_frame(stream: &mut (impl AsyncRead + Unpin)) -> (u8, u8, u32) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await.unwrap();
    let of_stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    (head[3], head[4], of_stream)
}

#[tokio::test]
async fn a_request_that_is_refused_gets_its_status_and_no_reset() {
    let pair = Pair::new();
    let server = encrypted(&pair, "https", "kubernetes cluster.local").await;
    let mut stream = by_hand(&pair, &server).await;
    // POST / of an authority `x`, whose body comes after the server has said that it is there.
    let request = frame((HEADERS, 0x4), 1, &[0x83, 0x87, 0x84, 0x01, 1, b'x']);
    let ping = frame((PING, 0), 0, &[7; 8]);
    stream
        .write_all(&[request, ping.clone()].concat())
        .await
        .unwrap();
    let mut seen = Vec::new();
    let (mut ended, mut pongs) = (false, 0);
    while pongs < 2 {
        let (kind, flags, of_stream) = next_frame(&mut stream).await;
        if kind == PING && flags == 1 {
            pongs += 1;
            let body = frame((DATA, 1), 1, b"no query");
            if pongs == 1 {
                stream.write_all(&body).await.unwrap();
            }
        }
        if of_stream == 1 {
            seen.push(kind);
            if flags & 1 == 1 && !std::mem::replace(&mut ended, true) {
                stream.write_all(&ping).await.unwrap();
            }
        }
    }
    assert_eq!(seen, [HEADERS, DATA]);
}

/// Headers that never end are not kept (the kind of RUSTSEC-2024-0332).
#[tokio::test]
async fn headers_without_an_end_end_the_connection() {
    // A field that is not to be put into the table, its name and value of 100 octets each.
    let field = [&[0x10, 100][..], &[b'x'; 100], &[100], &[b'y'; 100]].concat();
    let fields = field.repeat(50);
    let pair = Pair::new();
    let server = encrypted(&pair, "https", "kubernetes cluster.local").await;
    let mut stream = by_hand(&pair, &server).await;
    stream
        .write_all(&frame((HEADERS, 0), 1, &fields))
        .await
        .unwrap();
    let mut sent = fields.len();
    let more = frame((CONTINUATION, 0), 1, &fields);
    while stream.write_all(&more).await.is_ok() {
        sent += fields.len();
        assert!(sent < 64 << 20, "it takes {sent} octets of headers");
    }
}

/// The kind of CVE-2023-44487: requests that are taken back as soon as they are made.
#[tokio::test]
async fn who_takes_requests_back_all_the_time_is_closed() {
    // GET https://x/: three fields of the static table, and :authority with a value of one letter.
    let fields = [0x82, 0x84, 0x87, 0x41, 1, b'x'];
    let pair = Pair::new();
    let server = encrypted(&pair, "https", "kubernetes cluster.local").await;
    let (mut read, mut write) = tokio::io::split(by_hand(&pair, &server).await);
    // What it still sends is read for a while, and then nobody reads it.
    let told = tokio::spawn(async move { while next_frame(&mut read).await.0 != GO_AWAY {} });
    let mut id = 1;
    while !told.is_finished() {
        let begun = frame((HEADERS, END), id, &fields);
        let back = frame((RST_STREAM, 0), id, &8_u32.to_be_bytes());
        if write.write_all(&[begun, back].concat()).await.is_err() {
            break;
        }
        id += 2;
        assert!(id < 1_000_000, "it goes on");
        tokio::task::yield_now().await;
    }
    told.await.unwrap();
}
