//! Scenario files: what the watches deliver, what is asked, what is answered. One test runs each file of `tests/scenarios`.
//!
//! ```text
//! at SECONDS                                   what the clock says from here on
//! options [OPTION [VALUE]]...                  what the stanza shows, see below
//! external ZONE [headless]                     names of external addresses are in this zone
//! query NAME TYPE                              below `svc.cluster.local.`, unless the name ends in a dot
//! expect RDATA | RDATA ...                     the whole answer, sorted; or `NODATA reason` / `NXDOMAIN reason` / `SERVFAIL reason`
//! changes NAME: OLD -> NEW | ...               what the last event changed; nothing: no name
//! ```
//!
//! and what watches deliver (`support/build.rs`). Options: `pods insecure|verified`, `zonal`, `ttl SECONDS`,
//! `namespaces NS,NS`, `ignore_empty`, `multicluster ZONE`.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;

use headless_dns::message::question::RecordType;
use headless_dns::name::absolute;
use headless_dns::store::{Change, Resource, Store};
use headless_dns::zone::{ExternalView, PodMode, Shown, View, Zone};
use support::build::event;
use support::zone::said_by;

struct World {
    now: u32,
    zone: Arc<Zone>,
    store: Store,
    view: View,
    external: Option<Shown>,
    last: String,
    changes: Vec<Change>,
}

impl World {
    fn new() -> Self {
        let zone = Arc::new(Zone::default());
        let watches = [Resource::Namespaces, Resource::Services, Resource::Slices];
        let store = Store::new(Arc::clone(&zone), watches);
        Self {
            now: 1,
            zone,
            store,
            view: support::zone::view(),
            external: None,
            last: String::new(),
            changes: Vec::new(),
        }
    }

    fn step(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["at", seconds] => self.now = seconds.parse().map_err(|e| format!("{e}"))?,
            ["options", ref options @ ..] => self.options(options)?,
            ["external", zone, ref headless @ ..] => self.external(zone, !headless.is_empty()),
            ["query", name, qtype] => self.last = self.ask(name, qtype.parse().unwrap()),
            ["expect", ref wanted @ ..] => same(&wanted.join(" "), &self.last)?,
            ["changes", ref wanted @ ..] => same(&wanted.join(" "), &told(&self.changes))?,
            _ => self.changes = self.store.handle(self.now, event(line)?),
        }
        Ok(())
    }

    fn options(&mut self, options: &[&str]) -> Result<(), String> {
        let mut options = options.iter().copied();
        while let Some(option) = options.next() {
            let mut value = || {
                options
                    .next()
                    .ok_or_else(|| format!("{option} wants a value"))
            };
            match option {
                "zonal" => self.view.zonal = true,
                "ignore_empty" => self.view.ignore_empty_service = true,
                "pods" => {
                    self.view.pods = match value()? {
                        "insecure" => PodMode::Insecure,
                        "verified" => PodMode::Verified,
                        other => return Err(format!("no such mode: {other}")),
                    }
                }
                "ttl" => self.view.ttl = value()?.parse().map_err(|e| format!("{e}"))?,
                "namespaces" => self.view.namespaces = value()?.split(',').map(Box::from).collect(),
                "multicluster" => {
                    let zone = absolute(value()?).unwrap();
                    self.view.multicluster = vec![zone.clone()];
                    self.view.origins.extend([zone]);
                }
                other => return Err(format!("no such option: {other}")),
            }
        }
        Ok(())
    }

    fn external(&mut self, zone: &str, headless: bool) {
        let view = ExternalView {
            origins: vec![absolute(zone).unwrap()].into(),
            apex: "dns".into(),
            ttl: 5,
            headless,
            kubernetes: self.view.clone().into(),
        };
        self.external = Some(view.into());
    }

    fn ask(&self, name: &str, qtype: RecordType) -> String {
        let name = match name.strip_suffix('.') {
            Some(_) => name.to_owned(),
            None => format!("{name}.svc.cluster.local."),
        };
        let cluster = Shown::from(self.view.clone());
        let external = self.external.iter();
        let said = external
            .chain([&cluster])
            .find_map(|shown| said_by(&self.zone, shown, &name, qtype));
        said.unwrap_or_else(|| "OUTOFZONE".into())
    }
}

fn same(wanted: &str, got: &str) -> Result<(), String> {
    if wanted == got {
        return Ok(());
    }
    Err(format!("expected {wanted:?}, got {got:?}"))
}

/// Every name that has changed, with where it led and leads.
fn told(changes: &[Change]) -> String {
    let names = changes.iter().flat_map(Change::names);
    let told: Vec<String> = names
        .map(|change| {
            let [before, after] = [change.before, change.after].map(|targets| targets.join(","));
            let words = format!("{}: {before} -> {after}", change.name);
            Vec::from_iter(words.split_whitespace()).join(" ")
        })
        .collect();
    told.join(" | ")
}

#[test]
fn every_scenario_file_holds() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 6, "only {} files", files.len());
    let mut failed = Vec::new();
    for file in files {
        let (mut world, mut expects) = (World::new(), 0);
        for (number, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            let line = line.split('#').next().unwrap().trim();
            if line.is_empty() {
                continue;
            }
            expects += usize::from(line.starts_with("expect"));
            if let Err(why) = world.step(line) {
                failed.push(format!("{}:{}: {why}", file.display(), number + 1));
            }
        }
        assert!(expects > 0, "{} expects nothing", file.display());
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}
