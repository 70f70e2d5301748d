//! `file`: zones of files like BIND's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tracing::{info, warn};

use super::block::{Block, Link, Parts};
use super::kit::{Directives, Registration, duration, fallthrough, flag};
use super::watched::Watched;
use super::zonal::{OfName, Unusable, answer, parse};
use super::{Handled, Next, Plugin};
use crate::corefile::{CorefileError, Directive, Token};
use crate::message::question::Query;
use crate::name::{Name, Origin, Origins, Qname};
use crate::zonefile::FileZone;

pub(super) const PLUGIN: Registration = Registration {
    name: "file",
    setup,
};

/// How often a file is looked at: CoreDNS's.
const RELOAD: Duration = Duration::from_secs(60);

/// `file DBFILE [ZONES...] { reload DURATION; reload_by_mtime; fallthrough [ZONES...] }`.
#[derive(Clone, Debug)]
struct ZoneFile {
    file: Token,
    zones: Vec<Name>,
    fallthrough: Origins,
    /// Zero: it is read once.
    reload: Duration,
    /// A file that has changed counts though its zone's serial has not.
    by_mtime: bool,
}

/// The directives of a block.
#[derive(Debug)]
struct Spec(Vec<ZoneFile>);

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let entries = directives.iter().map(|directive| {
        let mut entry = entry(directives, directive)?;
        entry.file = block.path(&entry.file);
        Ok(entry)
    });
    let spec = Spec(entries.collect::<Result<_, CorefileError>>()?);
    block.links.push((PLUGIN.name, Box::new(spec)));
    Ok(())
}

fn entry(directives: &Directives<'_>, directive: &Directive) -> Result<ZoneFile, CorefileError> {
    const EXPECTED: &str = "a file, and zones";
    let [file, zones @ ..] = directive.some_args(EXPECTED)? else {
        return Err(directive.name.error("`file` needs a file", EXPECTED));
    };
    let mut entry = ZoneFile {
        file: file.clone(),
        zones: directives.origins(zones)?,
        fallthrough: Origins::default(),
        reload: RELOAD,
        by_mtime: false,
    };
    for property in &directive.body {
        match property.name.text.as_str() {
            "fallthrough" => entry.fallthrough = fallthrough(property)?,
            "reload" => entry.reload = duration(property.one_arg("a duration, or 0")?)?,
            "reload_by_mtime" => entry.by_mtime = flag(property)?,
            // As in CoreDNS, where it had a meaning once.
            "upstream" => {}
            _ => {
                let known = "fallthrough, reload or reload_by_mtime";
                return Err(directive.unknown_property(property, known));
            }
        }
    }
    Ok(entry)
}

/// Those of a file, in the order of its directive; `None`: not read yet.
type Zones = Vec<Option<Arc<FileZone>>>;

impl ZoneFile {
    /// The zones of the file, kept up to date. It may come later, but may not be wrong now.
    fn watch(&self) -> Result<Watched<Zones>, CorefileError> {
        let entry = self.clone();
        let read = move |octets: io::Result<Vec<u8>>, known: &Zones| {
            entry
                .read(&octets.ok()?, known)
                .inspect_err(|error| warn!(%error, "a zone file is wrong"))
                .ok()
        };
        Watched::checked(
            &self.file.text,
            self.reload,
            |octets| self.first(octets),
            read,
        )
    }

    /// The zones at start, of the file's octets, or of why there are none.
    fn first(&self, octets: io::Result<Vec<u8>>) -> Result<Zones, CorefileError> {
        const EXPECTED: &str = "a zone file (RFC 1035 section 5)";
        let (path, none) = (&self.file.text, vec![None; self.zones.len()]);
        match octets {
            Ok(octets) => {
                let zones = self.read(&octets, &none);
                zones.map_err(|error| self.file.error(error.to_string(), EXPECTED))
            }
            Err(error) if self.reload.is_zero() => {
                Err(self.file.error(format!("{path}: {error}"), EXPECTED))
            }
            Err(error) => {
                warn!(%path, %error, again = ?self.reload, "a zone file cannot be read");
                Ok(none)
            }
        }
    }

    /// The zones of a file's octets: a zone without a new serial stays as it was.
    fn read(&self, octets: &[u8], known: &Zones) -> Result<Zones, Unusable> {
        let file = self.file.text.as_str();
        let mut zones = Zones::new();
        for (apex, known) in self.zones.iter().zip(known) {
            let zone = parse(file, octets, apex)?;
            let is_known =
                |known: &&Arc<FileZone>| !self.by_mtime && known.serial() == zone.serial();
            zones.push(match known.as_ref().filter(is_known) {
                Some(known) => Some(Arc::clone(known)),
                None => {
                    info!(zone = %apex, serial = zone.serial(), file, "a zone has been read");
                    Some(Arc::new(zone))
                }
            });
        }
        Ok(zones)
    }
}

impl Link for Spec {
    fn build(&self, _: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        let mut files = Vec::new();
        for entry in &self.0 {
            let origins = entry.zones.iter().cloned().map(Origin::from).collect();
            files.push((origins, entry.fallthrough.clone(), entry.watch()?));
        }
        Ok(Arc::new(File(files)))
    }
}

/// The handler: of each file its zones' origins, those that fall through, and the zones.
struct File(Vec<(Vec<Origin>, Origins, Watched<Zones>)>);

impl File {
    fn find(&self, qname: &Qname) -> Option<OfName> {
        let all = self.0.iter().flat_map(|file| {
            let origins = file.0.iter().enumerate();
            origins.map(move |(at, origin)| (origin, at, file))
        });
        let covering = all.filter(|(origin, ..)| origin.covers(qname));
        let (_, at, (_, fallthrough, zones)) = covering.max_by_key(|(origin, ..)| origin.labels)?;
        Some(OfName {
            zone: zones.get().get(at).cloned().flatten(),
            fallthrough: fallthrough.clone(),
        })
    }
}

impl Plugin for File {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        answer(query, self.find(&query.question.qname), next).boxed()
    }

    fn offers(&self) -> Option<Vec<Arc<FileZone>>> {
        let zones = self.0.iter().map(|(_, _, zones)| zones.get());
        let zones = zones.flat_map(|zones| zones.iter().flatten().cloned().collect::<Vec<_>>());
        Some(zones.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tests::{error, read};

    fn the_entry(directive: &str) -> ZoneFile {
        read(directive, |directives| {
            entry(directives, directives.only()?)
        })
        .unwrap()
    }

    #[test]
    fn every_property_is_read_and_others_are_refused() {
        let entry = the_entry(
            "file db.z z.test Y.test {\nreload 30s\nreload_by_mtime\nfallthrough z.test\n}",
        );
        let zones: Vec<_> = entry.zones.iter().map(ToString::to_string).collect();
        assert_eq!(zones, ["z.test.", "y.test."]);
        assert_eq!((entry.reload.as_secs(), entry.by_mtime), (30, true));
        let falls: Vec<_> = entry
            .fallthrough
            .iter()
            .map(|o| o.name.to_string())
            .collect();
        assert_eq!(falls, ["z.test."]);
        let default = the_entry("file db.z");
        assert_eq!(default.zones[0].to_string(), "cluster.local.");
        assert_eq!((default.reload, default.by_mtime), (RELOAD, false));
        assert!(default.fallthrough.is_empty());
        for (file, problem) in [
            ("file", "`file` needs an argument"),
            ("file db {\nreload\n}", "`reload` needs an argument"),
            ("file db {\nreload x\n}", "'x' is no duration"),
            (
                "file db {\ntransfer to *\n}",
                "unknown property 'transfer' of `file`",
            ),
        ] {
            assert_eq!(error(file), problem, "{file}");
        }
    }

    #[test]
    fn a_zone_is_new_by_its_serial_or_by_its_file() {
        let text = |serial: u32, ip: u32| {
            format!("@ 5 SOA ns h {serial} 2 3 4 5\na 5 A 192.0.2.{ip}\n").into_bytes()
        };
        let entry = the_entry("file db.z z.test");
        let first = entry.read(&text(1, 1), &vec![None]).unwrap();
        let same = entry.read(&text(1, 2), &first).unwrap();
        let serial = |zones: &Zones| zones[0].as_ref().map(|zone| zone.serial());
        let is_same = |a: &Zones, b: &Zones| match (&a[0], &b[0]) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        assert!(is_same(&first, &same));
        let second = entry.read(&text(2, 2), &same).unwrap();
        assert_eq!(serial(&second), Some(2));
        assert_eq!(
            entry.read(b"a 5 A x", &second).unwrap_err().to_string(),
            "db.z:1: 'x' is no IPv4 address"
        );
        let by_mtime = the_entry("file db.z z.test {\nreload_by_mtime\n}");
        let again = by_mtime.read(&text(1, 2), &first).unwrap();
        assert!(!is_same(&first, &again));
    }
}
