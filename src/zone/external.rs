//! Names of external addresses: `<svc>.<ns>.<zone>` in zones of their own (CoreDNS's `k8s_external`).

use std::net::IpAddr;
use std::ops::ControlFlow;

use smallvec::SmallVec;

use super::answer::{Answer, Found, Piece, Pointer, family, found, no_data};
use super::nameservers::own_addresses;
use super::path::Below;
use super::reason::Reason;
use super::selection::{Selection, Value};
use super::view::{Asked, ExternalView};
use super::{Holder, Scope, ServiceData, Zone};
use crate::endpoint::{External, Kind};
use crate::message::question::RecordType;
use crate::name::{absolute, join};

impl Zone {
    /// Answers a question from external addresses.
    pub(super) fn external(&self, view: &ExternalView, asked: &Asked<'_>) -> Answer {
        if asked.origin.reverse && asked.left > 0 {
            return self.external_reverse(asked);
        }
        let name = asked.name;
        let own = |i: usize| name.is(i, view.apex.as_bytes());
        let Some(last) = asked.left.checked_sub(1) else {
            return self.external_apex(view, asked);
        };
        if own(last) {
            return match last {
                0 => no_data(Reason::EmptyNonTerminal),
                1 if name.is(0, b"ns1") => self.external_server(view, asked),
                _ => self.absent(Reason::NotAClusterName),
            };
        }
        if !self.exposed(&view.kubernetes, name.lower(last)) {
            return self.absent(Reason::NoSuchNamespace);
        }
        let (svc, below) = match last {
            0 => return no_data(Reason::EmptyNonTerminal),
            1 => (0, Below::Itself),
            2 => (1, Below::BareEndpoint),
            3 => (2, Below::Port),
            _ => return self.absent(Reason::NotAClusterName),
        };
        self.external_service(asked, svc, below)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum: every other type is alike"
    )]
    fn external_apex(&self, view: &ExternalView, asked: &Asked<'_>) -> Answer {
        match asked.qtype {
            RecordType::SOA => Answer::Found(Found::Authority),
            RecordType::NS => {
                let labels = ["ns1", &view.apex];
                let server = join(&labels, &asked.origin.name);
                // As in CoreDNS, the addresses stand under the name with the client's case.
                let typed = join(&labels, &asked.typed_apex());
                let (Some(server), Some(typed)) = (server, typed) else {
                    return no_data(Reason::OtherType);
                };
                let addresses = self.external_addresses(view).into_iter();
                Answer::Found(Found::Servers {
                    names: vec![server],
                    glue: addresses.map(|ip| (typed.clone(), ip)).collect(),
                })
            }
            _ => no_data(Reason::OtherType),
        }
    }

    /// `ns1.<apex>.<zone>`.
    fn external_server(&self, view: &ExternalView, asked: &Asked<'_>) -> Answer {
        if !matches!(asked.qtype, RecordType::A | RecordType::AAAA) {
            return no_data(Reason::OtherType);
        }
        own_addresses(asked, self.external_addresses(view))
    }

    /// The external addresses of the Services through which this server is reached, else its own.
    fn external_addresses(&self, view: &ExternalView) -> Vec<IpAddr> {
        let local = &view.kubernetes.local_addresses;
        let mut reached = false;
        let mut ips = Vec::new();
        for ip in local {
            for data in self
                .owners(Holder::Endpoint, *ip)
                .iter()
                .flat_map(|keys| keys.iter())
                .filter_map(|key| self.service(Scope::Cluster, key.wire()))
            {
                let headless = view.headless && data.service().kind == Kind::Headless;
                for slice in data.ready_at(*ip) {
                    reached = true;
                    if headless {
                        ips.extend(slice.ready_endpoints().filter_map(|e| e.ip()));
                    } else {
                        ips.extend(addresses(&data));
                    }
                }
            }
        }
        if reached { ips } else { local.clone() }
    }

    fn external_service(&self, asked: &Asked<'_>, svc: usize, below: Below) -> Answer {
        let key = asked.name.lower_wire(svc, svc + 2);
        let selection = match self.service(Scope::Cluster, key) {
            None => Err(Reason::NoSuchService),
            Some(data) => Selection::new(asked, data, svc, below),
        };
        let answer = match (selection, asked.qtype) {
            (Err(reason), _) => self.absent(reason),
            (Ok(selection), RecordType::A | RecordType::AAAA) if selection.may_have_aliases() => {
                unfollowed(asked, &selection)
            }
            (Ok(selection), RecordType::A | RecordType::AAAA | RecordType::SRV) => {
                found(asked, selection)
            }
            (Ok(_), _) => no_data(Reason::OtherType),
        };
        self.unless_unreadable(Scope::Cluster, key, answer)
    }

    fn external_reverse(&self, asked: &Asked<'_>) -> Answer {
        let Some(ip) = asked.name.reverse_address() else {
            return self.absent(Reason::NotAClusterName);
        };
        let names = self.settled(|| {
            let owners = self.owners(Holder::Service, ip);
            let names: SmallVec<[Pointer; 1]> = self
                .among(asked.view(), owners.as_ref())
                .filter(|data| addresses(data).any(|address| address == ip))
                .take(asked.most)
                .map(Pointer::to)
                .collect();
            (!names.is_empty()).then_some(names)
        });
        self.pointers(asked, ip, names.unwrap_or_default())
    }
}

/// Where the Service is reached from outside.
fn addresses(data: &ServiceData) -> impl Iterator<Item = IpAddr> {
    data.service()
        .external
        .iter()
        .filter_map(|external| match external {
            External::Address(ip) => Some(*ip),
            External::Name(_) => None,
        })
}

/// A or AAAA of values among which there are aliases: those lead out of the zone, whatever they are.
fn unfollowed(asked: &Asked<'_>, selection: &Selection) -> Answer {
    let (mut known, mut targets) = (Vec::new(), Vec::new());
    let mut seen = Vec::new();
    let ended = selection.each_value(asked.name, |value| {
        if seen.contains(&value) {
            return ControlFlow::Continue(());
        }
        seen.push(value);
        match value {
            Value::Address(ip) if family(asked.qtype, ip) => known.push(Piece::Address(ip)),
            Value::Address(_) => {}
            Value::Alias(alias) => {
                let Ok(target) = absolute(alias) else {
                    return ControlFlow::Break(());
                };
                let (alias, then) = (target.clone(), None);
                known.push(Piece::Alias {
                    target: alias,
                    then,
                });
                targets.push(target);
            }
        }
        ControlFlow::Continue(())
    });
    match (known.is_empty(), targets.is_empty()) {
        _ if ended.is_break() => Answer::Unanswerable(Reason::BadExternalName),
        (true, _) => no_data(Reason::OtherType),
        (false, true) => Answer::Found(Found::Pieces(known)),
        (false, false) => Answer::Leads { known, targets },
    }
}
