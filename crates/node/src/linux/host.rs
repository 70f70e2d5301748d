//! A container's `/` of the host's programs, and nothing else of the host.
//!
//! Each folder of programs is an overlay: the host's below, and above it a tmpfs, in which the places of mounts are made: most of
//! what the host has belongs to somebody whom the node does not know, and so nothing can be made there later.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use super::messages::{Failure, Tried};
use super::places::{SIZE, make_folder, overlay, place, tmpfs, write};
use crate::{Mount, PROGRAMS};

/// Folders that are there and empty.
const EMPTY: &[&str] = &[
    "dev", "home", "media", "mnt", "proc", "root", "run", "srv", "sys", "tmp", "var",
];

/// Where services keep things: of each folder below them a container has an empty one.
const KEPT: &[&str] = &["var/cache", "var/lib", "var/log", "var/spool"];

/// Where parts of a root are, before it is one.
struct Parts {
    /// The changes of overlays.
    upper: PathBuf,
    work: PathBuf,
    /// The root.
    tree: PathBuf,
}

/// Makes it below `base`, with all that others are mounted on.
pub(crate) fn lay(
    base: &Path,
    mounts: &[Mount],
    texts: &[(PathBuf, String)],
) -> Result<PathBuf, Failure> {
    let parts = Parts {
        upper: base.join("upper"),
        work: base.join("work"),
        tree: base.join("tree"),
    };
    for part in [&parts.upper, &parts.work, &parts.tree] {
        make_folder(part)?;
    }
    tmpfs(&parts.tree, SIZE)?;
    parts.skeleton()?;
    for mount in mounts {
        place(mount, &parts.above(&mount.target))?;
    }
    for (target, text) in texts {
        write(&parts.above(target), text)?;
    }
    parts.overlay()?;
    Ok(parts.tree)
}

impl Parts {
    /// All folders and links that stand at the top.
    fn skeleton(&self) -> Result<(), Failure> {
        for name in EMPTY {
            make_folder(&self.tree.join(name))?;
        }
        for name in PROGRAMS {
            let host = Path::new("/").join(name);
            if let Ok(target) = fs::read_link(&host) {
                let linked = symlink(&target, self.tree.join(name));
                linked.tried(|| format!("linking /{name}"))?;
            } else if host.is_dir() {
                for part in [&self.tree, &self.upper, &self.work] {
                    make_folder(&part.join(name))?;
                }
            }
        }
        let mut open = vec![self.tree.join("tmp"), self.tree.join("run")];
        for kept in KEPT {
            make_folder(&self.tree.join(kept))?;
            // What cannot be read is not there.
            let host = fs::read_dir(Path::new("/").join(kept));
            for entry in host.into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push(self.tree.join(kept).join(entry.file_name()));
                }
            }
        }
        open.push(self.tree.join("var/tmp"));
        // A service writes there as a user of its own.
        let open = open.into_iter().map(|folder| (folder, 0o1777));
        for (folder, mode) in open.chain([(self.tree.join("root"), 0o700)]) {
            make_folder(&folder)?;
            let set = fs::set_permissions(&folder, fs::Permissions::from_mode(mode));
            set.tried(|| format!("setting the mode of {}", folder.display()))?;
        }
        // Not by `/run`, which would be the host's until this root is entered.
        symlink("../run", self.tree.join("var/run")).tried(|| "linking /var/run".into())
    }

    /// The folders that are overlays.
    fn overlaid(&self) -> impl Iterator<Item = &'static str> {
        let folders = PROGRAMS.iter().copied();
        folders.filter(|name| self.upper.join(name).is_dir())
    }

    /// Where something is made so that it is seen at `target`: above an overlay, or in the root itself.
    fn above(&self, target: &Path) -> PathBuf {
        let target = resolved(target);
        let name = target.components().next();
        let overlaid = name.is_some_and(|name| self.upper.join(name).is_dir());
        if overlaid {
            self.upper.join(target)
        } else {
            self.tree.join(target)
        }
    }

    fn overlay(&self) -> Result<(), Failure> {
        for name in self.overlaid() {
            let own = [&self.upper, &self.work].map(|part| part.join(name));
            overlay(&Path::new("/").join(name), &own, &self.tree.join(name))?;
        }
        Ok(())
    }
}

/// A path without its first `/`, and with the host's links followed as far as the host has it: the same folder is seen there.
fn resolved(target: &Path) -> PathBuf {
    let mut known = target.to_owned();
    let mut rest = Vec::new();
    while let (false, Some(parent), Some(name)) =
        (known.exists(), known.parent(), known.file_name())
    {
        rest.push(name.to_owned());
        known = parent.to_owned();
    }
    let mut whole = if names_programs(&known) {
        known.canonicalize().unwrap_or(known)
    } else {
        known
    };
    whole.extend(rest.iter().rev());
    whole.strip_prefix("/").map(Path::to_owned).unwrap_or(whole)
}

/// Whether a path is below a folder that the container shares with the host.
fn names_programs(path: &Path) -> bool {
    let first = path.components().nth(1);
    first.is_some_and(|first| {
        let shared = |name: &&str| Component::Normal(name.as_ref()) == first;
        PROGRAMS.iter().any(shared)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_seen_where_the_host_s_links_lead_and_one_that_is_not_there_keeps_its_end() {
        assert_eq!(resolved(Path::new("/data/x")), Path::new("data/x"));
        assert_eq!(
            resolved(Path::new("/usr/no-such/folder")),
            Path::new("usr/no-such/folder")
        );
        let sh = fs::canonicalize("/bin").unwrap();
        assert_eq!(Path::new("/").join(resolved(Path::new("/bin"))), sh);
    }
}
