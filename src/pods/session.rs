//! Programs that somebody talks to: one more in a container, or the container's own.

use std::sync::Arc;

use headless_cluster::runtime::{Exec, Place, Session, Stream};
use headless_node::Process;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot, watch};

use super::streams::{self, Pipes, WAITING};
use super::{Shared, container, key};

/// Runs one more program in a container; says what the node calls it.
pub(super) async fn exec(
    shared: &Shared,
    place: &Place,
    exec: Exec,
) -> Result<(u64, Session), String> {
    let (task, start) = {
        let containers = shared.containers();
        let container = containers.get(&key(place));
        let container = container.filter(|container| container.code().is_none());
        let container = container.ok_or_else(|| not_running(place))?;
        (container.task, Arc::clone(&container.start))
    };
    let process = Process {
        argv: exec.command,
        env: container::environment(&start, exec.tty),
        workdir: start.workdir.clone().into(),
        user: start.user,
        terminal: exec.tty,
    };
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let pipes = streams::pipes(exec.stdin && !exec.tty).map_err(|error| text(&error))?;
    let Pipes {
        stdio,
        input,
        output: [out, err],
    } = pipes;
    let running = shared.node.join((&place.pod, task), process, stdio).await;
    let running = running.map_err(|error| text(&error))?;
    let joined = running.task;
    let (give, output) = mpsc::channel(WAITING);
    let mut session = Session {
        input: input.map(streams::write),
        output,
        size: mpsc::unbounded_channel().0,
        exit: running.exit,
    };
    if let Some(terminal) = running.terminal {
        let ends = streams::terminal(&terminal).map_err(|error| text(&error))?;
        tokio::spawn(streams::pass_on(ends.output, Stream::Out, give));
        session.input = exec.stdin.then(|| streams::write(ends.input));
        session.size = streams::sizes(terminal);
    } else {
        tokio::spawn(streams::pass_on(out, Stream::Out, give.clone()));
        tokio::spawn(streams::pass_on(err, Stream::Err, give));
    }
    Ok((joined, session))
}

/// Reads and writes with a container's own program, until it ends; what it wrote before is in its log. The code with which it
/// ends is the Pod's affair: the session ends with 0.
pub(super) fn attach(shared: &Shared, place: &Place) -> Result<Session, String> {
    let mut containers = shared.containers();
    let container = containers.get_mut(&key(place));
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
        size: size.unwrap_or_else(|| mpsc::unbounded_channel().0),
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
