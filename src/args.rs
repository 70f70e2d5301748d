//! The command line: ours, and CoreDNS's own flags in both of their forms.

use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{reconcile::Reconcile, sandbox::Sandbox, serve::Serve};
use crate::output::{self, Lines};
use crate::process;

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
    let general = ["--version", "-V", "--help", "-h", "help"];
    let ours = Args::command();
    let is_command =
        |first: &str| ours.find_subcommand(first).is_some() || general.contains(&first);
    if !all.get(1).is_some_and(|first| is_command(first)) {
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
                let words = process::whole(error.as_ref());
                err.push(format!("{words}\n").into_bytes());
                ExitCode::FAILURE
            }
        };
        out.finish();
        err.finish();
        code
    }

    fn begin(self, out: &Lines, err: &Lines) -> anyhow::Result<()> {
        process::log(err, &self.log, self.log_json)?;
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        runtime.block_on(async {
            match self.command {
                Command::Serve(args) => args.run(out).await,
                Command::Reconcile(args) => args.run().await,
                Command::Sandbox(args) => args.run(out).await,
            }
        })
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
