//! Catalog zones: zones that list other zones (RFC 9432).

use crate::message::question::RecordType;
use crate::message::record::{Record, named_in, texts};
use crate::name::{Name, Qname};
use crate::zonefile::FileZone;

/// A zone that a catalog lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name, in lower case.
    pub(super) zone: Name,
    /// The label that stands for it in the catalog (RFC 9432 section 4.1).
    pub(super) id: Box<[u8]>,
    /// The catalog that it may go over to (RFC 9432 section 4.4.1).
    pub(super) to: Option<Name>,
}

/// The schema that is known (RFC 9432 section 4.2.1).
const VERSION: &[u8] = b"2";

/// The members of a catalog, in the order of their labels.
///
/// # Errors
/// What of it is no catalog.
pub(super) fn members(catalog: &FileZone) -> Result<Vec<Member>, String> {
    let (mut versions, mut members, mut owners) = (Vec::new(), Vec::<Member>::new(), Vec::new());
    for record in catalog.records() {
        let labels = labels_of(catalog, record);
        let labels: Vec<&[u8]> = labels.iter().map(|label| &**label).collect();
        match (&labels[..], record.record_type()) {
            ([b"version"], RecordType::TXT) => versions.push(texts(record).concat()),
            ([id, b"zones"], RecordType::PTR) => members.push(Member {
                zone: pointer(record),
                id: (*id).into(),
                to: None,
            }),
            ([b"coo", id, b"zones"], RecordType::PTR) => {
                owners.push((id.to_vec(), pointer(record)))
            }
            _ => {}
        }
    }
    if versions != [VERSION] {
        return Err("it has no version, or another than 2".into());
    }
    for (at, member) in members.iter().enumerate() {
        let mut others = members[..at].iter();
        if others.any(|other| other.id == member.id || other.zone == member.zone) {
            return Err(format!(
                "{} stands in it twice, or its label does",
                member.zone
            ));
        }
    }
    for (id, to) in owners {
        if let Some(member) = members.iter_mut().find(|member| *member.id == *id) {
            if member.to.is_some() {
                return Err(format!("{} has two new catalogs", member.zone));
            }
            member.to = Some(to);
        }
    }
    Ok(members)
}

/// The labels of a record's name below the zone's, in lower case.
fn labels_of(catalog: &FileZone, record: &Record) -> Vec<Box<[u8]>> {
    let qname = Qname::from(&record.name);
    let left = qname.len().saturating_sub(catalog.apex.iter().count());
    (0..left).map(|i| qname.lower(i).into()).collect()
}

/// The name of a PTR record, in lower case.
fn pointer(record: &Record) -> Name {
    let mut data = record.data.clone();
    let names = named_in(&mut data);
    names
        .first()
        .map_or_else(Name::root, |name| name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::absolute;
    use crate::zonefile::read;

    fn of(text: &str) -> Result<Vec<Member>, String> {
        let apex = absolute("cat.test").unwrap();
        let text = format!("$TTL 0\n@ SOA . . 1 2 3 4 5\n@ NS invalid.\n{text}");
        let none = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        let records = read("cat", &text, &apex, &none).unwrap();
        members(&FileZone::new(&apex, records).unwrap())
    }

    #[test]
    fn members_have_a_label_and_may_have_a_new_owner() {
        let text = "version TXT \"2\"\na.zones PTR A.test.\nb.zones PTR b.test.\n\
            coo.b.zones PTR Other.test.\ngroup.b.zones TXT \"x\"\nx.ext PTR ignored.test.\n";
        let member = |zone, id: &[u8], to: Option<&str>| Member {
            zone: absolute(zone).unwrap(),
            id: id.into(),
            to: to.map(|to| absolute(to).unwrap()),
        };
        assert_eq!(
            of(text),
            Ok(vec![
                member("a.test", b"a", None),
                member("b.test", b"b", Some("other.test")),
            ])
        );
    }

    #[test]
    fn what_is_no_catalog_says_why() {
        let version = "version TXT \"2\"\n";
        let none = "it has no version, or another than 2";
        for (text, why) in [
            (String::new(), none),
            ("version TXT \"1\"\n".to_owned(), none),
            (format!("{version}version TXT \"3\"\n"), none),
            (
                format!("{version}a.zones PTR x.\nb.zones PTR X.\n"),
                "x. stands in it twice, or its label does",
            ),
            (
                format!("{version}a.zones PTR x.\na.zones PTR y.\n"),
                "y. stands in it twice, or its label does",
            ),
            (
                format!("{version}a.zones PTR x.\ncoo.a.zones PTR y.\ncoo.a.zones PTR z.\n"),
                "x. has two new catalogs",
            ),
        ] {
            assert_eq!(of(&text).unwrap_err(), why, "{text}");
        }
    }
}
