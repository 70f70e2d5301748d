//! `why`: the way of a name through a cluster's objects, and what mends it where it has no answer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use headless_objects::age;
use headless_objects::object::array;
use jiff::Timestamp;
use serde_json::Value;

use super::asked::{Admin, texts};
use super::{Form, admin_address, domain_name, print, qtype, server};
use crate::api::connect;
use crate::message::question::RecordType;
use crate::name::Name;
use crate::output::Lines;
use crate::process::whole;
use crate::serve::walk::{Walk, meant};

/// What stands before the reason where the cluster's DNS says nothing of the name.
pub(super) const UNASKED: &str = "no answer here";

/// The API server does not say enough.
const UNKNOWN: u8 = 3;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 the name has an answer; 1 it has none; 2 the command line is wrong; 3 the API server does not \
    say enough, or the server that is to ask it does not answer; 74 standard output cannot be written."
)]
pub(crate) struct Why {
    /// The name, as a program in the Pod of --from would look it up.
    name: String,
    /// The type of record; without it A, and PTR where the name is an address.
    #[arg(long = "type", value_name = "TYPE", value_parser = qtype)]
    qtype: Option<RecordType>,
    /// Who asks: a Pod as `NAME` (of the namespace `default`) or `NAMESPACE/NAME`, or the IP of one. Its search list and its
    /// dnsPolicy count. Without it: a Pod of `default` without settings of its own.
    #[arg(long, value_name = "POD|IP")]
    from: Option<String>,
    /// The API server; without it the one there is.
    #[arg(long, value_name = "PATH", conflicts_with = "server")]
    kubeconfig: Option<PathBuf>,
    /// The `admin` of a server of ours, which asks its own API server: no rights are needed here.
    #[arg(long, value_name = "ADDR:PORT", value_parser = admin_address)]
    server: Option<SocketAddr>,
    /// A file that holds the token, where that server wants one.
    #[arg(long, value_name = "FILE", requires = "server")]
    token: Option<PathBuf>,
    /// The cluster's domain; a server that is asked knows it.
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local", value_parser = domain_name, conflicts_with = "server")]
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
            Form::Text => print(out, text_of(&report)),
            Form::Json => print(out, [report.to_string()]),
        }
        Ok(match report["cause"].is_null() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    async fn report(&self) -> anyhow::Result<Value> {
        let Some(server) = self.server else {
            return self.walked().await;
        };
        let (token, qtype) = (
            self.token.clone(),
            self.qtype.map(|qtype| qtype.to_string()),
        );
        let mut asked = vec![("name", self.name.as_str())];
        asked.extend(qtype.as_deref().map(|qtype| ("type", qtype)));
        asked.extend(self.from.as_deref().map(|from| ("from", from)));
        Admin { server, token }.ask("/walk", &asked).await
    }

    async fn walked(&self) -> anyhow::Result<Value> {
        let client = connect(&server(self.kubeconfig.clone()), None).await?;
        let (name, qtype) = meant(&self.name, self.qtype);
        let walk = Walk {
            name: &name,
            qtype,
            from: self.from.as_deref(),
            domain: &self.cluster_domain,
        };
        // The clock enters here, for the objects' ages.
        let report = walk.report(&client, Timestamp::now()).await?;
        Ok(report.json(qtype))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A report as lines for a person.
pub(super) fn text_of(report: &Value) -> Vec<String> {
    let mut lines = vec![format!(
        "{} {}",
        text(&report["name"]),
        text(&report["type"])
    )];
    let tried = texts(&report["tried"], " ");
    if !tried.is_empty() {
        lines.push(format!("  tried too: {tried}"));
    }
    for step in array(&report["steps"]) {
        let (seen, says) = (&step["object"], text(&step["says"]));
        if seen.is_null() {
            lines.push(format!("  {says}"));
            continue;
        }
        // An object that a clock has made which is ahead has no age yet.
        let old = seen["age"]
            .as_i64()
            .map(|old| age(old.try_into().unwrap_or(0)));
        let old = old.map(|old| format!(", {old}")).unwrap_or_default();
        let [kind, name, version] = ["kind", "name", "resourceVersion"].map(|key| text(&seen[key]));
        lines.push(format!("  {kind} {name} (version {version}{old}) {says}"));
    }
    let asked = &report["asked"];
    if let Some(rcode) = asked["rcode"].as_str() {
        let answer = array(&asked["answer"]).map(|record| text(&record["data"]));
        let answer = answer.collect::<Vec<_>>().join(", ");
        lines.push(
            format!("  this server answers {rcode} {answer}")
                .trim_end()
                .to_owned(),
        );
    }
    let cause = &report["cause"];
    if cause.is_null() {
        lines.push(format!("answer: {}", texts(&report["answer"], ", ")));
    } else {
        let denial = cause["denial"].as_str().unwrap_or(UNASKED);
        lines.push(format!("{denial}: {}", text(&cause["says"])));
        lines.push(format!("mend: {}", text(&cause["mend"])));
    }
    // A message of more lines than one makes no line of its own.
    lines.iter().map(|line| line.replace('\n', " ")).collect()
}
