//! Which names programs have looked up by way of their search list, and what that is good for: told from the denied names.
//!
//! A Pod of the namespace `ns` has its resolver try `NAME.ns.svc.DOMAIN`, `NAME.svc.DOMAIN` and `NAME.DOMAIN` before `NAME`,
//! where `NAME` has fewer dots than `ndots` (resolv.conf(5)), five mostly. So each look-up is denied once below a namespace.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::answer::compose;
use crate::message::question::{Question, RecordType};
use crate::metrics::Counted;
use crate::name::{Name, Qname, join, text};
use crate::zone::{Shown, Zone};

/// A name as a program has it, with a dot at least or as it could not be that of an endpoint.
pub(super) struct Searched {
    stem: String,
    namespaces: BTreeSet<String>,
    count: u64,
    over: u64,
    dots: usize,
    /// The name of the cluster that a later suffix of the list makes of it.
    leads_to: Option<Name>,
}

/// What would become of it with `ndots:2`.
fn under_ndots_2(dots: usize, is_found: bool) -> &'static str {
    match (dots, is_found) {
        (..2, _) => "the same",
        // The name itself is asked for first, outside the cluster; musl asks for nothing else then.
        (2.., true) => "breaks",
        (2.., false) => "asked for at once",
    }
}

impl Searched {
    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.stem, "namespaces": self.namespaces, "count": self.count, "over": self.over,
            "leadsTo": self.leads_to.as_ref().map(ToString::to_string),
            "ndots2": under_ndots_2(self.dots, self.leads_to.is_some()),
        })
    }
}

/// The names of search lists among those that were denied, what came most often first.
pub(super) fn searched(zone: &Zone, shown: &Shown, denied: &[Counted]) -> Vec<Searched> {
    let names: Vec<(Qname, &Counted)> = denied
        .iter()
        .filter_map(|one| Some((name_of(one)?, one)))
        .collect();
    let all: BTreeSet<&[u8]> = names.iter().map(|(name, _)| whole(name)).collect();
    let mut found: BTreeMap<Vec<u8>, Searched> = BTreeMap::new();
    for (name, counted) in &names {
        let Some((labels, apex)) = below_namespace(zone, shown, name) else {
            continue;
        };
        let stem = name.lower_wire(0, labels);
        let later = [labels + 1, labels + 2].map(|from| {
            let tail = name.lower_wire(from, apex);
            [stem, tail, name.lower_wire(apex, name.len())].concat()
        });
        let leads_to = later.iter().find_map(|wire| answering(zone, shown, wire));
        let was_searched = later.iter().any(|wire| all.contains(&wire[..]));
        // No name below a Service has so many labels, but for those of ports.
        let is_foreign = labels > 2 && !name.lower(0).starts_with(b"_");
        if leads_to.is_none() && !was_searched && !is_foreign {
            continue;
        }
        let one = found.entry(stem.to_vec()).or_insert_with(|| Searched {
            stem: stem_of(name, labels),
            namespaces: BTreeSet::new(),
            count: 0,
            over: 0,
            dots: labels - 1,
            leads_to,
        });
        one.namespaces.insert(text(name.lower(labels)).into_owned());
        one.count += counted.count;
        one.over += counted.over;
    }
    let mut found: Vec<Searched> = found.into_values().collect();
    found.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.stem.cmp(&b.stem)));
    found
}

/// The name that was counted.
pub(super) fn name_of(counted: &Counted) -> Option<Qname> {
    Qname::read(&[&counted.key[..], &[0]].concat())
}

/// A name's labels in lower case, without the root's octet.
fn whole(name: &Qname) -> &[u8] {
    name.lower_wire(0, name.len())
}

/// How many labels a name has before a namespace of the cluster, one at least, and before the zone.
fn below_namespace(zone: &Zone, shown: &Shown, name: &Qname) -> Option<(usize, usize)> {
    let left = shown.place(name, RecordType::A)?.left();
    let labels = left.checked_sub(2).filter(|labels| *labels > 0)?;
    let is_below = name.is(left - 1, b"svc") && zone.has_namespace(name.lower(labels));
    is_below.then_some((labels, left))
}

/// The name, where it has addresses or ports in the cluster; `wire`: without the root's octet.
fn answering(zone: &Zone, shown: &Shown, wire: &[u8]) -> Option<Name> {
    let name = Qname::read(&[wire, &[0]].concat())?.to_name(0);
    let types = [RecordType::A, RecordType::AAAA, RecordType::SRV];
    let has = |qtype: RecordType| {
        let composed = compose(zone, shown, &Question::new(name.clone(), qtype));
        composed.is_some_and(|composed| !composed.answer.is_empty())
    };
    types.into_iter().any(has).then(|| name.clone())
}

/// The first labels of a name, as a program has them: without a dot behind.
fn stem_of(name: &Qname, labels: usize) -> String {
    let labels: Vec<&[u8]> = name.labels().take(labels).collect();
    // Labels of a name are one.
    let stem = join(&labels, &Name::root()).unwrap_or_default().to_string();
    stem.trim_end_matches('.').to_ascii_lowercase()
}
