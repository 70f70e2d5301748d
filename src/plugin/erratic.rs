//! `erratic`: replies that are lost, late or cut short, to try clients out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::{Block, Link, Parts};
use super::kit::{Directives, Registration, duration, flag};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::{CorefileError, Token};
use crate::message::question::{Query, RecordType};
use crate::message::record::{self, Record};
use crate::message::reply::{Composed, Failure, ResponseCode};
use crate::name::{Name, absolute, join};

pub(super) const PLUGIN: Registration = Registration {
    name: "erratic",
    setup,
};

/// CoreDNS's: every second question, and how late.
const EVERY: u64 = 2;
const LATE: Duration = Duration::from_millis(100);

/// How often the record of a large reply is repeated: more than a datagram without EDNS holds.
const LARGE: usize = 30;

/// `erratic { drop [N]; truncate [N]; delay [N [DURATION]]; large }`; zero is never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Spec {
    /// Every so many questions there is no reply.
    drop: u64,
    /// The bits of the question's number that are zero where a reply is truncated, as in CoreDNS.
    truncate: u64,
    /// Every so many questions the reply is late.
    delay: u64,
    late: Duration,
    large: bool,
}

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let spec = parse(directives)?;
    block.links.push((PLUGIN.name, Box::new(spec)));
    Ok(())
}

fn parse(directives: &Directives<'_>) -> Result<Spec, CorefileError> {
    let (mut spec, mut drop) = (Spec::default(), None);
    for directive in directives.iter() {
        directive.no_args()?;
        for property in &directive.body {
            match (property.name.text.as_str(), &property.args[..]) {
                ("drop", []) => {}
                ("drop", [every]) => drop = Some(number(every)?),
                ("truncate", []) => spec.truncate = EVERY,
                ("truncate", [every]) => spec.truncate = number(every)?,
                ("delay", []) => (spec.delay, spec.late) = (EVERY, LATE),
                ("delay", [every]) => (spec.delay, spec.late) = (number(every)?, LATE),
                ("delay", [every, late]) => {
                    (spec.delay, spec.late) = (number(every)?, duration(late)?);
                }
                ("drop" | "truncate" | "delay", [.., extra]) => {
                    let problem = format!("`{}` has too many arguments", property.name.text);
                    return Err(extra.error(problem, "the end of the line"));
                }
                ("large", _) => spec.large = flag(property)?,
                _ => {
                    let known = "drop, truncate, delay or large";
                    return Err(directive.unknown_property(property, known));
                }
            }
        }
    }
    let otherwise = spec.delay > 0 || spec.truncate > 0;
    spec.drop = drop.unwrap_or(if otherwise { 0 } else { EVERY });
    Ok(spec)
}

fn number(arg: &Token) -> Result<u64, CorefileError> {
    let number = arg.text.parse::<i32>().ok().map(u64::try_from);
    let error = || {
        let problem = format!("'{}' is no number of questions", arg.text);
        arg.error(problem, "a number, 0 or more")
    };
    number.and_then(Result::ok).ok_or_else(error)
}

impl Link for Spec {
    fn build(&self, _: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        Ok(Arc::new(Erratic {
            spec: self.clone(),
            asked: AtomicU64::new(0),
        }))
    }
}

/// The handler.
struct Erratic {
    spec: Spec,
    /// How many questions have come.
    asked: AtomicU64,
}

impl Erratic {
    async fn answer(&self, query: &Query) -> Handled {
        let Self { spec, asked } = self;
        let number = asked.fetch_add(1, Ordering::Relaxed);
        let is_due = |every: u64| every > 0 && number.is_multiple_of(every);
        if is_due(spec.drop) {
            return Ok(Reply::Nothing);
        }
        if is_due(spec.delay) {
            tokio::time::sleep(spec.late).await;
        }
        let truncated = spec.truncate > 0 && number & spec.truncate == 0;
        Ok(spec.reply(query, truncated)?.into())
    }
}

impl Spec {
    fn reply(&self, query: &Query, truncated: bool) -> Result<Composed, Failure> {
        let owner = query.question.qname.to_name(0);
        let is_transfer = query.question.qtype == RecordType::AXFR;
        let answer = if is_transfer {
            transfer(&owner, truncated)
        } else if query.question.qtype == RecordType::A {
            let repeated = if self.large { LARGE } else { 1 };
            vec![record::address(owner, 0, [192, 0, 2, 53].into()); repeated]
        } else if query.question.qtype == RecordType::AAAA {
            let ip = [0x2001, 0x0db8, 0, 0, 0, 0, 0, 0x53];
            vec![record::address(owner, 0, ip.into())]
        } else {
            return Err(Failure::servfail(""));
        };
        Ok(Composed {
            authoritative: true,
            truncated: truncated && !is_transfer,
            answer,
            ..Composed::empty(ResponseCode::NoError)
        })
    }
}

/// A small zone: CoreDNS's. Where it is cut short its last record, the SOA, is not there.
fn transfer(owner: &Name, is_cut: bool) -> Vec<Record> {
    let below = |label: &str| join(&[label], owner).unwrap_or_else(|| owner.clone());
    let of_icann = |label: &str| absolute(&format!("{label}.dns.icann.org"));
    let names = [of_icann("sns"), of_icann("noc")];
    let [mname, rname] = names.map(|name| name.unwrap_or_else(|_| owner.clone()));
    let numbers = [2_018_050_825, 7200, 3600, 1_209_600, 3600];
    let soa = record::start(owner.clone(), 0, [mname, rname], numbers);
    let server = |label| record::server(owner.clone(), 0, below(label));
    let address = |label, ip: [u16; 8]| record::address(below(label), 0, ip.into());
    let mut records = vec![
        soa.clone(),
        server("b"),
        server("a"),
        address("a", [0x2001, 0x0bd8, 0, 0, 0, 0, 0, 0x53]),
        address("b", [0x2001, 0x0500, 0, 0, 0, 0, 0, 0x54]),
    ];
    if !is_cut {
        records.push(soa);
    }
    records
}

impl Plugin for Erratic {
    fn handle<'a>(&'a self, query: &'a Query, _: Next<'a>) -> BoxFuture<'a, Handled> {
        self.answer(query).boxed()
    }

    /// As in CoreDNS after three questions, for two: so that a probe can be tried out.
    fn is_ready(&self) -> Option<bool> {
        Some((3..5).contains(&self.asked.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tests::{error, query, read};

    #[test]
    fn what_is_said_counts_and_else_every_second_reply_is_lost() {
        let spec = |drop, truncate, delay, late| Spec {
            drop,
            truncate,
            delay,
            late: Duration::from_millis(late),
            large: false,
        };
        for (lines, wanted) in [
            ("", spec(2, 0, 0, 0)),
            ("drop", spec(2, 0, 0, 0)),
            ("drop 3", spec(3, 0, 0, 0)),
            ("truncate", spec(0, 2, 0, 0)),
            ("delay", spec(0, 0, 2, 100)),
            ("delay 3", spec(0, 0, 3, 100)),
            ("delay 3 50ms\ndrop 4", spec(4, 0, 3, 50)),
            ("drop 0\ntruncate 5", spec(0, 5, 0, 0)),
        ] {
            let file = format!("erratic {{\n{lines}\n}}");
            assert_eq!(read(&file, parse).unwrap(), wanted, "{lines}");
        }
        for (line, problem) in [
            ("drop x", "'x' is no number of questions"),
            ("drop -1", "'-1' is no number of questions"),
            ("delay 3 abc", "'abc' is no duration"),
            ("truncate 1 2", "`truncate` has too many arguments"),
            ("lose", "unknown property 'lose' of `erratic`"),
        ] {
            assert_eq!(error(&format!("erratic {{\n{line}\n}}")), problem);
        }
    }

    #[test]
    fn replies_are_lost_and_cut_by_the_number_of_the_question() {
        let erratic = |lines: &str| Erratic {
            spec: read(&format!("erratic {{\n{lines}\n}}"), parse).unwrap(),
            asked: AtomicU64::new(0),
        };
        let asked = |erratic: &Erratic, qtype| {
            let query = query("q.test", qtype);
            match futures::executor::block_on(erratic.answer(&query)) {
                Ok(Reply::Composed(reply)) => {
                    format!("{} {}", reply.answer.len(), reply.truncated)
                }
                Ok(_) => "nothing".to_owned(),
                Err(failure) => failure.rcode.to_string(),
            }
        };
        let lossy = erratic("drop 3");
        let a = RecordType::A;
        let seen = [a, RecordType::AAAA, RecordType::TXT, a].map(|qtype| asked(&lossy, qtype));
        assert_eq!(seen, ["nothing", "1 false", "Server Failure", "nothing"]);
        let cut = erratic("truncate 2\nlarge");
        let seen = [a; 6].map(|qtype| asked(&cut, qtype));
        let (whole, short) = ("30 false", "30 true");
        assert_eq!(seen, [short, short, whole, whole, short, short]);
        let zone = erratic("drop 0");
        assert_eq!(asked(&zone, RecordType::AXFR), "6 false");
    }

    #[test]
    fn it_is_ready_for_two_questions() {
        let erratic = Erratic {
            spec: Spec::default(),
            asked: AtomicU64::new(0),
        };
        let ready = |_| {
            let ready = erratic.is_ready();
            drop(futures::executor::block_on(
                erratic.answer(&query("q.test", RecordType::A)),
            ));
            ready == Some(true)
        };
        let seen: Vec<_> = (0..6).map(ready).collect();
        assert_eq!(seen, [false, false, false, true, true, false]);
    }
}
