//! `secondary`: zones of other servers (RFC 5936), and those that their catalogs list (RFC 9432).

mod catalog;
mod fetch;
mod held;
mod incoming;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use self::held::{Held, Terms};
use super::block::{Block, Link, Parts};
use super::kit::{Directives, Registration, fallthrough, origins, server};
use super::zonal::{OfName, answer};
use super::{Chain, Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::{CorefileError, Directive};
use crate::message::question::{OpCode, Query};
use crate::message::reply::{Composed, ResponseCode};
use crate::name::{Name, Origins};
use crate::zonefile::FileZone;

pub(super) const PLUGIN: Registration = Registration {
    name: "secondary",
    setup,
};

/// `secondary [ZONES...] { transfer from ADDRESS...; catalog [MEMBER-ZONES...]; fallthrough [ZONES...] }`.
#[derive(Debug)]
struct Spec {
    zones: BTreeMap<Name, Terms>,
    fallthrough: Origins,
}

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let spec = parse(directives)?;
    block.links.push((PLUGIN.name, Box::new(spec)));
    Ok(())
}

/// As in CoreDNS the last `fallthrough` counts for all.
fn parse(directives: &Directives<'_>) -> Result<Spec, CorefileError> {
    let mut spec = Spec {
        zones: BTreeMap::new(),
        fallthrough: Origins::default(),
    };
    for directive in directives.iter() {
        let (mut primaries, mut catalog) = (Vec::new(), None);
        for property in &directive.body {
            match property.name.text.as_str() {
                "transfer" => primaries.extend(from(property)?),
                "catalog" => catalog = Some(origins(&property.args)?.into()),
                "fallthrough" => spec.fallthrough = fallthrough(property)?,
                _ => {
                    let known = "transfer, catalog or fallthrough";
                    return Err(directive.unknown_property(property, known));
                }
            }
        }
        if primaries.is_empty() {
            let problem = "`secondary` has its zones from nobody";
            return Err(directive
                .name
                .error(problem, "a line `transfer from ADDRESS`"));
        }
        let origin = Terms {
            primaries: primaries.into(),
            catalog,
        };
        for zone in directives.origins(&directive.args)? {
            spec.zones.insert(zone.to_lowercase(), origin.clone());
        }
    }
    Ok(spec)
}

/// `transfer from ADDRESS...`.
fn from(property: &Directive) -> Result<Vec<SocketAddr>, CorefileError> {
    const EXPECTED: &str = "`from`, and addresses";
    match property.some_args(EXPECTED)? {
        [word, addresses @ ..] if word.text == "from" && !addresses.is_empty() => {
            let addresses = addresses.iter();
            addresses.map(|arg| server(arg, "an address")).collect()
        }
        [word, ..] if word.text == "from" => {
            Err(word.error("there is no address", "`from`, and addresses"))
        }
        [word, ..] => {
            let problem = format!("'{}' is not where zones come from", word.text);
            Err(word.error(problem, EXPECTED))
        }
        [] => Err(property.name.error("there is no address", EXPECTED)),
    }
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        // What a block without any change has stays.
        let name = format!("secondary {}", parts.said);
        let held = parts
            .carried
            .get(name, || Held::of(self.zones.clone().into_iter()));
        Ok(Arc::new(Secondary {
            held,
            fallthrough: self.fallthrough.clone(),
        }))
    }
}

/// The handler.
struct Secondary {
    held: Arc<Held>,
    fallthrough: Origins,
}

impl Secondary {
    /// The reply to whoever says that a zone has changed (RFC 1996 section 4.7); strangers get none.
    fn notified(&self, query: &Query, apex: &Name) -> Reply {
        let client = query.route.client.ip();
        if !self.held.notified(apex, client) {
            return Reply::Nothing;
        }
        Composed {
            authoritative: true,
            ..Composed::empty(ResponseCode::NoError)
        }
        .into()
    }
}

impl Plugin for Secondary {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let found = match self.held.find(&query.question.qname) {
            Some((apex, _)) if query.opcode == OpCode::Notify => {
                let reply = self.notified(query, &apex);
                return futures::future::ready(Ok(reply)).boxed();
            }
            Some((_, zone)) => Some(OfName {
                zone,
                fallthrough: self.fallthrough.clone(),
            }),
            None => None,
        };
        answer(query, found, next).boxed()
    }

    fn begin(&self, _: &Chain) {
        self.held.begin();
    }

    fn offers(&self) -> Option<Vec<Arc<FileZone>>> {
        Some(self.held.zones())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tests::{error, read};

    #[test]
    fn a_zone_has_primaries_and_may_be_a_catalog() {
        let file = "secondary C.test {\ntransfer from 192.0.2.1 [2001:db8::1]:5353\n\
            transfer from 192.0.2.2:54\ncatalog example.org\nfallthrough\n}";
        let spec = read(file, parse).unwrap();
        let (apex, origin) = spec.zones.first_key_value().unwrap();
        assert_eq!(apex.to_string(), "c.test.");
        let primaries: Vec<_> = origin.primaries.iter().map(ToString::to_string).collect();
        assert_eq!(
            primaries,
            ["192.0.2.1:53", "[2001:db8::1]:5353", "192.0.2.2:54"]
        );
        let catalog = origin.catalog.as_ref().unwrap();
        assert_eq!(catalog.iter().count(), 1);
        assert!(!spec.fallthrough.is_empty());
    }

    #[test]
    fn what_gives_no_zone_is_refused() {
        for (lines, problem) in [
            ("", "`secondary` has its zones from nobody"),
            ("transfer", "`transfer` needs an argument"),
            ("transfer from", "there is no address"),
            ("transfer to 192.0.2.1", "'to' is not where zones come from"),
            ("transfer from nowhere", "nowhere is no address"),
            ("reload 1s", "unknown property 'reload' of `secondary`"),
        ] {
            assert_eq!(
                error(&format!("secondary {{\n{lines}\n}}")),
                problem,
                "{lines}"
            );
        }
    }
}
