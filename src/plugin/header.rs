//! `header`: flags of queries and replies, set or cleared.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::Block;
use super::kit::{Directives, Registration};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::{CorefileError, Directive, Token};
use crate::message::question::Query;

pub(super) const PLUGIN: Registration = Registration {
    name: "header",
    setup,
};

/// A flag of a header (RFC 1035 section 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    Aa,
    Ra,
    Rd,
}

/// What becomes of a flag.
type Rule = (Flag, bool);

/// `header { query|response set|clear FLAGS... }`.
#[derive(Clone, Debug, Default)]
struct Header {
    query: Vec<Rule>,
    response: Vec<Rule>,
}

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    const EXPECTED: &str = "a block of lines such as `response set ra`";
    let mut header = Header::default();
    for directive in directives.iter() {
        directive.no_args()?;
        if directive.body.is_empty() {
            return Err(directive.name.error("`header` has no rules", EXPECTED));
        }
        for property in &directive.body {
            let rules = rules(property)?;
            match property.name.text.to_lowercase().as_str() {
                "query" => header.query.extend(rules),
                "response" => header.response.extend(rules),
                _ => return Err(directive.unknown_property(property, "query or response")),
            }
        }
    }
    block.links.push((PLUGIN.name, Box::new(header)));
    Ok(())
}

fn rules(property: &Directive) -> Result<Vec<Rule>, CorefileError> {
    const EXPECTED: &str = "`set` or `clear`, and flags: aa, ra or rd";
    let [action, flags @ ..] = property.some_args(EXPECTED)? else {
        return Err(property.name.error("there is no rule", EXPECTED));
    };
    let on = match action.text.to_lowercase().as_str() {
        "set" => true,
        "clear" => false,
        other => return Err(action.error(format!("'{other}' is no action"), EXPECTED)),
    };
    if flags.is_empty() {
        return Err(action.error("there are no flags", EXPECTED));
    }
    let flag = |token: &Token| match token.text.to_lowercase().as_str() {
        "aa" => Ok((Flag::Aa, on)),
        "ra" => Ok((Flag::Ra, on)),
        "rd" => Ok((Flag::Rd, on)),
        other => Err(token.error(format!("'{other}' is no flag"), EXPECTED)),
    };
    flags.iter().map(flag).collect()
}

impl Plugin for Header {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        async move {
            let rd = self.query.iter().rev().find(|(flag, _)| *flag == Flag::Rd);
            let changed;
            let query = match rd {
                Some((_, on)) => {
                    changed = Query {
                        recursion_desired: *on,
                        ..query.clone()
                    };
                    &changed
                }
                None => query,
            };
            let reply = next.handle(query).await?;
            Ok(self.flagged(query, reply))
        }
        .boxed()
    }
}

impl Header {
    fn flagged(&self, query: &Query, reply: Reply) -> Reply {
        if let Reply::Raw(mut wire) = reply {
            for (flag, on) in &self.response {
                let (octet, bit) = match flag {
                    Flag::Aa => (2, 0x04),
                    Flag::Rd => (2, 0x01),
                    Flag::Ra => (3, 0x80),
                };
                if let Some(octet) = wire.get_mut(octet) {
                    *octet = if *on { *octet | bit } else { *octet & !bit };
                }
            }
            return Reply::Raw(wire);
        }
        let Some(mut composed) = reply.clone().into_composed(&query.question) else {
            return reply;
        };
        let copied = query.recursion_desired;
        composed.recursion_desired = composed.recursion_desired.or(Some(copied));
        for (flag, on) in &self.response {
            match flag {
                Flag::Aa => composed.authoritative = *on,
                Flag::Ra => composed.recursion_available = *on,
                Flag::Rd => composed.recursion_desired = Some(*on),
            }
        }
        composed.into()
    }
}
