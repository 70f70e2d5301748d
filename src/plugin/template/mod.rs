//! `template`: replies made of the question by expressions and Go's templates.

mod conditions;
mod functions;
mod render;
mod spec;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use regex::Regex;

pub(super) use spec::PLUGIN;

use self::conditions::Conditions;
use self::render::{Fields, Line};
use super::block::{Link, Parts};
use super::expression::type_in_go;
use super::{Handled, Next, Plugin};
use crate::corefile::CorefileError;
use crate::message::question::{DNSClass, Query, Question, RecordType};
use crate::message::record::{Record, named_in};
use crate::message::reply::{Composed, Failure, ResponseCode, Said};
use crate::message::text;
use crate::metrics::Metrics;
use crate::name::Origins;

/// What the directive says.
#[derive(Clone, Debug)]
struct Spec {
    /// `None`: any.
    qclass: Option<DNSClass>,
    qtype: Option<RecordType>,
    origins: Origins,
    /// Of the name in lower case; the first that fits gives the groups.
    matches: Vec<Regex>,
    conditions: Conditions,
    answer: Vec<Arc<Line>>,
    authority: Vec<Arc<Line>>,
    additional: Vec<Arc<Line>>,
    rcode: ResponseCode,
    error: Option<Said>,
    fallthrough: Option<Origins>,
}

impl Spec {
    /// Whether class, type and zone fit; a question for ANY fits every template.
    fn fits(&self, question: &Question) -> bool {
        let any_class = question.qclass == DNSClass::ANY;
        let any_type = question.qtype == RecordType::ANY;
        self.qclass
            .is_none_or(|qclass| any_class || qclass == question.qclass)
            && self
                .qtype
                .is_none_or(|qtype| any_type || qtype == question.qtype)
            && self.origins.cover(&question.qname)
    }
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        Ok(Arc::new(Template {
            spec: self.clone(),
            metrics: Arc::clone(&parts.metrics),
            view: Arc::clone(&parts.view),
        }))
    }
}

/// The handler.
struct Template {
    spec: Spec,
    metrics: Arc<Metrics>,
    /// A label.
    view: Arc<str>,
}

impl Template {
    /// The reply; `None`: no expression fits.
    fn reply(&self, query: &Query, server: &str) -> Option<Result<Composed, Failure>> {
        let question = &query.question;
        let name = question.qname.to_lowercase().to_string();
        let found = self.spec.matches.iter().find_map(|regex| {
            let captures = regex.captures(&name)?;
            Some((regex, captures))
        });
        let (regex, captures) = found?;
        let zone = self.spec.origins.of(&question.qname);
        // As in CoreDNS a question for ANY is one for what the template is for.
        let (any_class, any_type) = (DNSClass::ANY, RecordType::ANY);
        let qclass = Some(question.qclass).filter(|qclass| *qclass != any_class);
        let qtype = Some(question.qtype).filter(|qtype| *qtype != any_type);
        let qtype = qtype.or(self.spec.qtype).unwrap_or(any_type);
        let mut fields = Fields {
            zone: zone.map_or(String::new(), |(zone, _)| {
                zone.name.to_lowercase().to_string()
            }),
            class: qclass.or(self.spec.qclass).unwrap_or(any_class).to_string(),
            qtype: type_in_go(qtype),
            remote: query.route.client.ip().to_string(),
            query,
            metadata: match &query.metadata {
                Some(metadata) => metadata.all(),
                None => BTreeMap::new(),
            },
            name: name.clone(),
            captures,
            regex,
            variables: HashMap::new(),
        };
        match self.spec.conditions.of(&fields) {
            Ok(variables) => fields.variables = variables?,
            Err(failure) => return Some(Err(failure)),
        }
        let view = &*self.view;
        let labels = [server, &fields.zone, view, &fields.class, &fields.qtype];
        let matches = &self.metrics.template.matches;
        matches.with_label_values(&labels).inc();
        Some(self.composed(&fields, &labels))
    }

    fn composed(&self, fields: &Fields<'_>, labels: &[&str; 5]) -> Result<Composed, Failure> {
        let spec = &self.spec;
        if spec.rcode == ResponseCode::ServFail {
            return Err(Failure::servfail("plugin/template: the file has it fail"));
        }
        let counters = &self.metrics.template;
        let section = |name: &str, lines: &[Arc<Line>]| -> Result<Vec<Record>, Failure> {
            let read = |line: &Arc<Line>| {
                let (record, failures) = match line.render(fields) {
                    Ok(text) => (text::record(&text), &counters.bad_records),
                    Err(error) => (Err(error), &counters.failures),
                };
                record.map_err(|error| {
                    let [server, zone, view, class, qtype] = *labels;
                    let labels = [
                        server,
                        zone,
                        view,
                        class,
                        qtype,
                        name,
                        line.as_go_writes_it(),
                    ];
                    failures.with_label_values(&labels).inc();
                    Failure::servfail(format_args!("plugin/template: {error}"))
                })
            };
            lines.iter().map(read).collect()
        };
        Ok(Composed {
            authoritative: true,
            answer: section("answer", &spec.answer)?,
            additional: section("additional", &spec.additional)?,
            authority: section("authority", &spec.authority)?,
            error: spec.error.clone(),
            edns: spec.error.as_ref().map(|_| Said::edns(fields.query)),
            ..Composed::empty(spec.rcode)
        })
    }
}

impl Plugin for Template {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let spec = &self.spec;
        if !spec.fits(&query.question) {
            return next.handle(query);
        }
        match self.reply(query, next.server()) {
            Some(Ok(reply)) => complete(query, reply, next).boxed(),
            Some(Err(failure)) => futures::future::ready(Err(failure)).boxed(),
            None => {
                let falls = spec.fallthrough.as_ref();
                if falls.is_some_and(|origins| origins.cover(&query.question.qname)) {
                    return next.handle(query);
                }
                let why = "plugin/template: no expression fits, and no fallthrough";
                futures::future::ready(Err(Failure::servfail(why))).boxed()
            }
        }
    }
}

/// Adds, behind each alias, the addresses that it leads to.
async fn complete(query: &Query, mut reply: Composed, next: Next<'_>) -> Handled {
    if !matches!(query.question.qtype, RecordType::A | RecordType::AAAA) {
        return Ok(reply.into());
    }
    for mut record in std::mem::take(&mut reply.answer) {
        let is_alias = record.record_type() == RecordType::CNAME;
        let target = named_in(&mut record.data).into_iter().next().cloned();
        reply.answer.push(record);
        if let Some(target) = target.filter(|_| is_alias)
            && let Ok(Some(found)) = next.ask(query, target).await
        {
            reply.is_live |= found.is_live;
            reply.truncated = found.truncated;
            reply.answer.extend(found.answer);
        }
    }
    Ok(reply.into())
}
