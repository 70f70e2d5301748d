//! Programs that somebody talks to: one more in a container, or the container's own.

use headless_cluster::runtime::{Exec, Place, Session, Stream};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot, watch};

use super::streams::{self, WAITING};
use super::{Shared, command, key};

/// Runs one more program in a container; says what the node calls it.
pub(super) async fn exec(
    shared: &Shared,
    place: &Place,
    exec: Exec,
) -> Result<(u64, Session), String> {
    let terminal = exec.tty;
    let (task, process) = {
        let containers = shared.containers();
        let container = containers.get(&key(place));
        let container = container.filter(|container| container.code().is_none());
        let container = container.ok_or_else(|| not_running(place))?;
        let (start, entry) = (&container.start, &container.entry);
        let process = command::beside(start, entry, (exec.command, terminal));
        (container.task, process)
    };
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (stdio, pipes) = streams::pipes(exec.stdin && !terminal).map_err(|error| text(&error))?;
    let running = shared.node.join((&place.pod, task), process, stdio).await;
    let running = running.map_err(|error| text(&error))?;
    let ends = pipes.ends(running.terminal, exec.stdin);
    let ends = ends.map_err(|error| text(&error))?;
    let (give, output) = mpsc::channel(WAITING);
    for (stream, from) in ends.output {
        tokio::spawn(streams::pass_on(from, stream, give.clone()));
    }
    let session = Session {
        input: ends.input,
        output,
        size: ends.size,
        exit: running.exit,
    };
    Ok((running.task, session))
}

/// Reads and writes with a container's own program, until it ends; what it wrote before is in its log. The code with which it
/// ends is the Pod's affair: the session ends with 0.
pub(super) fn attach(shared: &Shared, place: &Place) -> Result<Session, String> {
    let mut containers = shared.containers();
    let container = containers.get_mut(&key(place));
    let container = container.filter(|container| container.code().is_none());
    let container = container.ok_or_else(|| not_running(place))?;
    let input = container.input.clone();
    if container.start.stdin_once {
        container.input = None;
    }
    let (give, output) = mpsc::channel(WAITING);
    let (tell, exit) = oneshot::channel();
    let forward = Forward {
        live: container.log.live(),
        exit: container.exit.subscribe(),
        give,
    };
    tokio::spawn(async move {
        forward.run().await;
        // Who was attached may have gone.
        let _gone = tell.send(0);
    });
    let size = container.size.clone();
    Ok(Session {
        input,
        output,
        size,
        exit,
    })
}

fn not_running(place: &Place) -> String {
    format!("container {} does not run", place.container)
}

/// Output on its way to one who is attached.
struct Forward {
    live: Receiver<(Stream, bytes::Bytes)>,
    exit: watch::Receiver<Option<i32>>,
    give: mpsc::Sender<(Stream, bytes::Bytes)>,
}

impl Forward {
    /// Passes on all that comes until the program has ended, or nobody listens.
    async fn run(mut self) {
        loop {
            let piece = tokio::select! {
                // What was written before the end comes before it.
                biased;
                piece = self.live.recv() => piece,
                _ended = self.exit.wait_for(Option::is_some) => return,
            };
            match piece {
                Ok(piece) => {
                    if self.give.send(piece).await.is_err() {
                        return;
                    }
                }
                // Who reads too slowly loses some, as with the kubelet.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}
