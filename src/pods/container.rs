//! A container that runs, or has run: its task, and what it has written.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headless_cluster::runtime::{Fact, Refusal, Start};
use headless_node::{Files, Mount, NodeError};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::images::Entry;
use super::log::Log;
use super::streams::{self, Ends};
use super::{Shared, check, command, files};

/// How long what follows a start may take; the kubelet sets no end to it.
const PATIENCE: Duration = Duration::from_secs(3600);

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
    /// Its image.
    pub(super) entry: Arc<Entry>,
    /// What it reads.
    pub(super) input: Option<mpsc::Sender<Bytes>>,
    /// The size of its terminal.
    pub(super) size: mpsc::UnboundedSender<(u16, u16)>,
    /// The code with which it has ended, once all that it wrote is read.
    pub(super) exit: watch::Sender<Option<i32>>,
}

impl Container {
    /// The code with which it has ended.
    pub(super) fn code(&self) -> Option<i32> {
        *self.exit.borrow()
    }
}

/// Starts a container; says what becomes of it.
pub(super) async fn start(shared: &Arc<Shared>, start: Start) {
    let (run, hook) = (start.run.clone(), start.post_start.clone());
    let Begun {
        exit,
        told,
        log,
        output,
    } = match begin(shared, start).await {
        Ok(begun) => begun,
        Err((reason, message)) => return shared.say(Fact::Refused(run, reason, message)),
    };
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let fit = match hook {
            Some(hook) => check::holds(&shared, &run, (&hook, check::ANY_CODE), PATIENCE).await,
            None => true,
        };
        shared.say(if fit {
            Fact::Started(run.clone())
        } else {
            Fact::HookFailed(run.clone())
        });
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

async fn begin(shared: &Shared, start: Start) -> Result<Begun, (Refusal, String)> {
    let place = (&shared.node, &shared.unpacked);
    let entry = shared.images.entry(&start.image, place).await;
    let entry = entry.map_err(|message| (Refusal::Image, message))?;
    let failed = |error: NodeError| (Refusal::Start, error.to_string());
    let broken = |error: std::io::Error| (Refusal::Start, error.to_string());
    let mut mounts = files::mounts(&shared.node, &shared.folders, &start).map_err(failed)?;
    mounts.extend(entry.file.iter().map(|file| Mount {
        source: file.clone(),
        target: file.clone(),
        read_only: true,
    }));
    let process = command::own(&start, &entry);
    let target = start.target.as_deref().map(|target| {
        let task = shared.task_of(&start.run.pod, target);
        let why = || format!("container {target} does not run: its processes cannot be shown");
        task.ok_or_else(|| (Refusal::Start, why()))
    });
    let seen = Files {
        processes: target.transpose()?,
        root: entry.root.clone(),
        mounts,
        texts: files::names(&start.pod),
        applets: entry.applets.clone(),
    };
    let (stdio, pipes) = streams::pipes(start.stdin && !start.tty).map_err(broken)?;
    let running = shared.node.run(&start.run.pod, process, seen, stdio).await;
    let running = running.map_err(failed)?;
    let log = Arc::new(Log::new());
    let Ends {
        input,
        output,
        size,
    } = pipes.ends(running.terminal, start.stdin).map_err(broken)?;
    let keep = |(stream, from)| tokio::spawn(streams::keep(from, stream, Arc::clone(&log)));
    let output = output.into_iter().map(keep).collect();
    let told = watch::Sender::new(None);
    let key = (start.run.pod.clone(), start.run.container.clone());
    let mut containers = shared.containers();
    let container = Container {
        task: running.task,
        log: Arc::clone(&log),
        previous: containers.remove(&key).map(|before| before.log),
        start: Arc::new(start),
        entry: Arc::new(entry),
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
