//! A program's streams on their way to and from a client, whatever the client speaks.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream as Heards, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::runtime::{Session, Stream};

/// How long a client may take to close a connection whose end it was told.
pub(super) const LINGER: Duration = Duration::from_secs(10);

/// Pieces that wait for whoever reads; then whoever makes more waits too.
pub(super) const WAITING: usize = 16;

/// Which streams a client asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) input: bool,
    /// Standard output and standard error.
    pub(super) output: [bool; 2],
    pub(super) tty: bool,
}

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The program shall read this.
    Input(Bytes),
    /// There is no more to read.
    InputEnd,
    /// Its terminal's columns and rows.
    Size(u16, u16),
}

/// A client that is told what a program says.
pub(super) trait Client: Send {
    /// Tells what was written. An error: the client has gone.
    fn tell(
        &mut self,
        stream: Stream,
        octets: Bytes,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Tells how the program has ended, and that nothing follows.
    fn end(&mut self, status: &Value) -> impl Future<Output = io::Result<()>> + Send;
}

/// Carries a session's streams until its program has ended, or the client has gone, which is the end of `heard`.
pub(super) async fn carry(
    mut heard: impl Heards<Item = Heard> + Unpin,
    mut client: impl Client,
    (wanted, session): (Wanted, Session),
) {
    let Session {
        input,
        mut output,
        size,
        exit,
    } = session;
    let mut input = Input { stdin: input, size };
    // Who reads slowly holds up what is written, and not what is read.
    let inward = async {
        while let Some(heard) = heard.next().await {
            input.take(heard).await;
        }
    };
    let outward = async {
        while let Some((stream, octets)) = output.recv().await {
            let is_wanted = wanted.output[stream as usize];
            if is_wanted && client.tell(stream, octets).await.is_err() {
                return None;
            }
        }
        Some(status(exit.await.ok()))
    };
    let status = tokio::select! {
        // Nobody reads what is written from now on.
        () = inward => return,
        status = outward => status,
    };
    // Who has gone meanwhile is not told.
    if let Some(status) = status
        && client.end(&status).await.is_ok()
    {
        // A connection that is closed with something unread in it is reset, and takes with it what the client has not read.
        let unread = async { while heard.next().await.is_some() {} };
        let _impatient = tokio::time::timeout(LINGER, unread).await;
    }
}

/// What a program is told.
struct Input {
    stdin: Option<mpsc::Sender<Bytes>>,
    size: mpsc::UnboundedSender<(u16, u16)>,
}

impl Input {
    async fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Input(octets) => {
                if let Some(stdin) = &self.stdin
                    && !octets.is_empty()
                    && stdin.send(octets).await.is_err()
                {
                    // The program does not read any more.
                    self.stdin = None;
                }
            }
            Heard::InputEnd => self.stdin = None,
            Heard::Size(columns, rows) => {
                // A program without a terminal has no size.
                let _none = self.size.send((columns, rows));
            }
        }
    }
}

/// A terminal's size, as clients say it.
pub(super) fn size(octets: &[u8]) -> Option<Heard> {
    let size: Value = serde_json::from_slice(octets).ok()?;
    let side = |field: &str| u16::try_from(size[field].as_u64()?).ok();
    Some(Heard::Size(side("Width")?, side("Height")?))
}

/// How a program has ended, as the kubelet says it.
fn status(code: Option<i32>) -> Value {
    match code {
        Some(0) => json!({"metadata": {}, "status": "Success"}),
        Some(code) => json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        None => json!({
            "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
            "message": "the program's end was not seen",
        }),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::sync::oneshot;

    use super::*;

    /// The far end of a session.
    pub(crate) struct Far {
        pub(crate) input: mpsc::Receiver<Bytes>,
        pub(crate) output: mpsc::Sender<(Stream, Bytes)>,
        pub(crate) sizes: mpsc::UnboundedReceiver<(u16, u16)>,
        pub(crate) exit: oneshot::Sender<i32>,
    }

    pub(crate) fn session() -> (Session, Far) {
        let (give, input) = mpsc::channel(1);
        let (output, take) = mpsc::channel(1);
        let (size, sizes) = mpsc::unbounded_channel();
        let (exit, code) = oneshot::channel();
        let session = Session {
            input: Some(give),
            output: take,
            size,
            exit: code,
        };
        let far = Far {
            input,
            output,
            sizes,
            exit,
        };
        (session, far)
    }

    pub(crate) const WANTED: Wanted = Wanted {
        input: true,
        output: [true, true],
        tty: false,
    };

    /// Hears everything.
    struct Notes(mpsc::UnboundedSender<String>);

    impl Client for Notes {
        async fn tell(&mut self, stream: Stream, octets: Bytes) -> io::Result<()> {
            let text = String::from_utf8_lossy(&octets).into_owned();
            self.0.send(format!("{stream:?} {text}")).unwrap();
            Ok(())
        }

        async fn end(&mut self, status: &Value) -> io::Result<()> {
            self.0.send(status["status"].to_string()).unwrap();
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_program_that_reads_nothing_is_heard_all_the_same() {
        let (session, far) = session();
        let (note, mut notes) = mpsc::unbounded_channel();
        // More than fits between them, and then nothing.
        let much = (0..9).map(|_| Heard::Input("x".into()));
        let heard = futures::stream::iter(much).chain(futures::stream::pending());
        tokio::spawn(carry(heard, Notes(note), (WANTED, session)));
        for text in ["one", "two", "three"] {
            far.output.send((Stream::Out, text.into())).await.unwrap();
        }
        drop(far.output);
        far.exit.send(0).unwrap();
        let mut said = Vec::new();
        for _ in 0..4 {
            said.push(notes.recv().await.unwrap());
        }
        assert_eq!(said, ["Out one", "Out two", "Out three", "\"Success\""]);
    }

    #[test]
    fn a_size_is_two_numbers() {
        assert_eq!(
            size(b"{\"Width\":80,\"Height\":24}\n"),
            Some(Heard::Size(80, 24))
        );
        for text in [&b""[..], b"{\"Width\":80}", b"{\"Width\":-1,\"Height\":2}"] {
            assert_eq!(size(text), None);
        }
    }
}
