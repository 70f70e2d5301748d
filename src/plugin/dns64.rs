//! `dns64`: who has no IPv4 gets IPv6 addresses made of IPv4 ones, where a name has no others (RFC 6147).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::{Block, Link, Parts};
use super::kit::{Directives, Registration, flag};
use super::{Handled, Next, Plugin};
use crate::corefile::{CorefileError, Directive, Token, cidr};
use crate::message::question::{DNSClass, Query, Question, RecordType};
use crate::message::record::{self, Record, ipv4};
use crate::message::reply::{Composed, ResponseCode};
use crate::metrics::Metrics;

pub(super) const PLUGIN: Registration = Registration {
    name: "dns64",
    setup,
};

/// The TTL of what is made where no SOA says how long the absence holds, in seconds (RFC 6147 section 5.1.7).
const LONGEST: u32 = 600;

/// Where IPv4 addresses are put in: the first octets of an address (RFC 6052 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
    octets: [u8; 16],
    /// How many of them.
    length: usize,
}

/// `64:ff9b::/96` (RFC 6052 section 2.1).
const WELL_KNOWN: Prefix = Prefix {
    octets: [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    length: 12,
};

/// The octet that stays free, so that the address fits into an interface identifier (RFC 6052 section 2.2).
const FREE: usize = 8;

impl Prefix {
    fn read(arg: &Token) -> Result<Self, CorefileError> {
        const EXPECTED: &str = "an IPv6 CIDR of 32, 40, 48, 56, 64 or 96 bits";
        // RFC 6052 section 2.2.
        let Some((IpAddr::V6(ip), bits @ (32 | 40 | 48 | 56 | 64 | 96))) = cidr(&arg.text) else {
            let problem = format!("'{}' is no prefix for IPv4 addresses", arg.text);
            return Err(arg.error(problem, EXPECTED));
        };
        Ok(Self {
            octets: ip.octets(),
            length: usize::from(bits / 8),
        })
    }

    fn with(self, ip: Ipv4Addr) -> Ipv6Addr {
        let mut octets = [0; 16];
        octets[..self.length].copy_from_slice(&self.octets[..self.length]);
        let places = (self.length..16).filter(|at| *at != FREE);
        for (at, octet) in places.zip(ip.octets()) {
            octets[at] = octet;
        }
        octets.into()
    }
}

/// `dns64 [PREFIX] { prefix PREFIX; translate_all; allow_ipv4 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spec {
    prefix: Prefix,
    /// Names that have IPv6 addresses get others too.
    translate_all: bool,
    /// Clients that ask over IPv4 get them too.
    allow_ipv4: bool,
}

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let spec = parse(directives)?;
    block.links.push((PLUGIN.name, Box::new(spec)));
    Ok(())
}

/// As in CoreDNS several add up.
fn parse(directives: &Directives<'_>) -> Result<Spec, CorefileError> {
    let mut spec = Spec {
        prefix: WELL_KNOWN,
        translate_all: false,
        allow_ipv4: false,
    };
    for directive in directives.iter() {
        if !directive.args.is_empty() {
            spec.prefix = Prefix::read(directive.one_arg("a prefix")?)?;
        }
        for property in &directive.body {
            spec.property(directive, property)?;
        }
    }
    Ok(spec)
}

impl Spec {
    fn property(
        &mut self,
        directive: &Directive,
        property: &Directive,
    ) -> Result<(), CorefileError> {
        match property.name.text.as_str() {
            "prefix" => self.prefix = Prefix::read(property.one_arg("a prefix")?)?,
            "translate_all" => self.translate_all = flag(property)?,
            "allow_ipv4" => self.allow_ipv4 = flag(property)?,
            _ => {
                let known = "prefix, translate_all or allow_ipv4";
                return Err(directive.unknown_property(property, known));
            }
        }
        Ok(())
    }

    fn concerns(&self, query: &Query) -> bool {
        let is_ipv6 = query.route.client.is_ipv6();
        let question = &query.question;
        (self.allow_ipv4 || is_ipv6)
            && question.qtype == RecordType::AAAA
            && question.qclass == DNSClass::IN
    }

    /// Whether a reply has to be made of IPv4 addresses: what does not exist has none of them either (RFC 6147 section
    /// 5.1.2).
    fn replaces(&self, reply: &Composed) -> bool {
        let is_address = |record: &Record| record.record_type() == RecordType::AAAA;
        reply.rcode != ResponseCode::NXDomain
            && (self.translate_all || !reply.answer.iter().any(is_address))
    }

    /// The reply with the addresses of `v4`, in the place of `v6` (RFC 6147 section 5.4).
    fn made(&self, v6: &Composed, v4: Composed) -> Composed {
        let is_soa = |record: &&Record| record.record_type() == RecordType::SOA;
        let soa = v6.authority.iter().rfind(is_soa);
        let longest = soa.map_or(LONGEST, |soa| soa.ttl);
        let record = |record: Record| match ipv4(&record) {
            Some(ip) => {
                let (ttl, ip) = (record.ttl.min(longest), self.prefix.with(ip).into());
                record::address(record.name, ttl, ip)
            }
            None => record,
        };
        Composed {
            answer: v4.answer.into_iter().map(record).collect(),
            authority: v4.authority,
            additional: v4.additional,
            truncated: v4.truncated,
            is_live: v6.is_live || v4.is_live,
            ..Composed::empty(v4.rcode)
        }
    }
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        Ok(Arc::new(Dns64 {
            spec: *self,
            metrics: Arc::clone(&parts.metrics),
        }))
    }
}

/// The handler.
struct Dns64 {
    spec: Spec,
    metrics: Arc<Metrics>,
}

impl Dns64 {
    async fn answer(&self, query: &Query, next: Next<'_>) -> Handled {
        let reply = next.handle(query).await?;
        let composed = reply.clone().into_composed(&query.question);
        let Some(v6) = composed.filter(|composed| self.spec.replaces(composed)) else {
            return Ok(reply);
        };
        let question = Question {
            // As in CoreDNS what is found is in lower case.
            qname: query.question.qname.to_lowercase(),
            qtype: RecordType::A,
            ..query.question.clone()
        };
        let asked = Query {
            question,
            ..query.clone()
        };
        let v4 = match next.ask(&asked, asked.question.qname.to_name(0)).await {
            Ok(found) => found.unwrap_or_else(|| Composed::empty(ResponseCode::ServFail)),
            // Whoever failed has said so.
            Err(failure) => Composed::empty(failure.rcode),
        };
        let counter = &self.metrics.dns64;
        counter.with_label_values(&[next.server()]).inc();
        Ok(self.spec.made(&v6, v4).into())
    }
}

impl Plugin for Dns64 {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        if self.spec.concerns(query) {
            self.answer(query, next).boxed()
        } else {
            next.handle(query)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::absolute;
    use crate::plugin::tests::{error, query, read};

    /// The table of RFC 6052 section 2.4.
    #[test]
    fn an_ipv4_address_stands_behind_the_prefix_and_around_the_free_octet() {
        for (prefix, wanted) in [
            ("2001:db8::/32", "2001:db8:c000:221::"),
            ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
            ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
            // What is behind the prefix's length is not of it.
            ("64:ff9b::77/96", "64:ff9b::192.0.2.33"),
        ] {
            let spec = read(&format!("dns64 {prefix}"), parse).unwrap();
            let made = spec.prefix.with([192, 0, 2, 33].into());
            assert_eq!(made, wanted.parse::<Ipv6Addr>().unwrap(), "{prefix}");
        }
        let default = read("dns64", parse).unwrap();
        assert_eq!(default.prefix, WELL_KNOWN);
    }

    #[test]
    fn a_prefix_that_holds_no_ipv4_address_is_refused() {
        for prefix in ["10.0.0.0/8", "::/24", "64:ff9b::/33", "64:ff9b::/80", "x"] {
            let wanted = format!("'{prefix}' is no prefix for IPv4 addresses");
            assert_eq!(error(&format!("dns64 {prefix}")), wanted);
            assert_eq!(
                error(&format!("dns64 {{\nprefix {prefix}\n}}")),
                wanted,
                "{prefix}"
            );
        }
        assert_eq!(
            error("dns64 {\ntranslate\n}"),
            "unknown property 'translate' of `dns64`"
        );
    }

    #[test]
    fn a_record_lasts_no_longer_than_its_own_ttl_and_the_absence() {
        let spec = read("dns64", parse).unwrap();
        let owner = || absolute("a.test").unwrap();
        let v4 = |ttl| Composed {
            authoritative: true,
            answer: vec![
                record::cname(owner(), 9000, owner()),
                record::address(owner(), ttl, [192, 0, 2, 33].into()),
            ],
            ..Composed::empty(ResponseCode::NoError)
        };
        let soa = record::authority(owner(), 30, owner(), owner());
        let v6 = |authority| Composed {
            authority,
            ..Composed::empty(ResponseCode::NoError)
        };
        for (v6, ttl, wanted) in [
            (v6(Vec::new()), 3600, 600),
            (v6(Vec::new()), 5, 5),
            (v6(vec![soa]), 3600, 30),
        ] {
            let made = spec.made(&v6, v4(ttl));
            let shown: Vec<_> = made.answer.iter().map(ToString::to_string).collect();
            let address = format!("a.test. {wanted} IN AAAA 64:ff9b::c000:221");
            assert_eq!(shown, ["a.test. 9000 IN CNAME a.test.", &address]);
            assert!(!made.authoritative);
        }
    }

    #[test]
    fn only_who_asks_over_ipv6_for_ipv6_addresses_is_concerned() {
        let concerned = |file: &str, client: &str, qtype| {
            let mut query = query("a.test", qtype);
            query.route = client.parse::<std::net::SocketAddr>().unwrap().into();
            read(file, parse).unwrap().concerns(&query)
        };
        let aaaa = RecordType::AAAA;
        assert!(concerned("dns64", "[::1]:53", aaaa));
        assert!(!concerned("dns64", "[::1]:53", RecordType::A));
        assert!(!concerned("dns64", "[::ffff:127.0.0.1]:53", aaaa));
        assert!(concerned("dns64 {\nallow_ipv4\n}", "127.0.0.1:53", aaaa));
    }
}
