//! `top`: who asks what, as a server has counted it.

use headless_objects::object::array;
use serde_json::Value;

use super::asked::{Admin, texts};
use super::{Form, print};
use crate::output::Lines;

/// Which list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum By {
    /// Names that are asked for.
    #[default]
    Name,
    /// Clients that ask, and their Pods where Pods are watched.
    Client,
    /// Names that are denied.
    Negative,
    /// Names that resolvers have tried with their search list, and what `ndots:2` would change of each.
    Search,
}

impl By {
    /// What a server calls it.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Client => "client",
            Self::Negative => "negative",
            Self::Search => "search",
        }
    }

    /// The list behind it; the first behind the last.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Name => Self::Client,
            Self::Client => Self::Negative,
            Self::Negative => Self::Search,
            Self::Search => Self::Name,
        }
    }

    /// The list before it.
    pub(super) fn previous(self) -> Self {
        self.next().next().next()
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Top {
    /// Which list.
    #[arg(long, value_enum, default_value_t)]
    by: By,
    /// How many lines.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    admin: Admin,
    /// How it is said.
    #[arg(long, short, value_enum, default_value_t)]
    output: Form,
}

impl Top {
    /// Says it.
    ///
    /// # Errors
    /// A server that does not answer.
    pub(crate) async fn run(self, out: &Lines) -> anyhow::Result<()> {
        let limit = self.limit.to_string();
        let asked = [("by", self.by.key()), ("limit", limit.as_str())];
        let told = self.admin.ask("/top", &asked).await?;
        match self.output {
            Form::Json => print(out, [told.to_string()]),
            Form::Text => print(out, text_of(&told)),
        }
        Ok(())
    }
}

/// `1000`, or `990..1000` where a count may be too high.
fn count(line: &Value) -> String {
    let [count, over] = ["count", "over"].map(|key| line[key].as_u64().unwrap_or_default());
    match over {
        0 => count.to_string(),
        over => format!("{}..{count}", count.saturating_sub(over)),
    }
}

fn words(line: &Value) -> String {
    let listed = |key: &str| texts(&line[key], ", ");
    if let Some(client) = line["client"].as_str() {
        return format!("{client} {}", listed("pods")).trim_end().to_owned();
    }
    let name = line["name"].as_str().unwrap_or_default();
    let Some(ndots) = line["ndots2"].as_str() else {
        return name.to_owned();
    };
    let leads_to = line["leadsTo"].as_str().map(|name| format!(", is {name}"));
    format!(
        "{name} (from {}{}; under ndots 2: {ndots})",
        listed("namespaces"),
        leads_to.unwrap_or_default()
    )
}

/// The list as lines for a person.
pub(super) fn text_of(told: &Value) -> Vec<String> {
    let lines = || array(&told["top"]).map(|line| (count(line), words(line)));
    let width = lines().map(|(count, _)| count.len()).max().unwrap_or(0);
    let begins = told["begins"].as_str().unwrap_or_default();
    let mut text = vec![format!("since {begins}")];
    text.extend(lines().map(|(count, words)| format!("{count:>width$}  {words}")));
    text
}
