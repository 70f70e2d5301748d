//! `history`: what a name led to, as a server remembers it.

use std::time::Duration;

use headless_objects::object::array;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::asked::{Admin, texts};
use super::{Form, duration, print};
use crate::output::Lines;

#[derive(Debug, clap::Args)]
pub(crate) struct Told {
    /// The name, with its zone: `redis-0.redis.default.svc.cluster.local`.
    name: String,
    /// Only changes of the last while, such as `10m`.
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "at")]
    since: Option<Duration>,
    /// What it led to at this time, such as `2026-01-01T00:00:00Z`, or so long ago.
    #[arg(long, value_name = "TIME|DURATION", value_parser = time)]
    at: Option<Timestamp>,
    #[command(flatten)]
    admin: Admin,
    /// How it is said.
    #[arg(long, short, value_enum, default_value_t)]
    output: Form,
}

fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(ago) = duration(text) {
        return Ok(before(ago));
    }
    let expected =
        |_| "a time such as 2026-01-01T00:00:00Z, or a duration such as 10m, was expected";
    text.parse()
        .map_err(|error: jiff::Error| expected(error).to_owned())
}

fn before(ago: Duration) -> Timestamp {
    let ago = SignedDuration::try_from(ago).unwrap_or(SignedDuration::MAX);
    Timestamp::now().checked_sub(ago).unwrap_or(Timestamp::MIN)
}

impl Told {
    /// Says it.
    ///
    /// # Errors
    /// A server that does not answer, or does not know the name's zone.
    pub(crate) async fn run(self, out: &Lines) -> anyhow::Result<()> {
        let since = self.since.map(before).map(|time| time.to_string());
        let at = self.at.map(|time| time.to_string());
        let mut asked = vec![("name", self.name.as_str())];
        asked.extend(since.as_deref().map(|time| ("since", time)));
        asked.extend(at.as_deref().map(|time| ("at", time)));
        let told = self.admin.ask("/history", &asked).await?;
        match self.output {
            Form::Json => print(out, [told.to_string()]),
            Form::Text => print(out, text_of(&told)),
        }
        Ok(())
    }
}

fn targets(value: &Value) -> String {
    let targets = texts(value, " ");
    if targets.is_empty() {
        "none".to_owned()
    } else {
        targets
    }
}

fn text_of(told: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let begins = text(&told["begins"]);
    if let Some(at) = told["at"].as_str() {
        return vec![if told["answer"].is_null() {
            format!("{at}  not known: the history begins at {begins}")
        } else {
            format!("{at}  {}", targets(&told["answer"]))
        }];
    }
    let mut lines = vec![format!("{begins}  the history begins")];
    for change in array(&told["changes"]) {
        let signed = |sign: char, key: &str| {
            let targets = array(&change[key]).filter_map(Value::as_str);
            targets
                .map(move |target| format!("{sign}{target}"))
                .collect::<Vec<_>>()
        };
        let deltas = [signed('+', "added"), signed('-', "removed")]
            .concat()
            .join(" ");
        let [at, kind, object, version] =
            ["at", "kind", "object", "resourceVersion"].map(|key| text(&change[key]));
        lines.push(format!(
            "{at}  {deltas}  ({kind} {object}, version {version})"
        ));
    }
    lines.push(format!("now  {}", targets(&told["now"])));
    lines
}
