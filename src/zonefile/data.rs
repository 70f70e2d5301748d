//! The names of a zone with their records, in the canonical order (RFC 4034 section 6.1).

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::message::question::RecordType;
use crate::message::record::{Record, covered, in_lower_case, numbers};
use crate::name::{Name, Qname};

/// A name by its labels below the zone's, the rightmost first, in lower case.
pub(super) type Key = Vec<Box<[u8]>>;

/// A zone with its records.
#[derive(Clone, Debug)]
pub struct FileZone {
    /// Its name, in lower case.
    pub apex: Name,
    pub(super) names: BTreeMap<Key, Node>,
    /// Of its SOA: serial, refresh, retry, expire, minimum.
    numbers: [u32; 5],
}

/// A name of a zone; without sets it is an empty non-terminal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Node {
    sets: Vec<Set>,
}

/// The records of a name and type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Set {
    rtype: RecordType,
    pub(super) records: Vec<Record>,
    /// RRSIG records that cover them (RFC 4034 section 3).
    pub(super) signatures: Vec<Record>,
}

impl Node {
    /// The set of a type.
    pub(super) fn set(&self, rtype: RecordType) -> Option<&Set> {
        let mut sets = self.sets.iter().filter(|set| set.rtype == rtype);
        sets.next().filter(|set| !set.records.is_empty())
    }

    /// Gives back the room that nothing came into.
    /// Whether it has nothing, or nothing but the SOA and NS records that each zone's own name has.
    pub(super) fn is_bare(&self) -> bool {
        let has = |rtype| self.set(rtype).is_some();
        let own = |set: &Set| matches!(set.rtype, RecordType::SOA | RecordType::NS);
        self.sets.is_empty() || has(RecordType::SOA) && self.sets.iter().all(own)
    }

    /// Whose its records are.
    pub(super) fn owner(&self) -> Option<&Name> {
        let mut records = self.sets.iter().flat_map(|set| &set.records);
        records.next().map(|record| &record.name)
    }

    /// All signatures, which a question for them is about; `owner`: whose they are to be, where a wildcard has them.
    pub(super) fn signatures(&self, owner: Option<&Name>) -> Vec<Record> {
        let all = self.sets.iter().flat_map(|set| &set.signatures);
        let own = |record: &Record| {
            let mut record = record.clone();
            record.name = owner.cloned().unwrap_or(record.name);
            record
        };
        all.map(own).collect()
    }

    fn shrink(&mut self) {
        self.sets.shrink_to_fit();
        for set in &mut self.sets {
            set.records.shrink_to_fit();
            set.signatures.shrink_to_fit();
        }
    }

    fn add(&mut self, record: Record, large: &mut Large) {
        let covered = covered(&record);
        let rtype = covered.unwrap_or_else(|| record.record_type());
        let at = self.sets.iter().position(|set| set.rtype == rtype);
        let at = at.unwrap_or_else(|| {
            self.sets.push(Set {
                rtype,
                // Most have one: room for four would be most of what a zone takes.
                records: Vec::with_capacity(1),
                signatures: Vec::new(),
            });
            self.sets.len() - 1
        });
        let set = &mut self.sets[at];
        let records = match covered {
            Some(_) => &mut set.signatures,
            None => &mut set.records,
        };
        if rtype == RecordType::SOA && covered.is_none() {
            records.clear();
        }
        // Of records alike there is one (RFC 2181 section 5.2). As in CoreDNS a record may be of another class than its zone.
        if !large.has(records, &record, (rtype, covered.is_some())) {
            records.push(record);
        }
    }
}

/// Sets are looked through up to this size; larger ones are asked by what their data say.
const LOOKED_THROUGH: usize = 32;

/// What the data of large sets say, by owner and type, and whether they are signatures.
#[derive(Default)]
struct Large(HashMap<(Name, RecordType, bool), HashSet<String>>);

impl Large {
    /// Whether a set, of which these are the records, has one alike; else it will have.
    fn has(
        &mut self,
        records: &[Record],
        record: &Record,
        (rtype, signs): (RecordType, bool),
    ) -> bool {
        if records.len() < LOOKED_THROUGH {
            let is_alike =
                |known: &Record| known.data == record.data && known.dns_class == record.dns_class;
            return records.iter().any(is_alike);
        }
        let said = |record: &Record| format!("{} {}", record.dns_class, record.data);
        let key = (record.name.clone(), rtype, signs);
        let all = self.0.entry(key);
        let all = all.or_insert_with(|| records.iter().map(said).collect());
        !all.insert(said(record))
    }
}

impl FileZone {
    /// A zone with these records; those that are not in it do not count. As in CoreDNS names are in lower case, but for the
    /// owners and targets of SRV, and for the targets of PTR.
    ///
    /// # Errors
    /// What it lacks, or cannot have.
    pub fn new(apex: &Name, records: Vec<Record>) -> Result<Self, String> {
        let mut zone = Self {
            apex: apex.to_lowercase(),
            names: BTreeMap::new(),
            numbers: [0; 5],
        };
        let (mut soa, mut large) = (None, Large::default());
        for mut record in records {
            let rtype = record.record_type();
            if matches!(rtype, RecordType::NSEC3 | RecordType::NSEC3PARAM) {
                return Err("a zone with NSEC3 cannot be served".into());
            }
            let key = zone.key(&Qname::from(&record.name));
            if rtype == RecordType::SOA {
                if key.as_ref().is_none_or(|key| !key.is_empty()) {
                    return Err(format!(
                        "{} has a SOA record, and is not {}",
                        record.name, zone.apex
                    ));
                }
                soa = numbers(&record);
            }
            let Some(key) = key else {
                continue;
            };
            if rtype != RecordType::SRV {
                record.name = record.name.to_lowercase();
                if rtype != RecordType::PTR {
                    in_lower_case(&mut record.data);
                }
            }
            // What is above it exists too (RFC 4592 section 2.2.2).
            for length in 0..key.len() {
                zone.names.entry(key[..length].to_vec()).or_default();
            }
            zone.names.entry(key).or_default().add(record, &mut large);
        }
        zone.numbers = soa.ok_or_else(|| format!("there is no SOA record of {}", zone.apex))?;
        zone.names.values_mut().for_each(Node::shrink);
        Ok(zone)
    }

    /// Its serial (RFC 1035 section 3.3.13).
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.numbers[0]
    }

    /// How often it is to be looked at, how soon again after a failure, and after how long without success it is not to be
    /// answered from any more, in seconds (RFC 1034 section 4.3.5).
    #[must_use]
    pub fn times(&self) -> [u32; 3] {
        let [_, refresh, retry, expire, _] = self.numbers;
        [refresh, retry, expire]
    }

    /// The key of a name; `None`: it is not in the zone.
    pub(super) fn key(&self, qname: &Qname) -> Option<Key> {
        let apex = Qname::from(&self.apex);
        let left = qname.len().checked_sub(apex.len())?;
        let is_in = qname.lower_wire(left, qname.len()) == apex.lower_wire(0, apex.len());
        is_in.then(|| (0..left).rev().map(|i| qname.lower(i).into()).collect())
    }

    /// Every record, the SOA first and not again (RFC 5936 section 2.2).
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        let nodes = self.names.values();
        let sets = nodes.flat_map(|node| &node.sets);
        let (soa, others): (Vec<&Set>, Vec<&Set>) =
            sets.partition(|set| set.rtype == RecordType::SOA);
        let sets = soa.into_iter().chain(others);
        sets.flat_map(|set| set.records.iter().chain(&set.signatures))
    }
}
