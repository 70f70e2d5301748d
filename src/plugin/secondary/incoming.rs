//! A zone as it comes, record by record: whole (RFC 5936), or as what is new since a serial (RFC 1995).

use indexmap::IndexMap;

use crate::message::question::RecordType;
use crate::message::record::{Record, numbers};
use crate::name::Name;

/// Records by name and type, so that one that goes is looked for among few.
type Sets = IndexMap<(Name, RecordType), Vec<Record>>;

/// Records that are no zone.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoZone {
    #[error("the reply does not begin with the zone's SOA")]
    NoStart,
    #[error("the changes are to another zone than the one that is held")]
    OtherBase,
}

/// The zone so far.
#[derive(Debug)]
pub(super) struct Incoming {
    apex: Name,
    /// What the server was told that is held: its serial and its records.
    known: Option<(u32, Vec<Record>)>,
    sets: Sets,
    /// The serial that it comes to.
    serial: u32,
    part: Part,
}

/// Where among the records it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Start,
    /// Behind the first SOA.
    First,
    Whole,
    /// What goes, behind the SOA that it goes with.
    Going,
    /// What comes, behind the SOA that it comes with.
    Coming,
}

impl Incoming {
    /// Of this zone; `known`: the serial and the records of the zone that is held.
    pub(super) fn new(apex: &Name, known: Option<(u32, Vec<Record>)>) -> Self {
        Self {
            apex: apex.clone(),
            known,
            sets: Sets::new(),
            serial: 0,
            part: Part::Start,
        }
    }

    /// Whether all that came is that nothing is new.
    pub(super) fn is_unchanged(&self) -> bool {
        let known = self.known.as_ref();
        self.part == Part::First && known.is_some_and(|(serial, _)| *serial == self.serial)
    }

    /// Takes the next record; whether it was the last.
    pub(super) fn take(&mut self, record: Record) -> Result<bool, NoZone> {
        let own = numbers(&record).filter(|_| record.name == self.apex);
        let serial = own.map(|[serial, ..]| serial);
        match (self.part, serial) {
            (Part::Start, None) => return Err(NoZone::NoStart),
            (Part::Start, Some(serial)) => {
                self.serial = serial;
                self.add(record);
                self.part = Part::First;
            }
            (Part::First, Some(serial)) if serial != self.serial => {
                let known = self.known.take().filter(|(known, _)| *known == serial);
                let (_, records) = known.ok_or(NoZone::OtherBase)?;
                self.sets.clear();
                records.into_iter().for_each(|record| self.add(record));
                self.remove(&record)?;
                self.part = Part::Going;
            }
            (Part::First | Part::Whole, Some(_)) => return Ok(true),
            (Part::First | Part::Whole, None) => {
                self.add(record);
                self.part = Part::Whole;
            }
            (Part::Going, None) => self.remove(&record)?,
            (Part::Going, Some(_)) => {
                self.add(record);
                self.part = Part::Coming;
            }
            (Part::Coming, None) => self.add(record),
            (Part::Coming, Some(serial)) if serial == self.serial => return Ok(true),
            (Part::Coming, Some(_)) => {
                self.remove(&record)?;
                self.part = Part::Going;
            }
        }
        Ok(false)
    }

    fn add(&mut self, record: Record) {
        let key = (record.name.clone(), record.record_type());
        self.sets.entry(key).or_default().push(record);
    }

    fn remove(&mut self, record: &Record) -> Result<(), NoZone> {
        let key = (record.name.clone(), record.record_type());
        let set = self.sets.get_mut(&key).ok_or(NoZone::OtherBase)?;
        let at = set.iter().position(|known| known.data == record.data);
        set.remove(at.ok_or(NoZone::OtherBase)?);
        Ok(())
    }

    /// Every record, the SOA once.
    pub(super) fn records(self) -> Vec<Record> {
        match self.known {
            Some((_, known)) if self.part == Part::First => known,
            Some(_) | None => self.sets.into_values().flatten().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::message::text;
    use crate::name::absolute;

    fn soa(serial: u32) -> String {
        format!("z.test. 5 IN SOA ns. h. {serial} 2 3 4 5")
    }

    fn a(name: &str, ip: u8) -> String {
        format!("{name}.z.test. 5 IN A 192.0.2.{ip}")
    }

    /// What becomes of the records; `None`: the last has not come.
    fn taken(known: &[String], came: &[String]) -> Result<Option<Vec<String>>, NoZone> {
        let read = |lines: &[String]| -> Vec<Record> {
            lines
                .iter()
                .map(|line| text::record(line).unwrap())
                .collect()
        };
        let known = (!known.is_empty()).then(|| (1, read(known)));
        let mut incoming = Incoming::new(&absolute("z.test").unwrap(), known);
        let mut is_whole = false;
        for record in read(came) {
            assert!(!is_whole, "a record behind the last");
            is_whole = incoming.take(record)?;
        }
        if !is_whole && !incoming.is_unchanged() {
            return Ok(None);
        }
        let mut shown: Vec<_> = incoming.records().iter().map(ToString::to_string).collect();
        shown.sort();
        Ok(Some(shown))
    }

    fn sorted(lines: &[String]) -> Result<Option<Vec<String>>, NoZone> {
        let mut lines = lines.to_vec();
        lines.sort();
        Ok(Some(lines))
    }

    #[test]
    fn a_zone_comes_whole_or_as_what_is_new() {
        let held = [soa(1), a("a", 1), a("b", 2)];
        let whole = [soa(3), a("c", 3), soa(3)];
        assert_eq!(taken(&[], &whole), sorted(&[soa(3), a("c", 3)]));
        assert_eq!(taken(&held, &whole), sorted(&[soa(3), a("c", 3)]));
        let changes = [
            soa(3),
            soa(1),
            a("A", 1),
            soa(2),
            a("c", 3),
            soa(2),
            soa(3),
            a("d", 4),
            soa(3),
        ];
        let now = [soa(3), a("b", 2), a("c", 3), a("d", 4)];
        assert_eq!(taken(&held, &changes), sorted(&now));
        assert_eq!(taken(&held, &[soa(1)]), sorted(&held));
        assert_eq!(taken(&held, &changes[..8]), Ok(None));
        assert_eq!(taken(&held, &[soa(2)]), Ok(None));
    }

    /// A zone of this many records that is signed anew: each goes and comes.
    fn signed_anew(count: usize) -> Duration {
        let name = |i: usize| a(&format!("n{i}"), 1);
        let held: Vec<String> = std::iter::once(soa(1))
            .chain((0..count).map(name))
            .collect();
        let (gone, come) = ((0..count).rev().map(name), (0..count).map(name));
        let changes = [soa(2), soa(1)].into_iter().chain(gone);
        let changes = changes.chain([soa(2)]).chain(come).chain([soa(2)]);
        let changes: Vec<String> = changes.collect();
        let start = Instant::now();
        let now = taken(&held, &changes).unwrap().unwrap();
        assert_eq!(now.len(), count + 1);
        start.elapsed()
    }

    #[test]
    fn a_zone_of_ten_times_as_many_records_takes_ten_times_as_long_and_not_a_hundred() {
        let best = |count| (0..3).map(|_| signed_anew(count)).min().unwrap();
        let (small, large) = (best(500), best(5_000));
        assert!(large < 40 * small, "{small:?} {large:?}");
    }

    #[test]
    fn what_does_not_fit_is_no_zone() {
        let held = [soa(1), a("a", 1)];
        for (known, came, why) in [
            (&held[..], vec![a("a", 1)], NoZone::NoStart),
            (&held, vec![soa(3), soa(2)], NoZone::OtherBase),
            (&[], vec![soa(3), soa(1)], NoZone::OtherBase),
            (&held, vec![soa(3), soa(1), a("x", 9)], NoZone::OtherBase),
        ] {
            assert_eq!(taken(known, &came), Err(why), "{came:?}");
        }
    }
}
