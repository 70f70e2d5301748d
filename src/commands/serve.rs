//! `serve`: DNS from a cluster's state, with CoreDNS's arguments.

use std::path::PathBuf;

use anyhow::Context;

use super::{print, server};
use crate::listen::interface_addresses;
use crate::output::Lines;
use crate::plugin;
use crate::serve::{self, Ambient, files};
use crate::signals::{Program, stop_signal, unless_stopped};

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The Corefile; `stdin` for the standard input. Without it ./Corefile, else kubeadm's.
    #[arg(long, value_name = "FILE")]
    pub(crate) conf: Option<String>,
    /// The port of server blocks that name none.
    #[arg(long = "dns.port", short = 'p', value_name = "N", default_value_t = 53)]
    pub(crate) dns_port: u16,
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
    pub(crate) quiet: bool,
}

impl Serve {
    pub(crate) async fn run(self, out: &Lines) -> anyhow::Result<()> {
        if self.plugins {
            print(out, plugin::names());
            return Ok(());
        }
        let stop = stop_signal(Program::Server)?;
        let quiet = self.quiet;
        let Some(program) = unless_stopped(&stop, || self.start()).await? else {
            return Ok(());
        };
        let program = program?;
        if !quiet {
            print(out, program.lines());
            print(out, [format!("headless-dns-{}", env!("CARGO_PKG_VERSION"))]);
        }
        program.run(stop).await
    }

    /// The server, with its sockets bound.
    async fn start(self) -> anyhow::Result<serve::Program> {
        if let Some(path) = &self.pidfile {
            std::fs::write(path, format!("{}\n", std::process::id()))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        let (name, text) = files::corefile(self.conf.as_deref())?;
        let setup = serve::Setup {
            name: &name,
            text: &text,
            source: &files::Files,
            port: self.dns_port,
            interfaces: interface_addresses().context("cannot list the interfaces")?,
            api: Ambient::Server(server(self.kubeconfig)),
        };
        serve::Program::bind(setup).await
    }
}
