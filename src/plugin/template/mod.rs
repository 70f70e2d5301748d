//! `template`: replies made of the question by expressions and Go's templates.

mod render;
mod spec;

use std::net::IpAddr;

use futures::FutureExt;
use futures::future::BoxFuture;
use regex::Regex;

pub(super) use spec::PLUGIN;

use self::render::Fields;
use super::{Handled, Next, Plugin};
use crate::message::question::{DNSClass, Query, Question, RecordType};
use crate::message::record::{Record, named_in};
use crate::message::reply::{Composed, Failure, ResponseCode, Said};
use crate::message::text;
use crate::name::Origins;

/// The handler.
#[derive(Clone, Debug)]
struct Template {
    /// `None`: any.
    qclass: Option<DNSClass>,
    qtype: Option<RecordType>,
    origins: Origins,
    /// Of the name in lower case; the first that fits gives the groups.
    matches: Vec<Regex>,
    answer: Vec<String>,
    authority: Vec<String>,
    additional: Vec<String>,
    rcode: ResponseCode,
    error: Option<Said>,
    fallthrough: Option<Origins>,
}

impl Template {
    /// Whether class, type and zone fit.
    fn fits(&self, question: &Question) -> bool {
        self.qclass.is_none_or(|qclass| qclass == question.qclass)
            && self.qtype.is_none_or(|qtype| qtype == question.qtype)
            && self.origins.cover(&question.qname)
    }

    /// The reply; `None`: no expression fits.
    fn reply(&self, query: &Query) -> Option<Result<Composed, Failure>> {
        let question = &query.question;
        let name = question.qname.to_lowercase().to_string();
        let found = self.matches.iter().find_map(|regex| {
            let captures = regex.captures(&name)?;
            Some((regex, captures))
        });
        let (regex, captures) = found?;
        let zone = self.origins.of(&question.qname);
        let fields = Fields {
            zone: zone.map_or(String::new(), |(zone, _)| {
                zone.name.to_lowercase().to_string()
            }),
            class: question.qclass.to_string(),
            // A type without a name is nothing in Go's table.
            qtype: if matches!(question.qtype, RecordType::Unknown(_)) {
                String::new()
            } else {
                question.qtype.to_string()
            },
            remote: remote(query.client.ip()),
            typed: question.qname.to_string(),
            id: query.id,
            name: name.clone(),
            captures,
            regex,
        };
        Some(self.composed(&fields))
    }

    fn composed(&self, fields: &Fields<'_>) -> Result<Composed, Failure> {
        if self.rcode == ResponseCode::ServFail {
            return Err(Failure::servfail("plugin/template: the file has it fail"));
        }
        let section = |templates: &[String]| -> Result<Vec<Record>, Failure> {
            let read = |template: &String| {
                let record = render::render(template, fields).and_then(|text| text::record(&text));
                record.map_err(|error| Failure::servfail(format_args!("plugin/template: {error}")))
            };
            templates.iter().map(read).collect()
        };
        Ok(Composed {
            authoritative: true,
            answer: section(&self.answer)?,
            authority: section(&self.authority)?,
            additional: section(&self.additional)?,
            error: self.error.clone(),
            ..Composed::empty(self.rcode)
        })
    }
}

fn remote(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}

impl Plugin for Template {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        if !self.fits(&query.question) {
            return next.handle(query);
        }
        match self.reply(query) {
            Some(Ok(reply)) => complete(query, reply, next).boxed(),
            Some(Err(failure)) => futures::future::ready(Err(failure)).boxed(),
            None => {
                let falls = self.fallthrough.as_ref();
                if falls.is_some_and(|origins| origins.cover(&query.question.qname)) {
                    return next.handle(query);
                }
                let why = "plugin/template: no expression fits, and no fallthrough";
                futures::future::ready(Err(Failure::servfail(why))).boxed()
            }
        }
    }
}

/// Adds the addresses that an alias leads to.
async fn complete(query: &Query, mut reply: Composed, next: Next<'_>) -> Handled {
    let is_address = matches!(query.question.qtype, RecordType::A | RecordType::AAAA);
    let target = match &mut reply.answer[..] {
        [record] if is_address && record.record_type() == RecordType::CNAME => {
            named_in(&mut record.data).into_iter().next().cloned()
        }
        _ => None,
    };
    if let Some(target) = target {
        let question = Question {
            qname: target.into(),
            ..query.question.clone()
        };
        if let Ok(found) = next.ask(query, question.clone()).await
            && let Some(found) = found.into_composed(&question)
        {
            reply.is_live = found.is_live;
            reply.answer.extend(found.answer);
        }
    }
    Ok(reply.into())
}
