//! The zones that are held of other servers, each with a task that keeps it up to date (RFC 1034 section 4.3.5).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

use rand::RngExt;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::catalog::{Member, members};
use super::fetch::{FetchError, serial_of, zone_of};
use crate::message::question::RecordType;
use crate::message::record::Record;
use crate::name::{Name, Origins, Qname};
use crate::plugin::zonal::longest;
use crate::zonefile::FileZone;

/// How soon a first transfer is tried again: CoreDNS's, doubled up to the longest.
const SOON: Duration = Duration::from_millis(250);
const LATEST: Duration = Duration::from_secs(10);

/// How much later than its SOA says a zone is looked at: CoreDNS's, so that not all servers do it at once.
const JITTER: Duration = Duration::from_secs(5);

/// What the file says of a zone.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// Whom it comes from, in the order to try.
    pub(super) primaries: Arc<[SocketAddr]>,
    /// It is a catalog: the zones whose names members may have; none: any.
    pub(super) catalog: Option<Origins>,
}

/// A zone that is held.
#[derive(Debug)]
struct HeldZone {
    origin: Terms,
    /// The catalog that lists it, and under which label; `None`: the file names it.
    listed: Option<(Name, Box<[u8]>)>,
    state: Arc<State>,
    task: Option<JoinHandle<()>>,
}

impl Drop for HeldZone {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// `None`: it has not come, or is too old.
    zone: RwLock<Option<Arc<FileZone>>>,
    /// Somebody says that there is a new one.
    news: Notify,
}

impl State {
    fn zone(&self) -> Option<Arc<FileZone>> {
        let zone = self.zone.read().unwrap_or_else(PoisonError::into_inner);
        zone.clone()
    }

    fn set(&self, zone: Option<Arc<FileZone>>) {
        *self.zone.write().unwrap_or_else(PoisonError::into_inner) = zone;
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Held {
    entries: RwLock<BTreeMap<Name, HeldZone>>,
    /// What catalogs list.
    catalogs: RwLock<BTreeMap<Name, Vec<Member>>>,
}

impl Held {
    /// Holds the zones that the file names.
    pub(super) fn of(named: impl Iterator<Item = (Name, Terms)>) -> Self {
        let held = Self::default();
        for (apex, origin) in named {
            held.hold(apex, origin, None, Arc::default());
        }
        held
    }

    fn entries(&self) -> RwLockReadGuard<'_, BTreeMap<Name, HeldZone>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<Name, HeldZone>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(
        &self,
        apex: Name,
        origin: Terms,
        listed: Option<(Name, Box<[u8]>)>,
        state: Arc<State>,
    ) {
        let entry = HeldZone {
            origin,
            listed,
            state,
            task: None,
        };
        self.entries_mut().insert(apex, entry);
    }

    /// Has the zones that nobody keeps up to date kept so, from now on.
    pub(super) fn begin(self: &Arc<Self>) {
        // Where there is no runtime, nobody asks for long.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        for (apex, entry) in &mut *self.entries_mut() {
            let keeper = Keeper {
                apex: apex.clone(),
                origin: entry.origin.clone(),
                state: Arc::clone(&entry.state),
                held: Arc::downgrade(self),
            };
            entry
                .task
                .get_or_insert_with(|| runtime.spawn(keeper.keep()));
        }
    }

    /// The longest zone that has the name: its own name, and what is known of it.
    pub(super) fn find(&self, qname: &Qname) -> Option<(Name, Option<Arc<FileZone>>)> {
        let entries = self.entries();
        let (apex, entry) = longest(&entries, qname)?;
        Some((apex.clone(), entry.state.zone()))
    }

    /// Those that have come.
    pub(super) fn zones(&self) -> Vec<Arc<FileZone>> {
        let entries = self.entries();
        entries
            .values()
            .filter_map(|entry| entry.state.zone())
            .collect()
    }

    /// Has a zone looked at, as one of its primaries says; whether it is one.
    pub(super) fn notified(&self, apex: &Name, by: std::net::IpAddr) -> bool {
        let entries = self.entries();
        let Some(entry) = entries.get(apex) else {
            return false;
        };
        let is_primary = entry
            .origin
            .primaries
            .iter()
            .any(|primary| primary.ip() == by);
        if is_primary {
            entry.state.news.notify_one();
        }
        is_primary
    }

    /// Holds what a catalog lists, and nothing else of it any more.
    fn list(self: &Arc<Self>, catalog: &Name, zone: &FileZone, origin: &Terms) {
        let Some(allowed) = &origin.catalog else {
            return;
        };
        let listed = match members(zone) {
            Ok(listed) => listed,
            Err(error) => {
                warn!(%catalog, %error, "a catalog cannot be used: what it listed stays");
                return;
            }
        };
        let is_allowed =
            |member: &&Member| allowed.is_empty() || allowed.cover(&Qname::from(&member.zone));
        let members: Vec<_> = listed.iter().filter(is_allowed).cloned().collect();
        let left_out = listed.len() - members.len();
        info!(%catalog, zones = members.len(), left_out, "a catalog has come");
        let own = |entry: &HeldZone| entry.listed.as_ref().is_some_and(|(of, _)| of == catalog);
        self.entries_mut()
            .retain(|apex, entry| !own(entry) || members.iter().any(|member| member.zone == *apex));
        for member in &members {
            if let Some(state) = self.place(catalog, member) {
                let origin = Terms {
                    primaries: Arc::clone(&origin.primaries),
                    catalog: None,
                };
                let listed = (catalog.clone(), member.id.clone());
                self.hold(member.zone.clone(), origin, Some(listed), state);
            }
        }
        let mut catalogs = self
            .catalogs
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        catalogs.insert(catalog.clone(), members);
        drop(catalogs);
        self.begin();
    }

    /// What a member's zone begins with; `None`: it is held already, or another's (RFC 9432 sections 4.4.1 and 5.3).
    fn place(&self, catalog: &Name, member: &Member) -> Option<Arc<State>> {
        let entries = self.entries();
        let Some(entry) = entries.get(&member.zone) else {
            return Some(Arc::default());
        };
        let Some((owner, id)) = &entry.listed else {
            warn!(%catalog, zone = %member.zone, "a catalog lists a zone that the file names");
            return None;
        };
        if owner == catalog {
            // Under a new label it is to begin anew (RFC 9432 section 5.4).
            return (*id != member.id).then(Arc::default);
        }
        let catalogs = self.catalogs.read().unwrap_or_else(PoisonError::into_inner);
        let of_owner = catalogs.get(owner).into_iter().flatten();
        let mut same = of_owner.filter(|other| other.zone == member.zone);
        if !same.any(|other| other.to.as_ref() == Some(catalog)) {
            warn!(%catalog, zone = %member.zone, %owner, "two catalogs list a zone");
            return None;
        }
        let keeps = *id == member.id;
        Some(if keeps {
            Arc::clone(&entry.state)
        } else {
            Arc::default()
        })
    }
}

/// Keeps a zone up to date.
struct Keeper {
    apex: Name,
    origin: Terms,
    state: Arc<State>,
    held: Weak<Held>,
}

impl Keeper {
    async fn keep(self) {
        let mut pause = SOON;
        while self.state.zone().is_none() {
            if self.transfer().await {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LATEST);
        }
        let (mut good, mut failed) = (Instant::now(), false);
        loop {
            let known = self.state.zone();
            let seconds = |time: u32| Duration::from_secs(time.max(1).into());
            let [refresh, retry, expire] = match &known {
                Some(zone) => zone.times().map(seconds),
                // One that is too old is tried like one that has not come.
                None => [LATEST; 3],
            };
            let wait = if failed { retry } else { refresh };
            let jitter = JITTER.mul_f64(rand::rng().random_range(0.0..1.0));
            // Who is told does not wait.
            let _told = timeout(wait + jitter.min(wait), self.state.news.notified()).await;
            failed = !self.look(known.as_deref()).await;
            if !failed {
                good = Instant::now();
            } else if known.is_some() && good.elapsed() > expire {
                warn!(zone = %self.apex, "the zone is too old: it is not answered from");
                self.state.set(None);
            }
        }
    }

    /// Asks whether there is a newer zone, and has it come; whether that went well.
    async fn look(&self, known: Option<&FileZone>) -> bool {
        let Some(known) = known else {
            return self.transfer().await;
        };
        for primary in &*self.origin.primaries {
            match serial_of(&self.apex, *primary).await {
                Ok(serial) if is_newer(known.serial(), serial) => return self.transfer().await,
                Ok(_) => return true,
                Err(error) => self.failed(*primary, &error),
            }
        }
        false
    }

    fn failed(&self, primary: SocketAddr, error: &FetchError) {
        warn!(zone = %self.apex, %primary, %error, "a primary does not give its zone");
    }

    /// Has the zone come; whether it did.
    async fn transfer(&self) -> bool {
        let held = self.state.zone();
        for primary in &*self.origin.primaries {
            let records = match zone_of(&self.apex, held.as_deref(), *primary).await {
                Ok(records) => records,
                Err(error) => {
                    self.failed(*primary, &error);
                    continue;
                }
            };
            // A large zone takes its time, which other questions do not have.
            let apex = self.apex.clone();
            let zone = tokio::task::spawn_blocking(move || transferred(&apex, records));
            match zone.await.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(zone) => {
                    info!(zone = %self.apex, serial = zone.serial(), %primary, "a zone has come");
                    let zone = Arc::new(zone);
                    self.state.set(Some(Arc::clone(&zone)));
                    if let Some(held) = self.held.upgrade() {
                        held.list(&self.apex, &zone, &self.origin);
                    }
                    return true;
                }
                Err(error) => warn!(zone = %self.apex, %primary, %error, "a zone cannot be used"),
            }
        }
        false
    }
}

/// Whether a serial is greater than another (RFC 1982 section 3.2).
fn is_newer(known: u32, serial: u32) -> bool {
    let ahead = serial.wrapping_sub(known);
    ahead != 0 && ahead < 1 << 31
}

/// A zone that has come. A SOA record of another name in it says nothing of the zone: it does not count.
fn transferred(apex: &Name, mut records: Vec<Record>) -> Result<FileZone, String> {
    let apex_lower = apex.to_lowercase();
    records.retain(|record| {
        record.record_type() != RecordType::SOA || record.name.to_lowercase() == apex_lower
    });
    FileZone::new(apex, records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::absolute;
    use crate::zonefile::read;

    #[test]
    fn serials_go_round() {
        for (known, serial, wanted) in [
            (1, 2, true),
            (2, 1, false),
            (1, 1, false),
            (u32::MAX, 0, true),
            (0, u32::MAX, false),
            (0, (1 << 31) - 1, true),
        ] {
            assert_eq!(is_newer(known, serial), wanted, "{known} {serial}");
        }
    }

    fn name(text: &str) -> Name {
        absolute(text).unwrap()
    }

    fn catalog(apex: &str, lines: &str) -> FileZone {
        let text = format!("$TTL 0\n@ SOA . . 1 2 3 4 5\nversion TXT 2\n{lines}");
        let none = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        let records = read("c", &text, &name(apex), &none).unwrap();
        FileZone::new(&name(apex), records).unwrap()
    }

    #[test]
    fn a_soa_record_below_a_zone_that_has_come_does_not_count() {
        let text = "$TTL 5\n@ SOA . . 7 2 3 4 5\nx SOA . . 9 2 3 4 5\nx A 192.0.2.1\n";
        let none = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        let records = read("z", text, &name("z.test"), &none).unwrap();
        let zone = transferred(&name("Z.test"), records).unwrap();
        assert_eq!((zone.serial(), zone.records().count()), (7, 2));
    }

    fn origin(catalog: &[&str]) -> Terms {
        Terms {
            primaries: Arc::from([SocketAddr::from(([192, 0, 2, 1], 53))]),
            catalog: Some(
                catalog
                    .iter()
                    .map(|zone| name(zone))
                    .collect::<Vec<_>>()
                    .into(),
            ),
        }
    }

    #[test]
    fn a_catalog_s_members_come_and_go_and_another_s_stay() {
        let held = Arc::new(Held::of([(name("own.test"), origin(&[]))].into_iter()));
        let list = |apex: &str, lines: &str, allowed: &[&str]| {
            held.list(&name(apex), &catalog(apex, lines), &origin(allowed));
            let entries = held.entries();
            let shown = entries.iter().map(|(apex, entry)| match &entry.listed {
                Some((catalog, _)) => format!("{apex} {catalog}"),
                None => apex.to_string(),
            });
            shown.collect::<Vec<_>>()
        };
        let members = "a.zones PTR a.test.\nb.zones PTR b.other.\no.zones PTR own.test.\n";
        let all = list("c1", members, &[]);
        assert_eq!(all, ["b.other. c1.", "a.test. c1.", "own.test."]);
        assert_eq!(list("c1", members, &["test"]), ["a.test. c1.", "own.test."]);
        // Another's, until that lets go of it.
        assert_eq!(
            list("c2", "x.zones PTR a.test.\n", &[]),
            ["a.test. c1.", "own.test."]
        );
        let leaves = "a.zones PTR a.test.\ncoo.a.zones PTR c2.\n";
        assert_eq!(list("c1", leaves, &[]), ["a.test. c1.", "own.test."]);
        assert_eq!(
            list("c2", "x.zones PTR a.test.\n", &[]),
            ["a.test. c2.", "own.test."]
        );
        assert_eq!(list("c2", "", &[]), ["own.test."]);
    }

    #[test]
    fn only_a_primary_s_word_counts() {
        let held = Arc::new(Held::of([(name("own.test"), origin(&[]))].into_iter()));
        assert!(held.notified(&name("own.test"), [192, 0, 2, 1].into()));
        assert!(!held.notified(&name("own.test"), [192, 0, 2, 2].into()));
        assert!(!held.notified(&name("other.test"), [192, 0, 2, 1].into()));
    }
}
