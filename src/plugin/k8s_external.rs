//! `k8s_external`: external addresses of Services, in zones of their own.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::kubernetes::{Outcome, compose_with, follow};
use super::registry::Setup;
use super::{Handled, Next, Plugin};
use crate::corefile::{CorefileError, zones_of};
use crate::message::question::{Query, RecordType};
use crate::message::reply::{Failure, ResponseCode};
use crate::name::Name;
use crate::zone::{ExternalView, Zone};

/// `k8s_external [ZONES...] { ... }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The zones, lower case.
    pub zones: Vec<Name>,
    /// The label of the zone's own names.
    pub apex: String,
    /// TTL, in seconds.
    pub ttl: u32,
    /// Headless Services show their endpoints.
    pub headless: bool,
    /// Of these names, those that do not exist go to the next plugin.
    pub fallthrough: Vec<Name>,
}

/// CoreDNS's.
const DEFAULT_TTL: u32 = 5;

/// The longest TTL the directive takes, in seconds: CoreDNS's.
const MAX_TTL: u32 = 3600;

/// Reads the directive.
///
/// # Errors
/// Where it is wrong.
pub fn parse(setup: &Setup<'_>) -> Result<Spec, CorefileError> {
    let directive = setup.directive;
    let zones = setup
        .zones(&directive.args)?
        .into_iter()
        .map(|zone| zone.to_lowercase())
        .collect();
    let mut spec = Spec {
        zones,
        apex: "dns".into(),
        ttl: DEFAULT_TTL,
        headless: false,
        fallthrough: Vec::new(),
    };
    for property in &directive.body {
        match property.name.text.as_str() {
            "apex" => spec.apex = property.one_arg("a label")?.text.to_ascii_lowercase(),
            "ttl" => {
                let arg = property.one_arg("seconds")?;
                let ttl = arg.text.parse().ok().filter(|ttl| *ttl <= MAX_TTL);
                spec.ttl = ttl.ok_or_else(|| {
                    arg.error(
                        format!("'{}' is no TTL", arg.text),
                        "seconds from 0 to 3600",
                    )
                })?;
            }
            "headless" => {
                property.no_args()?;
                spec.headless = true;
            }
            "fallthrough" if property.args.is_empty() => spec.fallthrough = vec![Name::root()],
            "fallthrough" => {
                for arg in &property.args {
                    spec.fallthrough.extend(
                        zones_of(&arg.text).map_err(|problem| arg.error(problem, "a zone"))?,
                    );
                }
            }
            _ => {
                return Err(
                    directive.unknown_property(property, "apex, ttl, headless or fallthrough")
                );
            }
        }
    }
    Ok(spec)
}

/// The handler.
pub struct K8sExternal {
    /// What is shown.
    pub view: ExternalView,
    /// Of these names, those that do not exist go to the next plugin.
    pub fallthrough: Vec<Name>,
    /// The names.
    pub zone: Arc<Zone>,
}

impl Plugin for K8sExternal {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        self.answer(query, next).boxed()
    }
}

impl K8sExternal {
    async fn answer(&self, query: &Query, next: Next<'_>) -> Handled {
        let question = &query.question;
        let Some(zone) = self.view.zone_of(&question.qname) else {
            return next.handle(query).await;
        };
        if matches!(question.qtype, RecordType::AXFR | RecordType::IXFR) {
            return Err(Failure {
                rcode: ResponseCode::Refused,
                why: "plugin/k8s_external: no transfers".into(),
            });
        }
        let soa = || self.view.soa(zone, self.zone.serial());
        let falls = self
            .fallthrough
            .iter()
            .any(|zone| zone.zone_of(&question.qname));
        match compose_with(soa, self.zone.lookup_external(&self.view, question), falls) {
            Outcome::Reply(reply) => Ok(reply.into()),
            Outcome::Next => next.handle(query).await,
            Outcome::Fail(failure) => Err(failure),
            Outcome::Follow { records, targets } => follow(query, next, records, targets).await,
        }
    }
}
