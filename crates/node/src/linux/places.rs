//! Folders, files and mounts that others stand on.

use std::ffi::CString;
use std::fs;
use std::io;
use std::path::Path;

use rustix::mount::{MountFlags, mount};

use super::messages::{Failure, Tried};

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
