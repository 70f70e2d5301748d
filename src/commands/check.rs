//! `check`: what `serve` would make of a Corefile.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use super::{Form, lower, print, server, server_address};
use crate::corefile::{CorefileError, CorefileErrors};
use crate::listen::interface_addresses;
use crate::output::Lines;
use crate::serve::against::{Compared, Difference, against};
use crate::serve::check::{self, Fate, Granted, Report, Verdict};
use crate::serve::{Ambient, Kept, Resources, Setup, files};

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The Corefile; `stdin` for the standard input. Without it ./Corefile, else kubeadm's.
    #[arg(long, value_name = "FILE")]
    conf: Option<String>,
    /// The port of server blocks that name none.
    #[arg(long = "dns.port", short = 'p', value_name = "N", default_value_t = 53)]
    dns_port: u16,
    /// The API server, where the Corefile names none.
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// Only this namespace is watched, where the Corefile's `kubernetes` names none. May be given more than once.
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    namespaces: Vec<String>,
    /// Ask this DNS server for every name of the cluster, and say where it answers otherwise than this Corefile would.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = server_address)]
    against: Option<SocketAddr>,
    /// How it is said.
    #[arg(long, short, value_enum, default_value_t)]
    output: Form,
}

impl Check {
    /// Says what there is to say. The error, where there is one, is what is wrong with the file or which rights are missing.
    pub(crate) async fn run(self, out: &Lines) -> anyhow::Result<()> {
        let (name, text) = files::corefile(self.conf.as_deref())?;
        let setup = Setup {
            name: &name,
            text: &text,
            source: &files::Files,
            port: self.dns_port,
            interfaces: interface_addresses().context("cannot list the interfaces")?,
            api: Ambient::Server(server(self.kubeconfig)),
            namespaces: lower(&self.namespaces),
            resources: Resources::default(),
            previous: Kept::default(),
            beside: None,
        };
        if let Some(server) = self.against {
            return compare(setup, server, self.output, out).await;
        }
        let report = check::check(setup).await;
        match self.output {
            Form::Text => print(out, text_of(&report)),
            Form::Json => print(out, [json_of(&name, &report).to_string()]),
        }
        let refused = report
            .rights
            .iter()
            .filter(|right| right.granted == Ok(false));
        let refused = refused.count();
        match CorefileErrors::of(report.errors) {
            Some(errors) => Err(errors.into()),
            None if refused > 0 => {
                anyhow::bail!("the API server does not grant {refused} of the rights")
            }
            None => Ok(()),
        }
    }
}

/// Says what differs between the Corefile and a server; the error is that something does.
async fn compare(
    setup: Setup<'_>,
    server: SocketAddr,
    form: Form,
    out: &Lines,
) -> anyhow::Result<()> {
    let Compared { asked, differences } = against(setup, server).await?;
    let line = |Difference {
                    name,
                    rtype,
                    ours,
                    theirs,
                }: &Difference| {
        format!("{name} {rtype}\n  this Corefile: {ours}\n  {server}: {theirs}")
    };
    let object = |Difference {
                      name,
                      rtype,
                      ours,
                      theirs,
                  }: &Difference| {
        json!({"name": name, "type": rtype, "corefile": ours, "server": theirs})
    };
    match form {
        Form::Text => {
            print(out, differences.iter().map(line));
            let alike = asked - differences.len();
            print(
                out,
                [format!("{alike} of {asked} questions are answered alike")],
            );
        }
        Form::Json => {
            let differences: Vec<_> = differences.iter().map(object).collect();
            let said = json!({"asked": asked, "differences": differences});
            print(out, [said.to_string()]);
        }
    }
    anyhow::ensure!(
        differences.is_empty(),
        "{} questions are answered otherwise by {server}",
        differences.len()
    );
    Ok(())
}

/// Lines for a person; the errors come after them, each with its place.
fn text_of(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let mut block = None;
    for verdict in &report.directives {
        if block != Some(&verdict.block) {
            lines.push(verdict.block.clone());
            block = Some(&verdict.block);
        }
        lines.push(line_of(verdict));
    }
    if let [Granted { granted: first, .. }, ..] = &report.rights[..] {
        let alike = report.rights.iter().all(|right| right.granted == *first);
        if let (true, Err(why)) = (alike, first) {
            lines.push(format!(
                "the rights that `kubernetes` needs are not known: {why}"
            ));
            return lines;
        }
        lines.push("rights that `kubernetes` needs".to_owned());
    }
    for Granted { right, granted } in &report.rights {
        let place = match &*right.ns {
            "" => String::new(),
            ns => format!(" in {ns}"),
        };
        let object = format!("{} {}{place}", right.verb, right.resource);
        let said = match granted {
            Ok(true) => "granted",
            Ok(false) => "NOT GRANTED",
            Err(why) => &format!("not known: {why}"),
        };
        lines.push(format!("  {object:24} {said}"));
    }
    lines
}

fn line_of(verdict: &Verdict) -> String {
    let fate = match verdict.fate {
        Fate::Supported => "supported",
        Fate::WithoutEffect(why) => &format!("accepted without effect: {why}"),
        Fate::Wrong => "WRONG, see below",
    };
    let (line, _) = verdict.position;
    let place = format!("{}:{line}", verdict.file);
    format!("  {:16} {fate}  ({place})", verdict.name)
}

fn json_of(name: &str, report: &Report) -> Value {
    let directive = |verdict: &Verdict| {
        let (fate, why) = match verdict.fate {
            Fate::Supported => ("supported", None),
            Fate::WithoutEffect(why) => ("without effect", Some(why)),
            Fate::Wrong => ("wrong", None),
        };
        let (line, column) = verdict.position;
        json!({
            "block": verdict.block, "name": verdict.name, "fate": fate, "why": why,
            "file": verdict.file, "line": line, "column": column,
        })
    };
    let error = |error: &CorefileError| {
        let (line, column) = error.position();
        json!({
            "problem": error.problem(), "expected": error.expected(),
            "file": error.file(), "line": line, "column": column,
        })
    };
    let right = |Granted { right, granted }: &Granted| {
        json!({
            "group": right.group, "resource": right.resource, "verb": right.verb,
            "namespace": Some(&*right.ns).filter(|ns| !ns.is_empty()),
            "granted": granted.as_ref().ok(), "why": granted.as_ref().err(),
        })
    };
    json!({
        "corefile": name,
        "directives": report.directives.iter().map(directive).collect::<Vec<_>>(),
        "errors": report.errors.iter().map(error).collect::<Vec<_>>(),
        "rights": report.rights.iter().map(right).collect::<Vec<_>>(),
    })
}
