//! Which names a rule is for, and what it makes of them. Names are text in lower case, with their final dot.

use regex::{Captures, Regex};

use crate::corefile::{CorefileError, Token};
use crate::plugin::kit::expression;

/// A pattern of names.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Exact(String),
    /// A name, and those below it.
    Within(String),
    Prefix(String),
    Suffix(String),
    Substring(String),
    Regex(Regex),
}

/// How a rule names its pattern.
const KINDS: [&str; 5] = ["exact", "prefix", "suffix", "substring", "regex"];

impl Pattern {
    /// Reads `[exact|prefix|suffix|substring|regex] FROM`; also what stands behind it. `after`: how many arguments that
    /// is, where no word says what kind of pattern it is.
    pub(super) fn read<'t>(
        name: &Token,
        args: &'t [Token],
        after: usize,
    ) -> Result<(Self, &'t [Token]), CorefileError> {
        let expected = format!("{}, and a name", KINDS.join(", "));
        match args {
            [from, rest @ ..] if rest.len() == after => Ok((Self::new("exact", from)?, rest)),
            [kind, from, rest @ ..] if KINDS.contains(&kind.text.to_lowercase().as_str()) => {
                Ok((Self::new(&kind.text.to_lowercase(), from)?, rest))
            }
            [kind, _, _, ..] => {
                let problem = format!("'{}' is no kind of pattern", kind.text);
                Err(kind.error(problem, expected))
            }
            _ => Err(name.error("the rule is not whole", expected)),
        }
    }

    fn new(kind: &str, from: &Token) -> Result<Self, CorefileError> {
        let lower = from.text.to_lowercase();
        Ok(match kind {
            "prefix" => Self::Prefix(lower),
            "suffix" => Self::Suffix(dotted(&lower)),
            "substring" => Self::Substring(lower),
            "regex" => Self::Regex(expression(from, "a regular expression")?),
            _ => Self::Exact(dotted(&lower)),
        })
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(from) => name == from,
            Self::Within(_) => self.replace(name, "").is_some(),
            Self::Prefix(from) => name.starts_with(from.as_str()),
            Self::Suffix(from) => name.ends_with(from.as_str()),
            Self::Substring(from) => name.contains(from.as_str()),
            Self::Regex(regex) => regex.is_match(name),
        }
    }

    /// What `to` makes of a name; `None`: it does not match.
    pub(super) fn replace(&self, name: &str, to: &str) -> Option<String> {
        match self {
            Self::Exact(from) => (name == from).then(|| to.to_owned()),
            Self::Within(from) => {
                let below = name.strip_suffix(from.as_str())?;
                (below.is_empty() || below.ends_with('.')).then(|| format!("{below}{to}"))
            }
            Self::Prefix(from) => Some(format!("{to}{}", name.strip_prefix(from.as_str())?)),
            Self::Suffix(from) => Some(format!("{}{to}", name.strip_suffix(from.as_str())?)),
            Self::Substring(from) => {
                let found = name.contains(from.as_str());
                found.then(|| name.replace(from.as_str(), to))
            }
            Self::Regex(regex) => Some(groups(&regex.captures(name)?, to)),
        }
    }

    /// The pattern that finds what [`replace`](Self::replace) has made of any name, and what makes of it what was there
    /// before; `None` where that is different for each name.
    pub(super) fn reversed(&self, to: &str) -> Option<(Self, String)> {
        match self {
            Self::Suffix(from) => Some((Self::Suffix(dotted(&to.to_lowercase())), from.clone())),
            Self::Exact(_)
            | Self::Within(_)
            | Self::Prefix(_)
            | Self::Substring(_)
            | Self::Regex(_) => None,
        }
    }
}

/// `{1}` and the like are the groups of an expression.
fn groups(captures: &Captures<'_>, to: &str) -> String {
    let mut text = to.to_owned();
    for (i, group) in captures.iter().enumerate() {
        text = text.replace(
            &format!("{{{i}}}"),
            group.map_or("", |group| group.as_str()),
        );
    }
    text
}

/// With its final dot.
pub(super) fn dotted(name: &str) -> String {
    if name.ends_with('.') {
        name.to_owned()
    } else {
        format!("{name}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_pattern_makes_a_name_and_finds_back() {
        let regex = Regex::new(r"^([a-z]+)\.([a-z]+)\.swap\.test\.$").unwrap();
        for (pattern, to, name, wanted) in [
            (
                Pattern::Exact("a.test.".into()),
                "b.test",
                "a.test.",
                Some("b.test"),
            ),
            (
                Pattern::Exact("a.test.".into()),
                "b.test",
                "x.a.test.",
                None,
            ),
            (
                Pattern::Within("a.test.".into()),
                "b.test.",
                "x.a.test.",
                Some("x.b.test."),
            ),
            (
                Pattern::Within("a.test.".into()),
                "b.test.",
                "xa.test.",
                None,
            ),
            (
                Pattern::Prefix("old-".into()),
                "new-",
                "old-x.test.",
                Some("new-x.test."),
            ),
            (
                Pattern::Suffix(".a.test.".into()),
                ".b.test.",
                "x.a.test.",
                Some("x.b.test."),
            ),
            (
                Pattern::Substring("mid".into()),
                "x",
                "a-mid-b.test.",
                Some("a-x-b.test."),
            ),
            (
                Pattern::Regex(regex),
                "{2}.{1}.test",
                "aa.bb.swap.test.",
                Some("bb.aa.test"),
            ),
        ] {
            let made = pattern.replace(name, to);
            assert_eq!(made.as_deref(), wanted, "{name}");
            if let (Some(made), Some((back, from))) = (made, pattern.reversed(to)) {
                let found = back.replace(&dotted(&made), &from);
                assert_eq!(found.as_deref(), Some(name));
            }
        }
    }
}
