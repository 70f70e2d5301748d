//! The command line: ours, and CoreDNS's own flags in both of their forms.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::api::Server;
use crate::corefile::go_duration;
use crate::listen::interface_addresses;
use crate::output::{self, Lines};
use crate::plugin;
use crate::reconcile::{self, LeaseName};
use crate::sandbox;
use crate::serve::{self, Ambient, files};
use crate::signals::{Program, stop_signal};
use headless_cluster::Delays;

/// What is logged by default. Kube's own lines repeat at every try what is logged once here.
const DEFAULT_LOG: &str =
    "info,kube_client=off,kube_runtime=off,hickory_server=warn,hyper=warn,tower=warn";

/// A name that follows each Pod: DNS from Kubernetes state.
#[derive(Debug, Parser)]
#[command(name = "headless-dns", version, about)]
pub struct Args {
    /// What is logged, as `RUST_LOG` would say it.
    #[arg(
        long,
        global = true,
        env = "HEADLESS_DNS_LOG",
        default_value = DEFAULT_LOG
    )]
    log: String,
    /// Log lines as JSON.
    #[arg(long, global = true, env = "HEADLESS_DNS_LOG_JSON")]
    log_json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer DNS from a cluster's state. Takes CoreDNS's arguments; without a subcommand this is what runs.
    Serve(Serve),
    /// Look after every StatefulSet of a cluster that has no controller for them.
    Reconcile(Reconcile),
    /// Run a small cluster in this process, with its names answered: nothing but this program is needed.
    Sandbox(Sandbox),
}

#[derive(Debug, clap::Args)]
struct Reconcile {
    /// The API server; without it that of the cluster we run in, else $KUBECONFIG or ~/.kube/config.
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// Work only while we hold this Lease, for several that run beside each other.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    lease: Option<LeaseName>,
}

#[derive(Debug, clap::Args)]
struct Sandbox {
    /// What to apply; a headless Service and a StatefulSet of three redis Pods without it.
    manifest: Vec<PathBuf>,
    /// Where DNS is answered, over UDP and TCP.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1053")]
    dns: SocketAddr,
    /// Where the Kubernetes API is served, over TLS, to holders of the kubeconfig. Port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    api: SocketAddr,
    /// The kubeconfig to write; it goes when the sandbox ends.
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// How long a Pod takes to become Ready, such as `300ms`.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    start_delay: Duration,
    /// How long a Pod takes to end.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    stop_delay: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    go_duration(text).ok_or_else(|| "a duration such as 5s or 300ms was expected".into())
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// The Corefile; `stdin` for the standard input. Without it ./Corefile, else kubeadm's.
    #[arg(long, value_name = "FILE")]
    conf: Option<String>,
    /// The port of server blocks that name none.
    #[arg(long = "dns.port", short = 'p', value_name = "N", default_value_t = 53)]
    dns_port: u16,
    /// The API server, where the Corefile names none.
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// A file to write the process id to.
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// List the plugins, and end.
    #[arg(long)]
    plugins: bool,
    /// Print nothing at start.
    #[arg(long)]
    quiet: bool,
}

/// CoreDNS's flags: Go takes them with one dash or two.
const ONE_DASH: &[&str] = &[
    "-conf",
    "-dns.port",
    "-pidfile",
    "-plugins",
    "-quiet",
    "-version",
    "-kubeconfig",
    "-help",
];

const SUBCOMMANDS: &[&str] = &["serve", "reconcile", "sandbox", "help"];

/// Puts arguments into the form clap takes: two dashes, and a subcommand.
fn normalised(arguments: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = arguments
        .into_iter()
        .map(|argument| {
            let flag = argument.split('=').next().unwrap_or_default();
            if ONE_DASH.contains(&flag) {
                format!("-{argument}")
            } else {
                argument
            }
        })
        .collect();
    let general = ["--version", "-V", "--help", "-h"];
    if !all.get(1).is_some_and(|first| {
        SUBCOMMANDS.contains(&first.as_str()) || general.contains(&first.as_str())
    }) {
        all.insert(1.min(all.len()), "serve".into());
    }
    all
}

impl Args {
    /// Reads the arguments; prints help or an error and ends where they ask for it or are wrong.
    #[must_use]
    pub fn read() -> Self {
        Self::parse_from(normalised(std::env::args()))
    }

    /// Does what they say; what goes wrong is the last word on standard error.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let (out, err) = (output::stdout(), output::stderr(self.log_json));
        let outcome = self.begin(&out, &err);
        let code = match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                err.push(format!("{}\n", serve::whole(error.as_ref())).into_bytes());
                ExitCode::FAILURE
            }
        };
        out.finish();
        err.finish();
        code
    }

    fn begin(self, out: &Lines, err: &Lines) -> anyhow::Result<()> {
        let filter =
            EnvFilter::try_new(&self.log).with_context(|| format!("--log {}", self.log))?;
        let writer = err.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(move || writer.clone());
        if self.log_json {
            subscriber.json().init()
        } else {
            subscriber.init()
        }
        log_panics();
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        runtime.block_on(async {
            match self.command {
                Command::Serve(args) => args.run(out).await,
                Command::Reconcile(args) => {
                    let server = server(args.kubeconfig);
                    reconcile::run(&server, args.lease, stop_signal(Program::Server)?).await
                }
                Command::Sandbox(args) => args.run(out).await,
            }
        })
    }
}

/// A panic is an event like others: standard error may be somebody who does not read.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, "panicked: {message}");
    }));
}

impl Serve {
    async fn run(self, out: &Lines) -> anyhow::Result<()> {
        if self.plugins {
            print(out, plugin::names());
            return Ok(());
        }
        if let Some(path) = &self.pidfile {
            std::fs::write(path, format!("{}\n", std::process::id()))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        let stop = stop_signal(Program::Server)?;
        let (name, text) = files::corefile(self.conf.as_deref())?;
        let setup = serve::Setup {
            name: &name,
            text: &text,
            source: &files::Files,
            port: self.dns_port,
            interfaces: interface_addresses().context("cannot list the interfaces")?,
            api: Ambient::Server(server(self.kubeconfig)),
        };
        let program = serve::Program::bind(setup).await?;
        if !self.quiet {
            print(out, program.lines());
            print(out, [format!("headless-dns-{}", env!("CARGO_PKG_VERSION"))]);
        }
        program.run(stop).await
    }
}

/// The API server that a kubeconfig names, or the one there is.
fn server(kubeconfig: Option<PathBuf>) -> Server {
    kubeconfig.map_or(Server::Ambient, |file| Server::Kubeconfig {
        file,
        context: None,
    })
}

impl Sandbox {
    async fn run(self, out: &Lines) -> anyhow::Result<()> {
        let stop = stop_signal(Program::Sandbox)?;
        let mut manifests = Vec::new();
        for path in &self.manifest {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            manifests.push((path.display().to_string(), text));
        }
        if manifests.is_empty() {
            manifests.push(("config/redis.yaml".into(), sandbox::REDIS.into()));
        }
        let options = sandbox::Options {
            manifests,
            dns: self.dns,
            api: self.api,
            delays: Delays {
                start: self.start_delay,
                stop: self.stop_delay,
            },
        };
        sandbox::narrate(options, self.kubeconfig, stop, |line| print(out, [line])).await
    }
}

/// Lines for a person, on standard output.
fn print<L: AsRef<str>>(out: &Lines, lines: impl IntoIterator<Item = L>) {
    for line in lines {
        out.push(format!("{}\n", line.as_ref()).into_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn coredns_s_own_arguments_work_in_both_forms_and_mean_serve() {
        for (given, wanted) in [
            ("x -conf f -dns.port=54", "x serve --conf f --dns.port=54"),
            ("x --conf f -p 54", "x serve --conf f -p 54"),
            ("x", "x serve"),
            ("x serve -conf f", "x serve --conf f"),
            ("x -version", "x --version"),
        ] {
            assert_eq!(normalised(words(given)), words(wanted));
        }
        let args =
            Args::try_parse_from(normalised(words("x -conf f -dns.port=54 -quiet"))).unwrap();
        let Command::Serve(serve) = args.command else {
            panic!("not serve")
        };
        assert_eq!(
            (serve.conf.as_deref(), serve.dns_port, serve.quiet),
            (Some("f"), 54, true)
        );
    }
}
