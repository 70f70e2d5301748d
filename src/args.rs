//! The command line: ours, and CoreDNS's own flags in both of their forms.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use anyhow::Context;
use clap::builder::FalseyValueParser;
use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::describe::{Completion, Manual};
use crate::commands::{
    apiserver::Apiserver, check::Check, etcd::Etcd, history::Told, reconcile::Reconcile,
    sandbox::Sandbox, serve::Serve, top::Top, wait::Wait, watch::Watch, why::Why,
};
use crate::logging::{self, Form};
use crate::nslookup;
use crate::output::{self, Lines};
use crate::process;

/// What is logged by default. Kube's own lines repeat at every try what is logged once here.
const DEFAULT_LOG: &str = "info,kube_client=off,kube_runtime=off,hyper=warn,tower=warn";

/// What was to be said could not be written (sysexits.h: `EX_IOERR`).
const UNWRITTEN: u8 = 74;

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
    #[arg(long, global = true, env = "HEADLESS_DNS_LOG_JSON", value_parser = FalseyValueParser::new())]
    log_json: bool,
    /// The form of all lines; CoreDNS's: `json` writes those of `log` and `errors` as JSON to standard output.
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer DNS from a cluster's state. Takes CoreDNS's arguments; without a subcommand this is what runs.
    Serve(Serve),
    /// Say what `serve` would make of a Corefile: each directive's fate, all that is wrong, the rights it needs.
    Check(Check),
    /// Look after every StatefulSet of a cluster that has no controller for them.
    Reconcile(Reconcile),
    /// Run a small cluster in this process, with its names answered: nothing but this program is needed.
    Sandbox(Box<Sandbox>),
    /// Stand in for kube-apiserver in a test suite that starts one: the embedded cluster, without controllers unless they are asked for.
    Apiserver(Box<Apiserver>),
    /// Stand in for etcd beside `apiserver`: it keeps nothing.
    Etcd(Etcd),
    /// Wait until names answer as they shall, asking any DNS server, and say what is missing meanwhile.
    Wait(Wait),
    /// Say why a name has the answer that it has, from the objects of any cluster, and what mends it.
    Why(Why),
    /// Say what a name led to, and which object's change made it so, as a server with `admin` remembers it.
    History(Told),
    /// Say who asks what, as a server with `admin` has counted it: names, clients, denied names, names of search lists.
    Top(Top),
    /// Show what a server with `admin` knows of names in the terminal, live: Services, names, changes, why, who asks what.
    Watch(Watch),
    /// Print what a shell needs to complete this program's arguments.
    Completion(Completion),
    /// Print a manual page: `headless-dns man | man -l -`.
    Man(Manual),
}

impl Command {
    /// Whether all that it does is to say something and to end; no signal is handled meanwhile.
    fn is_said_at_once(&self) -> bool {
        match self {
            Self::Check(_)
            | Self::Why(_)
            | Self::History(_)
            | Self::Top(_)
            | Self::Completion(_)
            | Self::Man(_) => true,
            Self::Serve(_)
            | Self::Reconcile(_)
            | Self::Sandbox(_)
            | Self::Apiserver(_)
            | Self::Etcd(_)
            | Self::Wait(_)
            | Self::Watch(_) => false,
        }
    }
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
    "-log-format",
    "-output",
    "-help",
];

/// Puts arguments into the form clap takes: two dashes, and a subcommand.
fn normalised(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<OsString> = arguments.into_iter().map(two_dashes).collect();
    let text = |at: usize| all.get(at).and_then(|argument| argument.to_str());
    let mut at = 1;
    while let Some(width) = text(at).and_then(general_option) {
        at += width;
    }
    let ends = ["--version", "-V", "--help", "-h", "help"];
    let ours = Args::command();
    let is_command = |word: &str| ours.find_subcommand(word).is_some() || ends.contains(&word);
    if let Some(stands_in) = text(0).and_then(stands_in) {
        all.insert(1, stands_in.into());
    } else if !text(at).is_some_and(is_command) {
        all.insert(at.min(all.len()), "serve".into());
    }
    all
}

/// The subcommand of a program that is called by the name of another, as `apiserver --assets` has it called.
fn stands_in(program: &str) -> Option<&'static str> {
    match program.rsplit('/').next() {
        Some("kube-apiserver") => Some("apiserver"),
        Some("etcd") => Some("etcd"),
        _ => None,
    }
}

fn two_dashes(argument: OsString) -> OsString {
    let flag = argument.to_str().and_then(|text| text.split('=').next());
    if !flag.is_some_and(|flag| ONE_DASH.contains(&flag)) {
        return argument;
    }
    let mut long = OsString::from("-");
    long.push(argument);
    long
}

/// How many words `word`'s option takes, if it is one that may come before the subcommand.
fn general_option(word: &str) -> Option<usize> {
    match word {
        "--log" | "--log-format" => Some(2),
        "--log-json" => Some(1),
        word if word.starts_with("--log=") || word.starts_with("--log-format=") => Some(1),
        _ => None,
    }
}

/// The whole program: arguments in, exit code out.
#[must_use]
pub fn main() -> ExitCode {
    // Before anything else has begun: these have their own work.
    if let Some(code) = headless_node::reexecuted().or_else(nslookup::run) {
        return code;
    }
    let args = match Args::try_parse_from(normalised(std::env::args_os())) {
        Ok(args) => args,
        // Help and the version are asked for, and not wrong.
        Err(told) => {
            let lines = if told.use_stderr() {
                output::stderr(false)
            } else {
                output::stdout()
            };
            lines.push(told.render().to_string().into_bytes());
            // Nobody is left to be told.
            let _gone = lines.finish();
            return ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(2));
        }
    };
    args.run()
}

impl Args {
    /// Does what they say; what goes wrong is the last word on standard error.
    fn run(self) -> ExitCode {
        let form = self.form();
        let out = match self.command.is_said_at_once() {
            true => output::whole_stdout(),
            false => output::stdout(),
        };
        let err = output::stderr(form != Form::Text);
        let outcome = self.begin(&out, &err, form);
        let mut code = match outcome {
            Ok(code) => code,
            Err(error) => {
                let words = process::whole(error.as_ref());
                err.push(format!("{words}\n").into_bytes());
                ExitCode::FAILURE
            }
        };
        // A reader that has gone has read enough.
        if let Err(error) = out.finish()
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            err.push(format!("cannot write to standard output: {error}\n").into_bytes());
            code = UNWRITTEN.into();
        }
        // Nobody is left to be told.
        let _gone = err.finish();
        code
    }

    fn form(&self) -> Form {
        match (self.log_format, self.log_json) {
            (LogFormat::Json, _) => Form::CorednsJson,
            (LogFormat::Text, true) => Form::Json,
            (LogFormat::Text, false) => Form::Text,
        }
    }

    fn begin(self, out: &Lines, err: &Lines, form: Form) -> anyhow::Result<ExitCode> {
        logging::start(out, err, &self.log, form)?;
        process::raise_file_limit();
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        let outcome = runtime.block_on(async {
            let done = match self.command {
                Command::Wait(args) => return args.run(out, err).await,
                Command::Why(args) => return args.run(out, err).await,
                Command::Serve(args) => args.run(out, form).await,
                Command::Check(args) => args.run(out).await,
                Command::Reconcile(args) => args.run().await,
                Command::History(args) => args.run(out).await,
                Command::Top(args) => args.run(out).await,
                Command::Watch(args) => args.run().await,
                Command::Sandbox(args) => args.run(out).await,
                Command::Apiserver(args) => args.run(out).await,
                Command::Etcd(args) => args.run(out).await,
                Command::Completion(args) => {
                    args.run(&mut Self::command(), out);
                    Ok(())
                }
                Command::Man(args) => args.run(&mut Self::command(), out),
            };
            done.map(|()| ExitCode::SUCCESS)
        });
        // Threads that still read a file or look up a host's name are not waited for, and not told: the program ends.
        std::mem::forget(runtime);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn coredns_s_own_arguments_work_in_both_forms_and_mean_serve() {
        for (given, wanted) in [
            ("x -conf f -dns.port=54", "x serve --conf f --dns.port=54"),
            ("x --conf f -p 54", "x serve --conf f -p 54"),
            ("x", "x serve"),
            ("/a/etcd --name b", "/a/etcd etcd --name b"),
            ("/a/kube-apiserver", "/a/kube-apiserver apiserver"),
            ("x serve -conf f", "x serve --conf f"),
            ("x -version", "x --version"),
            ("x --log-json reconcile", "x --log-json reconcile"),
            ("x --log debug --log-json", "x --log debug --log-json serve"),
            ("x --log=debug -conf f", "x --log=debug serve --conf f"),
            (
                "x -log-format=json -conf f",
                "x --log-format=json serve --conf f",
            ),
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
