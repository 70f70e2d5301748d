//! `transfer`: whole zones to those who may have them (RFC 5936; RFC 1995 in its shortest form).

use std::net::IpAddr;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::registry::Setup;
use super::{Handled, Next, Plugin};
use crate::answer::{Reply, transfer};
use crate::corefile::CorefileError;
use crate::message::encode_transfer;
use crate::message::question::{Query, RecordType, Transport};
use crate::message::reply::{Failure, ResponseCode};
use crate::name::Origins;
use crate::zone::{Shown, Zone};

/// `transfer [ZONES...] { to *|ADDRESS... }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The zones.
    pub zones: Origins,
    /// Who may have them; `None`: everybody.
    pub to: Option<Vec<IpAddr>>,
}

/// Reads the directive.
///
/// # Errors
/// Where it is wrong.
pub fn parse(setup: &Setup<'_>) -> Result<Spec, CorefileError> {
    const EXPECTED: &str = "`*`, or addresses";
    let directive = setup.directive;
    let zones = setup.zones(&directive.args)?.into();
    let (mut everybody, mut to) = (false, Vec::new());
    for property in &directive.body {
        if property.name.text != "to" {
            return Err(directive.unknown_property(property, "to"));
        }
        for arg in property.some_args(EXPECTED)? {
            let host = arg.text.strip_suffix(":53").unwrap_or(&arg.text);
            match host.trim_matches(['[', ']']).parse() {
                Ok(ip) => to.push(ip),
                Err(_) if arg.text == "*" => everybody = true,
                Err(_) => return Err(arg.error(format!("{} is no address", arg.text), EXPECTED)),
            }
        }
    }
    if to.is_empty() && !everybody {
        return Err(directive.name.error(
            "`transfer` to nobody",
            "a line `to *`, or `to` with addresses",
        ));
    }
    Ok(Spec {
        zones,
        to: (!everybody).then_some(to),
    })
}

/// The handler.
pub struct Transfer {
    /// The directives, in the order of the file.
    pub specs: Vec<Spec>,
    /// The zone and view of the block's `kubernetes`.
    pub kubernetes: Option<(Arc<Zone>, Shown)>,
}

impl Plugin for Transfer {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        match self.transfer(query) {
            Some(handled) => futures::future::ready(handled).boxed(),
            None => next.handle(query),
        }
    }
}

impl Transfer {
    /// `None`: no transfer, or not of ours.
    fn transfer(&self, query: &Query) -> Option<Handled> {
        let question = &query.question;
        if !matches!(question.qtype, RecordType::AXFR | RecordType::IXFR) {
            return None;
        }
        // As in CoreDNS a name below a zone is transferred as if it were one.
        let apex = question.qname.to_lowercase();
        let spec = self.specs.iter().find(|spec| spec.zones.cover(&apex))?;
        let (zone, shown) = self.kubernetes.as_ref()?;
        let asked = shown.place(&apex, question.qtype)?;
        let allowed = spec
            .to
            .as_ref()
            .is_none_or(|to| to.contains(&query.client.ip().to_canonical()));
        if query.transport == Transport::Udp || !allowed {
            let why = "plugin/transfer: not over UDP, nor to this client";
            return Some(Err(Failure {
                rcode: ResponseCode::Refused,
                why: why.into(),
            }));
        }
        let records = transfer(zone, &asked);
        let current =
            question.qtype == RecordType::IXFR && query.ixfr_serial == Some(zone.serial());
        let messages = if current {
            encode_transfer(query, &records[..1], false)
        } else {
            encode_transfer(query, &records, true)
        };
        Some(Ok(Reply::Transfer(messages)))
    }
}
