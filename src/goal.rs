//! What somebody waits for a name to answer, and whether replies say so already.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use crate::message::question::RecordType;
use crate::message::rcode_name;
use crate::message::record::RData;
use crate::message::reply::{Composed, ResponseCode};
use crate::name::Name;

/// What is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// An address, of either family.
    #[default]
    Address,
    /// No address: the name does not exist, or has none.
    Gone,
    /// So many addresses of one family, or more.
    Count(usize),
    /// This address, among others or alone.
    Is(IpAddr),
    /// An SRV record.
    Srv,
}

/// A reply, or why there is none.
pub type Heard = Result<Composed, String>;

/// What replies come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They say what is waited for; this is what.
    Met(String),
    /// They do not yet; this is what is missing.
    Missing(String),
    /// There is no reply; why.
    Silent(String),
}

impl Verdict {
    /// The words of it.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Met(words) | Self::Missing(words) | Self::Silent(words) => words,
        }
    }
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            Err(
                "address, gone, count=N, address=IP or srv was expected, such as count=3"
                    .to_owned(),
            )
        };
        match text.split_once('=') {
            None => match text {
                "address" => Ok(Self::Address),
                "gone" => Ok(Self::Gone),
                "srv" => Ok(Self::Srv),
                _ => expected(),
            },
            Some(("count", number)) => match number.parse() {
                Ok(number @ 1..) => Ok(Self::Count(number)),
                Ok(0) | Err(_) => Err("count=N: a number from 1 on was expected".into()),
            },
            Some(("address", ip)) => ip
                .parse()
                .map(|ip: IpAddr| Self::Is(ip.to_canonical()))
                .map_err(|_| "address=IP: an address such as 10.0.0.1 was expected".into()),
            Some(_) => expected(),
        }
    }
}

impl Goal {
    /// The types to ask for.
    #[must_use]
    pub fn types(&self) -> &'static [RecordType] {
        match self {
            Self::Srv => &[RecordType::SRV],
            Self::Address | Self::Gone | Self::Count(_) | Self::Is(_) => {
                &[RecordType::A, RecordType::AAAA]
            }
        }
    }

    /// What the replies say to each of the names that a resolver tries in turn: one for each of [`Goal::types`]. As for a
    /// resolver the first name that has data counts.
    #[must_use]
    pub fn judge(&self, tried: &[Vec<Heard>]) -> Verdict {
        let verdict = self.judged(tried);
        if let Verdict::Silent(words) = &verdict
            && tried.iter().flatten().any(Result::is_ok)
        {
            // A server has answered, if not for all.
            return Verdict::Missing(words.clone());
        }
        verdict
    }

    fn judged(&self, tried: &[Vec<Heard>]) -> Verdict {
        let with_data = || tried.iter().find(|replies| !data(replies).is_empty());
        // That nobody knows says more than that the first of several names does not exist.
        let undecided = || tried.iter().find(|replies| !replies.iter().all(decides));
        let aliased = || tried.iter().find(|replies| alias(replies).is_some());
        let replies = with_data().or_else(aliased).or_else(undecided);
        let replies = replies.or_else(|| tried.first());
        let Some(replies) = replies else {
            return Verdict::Silent("nothing was asked".into());
        };
        let (data, ips) = (data(replies), addresses(replies));
        let said = data.iter().map(String::as_str).collect::<Vec<_>>();
        let said = said.join(" ");
        match self {
            Self::Gone if !data.is_empty() => Verdict::Missing(format!("still {said}")),
            Self::Gone => match tried.iter().find_map(|replies| alias(replies)) {
                Some(target) => Verdict::Missing(format!("still an alias of {target}")),
                None => gone(tried),
            },
            Self::Address | Self::Count(_) | Self::Is(_) | Self::Srv if data.is_empty() => {
                match alias(replies) {
                    Some(target) => {
                        Verdict::Missing(format!("an alias of {target}, of which nothing is said"))
                    }
                    None => absence(replies),
                }
            }
            Self::Address | Self::Srv => Verdict::Met(said),
            Self::Is(ip) if ips.contains(ip) => Verdict::Met(said),
            Self::Is(ip) => Verdict::Missing(format!("{said}, not {ip}")),
            Self::Count(wanted) => {
                let v4 = ips.iter().filter(|ip| ip.is_ipv4()).count();
                let has = v4.max(ips.len() - v4);
                if has >= *wanted {
                    Verdict::Met(said)
                } else {
                    Verdict::Missing(format!("{has} of {wanted} addresses: {said}"))
                }
            }
        }
    }
}

/// That no name has data, where every reply says so.
fn gone(tried: &[Vec<Heard>]) -> Verdict {
    let undecided = tried.iter().find(|replies| !replies.iter().all(decides));
    match undecided {
        Some(replies) => absence(replies),
        None => Verdict::Met("gone".into()),
    }
}

/// Whether a reply says what there is, or that there is nothing.
fn decides(heard: &Heard) -> bool {
    let rcode = heard.as_ref().map(|reply| reply.rcode);
    matches!(rcode, Ok(ResponseCode::NoError | ResponseCode::NXDomain))
}

/// Why there are no data: the worst of what was heard.
fn absence(replies: &[Heard]) -> Verdict {
    let badness = |heard: &&Heard| match heard {
        Err(_) => 3,
        Ok(reply) if reply.rcode == ResponseCode::NoError => 0,
        Ok(reply) if reply.rcode == ResponseCode::NXDomain => 1,
        Ok(_) => 2,
    };
    match replies.iter().max_by_key(badness) {
        Some(Ok(reply)) => {
            let code = if reply.rcode == ResponseCode::NoError {
                "NODATA".to_owned()
            } else {
                rcode_name(reply.rcode)
            };
            let why = reply.error.as_ref().map(|said| &*said.text);
            Verdict::Missing(match why.filter(|why| !why.is_empty()) {
                Some(why) => format!("{code} ({why})"),
                None => code,
            })
        }
        Some(Err(why)) => Verdict::Silent(format!("no reply: {why}")),
        None => Verdict::Silent("nothing was asked".into()),
    }
}

fn addresses(replies: &[Heard]) -> BTreeSet<IpAddr> {
    let replies = replies.iter().flatten();
    let records = replies.flat_map(|reply| &reply.answer);
    records.filter_map(|record| record.data.ip_addr()).collect()
}

/// What the name is an alias of, where it is one.
fn alias(replies: &[Heard]) -> Option<&Name> {
    let records = replies.iter().flatten().flat_map(|reply| &reply.answer);
    let mut aliases = records.filter_map(|record| {
        if let RData::CNAME(target) = &record.data {
            Some(&target.0)
        } else {
            None
        }
    });
    aliases.next()
}

/// Addresses and SRV targets in words, each once.
fn data(replies: &[Heard]) -> BTreeSet<String> {
    let records = replies.iter().flatten().flat_map(|reply| &reply.answer);
    let words = records.filter_map(|record| {
        if let RData::SRV(srv) = &record.data {
            return Some(format!("{}:{}", srv.target, srv.port));
        }
        record.data.ip_addr().map(|ip| ip.to_string())
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::record::{address, cname, service};
    use crate::message::reply::Said;
    use crate::name::absolute;

    fn name() -> Name {
        absolute("redis.default.svc.cluster.local").unwrap()
    }

    fn with(ips: &[&str]) -> Heard {
        let mut reply = Composed::empty(ResponseCode::NoError);
        let record = |ip: &&str| address(name(), 30, ip.parse().unwrap());
        reply.answer = ips.iter().map(record).collect();
        Ok(reply)
    }

    fn denied(rcode: ResponseCode, why: &str) -> Heard {
        let mut reply = Composed::empty(rcode);
        reply.error = (!why.is_empty()).then(|| Said {
            code: 0,
            text: why.into(),
        });
        Ok(reply)
    }

    fn met(words: &str) -> Verdict {
        Verdict::Met(words.into())
    }

    fn missing(words: &str) -> Verdict {
        Verdict::Missing(words.into())
    }

    #[test]
    fn each_goal_is_read_and_what_is_none_is_refused() {
        for (text, goal) in [
            ("address", Goal::Address),
            ("gone", Goal::Gone),
            ("count=3", Goal::Count(3)),
            ("address=::1", Goal::Is("::1".parse().unwrap())),
            (
                "address=::ffff:10.0.0.1",
                Goal::Is("10.0.0.1".parse().unwrap()),
            ),
            ("srv", Goal::Srv),
        ] {
            assert_eq!(text.parse(), Ok(goal));
        }
        for text in [
            "", "count", "count=0", "count=x", "address=", "srv=1", "port=1",
        ] {
            assert!(text.parse::<Goal>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_goal_is_met_by_what_it_says_and_by_nothing_less() {
        let nx = || denied(ResponseCode::NXDomain, "no such endpoint of redis.default");
        let nodata = || denied(ResponseCode::NoError, "");
        let says = missing("NXDOMAIN (no such endpoint of redis.default)");
        let is = |ip: &str| Goal::Is(ip.parse().unwrap());
        let both = || vec![with(&["10.0.0.2", "10.0.0.1"]), with(&["fd00::1"])];
        let all = "10.0.0.1 10.0.0.2 fd00::1";
        for (goal, replies, wanted) in [
            (Goal::Address, vec![nx(), nx()], says.clone()),
            (Goal::Address, vec![nodata(), nodata()], missing("NODATA")),
            (
                Goal::Address,
                vec![with(&["10.0.0.1"]), nodata()],
                met("10.0.0.1"),
            ),
            (Goal::Count(2), both(), met(all)),
            (
                Goal::Count(3),
                both(),
                missing(&format!("2 of 3 addresses: {all}")),
            ),
            (is("fd00::1"), both(), met(all)),
            (
                is("10.0.0.3"),
                both(),
                missing(&format!("{all}, not 10.0.0.3")),
            ),
            (Goal::Gone, both(), missing(&format!("still {all}"))),
            (Goal::Gone, vec![nx(), nodata()], met("gone")),
            (Goal::Srv, vec![nx()], says),
        ] {
            assert_eq!(goal.judge(&[replies]), wanted, "{goal:?}");
        }
    }

    #[test]
    fn an_alias_is_not_gone_and_has_no_address_of_its_own() {
        let mut reply = Composed::empty(ResponseCode::NoError);
        let target = absolute("www.example.com").unwrap();
        reply.answer = vec![cname(name(), 30, target)];
        let tried = [vec![Ok(reply), Ok(Composed::empty(ResponseCode::NoError))]];
        let missing = |words: &str| Verdict::Missing(words.to_owned());
        let gone = Goal::Gone.judge(&tried);
        assert_eq!(gone, missing("still an alias of www.example.com."));
        let address = Goal::Address.judge(&tried);
        assert_eq!(
            address,
            missing("an alias of www.example.com., of which nothing is said")
        );
    }

    #[test]
    fn nothing_is_gone_while_one_name_is_not_decided() {
        let nx = || denied(ResponseCode::NXDomain, "");
        let failed = denied(ResponseCode::ServFail, "not synced");
        let tried = [vec![nx(), nx()], vec![nx(), failed]];
        assert_eq!(Goal::Gone.judge(&tried), missing("SERVFAIL (not synced)"));
        let silent = vec![Err("connection refused".to_owned()), nx()];
        let refused = "no reply: connection refused";
        assert_eq!(Goal::Gone.judge(&[silent]), missing(refused));
        let silent = vec![Err("connection refused".to_owned())];
        let wanted = Verdict::Silent(refused.into());
        assert_eq!(Goal::Gone.judge(&[silent]), wanted);
    }

    #[test]
    fn of_the_names_that_are_tried_the_first_with_data_counts_and_else_the_first() {
        let nx = |why| vec![denied(ResponseCode::NXDomain, why); 2];
        let tried = [nx("a"), vec![with(&["10.0.0.1"]), with(&[])], nx("b")];
        assert_eq!(Goal::Address.judge(&tried), met("10.0.0.1"));
        assert_eq!(
            Goal::Address.judge(&[nx("a"), nx("b")]),
            missing("NXDOMAIN (a)")
        );
        let failed = vec![denied(ResponseCode::ServFail, "c"); 2];
        assert_eq!(
            Goal::Address.judge(&[nx("a"), failed]),
            missing("SERVFAIL (c)")
        );
    }

    #[test]
    fn a_service_record_is_told_with_its_port() {
        let target = absolute("redis-0.test").unwrap();
        let mut reply = Composed::empty(ResponseCode::NoError);
        reply.answer = vec![service(name(), 30, 6379, target)];
        assert_eq!(
            Goal::Srv.judge(&[vec![Ok(reply)]]),
            met("redis-0.test.:6379")
        );
    }
}
