//! `portforward`: connections to the ports of a Pod, as to programs that listen on its loopback.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::carry::WAITING;
use super::channels::{self, CLOSE, Socket, Version};
use super::spdy::{self, Opened, Piece, Sayer};
use crate::runtime::Runtime;
use crate::status::ApiStatus;

/// How much is read at once, in octets.
const PIECE: usize = 16 << 10;

/// Channels of a WebSocket: each port has two, and 255 means something else.
const MOST: usize = 127;

/// A Pod whose ports are wanted.
#[derive(Clone)]
pub(super) struct Forward {
    pub(super) runtime: Arc<dyn Runtime>,
    /// Its UID.
    pub(super) pod: String,
    /// Those that are named in the request: a client of channels must.
    pub(super) ports: Vec<u16>,
}

impl Forward {
    /// Whether a client of channels has said which ports.
    ///
    /// # Errors
    /// 400: none, or too many.
    pub(super) fn check(&self) -> Result<(), ApiStatus> {
        let count = self.ports.len();
        if (1..=MOST).contains(&count) {
            return Ok(());
        }
        Err(ApiStatus::bad_request(format!(
            "ports: 1 to {MOST} were expected, and not {count}"
        )))
    }

    async fn connect(&self, port: u16) -> Result<TcpStream, String> {
        let connected = self.runtime.connect(&self.pod, port).await;
        connected.map_err(|why| {
            format!(
                "an error occurred forwarding port {port} of pod {}: {why}",
                self.pod
            )
        })
    }
}

/// Carries octets until one end has gone.
async fn relay<F>(
    stream: TcpStream,
    mut from: mpsc::Receiver<Piece>,
    mut to: impl FnMut(Bytes) -> F,
) where
    F: Future<Output = bool>,
{
    let (mut read, mut write) = stream.into_split();
    let inward = async {
        while let Some(piece) = from.recv().await {
            // A Pod that reads no more may still write.
            match piece {
                Piece::Octets(octets) => {
                    let _unread = write.write_all(&octets).await;
                }
                Piece::End => {
                    let _unread = write.shutdown().await;
                    // The client still listens: what is left ends with the Pod.
                    std::future::pending::<()>().await;
                }
            }
        }
    };
    let outward = async {
        let mut piece = vec![0; PIECE];
        while let Ok(size @ 1..) = read.read(&mut piece).await {
            if !to(Bytes::copy_from_slice(&piece[..size])).await {
                return;
            }
        }
    };
    tokio::select! {
        // What the Pod has said comes before the end.
        biased;
        () = outward => {}
        () = inward => {}
    }
}

/// Serves a client whose connections are pairs of streams: data and errors, with the same `requestid`.
pub(super) async fn spdy<R, W>(io: (R, W), forward: Forward)
where
    R: AsyncRead + Send + 'static,
    W: AsyncWrite + Send + 'static,
{
    let (say, mut opened) = spdy::start(io);
    let mut halves = BTreeMap::new();
    // They end with the client.
    let mut connections = JoinSet::new();
    loop {
        let one = tokio::select! {
            one = opened.recv() => one,
            Some(_ended) = connections.join_next() => continue,
        };
        let Some(one) = one else { break };
        let Some(half) = Half::of(&one) else {
            // Who has gone is not told.
            let _gone = say.reset(one.stream).await;
            continue;
        };
        let Some(other) = halves.remove(&half.request) else {
            halves.insert(half.request.clone(), (half, one));
            continue;
        };
        let (data, error, port) = match (half.is_data, other) {
            (true, (other, error)) if !other.is_data => (one, error.stream, half.port),
            (false, (other, data)) if other.is_data => (data, one.stream, other.port),
            (_, (_, twice)) => {
                let _gone = say.reset(twice.stream).await;
                continue;
            }
        };
        connections.spawn(pair(say.clone(), forward.clone(), data, (error, port)));
    }
    let _gone = say.close().await;
}

/// One of a connection's two streams.
struct Half {
    request: String,
    is_data: bool,
    port: u16,
}

impl Half {
    fn of(opened: &Opened) -> Option<Self> {
        let header = |name: &str| opened.headers.get(name).map(String::as_str);
        Some(Self {
            request: header("requestid")?.to_owned(),
            is_data: match header("streamtype")? {
                "data" => true,
                "error" => false,
                _ => return None,
            },
            port: header("port")?.parse().ok()?,
        })
    }
}

async fn pair(say: Sayer, forward: Forward, data: Opened, (error, port): (u32, u16)) {
    let stream = data.stream;
    match forward.connect(port).await {
        Ok(connection) => {
            let to = |octets| {
                let say = say.clone();
                async move { say.octets(stream, octets).await.is_ok() }
            };
            relay(connection, data.read, to).await;
        }
        Err(why) => {
            // Who has gone is not told.
            let _gone = say.octets(error, why.into()).await;
        }
    }
    for stream in [error, stream] {
        let _gone = say.end(stream).await;
    }
}

/// Serves a client of channels: two for each port of the request, data and errors, each with the port first.
pub(super) async fn channels<S>((mut send, receive): Socket<S>, version: Version, forward: Forward)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (give, mut said) = mpsc::channel(WAITING);
    // They end with the client.
    let mut connections = JoinSet::new();
    let mut inputs = Vec::new();
    for (at, port) in forward.ports.iter().enumerate() {
        let (input, from) = mpsc::channel(WAITING);
        inputs.push(input);
        let channel = u8::try_from(2 * at).unwrap_or(CLOSE);
        let one = Channel {
            number: channel,
            say: give.clone(),
        };
        connections.spawn(one.serve(forward.clone(), *port, from));
    }
    drop(give);
    let mut octets = std::pin::pin!(channels::octets(receive));
    let inward = async {
        while let Some(octets) = octets.next().await {
            take(&inputs, version, octets).await;
        }
    };
    let outward = async {
        while let Some(message) = said.recv().await {
            if send.send(message).await.is_err() {
                return;
            }
        }
        // All connections have ended; who has gone is not told.
        let _gone = send.send(channels::closing()).await;
    };
    tokio::select! {
        () = inward => {}
        () = outward => {}
    }
}

/// Takes a message to its port; what is for none, or for one that has ended, goes nowhere.
async fn take(inputs: &[mpsc::Sender<Piece>], version: Version, mut octets: Bytes) {
    if octets.is_empty() {
        return;
    }
    let first = octets.get_u8();
    let closes = first == CLOSE && version == Version::V5;
    let channel = if closes {
        octets.first().copied().unwrap_or(CLOSE)
    } else {
        first
    };
    let data = channel.is_multiple_of(2);
    let Some(input) = inputs.get(usize::from(channel / 2)).filter(|_| data) else {
        return;
    };
    let piece = if closes {
        Piece::End
    } else {
        Piece::Octets(octets)
    };
    let _ended = input.send(piece).await;
}

/// The channels of a port: `number` carries data, the next one errors. That one has ended is not said: Python's client and kube-rs
/// break at channel 255.
struct Channel {
    number: u8,
    say: mpsc::Sender<Message>,
}

impl Channel {
    async fn serve(self, forward: Forward, port: u16, from: mpsc::Receiver<Piece>) {
        for channel in [self.number, self.number + 1] {
            self.tell(channel, &port.to_le_bytes()).await;
        }
        match forward.connect(port).await {
            Ok(connection) => {
                let to = |octets: Bytes| {
                    let (say, number) = (self.say.clone(), self.number);
                    async move { say.send(channels::message(number, &octets)).await.is_ok() }
                };
                relay(connection, from, to).await;
            }
            Err(why) => {
                self.tell(self.number + 1, why.as_bytes()).await;
            }
        }
    }

    async fn tell(&self, channel: u8, octets: &[u8]) {
        // Who has gone is not told.
        let _gone = self.say.send(channels::message(channel, octets)).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::BoxFuture;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;
    use crate::runtime::{Exec, Fact, Log, Order, Place, Session};

    #[tokio::test]
    async fn messages_find_their_port_and_only_data_is_passed_on() {
        let (give, mut first) = mpsc::channel(4);
        let (keep, mut second) = mpsc::channel(4);
        let inputs = [give, keep];
        for octets in [
            &b"\x02two"[..],
            b"\x00one",
            b"\x01no",
            b"\x09no",
            b"\xff\x00",
            b"",
        ] {
            take(&inputs, Version::V5, Bytes::from_static(octets)).await;
        }
        drop(inputs);
        let octets = |text: &'static str| Some(Piece::Octets(text.into()));
        assert_eq!(first.recv().await, octets("one"));
        assert_eq!(first.recv().await, Some(Piece::End));
        assert_eq!(first.recv().await, None);
        assert_eq!(second.recv().await, octets("two"));
        assert_eq!(second.recv().await, None);
    }

    #[tokio::test]
    async fn a_client_that_has_said_all_still_hears_the_answer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (give, from) = mpsc::channel(4);
        give.send(Piece::Octets("ping".into())).await.unwrap();
        give.send(Piece::End).await.unwrap();
        drop(give);
        let (told, mut heard) = mpsc::channel(4);
        let to = |octets| {
            let told = told.clone();
            async move { told.send(octets).await.is_ok() }
        };
        let pod = async {
            let (mut pod, _) = accepted.unwrap();
            let mut all = Vec::new();
            pod.read_to_end(&mut all).await.unwrap();
            pod.write_all(b"pong").await.unwrap();
            all
        };
        let ((), said) = tokio::join!(relay(client.unwrap(), from, to), pod);
        assert_eq!(
            (&said[..], heard.try_recv()),
            (&b"ping"[..], Ok("pong".into()))
        );
    }

    /// A Pod that listens here.
    #[derive(Debug)]
    struct Listens(u16);

    impl Runtime for Listens {
        fn perform(&self, _: Order) {}

        fn fact(&self) -> BoxFuture<'_, Fact> {
            std::future::pending().boxed()
        }

        fn log(&self, _: &Place, _: bool) -> Option<Log> {
            None
        }

        fn exec<'a>(&'a self, _: &'a Place, _: Exec) -> BoxFuture<'a, Result<Session, String>> {
            std::future::ready(Err("no programs".to_owned())).boxed()
        }

        fn attach(&self, _: &Place) -> Result<Session, String> {
            Err("no programs".into())
        }

        fn connect<'a>(
            &'a self,
            _: &'a str,
            port: u16,
        ) -> BoxFuture<'a, Result<TcpStream, String>> {
            async move {
                if port != 80 {
                    return Err("nobody listens".into());
                }
                let connected = TcpStream::connect(("127.0.0.1", self.0)).await;
                connected.map_err(|error| error.to_string())
            }
            .boxed()
        }
    }

    /// A Pod whose port 80 answers what it hears, then closes.
    async fn forward(ports: &[u16]) -> Forward {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut heard = [0; 4];
                stream.read_exact(&mut heard).await.unwrap();
                stream.write_all(&heard).await.unwrap();
            }
        });
        Forward {
            runtime: Arc::new(Listens(port)),
            pod: "uid".into(),
            ports: ports.into(),
        }
    }

    #[tokio::test]
    async fn each_port_has_two_channels_and_says_what_is_wrong_in_the_second() {
        let (near, far) = tokio::io::duplex(4096);
        let forward = forward(&[80, 81]).await;
        let near = channels::socket(near).await;
        tokio::spawn(channels(near, Version::V5, forward));
        let mut client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        let ping = Message::Binary(Bytes::from_static(b"\x00ping"));
        client.send(ping).await.unwrap();
        let mut heard = BTreeMap::<u8, Vec<Bytes>>::new();
        let end = loop {
            let message = client.next().await.unwrap().unwrap();
            let Message::Binary(mut octets) = message else {
                break message;
            };
            heard.entry(octets.get_u8()).or_default().push(octets);
        };
        let why = b"an error occurred forwarding port 81 of pod uid: nobody listens";
        // Clients take no other channel: one that has ended is not closed by itself.
        assert_eq!(heard.len(), 4);
        let wanted: [(u8, Vec<&[u8]>); 4] = [
            (0, vec![b"\x50\x00", b"ping"]),
            (1, vec![b"\x50\x00"]),
            (2, vec![b"\x51\x00"]),
            (3, vec![b"\x51\x00", why]),
        ];
        for (channel, said) in wanted {
            assert_eq!(heard[&channel], said, "{channel}");
        }
        assert_eq!(end, channels::closing());
    }

    #[tokio::test]
    async fn a_connection_is_two_streams_and_what_is_none_is_refused() {
        let (near, mut far) = tokio::io::duplex(4096);
        tokio::spawn(spdy(tokio::io::split(near), forward(&[]).await));
        let mut client = spdy::tests::Client::default();
        for (stream, kind, port) in [
            (1, "error", "80"),
            (3, "data", "80"),
            (5, "error", "81"),
            (7, "data", "81"),
            (9, "other", "80"),
        ] {
            let headers = [("streamtype", kind), ("port", port), ("requestid", port)];
            far.write_all(&client.open(stream, &headers)).await.unwrap();
        }
        far.write_all(&[0, 0, 0, 3, 0, 0, 0, 4]).await.unwrap();
        far.write_all(b"ping").await.unwrap();
        let heard = client.until(&mut far, 5).await;
        let said = |stream: u32| heard.said.get(&stream).map(String::as_str);
        assert_eq!((said(1), said(3)), (Some(""), Some("ping")));
        let why = "an error occurred forwarding port 81 of pod uid: nobody listens";
        assert_eq!((said(5), said(7)), (Some(why), Some("")));
        assert_eq!(heard.reset, [9]);
    }

    #[tokio::test]
    async fn octets_go_both_ways_until_the_far_end_has_closed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let (give, from) = mpsc::channel(4);
        let (note, mut notes) = mpsc::channel(4);
        let to = move |octets| {
            let note = note.clone();
            async move { note.send(octets).await.is_ok() }
        };
        let relayed = tokio::spawn(relay(near, from, to));
        give.send(Piece::Octets("ping".into())).await.unwrap();
        give.send(Piece::End).await.unwrap();
        let mut heard = String::new();
        far.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "ping");
        far.write_all(b"pong").await.unwrap();
        drop(far);
        assert_eq!(notes.recv().await.as_deref(), Some(&b"pong"[..]));
        relayed.await.unwrap();
    }
}
