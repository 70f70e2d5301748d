//! Names that stand for other names: ExternalName Services, and slices of type FQDN.

use super::Zone;
use super::candidates::{Candidate, Value};
use super::lookup::{Answer, Asked, Records, family, positive};
use crate::message::question::Question;
use crate::message::record;
use crate::message::reply::Reason;
use crate::name::{Name, ServiceKey, absolute};

/// How many aliases one answer may hold: CoreDNS follows ten and gives up at the twelfth.
const MAX_ALIASES: usize = 11;

/// The aliases followed so far within one answer.
#[derive(Debug, Default)]
pub(super) struct Chain(Vec<Name>);

impl Chain {
    /// Whether `owner → target` may be followed; if so it is noted.
    fn follow(&mut self, owner: &Name, target: &Name) -> bool {
        let known = owner.zone_of(target) || self.0.contains(target);
        let fits = !known && self.0.len() < MAX_ALIASES;
        if fits {
            self.0.push(target.clone());
        }
        fits
    }
}

impl Zone {
    /// A or AAAA: addresses of the family, each once, and what aliases lead to.
    pub(super) fn addresses(
        &self,
        asked: &Asked<'_>,
        key: &ServiceKey,
        found: &[Candidate<'_>],
        chain: &mut Chain,
    ) -> Answer {
        let (qname, qtype, ttl) = (&asked.question.qname, asked.question.qtype, asked.view.ttl);
        let mut seen = ahash::AHashSet::new();
        let (mut records, mut targets) = (Records::default(), Vec::new());
        let mut reason = Reason::OtherType;
        for candidate in found {
            let alias = match candidate.value {
                Value::Address(ip) => {
                    if family(qtype, ip).is_some() && seen.insert(ip) {
                        records.answer.push(record::address(qname.clone(), ttl, ip));
                    }
                    continue;
                }
                Value::Alias(alias) => alias,
            };
            let Ok(target) = absolute(alias) else {
                return Answer::Unanswerable(Reason::BadExternalName(key.clone()));
            };
            if !chain.follow(qname, &target) {
                reason = Reason::AliasWithoutData;
                continue;
            }
            let alias = record::cname(qname.clone(), ttl, target.clone());
            match self.inside(asked, &target, chain) {
                Answer::OutOfZone => {
                    records.answer.push(alias);
                    targets.push(target);
                }
                Answer::Positive(more) => {
                    records.answer.push(alias);
                    records.answer.extend(more.answer);
                }
                Answer::Alias {
                    records: more,
                    targets: further,
                } => {
                    records.answer.push(alias);
                    records.answer.extend(more.answer);
                    targets.extend(further);
                }
                Answer::Unanswerable(why) => return Answer::Unanswerable(why),
                Answer::NoData(_) | Answer::NxDomain(_) | Answer::NotSynced(_) => {
                    reason = Reason::AliasWithoutData
                }
            }
        }
        match (records.answer.is_empty(), targets.is_empty()) {
            (true, _) => Answer::NoData(reason),
            (false, true) => Answer::Positive(records),
            (false, false) => Answer::Alias { records, targets },
        }
    }

    /// CNAME: the first candidate, if it is a name. Never followed.
    pub(super) fn cname(
        &self,
        asked: &Asked<'_>,
        key: &ServiceKey,
        found: &[Candidate<'_>],
    ) -> Answer {
        let Some(Value::Alias(alias)) = found.first().map(|c| c.value) else {
            return Answer::NoData(Reason::OtherType);
        };
        match absolute(alias) {
            Ok(target) => positive(
                Some(record::cname(
                    asked.question.qname.clone(),
                    asked.view.ttl,
                    target,
                )),
                None,
            ),
            Err(_) => Answer::Unanswerable(Reason::BadExternalName(key.clone())),
        }
    }

    /// Looks `target` up where it is in the same zone as the question.
    fn inside(&self, asked: &Asked<'_>, target: &Name, chain: &mut Chain) -> Answer {
        if asked.view.zone_of(target) != Some(asked.zone) {
            return Answer::OutOfZone;
        }
        let typed = target.trim_to(usize::from(asked.zone.num_labels()));
        let question = Question {
            qname: target.clone(),
            ..asked.question.clone()
        };
        self.answer(
            &Asked {
                question: &question,
                typed: &typed,
                ..*asked
            },
            chain,
        )
    }
}
