//! How plugins answer from zones of files: `file`, `auto`, and whoever has zones of others.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Handled, Next};
use crate::answer::Reply;
use crate::message::question::{OpCode, Query, RecordType};
use crate::message::reply::{Composed, Failure, ResponseCode};
use crate::name::{Name, Origins, Qname};
use crate::zonefile::{FileZone, Looked, NotAZone, Outcome, read};

/// Text of a file that is no zone.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("{0}")]
    Text(#[from] NotAZone),
    #[error("{file}: {problem}")]
    Zone { file: String, problem: String },
}

/// The zone of a file's octets.
pub(super) fn parse(file: &str, octets: &[u8], apex: &Name) -> Result<FileZone, Unusable> {
    // What of a comment is no UTF-8 does not matter, and of a name it is no name.
    let text = String::from_utf8_lossy(octets);
    let included = |path: &Path| -> io::Result<String> {
        // A pipe may have no end, nor a beginning.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let octets = std::fs::read(path)?;
        Ok(String::from_utf8_lossy(&octets).into_owned())
    };
    let records = read(file, &text, apex, &included)?;
    FileZone::new(apex, records).map_err(|problem| Unusable::Zone {
        file: file.to_owned(),
        problem,
    })
}

/// Of these zones, named in lower case, the longest that has the name.
pub(super) fn longest<'z, T>(
    zones: &'z BTreeMap<Name, T>,
    qname: &Qname,
) -> Option<(&'z Name, &'z T)> {
    let qname = qname.to_lowercase();
    (0..=qname.len()).find_map(|left| zones.get_key_value(&qname.to_name(left)))
}

/// The metadata that name the wildcard whose records answer.
pub(super) const WILDCARD: &str = "zone/wildcard";

/// What a plugin has for a name.
pub(super) struct OfName {
    /// `None`: nobody has read the zone yet.
    pub(super) zone: Option<Arc<FileZone>>,
    /// Of these names, those that do not exist go to the next plugin.
    pub(super) fallthrough: Origins,
}

/// Answers from a zone; `None`: the plugin has none of that name.
pub(super) async fn answer(query: &Query, found: Option<OfName>, next: Next<'_>) -> Handled {
    let Some(found) = found else {
        if next.is_nobody() {
            return refused("no zone of a file has this name");
        }
        return next.handle(query).await;
    };
    let Some(zone) = found.zone else {
        return Err(Failure::servfail("the zone has not been read yet"));
    };
    let question = &query.question;
    if query.opcode == OpCode::Notify {
        return Ok(Reply::refusal(ResponseCode::NotImp));
    }
    if matches!(question.qtype, RecordType::AXFR | RecordType::IXFR) {
        return refused("nobody may have the zone: there is no `transfer`");
    }
    let dnssec = query.edns.is_some_and(|edns| edns.dnssec_ok);
    let looked = zone.lookup(question, dnssec);
    if is_nothing(&looked) && found.fallthrough.cover(&question.qname) {
        return next.handle(query).await;
    }
    if let (Some(metadata), Some(wildcard)) = (&query.metadata, &looked.wildcard) {
        metadata.set(WILDCARD, wildcard.to_string());
    }
    let (mut looked, mut is_live) = (looked, false);
    if let Some(name) = looked.leads.clone() {
        let found = match next.ask(query, name).await {
            Ok(found) => found,
            Err(failure) => Some(Composed::empty(failure.rcode)),
        };
        is_live = found.as_ref().is_some_and(|found| found.is_live);
        looked = zone.followed(looked, (question.qtype, dnssec), found);
    }
    if looked.outcome == Outcome::Failed && looked.answer.is_empty() {
        return Err(Failure::servfail("the name comes to nothing"));
    }
    Ok(Composed {
        is_live,
        ..looked.compose()
    }
    .into())
}

/// Whether there is no record to answer with.
fn is_nothing(looked: &Looked) -> bool {
    let is_none = match looked.outcome {
        Outcome::NoSuchName | Outcome::EmptyNonTerminal => true,
        Outcome::Answer
        | Outcome::NoData
        | Outcome::Referral
        | Outcome::TooLong
        | Outcome::Failed => false,
    };
    is_none && looked.answer.is_empty()
}

fn refused(why: &str) -> Handled {
    Err(Failure {
        rcode: ResponseCode::Refused,
        why: why.into(),
        is_live: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::absolute;

    #[test]
    fn the_longest_zone_has_a_name_in_any_case() {
        let zones = ["test", "z.test", ".", "other"].map(|zone| (absolute(zone).unwrap(), ()));
        let mut zones = BTreeMap::from(zones);
        let found = |zones: &BTreeMap<Name, ()>, qname: &str| {
            let qname = Qname::from(absolute(qname).unwrap());
            longest(zones, &qname).map(|(apex, ())| apex.to_string())
        };
        for (qname, wanted) in [
            ("a.Z.Test", "z.test."),
            ("z.test", "z.test."),
            ("az.test", "test."),
            ("nowhere", "."),
            (".", "."),
        ] {
            assert_eq!(found(&zones, qname).as_deref(), Some(wanted), "{qname}");
        }
        zones.remove(&Name::root());
        assert_eq!(found(&zones, "nowhere"), None);
    }
}
