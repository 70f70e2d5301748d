//! What kind of reply one is, which decides where it is kept, and how long.

use std::collections::HashSet;

use crate::message::question::{DNSClass, Question, RecordType};
use crate::message::record::{RData, Record};
use crate::message::reply::{Composed, ResponseCode};
use crate::name::Name;
use crate::zone::MAX_ALIASES;

/// The kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Success,
    Denial,
    Failure,
    /// Names of servers to ask instead, or nothing at all.
    Referral,
    /// Records that do not answer the question, without a SOA record that would say for how long: an alias whose target
    /// nobody looked up. Passed on with a success's TTL, and not kept (RFC 2308 section 5).
    Incomplete,
    /// Not kept.
    Other,
}

impl Kind {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum: every other code is alike"
    )]
    pub(super) fn of(question: &Question, reply: &Composed) -> Self {
        let is_soa = |record: &Record| record.record_type() == RecordType::SOA;
        let has_soa = || reply.authority.iter().any(is_soa);
        match reply.rcode {
            ResponseCode::NoError if reply.answer.is_empty() && has_soa() => Self::Denial,
            ResponseCode::NoError if reply.answer.is_empty() => Self::Referral,
            ResponseCode::NoError if answers(question, &reply.answer) => Self::Success,
            // An alias that leads to nothing is a denial of what it leads to.
            ResponseCode::NoError if has_soa() => Self::Denial,
            ResponseCode::NoError => Self::Incomplete,
            // As in CoreDNS: the denial is of another name than the one that is asked for.
            ResponseCode::NXDomain if !reply.answer.is_empty() => Self::Other,
            ResponseCode::NXDomain if has_soa() => Self::Denial,
            ResponseCode::ServFail | ResponseCode::NotImp => Self::Failure,
            _ => Self::Other,
        }
    }
}

/// Whether the records answer the question: one of its type stands at the end of the aliases that begin at its name
/// (RFC 1034 section 3.6.2).
fn answers(question: &Question, records: &[Record]) -> bool {
    let qname = question.qname.to_name(0);
    let of_class =
        |record: &Record| question.qclass == DNSClass::ANY || record.dns_class == question.qclass;
    let records = || records.iter().filter(|record| of_class(record));
    let qtype = question.qtype;
    if qtype == RecordType::ANY {
        return records().any(|record| record.name == qname);
    }
    if qtype == RecordType::CNAME {
        return matches!(target(records(), &qname), Ok(Some(_)));
    }
    end(records, qname).is_some_and(|name| {
        records().any(|record| record.record_type() == qtype && record.name == name)
    })
}

/// The name at the end of the aliases; `None` where they lead round, or apart, or too far.
fn end<'a, I: Iterator<Item = &'a Record>>(records: impl Fn() -> I, qname: Name) -> Option<Name> {
    let (mut name, mut passed) = (qname, HashSet::new());
    while passed.len() < MAX_ALIASES && passed.insert(name.clone()) {
        match target(records(), &name).ok()? {
            Some(next) => name = next.clone(),
            None => return Some(name),
        }
    }
    None
}

/// Two aliases of one name.
struct Apart;

/// What a name is an alias of.
fn target<'a>(
    records: impl Iterator<Item = &'a Record>,
    owner: &Name,
) -> Result<Option<&'a Name>, Apart> {
    let mut found: Option<&Name> = None;
    for record in records.filter(|record| record.name == *owner) {
        if let RData::CNAME(target) = &record.data {
            if found.is_some_and(|found| *found != target.0) {
                return Err(Apart);
            }
            found = Some(&target.0);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::record::{address, authority, cname};
    use crate::name::absolute;
    use crate::plugin::tests::query;

    fn kind(qtype: RecordType, answer: &[&Record], authority: &[&Record]) -> Kind {
        let records = |records: &[&Record]| records.iter().copied().cloned().collect();
        let mut reply = Composed::empty(ResponseCode::NoError);
        reply.answer = records(answer);
        reply.authority = records(authority);
        Kind::of(&query("a.test", qtype).question, &reply)
    }

    #[test]
    fn an_answer_that_does_not_resolve_its_question_is_no_success() {
        let name = |text| absolute(text).unwrap();
        let alias = |owner, target| cname(name(owner), 60, name(target));
        let soa = authority(name("test"), 60, name("ns.test"), name("admin.test"));
        let (first, round, apart) = (
            alias("A.test", "b.test"),
            alias("b.test", "a.test"),
            alias("a.test", "c.test"),
        );
        let end = address(name("B.test"), 60, [192, 0, 2, 1].into());
        let (a, aaaa) = (RecordType::A, RecordType::AAAA);
        assert_eq!(kind(a, &[&first, &end], &[]), Kind::Success);
        assert_eq!(kind(a, &[&end, &first], &[]), Kind::Success);
        assert_eq!(kind(RecordType::CNAME, &[&first], &[]), Kind::Success);
        assert_eq!(kind(RecordType::ANY, &[&first], &[]), Kind::Success);
        assert_eq!(kind(a, &[&first], &[]), Kind::Incomplete);
        assert_eq!(kind(a, &[&first, &round], &[]), Kind::Incomplete);
        assert_eq!(kind(a, &[&first, &apart, &end], &[]), Kind::Incomplete);
        assert_eq!(kind(aaaa, &[&first, &end], &[]), Kind::Incomplete);
        assert_eq!(kind(a, &[&end], &[]), Kind::Incomplete);
        assert_eq!(kind(a, &[&first], &[&soa]), Kind::Denial);
        assert_eq!(kind(a, &[], &[&soa]), Kind::Denial);
        assert_eq!(kind(a, &[], &[]), Kind::Referral);
        let question = query("a.test", a).question;
        let mut denied = Composed::empty(ResponseCode::NXDomain);
        denied.authority = vec![soa];
        assert_eq!(Kind::of(&question, &denied), Kind::Denial);
        denied.answer = vec![first];
        assert_eq!(Kind::of(&question, &denied), Kind::Other);
    }
}
