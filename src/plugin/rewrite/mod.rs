//! `rewrite`: another question for the plugins behind it, and another reply for the client.

mod edns;
mod labels;
mod pattern;
mod response;
mod spec;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

pub(super) use spec::PLUGIN;

use self::labels::Labelled;
use self::pattern::{Pattern, dotted};
use self::response::{Map, Response};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::message::metadata::Metadata;
use crate::message::question::{DNSClass, Query, RecordType};
use crate::message::record;
use crate::message::reply::{Composed, Failure, ResponseCode};
use crate::message::skim;
use crate::name::absolute;

/// The handler.
#[derive(Clone, Debug)]
struct Rewrite {
    /// In the order of the file.
    rules: Arc<[Rule]>,
}

/// One rule.
#[derive(Clone, Debug)]
struct Rule {
    field: Field,
    /// Where it fits, the rules behind it count too.
    continues: bool,
}

/// What a rule is about.
#[derive(Clone, Debug)]
enum Field {
    Name(NameRule),
    Type(RecordType, RecordType),
    Class(DNSClass, DNSClass),
    Edns(edns::Rule),
    /// The reply to names that match.
    Reply(Pattern, Response),
    /// Aliases in any reply.
    Alias(Map),
}

/// `name [exact|prefix|suffix|substring|regex] FROM TO [metadata] [answer ...]`.
#[derive(Clone, Debug)]
struct NameRule {
    pattern: Pattern,
    to: String,
    /// The same with metadata in it, where they are asked for: the pattern is an expression then.
    labelled: Option<Labelled>,
    /// The names of the reply become what they would have been without the rule.
    auto: bool,
    answers: Vec<Response>,
}

impl NameRule {
    /// What becomes of a name; `None`: the rule is not for it.
    fn made(&self, name: &str, known: Option<&Metadata>) -> Option<String> {
        match (&self.labelled, &self.pattern) {
            (Some(labelled), Pattern::Regex(regex)) => labelled.made(regex, name, known),
            (_, pattern) => pattern.replace(name, &self.to),
        }
    }

    /// What becomes of the reply's names; `asked`: the name before, `made`: the one after.
    fn responses(&self, asked: &str, made: &str) -> Vec<Response> {
        let exact = matches!(self.pattern, Pattern::Exact(_));
        let mut responses = self.answers.clone();
        if self.auto || exact {
            // The name that was made, and what is below it, is the one that was asked for.
            let made = || (Pattern::Within(made.to_owned()), asked.to_owned());
            let (pattern, to) = self.pattern.reversed(&self.to).unwrap_or_else(made);
            responses.push(Response::Names {
                map: Map { pattern, to },
                owners: true,
                values: true,
            });
        }
        responses
    }
}

/// A question after the rules.
struct Rewritten {
    query: Query,
    /// What the rules do to its reply, in the order in which that is to be done.
    responses: Vec<Response>,
    /// The reply repeats the question as it was asked. As in CoreDNS it does not where only rules that continue fit, and
    /// none is about the reply.
    is_restored: bool,
}

impl Rewrite {
    fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules: rules.into(),
        }
    }

    /// What the rules make of the question.
    fn rewritten(&self, query: &Query) -> Result<Rewritten, Failure> {
        let (mut query, mut responses) = (query.clone(), Vec::new());
        let mut stopped = false;
        for rule in &*self.rules {
            let fits = rule.field.apply(&mut query, &mut responses)?;
            stopped = fits && !rule.continues;
            if stopped {
                break;
            }
        }
        let is_restored = stopped || !responses.is_empty();
        responses.reverse();
        Ok(Rewritten {
            query,
            responses,
            is_restored,
        })
    }
}

impl Field {
    /// Changes the question where the rule fits; whether it does.
    fn apply(&self, query: &mut Query, responses: &mut Vec<Response>) -> Result<bool, Failure> {
        let question = &mut query.question;
        let name = dotted(&question.qname.to_lowercase().to_string());
        match self {
            Self::Name(rule) => {
                let Some(made) = rule.made(&name, query.metadata.as_deref()) else {
                    return Ok(false);
                };
                let no_name = |_| {
                    Failure::servfail(format_args!(
                        "invalid name after rewrite: {}",
                        dotted(&made)
                    ))
                };
                question.qname = absolute(&made).map_err(no_name)?.into();
                responses.extend(rule.responses(&name, &dotted(&made)));
            }
            Self::Type(from, to) if question.qtype == *from => question.qtype = *to,
            Self::Class(from, to) if question.qclass == *from => question.qclass = *to,
            Self::Type(..) | Self::Class(..) => return Ok(false),
            Self::Edns(rule) => {
                let Some(response) = rule.apply(query) else {
                    return Ok(false);
                };
                responses.extend(response);
            }
            Self::Reply(pattern, response) => {
                if !pattern.matches(&name) {
                    return Ok(false);
                }
                responses.push(response.clone());
            }
            Self::Alias(map) => {
                responses.push(Response::Alias(map.clone()));
            }
        }
        Ok(true)
    }
}

impl Plugin for Rewrite {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        async move {
            let Rewritten {
                query: rewritten,
                mut responses,
                is_restored,
            } = self.rewritten(query)?;
            let mut reply = match next.handle(&rewritten).await {
                Ok(reply) => reply,
                Err(failure) => return Err(recoded(failure, &responses)),
            };
            responses.retain(|response| match (response, &mut reply) {
                (Response::Option(code, value), Reply::Raw(wire)) => {
                    skim::edit_options(wire, |options| restore(options, *code, value.as_ref()));
                    false
                }
                _ => true,
            });
            if responses.is_empty() && rewritten.question == query.question {
                return Ok(reply);
            }
            let Some(mut composed) = reply.clone().into_composed(&rewritten.question) else {
                return Ok(reply);
            };
            for response in &responses {
                response.apply(&mut composed);
                if let Response::Alias(map) = response {
                    lead_elsewhere(&mut composed, map, (query, next)).await?;
                }
            }
            // As in CoreDNS, who was given an OPT record on the way to the upstream has one in the reply.
            composed.edns = composed.edns.or(rewritten.edns);
            composed.question = (!is_restored).then_some(rewritten.question);
            Ok(composed.into())
        }
        .boxed()
    }
}

/// Takes an option away that the client has not sent, or gives it the client's value where it is there.
fn restore(options: &mut Vec<(u16, Vec<u8>)>, code: u16, value: Option<&Vec<u8>>) {
    let Some(value) = value else {
        return options.retain(|(known, _)| *known != code);
    };
    let there = options.iter_mut().filter(|(known, _)| *known == code);
    there.for_each(|(_, data)| data.clone_from(value));
}

/// A failure with the response code that the rules give it.
fn recoded(failure: Failure, responses: &[Response]) -> Failure {
    let mut rcode = failure.rcode;
    for response in responses {
        if let Response::Rcode(from, to) = response
            && rcode == *from
        {
            rcode = *to;
        }
    }
    Failure { rcode, ..failure }
}

/// Has the first alias that matches lead elsewhere, and asks for what is there.
async fn lead_elsewhere(
    reply: &mut Composed,
    map: &Map,
    (query, next): (&Query, Next<'_>),
) -> Result<(), Failure> {
    let mut found = None;
    for (at, record) in reply.answer.iter_mut().enumerate() {
        if record.record_type() != RecordType::CNAME {
            continue;
        }
        let target = record::named_in(&mut record.data).into_iter().next();
        if let Some(target) = target
            && let Some(name) = map.apply(target)
        {
            *target = name.clone();
            found = Some((at, name));
            break;
        }
    }
    let Some((at, name)) = found else {
        return Ok(());
    };
    reply.answer.truncate(at + 1);
    if let Ok(Some(found)) = next.ask(query, name).await {
        reply.answer.extend(found.answer);
        if found.rcode == ResponseCode::NoError {
            reply.rcode = ResponseCode::NoError;
        }
    }
    Ok(())
}
