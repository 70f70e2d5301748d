//! `auto`: a zone for each file of a folder that is named after one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use regex::Regex;
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::block::{Block, Link, Parts};
use super::kit::{Directives, Registration, duration, expression};
use super::zonal::{OfName, answer, longest, parse};
use super::{Handled, Next, Plugin};
use crate::corefile::{CorefileError, Directive, Token};
use crate::message::question::Query;
use crate::name::{Name, Origins, Qname, absolute};
use crate::zonefile::FileZone;

pub(super) const PLUGIN: Registration = Registration {
    name: "auto",
    setup,
};

/// How often the folder is looked at: CoreDNS's.
const RELOAD: Duration = Duration::from_secs(60);

/// How many folders may stand in each other: more than anybody's, and an end to links that lead back.
const MAX_DEPTH: usize = 32;

/// The longest expression that is taken, in characters: CoreDNS's.
const MAX_EXPRESSION: usize = 10_000;

/// `auto [ZONES...] { directory DIR [REGEXP ORIGIN_TEMPLATE]; reload DURATION }`.
#[derive(Clone, Debug)]
struct Spec {
    /// Only names in these are answered.
    origins: Origins,
    /// `None`: there are no zones.
    folder: Option<PathBuf>,
    /// What a file's name has to have.
    names: Regex,
    /// The zone of such a name, with `${1}` for a group of it.
    template: String,
    /// Zero: the folder is read once.
    reload: Duration,
}

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let directive = directives.last();
    let mut spec = Spec {
        origins: directives.origins(&directive.args)?.into(),
        folder: None,
        names: Regex::new(r"db\.(.*)").expect("it is one"),
        template: "${1}".into(),
        reload: RELOAD,
    };
    // As in CoreDNS what several say adds up, and the zones are the last one's.
    for directive in directives.iter() {
        for property in &directive.body {
            spec.property(block, directive, property)?;
        }
    }
    block.links.push((PLUGIN.name, Box::new(spec)));
    Ok(())
}

impl Spec {
    fn property(
        &mut self,
        block: &Block,
        directive: &Directive,
        property: &Directive,
    ) -> Result<(), CorefileError> {
        match property.name.text.as_str() {
            "directory" => self.directory(block, property)?,
            "reload" => self.reload = duration(property.one_arg("a duration, or 0")?)?,
            // As in CoreDNS, where it had a meaning once.
            "upstream" => {}
            _ => return Err(directive.unknown_property(property, "directory or reload")),
        }
        Ok(())
    }

    fn directory(&mut self, block: &Block, property: &Directive) -> Result<(), CorefileError> {
        const EXPECTED: &str = "DIR, or DIR REGEXP ORIGIN_TEMPLATE";
        let folder = match &property.args[..] {
            [folder] => folder,
            [folder, names, template] => {
                self.names = named(names)?;
                self.template = template.text.replace('{', "${");
                folder
            }
            _ => {
                let problem = "`directory` takes one argument or three";
                return Err(property.name.error(problem, EXPECTED));
            }
        };
        let path = PathBuf::from(block.path(folder).text);
        if let Err(error) = std::fs::metadata(&path) {
            // It may come later.
            warn!(folder = %path.display(), %error, "the folder of `auto` cannot be read");
        }
        self.folder = Some(path);
        Ok(())
    }

    /// The zone of a file's name.
    fn zone_of(&self, file: &Path) -> Option<Name> {
        let name = file.file_name()?.to_string_lossy();
        let captures = self.names.captures(&name)?;
        let mut origin = String::new();
        captures.expand(&self.template, &mut origin);
        Some(absolute(&origin).ok()?.to_lowercase())
    }

    /// The zones of the folder as it is now; of those in `known` that have not changed the same. Of two files of a zone the
    /// first by its path counts.
    fn walk(&self, known: &Zones) -> Zones {
        let mut files = Vec::new();
        if let Some(folder) = &self.folder {
            collect(folder, 0, &mut files);
        }
        files.sort();
        let mut zones = Zones::new();
        for file in files {
            let Some(apex) = self.zone_of(&file) else {
                continue;
            };
            if let Some(other) = zones.get(&apex) {
                let (file, used) = (file.display(), other.file.display());
                warn!(%file, %used, zone = %apex, "two files have one zone");
                continue;
            }
            if let Some(loaded) = load(&apex, &file, known.get(&apex)) {
                zones.insert(apex, loaded);
            }
        }
        for apex in known.keys().filter(|apex| !zones.contains_key(apex)) {
            info!(zone = %apex, "a zone has gone with its file");
        }
        zones
    }
}

/// The expression that files' names have to fit.
fn named(arg: &Token) -> Result<Regex, CorefileError> {
    const EXPECTED: &str = r"an expression with a group, such as `db\.(.*)`";
    if arg.text.len() > MAX_EXPRESSION {
        return Err(arg.error("the expression is too long", EXPECTED));
    }
    let names = expression(arg, EXPECTED)?;
    if names.captures_len() < 2 {
        return Err(arg.error("the expression has no group", EXPECTED));
    }
    Ok(names)
}

/// The zones by their names.
type Zones = BTreeMap<Name, Loaded>;

/// A zone as it was read.
#[derive(Clone, Debug)]
struct Loaded {
    file: PathBuf,
    /// When the file was changed, and its size.
    state: Option<(SystemTime, u64)>,
    zone: Arc<FileZone>,
}

/// The files of a folder and of those in it.
fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            // The files of a ConfigMap are in such a folder, and linked to; as in CoreDNS links to folders are not followed.
            let name = path.file_name().unwrap_or_default();
            let is_hidden = name.as_encoded_bytes().starts_with(b"..");
            if !is_hidden && !path.is_symlink() && depth < MAX_DEPTH {
                collect(&path, depth + 1, files);
            }
        } else {
            files.push(path);
        }
    }
}

/// The zone of a file; `known`: as it was. One that has become wrong stays as it was.
fn load(apex: &Name, file: &Path, known: Option<&Loaded>) -> Option<Loaded> {
    let metadata = std::fs::metadata(file).ok();
    let state = metadata.and_then(|of_file| Some((of_file.modified().ok()?, of_file.len())));
    if let Some(known) = known
        && known.state == state
        && known.file == file
    {
        return Some(known.clone());
    }
    let name = file.display().to_string();
    let read = std::fs::read(file).map_err(|error| format!("{name}: {error}"));
    let zone =
        read.and_then(|octets| parse(&name, &octets, apex).map_err(|error| error.to_string()));
    let loaded = |zone| Loaded {
        file: file.to_owned(),
        state,
        zone,
    };
    match (zone, known) {
        (Err(error), known) => {
            warn!(zone = %apex, %error, "a zone file is wrong");
            known.map(|known| loaded(Arc::clone(&known.zone)))
        }
        (Ok(zone), Some(known)) if known.zone.serial() == zone.serial() => {
            Some(loaded(Arc::clone(&known.zone)))
        }
        (Ok(zone), _) => {
            info!(zone = %apex, serial = zone.serial(), file = name, "a zone has been read");
            Some(loaded(Arc::new(zone)))
        }
    }
}

impl Link for Spec {
    fn build(&self, _: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        let zones = Arc::new(RwLock::new(self.walk(&Zones::new())));
        // Where there is no runtime, nobody asks for long.
        if !self.reload.is_zero()
            && let Ok(runtime) = Handle::try_current()
        {
            let (spec, zones) = (self.clone(), Arc::downgrade(&zones));
            runtime.spawn(async move {
                loop {
                    tokio::time::sleep(spec.reload).await;
                    let (spec, Some(zones)) = (spec.clone(), zones.upgrade()) else {
                        return;
                    };
                    let walk = move || {
                        let known = zones.read().unwrap_or_else(PoisonError::into_inner).clone();
                        let now = spec.walk(&known);
                        *zones.write().unwrap_or_else(PoisonError::into_inner) = now;
                    };
                    if tokio::task::spawn_blocking(walk).await.is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Arc::new(Auto {
            origins: self.origins.clone(),
            zones,
        }))
    }
}

/// The handler.
struct Auto {
    origins: Origins,
    zones: Arc<RwLock<Zones>>,
}

impl Auto {
    /// The longest zone that has the name.
    fn find(&self, qname: &Qname) -> Option<OfName> {
        let zones = self.zones.read().unwrap_or_else(PoisonError::into_inner);
        let (_, loaded) = longest(&zones, qname)?;
        Some(OfName {
            zone: Some(Arc::clone(&loaded.zone)),
            fallthrough: Origins::default(),
        })
    }
}

impl Plugin for Auto {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let qname = &query.question.qname;
        if !self.origins.cover(qname) {
            return next.handle(query);
        }
        answer(query, self.find(qname), next).boxed()
    }

    fn offers(&self) -> Option<Vec<Arc<FileZone>>> {
        let zones = self.zones.read().unwrap_or_else(PoisonError::into_inner);
        let zones = zones.values();
        Some(zones.map(|loaded| Arc::clone(&loaded.zone)).collect())
    }
}
