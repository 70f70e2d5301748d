//! Folders, files and mounts that others stand on.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount};

use super::messages::{Failure, Tried};
use crate::Mount;

/// What a container may write beside its volumes: a quarter of a gibibyte, in memory.
pub(crate) const SIZE: &str = "mode=0755,size=256m";

/// Mounts a tmpfs.
pub(crate) fn tmpfs(target: &Path, options: &str) -> Result<(), Failure> {
    let options = CString::new(options).map_err(io::Error::from);
    let options = options.tried(|| "naming a tmpfs".into())?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let mounted = mount("tmpfs", target, "tmpfs", flags, options.as_c_str());
    mounted.tried(|| format!("mounting a tmpfs on {}", target.display()))
}

/// Makes a folder, with those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).tried(|| format!("making {}", path.display()))
}

/// Makes an empty file, where there is none, with the folders above it.
pub(crate) fn make_file(path: &Path) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        make_folder(parent)?;
    }
    let made = fs::OpenOptions::new().create(true).append(true).open(path);
    made.map(drop)
        .tried(|| format!("making {}", path.display()))
}

/// Makes what a mount needs below it: a folder, or a file.
pub(crate) fn place(mount: &Mount, at: &Path) -> Result<(), Failure> {
    if mount.source.is_dir() {
        make_folder(at)
    } else {
        make_file(at)
    }
}

/// Writes a small file, with the folders above it.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    make_file(file)?;
    fs::write(file, text).tried(|| format!("writing {}", file.display()))
}

/// Has `lower` be seen at `target`; what is changed there is kept in the first of `own`, and the second is the kernel's.
pub(crate) fn overlay(lower: &Path, own: &[PathBuf; 2], target: &Path) -> Result<(), Failure> {
    let [upper, work] = own;
    let options = [
        &b"userxattr,lowerdir="[..],
        &escaped(lower),
        b",upperdir=",
        &escaped(upper),
        b",workdir=",
        &escaped(work),
    ];
    let options = CString::new(options.concat()).map_err(io::Error::from);
    let options = options.tried(|| format!("naming {}", lower.display()))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let mounted = mount("overlay", target, "overlay", flags, options.as_c_str());
    mounted.tried(|| format!("laying a container's own files over {}", lower.display()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_options_is_escaped() {
        assert_eq!(escaped(Path::new("/a:b,c\\d")), b"/a\\:b\\,c\\\\d");
    }
}
