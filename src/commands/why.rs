//! `why`: the way of a name through a cluster's objects, and what mends it where it has no answer.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Form, domain_name, print, qtype, server};
use crate::api::{self, Client, connect, list};
use crate::message::question::RecordType;
use crate::name::Name;
use crate::output::Lines;
use crate::process::whole;
use crate::why::{Objects, Outcome, Question, Report, Seen, explain};

/// The API server does not say enough.
const UNKNOWN: u8 = 3;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 the name has an answer; 1 it has none; 2 the command line is wrong; 3 the API server does not \
    say enough."
)]
pub(crate) struct Why {
    /// The name, as a program in the Pod of --from would look it up.
    name: String,
    /// The type of record.
    #[arg(long = "type", value_name = "TYPE", default_value = "A", value_parser = qtype)]
    qtype: RecordType,
    /// Who asks: a Pod as `NAME` (of the namespace `default`) or `NAMESPACE/NAME`, or the IP of one. Its search list and its
    /// dnsPolicy count. Without it: a Pod of `default` without settings of its own.
    #[arg(long, value_name = "POD|IP")]
    from: Option<String>,
    /// The API server; without it the one there is.
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// The cluster's domain.
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local", value_parser = domain_name)]
    cluster_domain: Name,
    /// How it is said.
    #[arg(long, short, value_enum, default_value_t)]
    output: Form,
}

impl Why {
    /// Says the way, and where it ends.
    ///
    /// # Errors
    /// None: what goes wrong is said on `err`, and has a code of its own.
    pub(crate) async fn run(self, out: &Lines, err: &Lines) -> anyhow::Result<ExitCode> {
        let report = match self.report().await {
            Ok(report) => report,
            Err(error) => {
                print(err, [whole(error.as_ref())]);
                return Ok(UNKNOWN.into());
            }
        };
        match self.output {
            Form::Text => print(out, text_of(&report, self.qtype)),
            Form::Json => print(out, [json_of(&report, self.qtype).to_string()]),
        }
        Ok(match report.outcome {
            Outcome::Answer(_) => ExitCode::SUCCESS,
            Outcome::Denied(_) => ExitCode::FAILURE,
        })
    }

    async fn report(&self) -> anyhow::Result<Report> {
        let client = connect(&server(self.kubeconfig.clone()), None).await?;
        let mut objects = Objects::default();
        let from = match &self.from {
            None => None,
            Some(from) => Some(asking(&client, from).await?),
        };
        let own = from
            .as_ref()
            .map_or("default", |pod| text(&pod["metadata"]["namespace"]));
        gather(&client, &self.name, own, &mut objects).await?;
        let question = Question {
            text: &self.name,
            qtype: self.qtype,
            from: from.as_ref(),
            domain: &self.cluster_domain,
        };
        // The clock enters here, for the objects' ages.
        Ok(explain(&objects, &question, Timestamp::now()))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// All objects of a kind, in a namespace or in all.
async fn all(client: &Client, api: &str, ns: &str, kind: &str) -> anyhow::Result<Vec<Value>> {
    let path = match ns {
        "" => format!("/{api}/{kind}"),
        ns => format!("/{api}/namespaces/{ns}/{kind}"),
    };
    let listed = list(client, &path).await;
    listed.map_err(|error| anyhow::anyhow!("cannot list {kind}: {}", api::explain(&error)))
}

/// The Pod that asks.
async fn asking(client: &Client, from: &str) -> anyhow::Result<Value> {
    let ip: Option<IpAddr> = from.parse().ok();
    let (ns, called) = from.split_once('/').unwrap_or(("default", from));
    let space = if ip.is_some() { "" } else { ns };
    let pods = all(client, "api/v1", space, "pods").await?;
    let is_it = |pod: &Value| match ip {
        Some(ip) => text(&pod["status"]["podIP"]).parse() == Ok(ip),
        None => pod["metadata"]["name"] == called,
    };
    let found = pods.into_iter().find(is_it);
    found.with_context(|| format!("there is no Pod {from}"))
}

/// Lists what a name may have to do with: all namespaces and Services, and the other kinds of the namespaces that the name
/// and the aliases among the Services may mean; of an address those of all.
async fn gather(
    client: &Client,
    name: &str,
    own: &str,
    objects: &mut Objects,
) -> anyhow::Result<()> {
    let namespaces = all(client, "api/v1", "", "namespaces").await;
    let services = all(client, "api/v1", "", "services").await;
    let mut labels: BTreeSet<String> = labels_of(name).collect();
    labels.insert(own.to_owned());
    match services {
        Ok(services) => objects.services = services,
        // A Role in the namespaces that are meant is enough.
        Err(error) => {
            for label in &labels {
                let some = all(client, "api/v1", label, "services").await;
                objects.services.extend(some.unwrap_or_default());
            }
            anyhow::ensure!(!objects.services.is_empty(), error);
        }
    }
    for service in &objects.services {
        labels.extend(labels_of(text(&service["spec"]["externalName"])));
    }
    objects.namespaces = match namespaces {
        Ok(namespaces) => namespaces,
        Err(_) => known_by(&objects.services),
    };
    let names = objects
        .namespaces
        .iter()
        .map(|space| text(&space["metadata"]["name"]));
    let meant: Vec<String> = match is_address(name) {
        true => vec![String::new()],
        false => names
            .filter(|name| labels.contains(*name))
            .map(str::to_owned)
            .collect(),
    };
    for space in meant {
        objects
            .pods
            .extend(all(client, "api/v1", &space, "pods").await?);
        let slices = all(client, "apis/discovery.k8s.io/v1", &space, "endpointslices").await?;
        objects.slices.extend(slices);
        // These say why; without the right to them less is said.
        let endpoints = all(client, "api/v1", &space, "endpoints").await;
        objects.endpoints.extend(endpoints.unwrap_or_default());
        let sets = all(client, "apis/apps/v1", &space, "statefulsets").await;
        objects.sets.extend(sets.unwrap_or_default());
    }
    Ok(())
}

fn labels_of(name: &str) -> impl Iterator<Item = String> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    labels.map(str::to_ascii_lowercase)
}

fn is_address(name: &str) -> bool {
    name.trim_end_matches('.')
        .to_ascii_lowercase()
        .ends_with(".arpa")
}

/// The namespaces of objects, where Namespaces themselves may not be listed.
fn known_by(services: &[Value]) -> Vec<Value> {
    let names = services
        .iter()
        .map(|service| text(&service["metadata"]["namespace"]));
    let names: BTreeSet<&str> = names.collect();
    let namespace = |name: &&str| json!({"metadata": {"name": name}});
    names.iter().map(namespace).collect()
}

/// An age as `kubectl` writes it.
fn age(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn text_of(report: &Report, qtype: RecordType) -> Vec<String> {
    let mut lines = vec![format!("{} {qtype}", report.name)];
    if !report.tried.is_empty() {
        lines.push(format!("  tried too: {}", report.tried.join(" ")));
    }
    for step in &report.steps {
        lines.push(match &step.object {
            Some(Seen {
                kind,
                name,
                version,
                age: old,
            }) => {
                let old = old.map(|old| format!(", {}", age(old))).unwrap_or_default();
                format!("  {kind} {name} (version {version}{old}) {}", step.says)
            }
            None => format!("  {}", step.says),
        });
    }
    match &report.outcome {
        Outcome::Answer(data) => lines.push(format!("answer: {}", data.join(", "))),
        Outcome::Denied(cause) => {
            let rcode = if cause.exists { "NODATA" } else { "NXDOMAIN" };
            lines.push(format!("{rcode}: {}", cause.says));
            lines.push(format!("mend: {}", cause.mend));
        }
    }
    lines
}

fn json_of(report: &Report, qtype: RecordType) -> Value {
    let steps = report.steps.iter().map(|step| {
        let object = step.object.as_ref().map(|seen| {
            json!({"kind": seen.kind, "name": seen.name, "resourceVersion": seen.version, "age": seen.age})
        });
        json!({"object": object, "says": step.says})
    });
    let steps: Vec<_> = steps.collect();
    let (answer, cause) = match &report.outcome {
        Outcome::Answer(data) => (Some(data), None),
        Outcome::Denied(cause) => (None, Some(cause)),
    };
    let cause = cause.map(|cause| {
        json!({"key": cause.key, "exists": cause.exists, "says": cause.says, "mend": cause.mend})
    });
    json!({
        "name": report.name, "type": qtype.to_string(), "tried": report.tried, "steps": steps,
        "answer": answer, "cause": cause,
    })
}
