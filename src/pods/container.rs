//! A container that runs, or has run: its task, and what it has written.

use std::sync::Arc;

use bytes::Bytes;
use headless_cluster::runtime::{Fact, Start, Stream};
use headless_node::{Files, Mount, NodeError, Process};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::images::Entry;
use super::log::Log;
use super::streams::{self, Pipes};
use super::{Shared, files};

/// Where programs are looked for, where the container does not say so: Docker's.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The code of a program whose end nobody has seen: SIGKILL's.
const UNSEEN: i32 = 137;

/// A container by its last run.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) task: u64,
    pub(super) log: Arc<Log>,
    /// Of the run before.
    pub(super) previous: Option<Arc<Log>>,
    /// What it was started with.
    pub(super) start: Arc<Start>,
    /// What it reads.
    pub(super) input: Option<mpsc::Sender<Bytes>>,
    /// The size of its terminal.
    pub(super) size: Option<mpsc::UnboundedSender<(u16, u16)>>,
    /// The code with which it has ended, once all that it wrote is read.
    pub(super) exit: watch::Sender<Option<i32>>,
}

impl Container {
    /// The code with which it has ended.
    pub(super) fn code(&self) -> Option<i32> {
        *self.exit.borrow()
    }
}

/// Why a container is refused, as the kubelet says it, and the words.
type Refusal = (&'static str, String);

/// Starts a container; says what becomes of it.
pub(super) async fn start(shared: &Arc<Shared>, start: Start) {
    let run = start.run.clone();
    let Begun {
        exit,
        told,
        log,
        output,
    } = match begin(shared, start).await {
        Ok(begun) => begun,
        Err((reason, message)) => return shared.say(Fact::Refused(run, reason, message)),
    };
    shared.say(Fact::Started(run.clone()));
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let code = exit.await.unwrap_or(UNSEEN);
        // Who hears of the end can read all that was written before it.
        for reader in output {
            let _broken = reader.await;
        }
        log.end(Timestamp::now());
        told.send_replace(Some(code));
        shared.say(Fact::Ended(run, i64::from(code)));
    });
}

/// A program that runs, and who reads what it writes.
struct Begun {
    exit: oneshot::Receiver<i32>,
    told: watch::Sender<Option<i32>>,
    log: Arc<Log>,
    output: Vec<JoinHandle<()>>,
}

async fn begin(shared: &Shared, start: Start) -> Result<Begun, Refusal> {
    let entry = shared.images.entry(&start.image);
    let entry = entry.map_err(|message| ("ImagePullBackOff", message))?;
    let failed = |error: NodeError| ("RunContainerError", error.to_string());
    let broken = |error: std::io::Error| ("RunContainerError", error.to_string());
    let mut mounts = files::mounts(&shared.node, &shared.folder, &start).map_err(failed)?;
    mounts.extend(entry.file.iter().map(|file| Mount {
        source: file.clone(),
        target: file.clone(),
        read_only: true,
    }));
    let process = process(&start, &entry);
    let seen = Files {
        mounts,
        texts: files::names(&start.pod),
        applets: entry.applets,
    };
    let pipes = streams::pipes(start.stdin && !start.tty).map_err(broken)?;
    let Pipes {
        stdio,
        input,
        output: [out, err],
    } = pipes;
    let running = shared.node.run(&start.run.pod, process, seen, stdio).await;
    let running = running.map_err(failed)?;
    let log = Arc::new(Log::new());
    let keep = |stream, from| tokio::spawn(streams::keep(from, stream, Arc::clone(&log)));
    let mut output = vec![keep(Stream::Out, out), keep(Stream::Err, err)];
    let (mut input, mut size) = (input.map(streams::write), None);
    if let Some(terminal) = running.terminal {
        let ends = streams::terminal(&terminal).map_err(broken)?;
        let kept = streams::keep(ends.output, Stream::Out, Arc::clone(&log));
        output.push(tokio::spawn(kept));
        input = start.stdin.then(|| streams::write(ends.input));
        size = Some(streams::sizes(terminal));
    }
    let told = watch::Sender::new(None);
    let key = (start.run.pod.clone(), start.run.container.clone());
    let mut containers = shared.containers();
    let container = Container {
        task: running.task,
        log: Arc::clone(&log),
        previous: containers.remove(&key).map(|before| before.log),
        start: Arc::new(start),
        input,
        size,
        exit: told.clone(),
    };
    containers.insert(key, container);
    Ok(Begun {
        exit: running.exit,
        told,
        log,
        output,
    })
}

/// What a container runs: its command and arguments come before the image's.
fn process(start: &Start, entry: &Entry) -> Process {
    let (program, arguments) = match (&start.command[..], &start.args[..]) {
        ([], []) => (&entry.program[..], &entry.arguments[..]),
        ([], own) => (&entry.program[..], own),
        (command, own) => (command, own),
    };
    Process {
        argv: [program, arguments].concat(),
        env: environment(start, start.tty),
        workdir: start.workdir.clone().into(),
        user: start.user,
        terminal: start.tty,
    }
}

/// A container's variables, with those that every program expects.
pub(super) fn environment(start: &Start, terminal: bool) -> Vec<(String, String)> {
    let expected = [
        ("PATH", PATH),
        ("HOSTNAME", &start.pod.hostname),
        ("HOME", "/root"),
        ("TERM", "xterm"),
    ];
    let expected = expected
        .into_iter()
        .filter(|(name, _)| terminal || *name != "TERM");
    let is_set = |name: &str| start.env.iter().any(|(set, _)| set == name);
    let expected = expected.filter(|(name, _)| !is_set(name));
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    expected.chain(start.env.iter().cloned()).collect()
}
