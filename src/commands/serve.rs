//! `serve`: DNS from a cluster's state, with CoreDNS's arguments.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{lower, print, server};
use crate::corefile;
use crate::listen::interface_addresses;
use crate::logging::Form;
use crate::output::Lines;
use crate::plugin::{self, Reload};
use crate::serve::{self, Ambient, files};
use crate::signals::{Program, Signals, signals, unless_stopped};

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The Corefile; `stdin` for the standard input. Without it ./Corefile, else kubeadm's.
    #[arg(long, value_name = "FILE")]
    pub(crate) conf: Option<String>,
    /// The port of server blocks that name none.
    #[arg(
        long = "dns.port",
        short = 'p',
        alias = "p",
        value_name = "N",
        default_value_t = 53
    )]
    pub(crate) dns_port: u16,
    /// The API server, where the Corefile names none.
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// Watch only this namespace, where the Corefile's `kubernetes` names none: a Role in it is enough. May be given more
    /// than once.
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    namespaces: Vec<String>,
    /// How many threads answer datagrams at each address; without it what `multisocket` says, else one for each core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// How much memory it may take, such as `170Mi`: connections, replies that clients do not take and questions that wait
    /// for upstreams are limited by it. Without it 85 % of what the control group allows, or the machine has.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory_limit: Option<u64>,
    /// A file to write the process id to.
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// List the plugins, and end.
    #[arg(long)]
    plugins: bool,
    /// Print nothing at start.
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// A size in octets, as Kubernetes writes one.
fn size(text: &str) -> Result<u64, String> {
    let octets = headless_objects::quantity::parse(text).filter(|octets| *octets >= 1.0);
    let octets = octets.ok_or("a size was expected, such as 170Mi or 1G")?;
    // The floor of a number of octets: a cast of a float stops at the largest.
    Ok(octets as u64)
}

impl Serve {
    pub(crate) async fn run(self, out: &Lines, form: Form) -> anyhow::Result<()> {
        if self.plugins {
            print(out, plugin::names());
            return Ok(());
        }
        let signals = signals(Program::Server)?;
        let (quiet, start) = (self.quiet, Arc::new(self));
        let first = Arc::clone(&start);
        let bound = unless_stopped(&signals.stop, move || first.begin()).await?;
        let Some(program) = bound else {
            start.forget_pid();
            return Ok(());
        };
        let program = program.inspect_err(|_| start.forget_pid())?;
        if !quiet {
            let version = format!("headless-dns-{}", env!("CARGO_PKG_VERSION"));
            let lines = program.lines().iter().chain([&version]);
            if form == Form::CorednsJson {
                lines.for_each(|line| info!(target: "dns", "{line}"));
            } else {
                print(out, lines);
            }
        }
        let outcome = supervise(program, &start, &signals).await;
        start.forget_pid();
        outcome
    }

    fn forget_pid(&self) {
        if let Some(path) = &self.pidfile {
            // Somebody else may have taken it away.
            let _gone = std::fs::remove_file(path);
        }
    }

    /// The first server, with its sockets bound.
    async fn begin(self: Arc<Self>) -> anyhow::Result<serve::Program> {
        if let Some(path) = &self.pidfile {
            std::fs::write(path, format!("{}\n", std::process::id()))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        self.bind(serve::Kept::default()).await
    }

    /// A server that takes over from another.
    async fn bind(&self, previous: serve::Kept) -> anyhow::Result<serve::Program> {
        let (name, text) = files::corefile(self.conf.as_deref())?;
        let setup = serve::Setup {
            name: &name,
            text: &text,
            source: &files::Files,
            port: self.dns_port,
            interfaces: interface_addresses().context("cannot list the interfaces")?,
            api: Ambient::Server(server(self.kubeconfig.clone())),
            namespaces: lower(&self.namespaces),
            resources: serve::Resources {
                threads: self.threads.map(usize::from),
                memory: self.memory_limit,
            },
            previous,
            beside: None,
        };
        serve::Program::bind(setup).await
    }

    /// What the file says now, with what it imports: the same for the same blocks in the same lines; why there is none
    /// where it has gone. `None`: it was read from the standard input, and cannot be read again.
    fn content(&self) -> Option<String> {
        if self.conf.as_deref() == Some("stdin") {
            return None;
        }
        let (name, text) = match files::corefile(self.conf.as_deref()) {
            Ok(read) => read,
            Err(gone) => return Some(format!("{gone:#}")),
        };
        Some(match corefile::parse(&name, &text, &files::Again) {
            Ok(blocks) => format!("{blocks:?}"),
            Err(_) => text,
        })
    }
}

/// A server at work.
struct Running {
    task: JoinHandle<anyhow::Result<()>>,
    taken_over: CancellationToken,
    kept: serve::Kept,
    reload: Option<Reload>,
}

impl Running {
    fn start(mut program: serve::Program, stop: &CancellationToken) -> Self {
        let taken_over = CancellationToken::new();
        let (kept, reload) = (program.keep(), program.reload());
        Self {
            task: tokio::spawn(program.run_until(stop.clone(), taken_over.clone())),
            taken_over,
            kept,
            reload,
        }
    }
}

/// Serves until a signal. Where the Corefile changes, or SIGUSR1 asks for it, another server takes over between two
/// queries; one that cannot leaves the old one as it is.
async fn supervise(
    program: serve::Program,
    start: &Arc<Serve>,
    signals: &Signals,
) -> anyhow::Result<()> {
    let mut running = Running::start(program, &signals.stop);
    let mut seen = start.content();
    loop {
        let asked = tokio::select! {
            ended = &mut running.task => return ended?,
            () = signals.stop.cancelled() => {
                // A socket that is kept too would not close.
                drop(running.kept);
                return running.task.await?;
            }
            () = signals.reload.notified() => true,
            () = look_again(running.reload) => false,
        };
        let now = start.content();
        if now.is_none() && asked {
            warn!("SIGUSR1: the Corefile cannot be read again, and the old one stays");
        }
        if now.is_none() || !asked && now == seen {
            continue;
        }
        // Who asks for what is there already wants it as new: what caches keep goes, as in CoreDNS.
        let anew = asked && now == seen;
        seen = now;
        let replaced = replace(&mut running, start, signals, anew).await;
        running
            .kept
            .show_content(seen.as_deref().unwrap_or_default());
        match replaced {
            Ok(()) => info!("the Corefile has been read again"),
            Err(why) => {
                running.kept.count_failure();
                error!("the Corefile cannot be used, and the old one stays: {why:#}");
            }
        }
    }
}

/// When the file is looked at again.
async fn look_again(reload: Option<Reload>) {
    let Some(Reload { every, jitter }) = reload else {
        return std::future::pending().await;
    };
    let jitter = jitter.mul_f64(rand::random_range(-0.5..0.5_f64).abs());
    tokio::time::sleep(every.saturating_sub(jitter)).await;
}

/// Has another server take over; `anew`: without what caches keep.
async fn replace(
    running: &mut Running,
    start: &Arc<Serve>,
    signals: &Signals,
    anew: bool,
) -> anyhow::Result<()> {
    let (mut previous, next) = (running.kept.try_clone()?, Arc::clone(start));
    if anew {
        previous.forget();
    }
    let bind = move || async move { next.bind(previous).await };
    let Some(program) = unless_stopped(&signals.stop, bind).await? else {
        return Ok(());
    };
    let program = program?;
    let started = program.started();
    let mut next = Running::start(program, &signals.stop);
    tokio::select! {
        () = started.cancelled() => {}
        ended = &mut next.task => {
            ended??;
            return Ok(());
        }
    }
    let old = std::mem::replace(running, next);
    old.taken_over.cancel();
    // It answers what is at hand; after that all answers are the new one's.
    old.task.await?
}
