//! What a container's program sees as `/`: the host's programs, and nothing else of the host.
//!
//! Each folder of programs is an overlay: the host's below, and above it a tmpfs, in which the places of mounts are made.
//! What a program writes goes there, and ends with the container.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_remount, unmount};

use super::messages::{Failure, Tried};
use super::places::{make_file, make_folder, tmpfs};
use super::{PROGRAM, ROOT, devices};
use crate::{Files, Mount, PROGRAMS};

/// Folders that are there and empty.
const EMPTY: &[&str] = &[
    "dev", "home", "media", "mnt", "proc", "root", "run", "srv", "sys", "tmp", "var",
];

/// Where services keep things: of each folder below them a container has an empty one.
const KEPT: &[&str] = &["var/cache", "var/lib", "var/log", "var/spool"];

/// What a container may write beside its volumes: a quarter of a gibibyte, in memory.
const SIZE: &str = "mode=0755,size=256m";

/// Where parts of a root are, before it is one.
struct Parts {
    /// The changes of overlays.
    upper: PathBuf,
    work: PathBuf,
    /// The root.
    tree: PathBuf,
}

/// Makes a container's root, and moves this process into it.
pub(crate) fn build(folder: &Path, files: &Files) -> Result<(), Failure> {
    let base = folder.join(ROOT);
    tmpfs(&base, SIZE)?;
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
    let own = folder.join(PROGRAM);
    let applets = files.applets.iter().map(|target| Mount {
        source: own.clone(),
        target: target.clone(),
        read_only: true,
    });
    let mounts: Vec<Mount> = files.mounts.iter().cloned().chain(applets).collect();
    for mount in &mounts {
        parts.place(mount)?;
    }
    for (target, text) in &files.texts {
        let file = parts.above(target);
        make_file(&file)?;
        fs::write(&file, text).tried(|| format!("writing {}", target.display()))?;
    }
    parts.overlay()?;
    devices::mount(&parts.tree)?;
    for mount in &mounts {
        parts.bind(mount)?;
    }
    enter(&parts.tree)
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
        for kept in KEPT {
            make_folder(&self.tree.join(kept))?;
            // What cannot be read is not there.
            let host = fs::read_dir(Path::new("/").join(kept));
            for entry in host.into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    make_folder(&self.tree.join(kept).join(entry.file_name()))?;
                }
            }
        }
        for (name, mode) in [("tmp", 0o1777), ("var/tmp", 0o1777), ("root", 0o700)] {
            let folder = self.tree.join(name);
            make_folder(&folder)?;
            let permissions = fs::Permissions::from_mode(mode);
            let set = fs::set_permissions(&folder, permissions);
            set.tried(|| format!("setting the mode of /{name}"))?;
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

    /// Makes what a mount needs below it: a folder, or a file.
    fn place(&self, mount: &Mount) -> Result<(), Failure> {
        let place = self.above(&mount.target);
        if mount.source.is_dir() {
            make_folder(&place)
        } else {
            make_file(&place)
        }
    }

    fn overlay(&self) -> Result<(), Failure> {
        for name in self.overlaid() {
            let [upper, work] = [&self.upper, &self.work].map(|part| escaped(&part.join(name)));
            let lower = Path::new("/").join(name);
            let mut options = b"userxattr,lowerdir=".to_vec();
            options.extend(escaped(&lower));
            options.extend([&b",upperdir="[..], &upper, b",workdir=", &work].concat());
            let options = CString::new(options).map_err(io::Error::from);
            let options = options.tried(|| format!("naming /{name}"))?;
            let target = self.tree.join(name);
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            let mounted = mount("overlay", target, "overlay", flags, options.as_c_str());
            mounted.tried(|| format!("laying a container's own /{name} over the host's"))?;
        }
        Ok(())
    }

    fn bind(&self, mount: &Mount) -> Result<(), Failure> {
        let target = self.tree.join(resolved(&mount.target));
        let step = || format!("mounting {}", mount.target.display());
        mount_bind(&mount.source, &target).tried(step)?;
        if mount.read_only {
            // Flags that the host has set are locked: they stay.
            let held = rustix::fs::statvfs(&target).tried(step)?.f_flag.bits();
            let held = MountFlags::from_bits_truncate(u32::try_from(held).unwrap_or_default());
            let flags = held | MountFlags::BIND | MountFlags::RDONLY;
            mount_remount(&target, flags, c"").tried(step)?;
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

/// A path in the options of an overlay: `\`, `,` and `:` mean something there.
fn escaped(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    for octet in path.as_os_str().as_bytes() {
        if b"\\,:".contains(octet) {
            text.push(b'\\');
        }
        text.push(*octet);
    }
    text
}

/// Makes the tree this process's root; the host's is gone then.
fn enter(tree: &Path) -> Result<(), Failure> {
    std::env::set_current_dir(tree).tried(|| "entering the root".into())?;
    let turned = rustix::process::pivot_root(".", ".");
    turned.tried(|| "turning the root".into())?;
    let left = unmount(".", UnmountFlags::DETACH);
    left.tried(|| "leaving the host's files".into())?;
    std::env::set_current_dir("/").tried(|| "entering the root".into())
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

    #[test]
    fn what_means_something_in_options_is_escaped() {
        assert_eq!(escaped(Path::new("/a:b,c\\d")), b"/a\\:b\\,c\\\\d");
    }
}
