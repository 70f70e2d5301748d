//! What a container's program sees as `/`.

use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount_bind, mount_remount, unmount};

use super::messages::{Failure, Tried};
use super::places::{SIZE, tmpfs};
use super::{PROGRAM, ROOT, devices, host, image};
use crate::{Files, Mount, inside};

/// Makes a container's root, and moves this process into it.
pub(crate) fn build(folder: &Path, files: &Files) -> Result<(), Failure> {
    let base = folder.join(ROOT);
    tmpfs(&base, SIZE)?;
    let own = folder.join(PROGRAM);
    let applets = files.applets.iter().map(|target| Mount {
        source: own.clone(),
        target: target.clone(),
        read_only: true,
    });
    let mounts: Vec<Mount> = files.mounts.iter().cloned().chain(applets).collect();
    let tree = match &files.root {
        Some(root) => image::lay(&base, root, &mounts, &files.texts)?,
        None => host::lay(&base, &mounts, &files.texts)?,
    };
    devices::mount(&tree)?;
    for mount in &mounts {
        bind(&tree, mount)?;
    }
    enter(&tree)
}

fn bind(tree: &Path, mount: &Mount) -> Result<(), Failure> {
    let step = || format!("mounting {}", mount.target.display());
    let target = inside(tree, &mount.target).tried(step)?;
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

/// Makes the tree this process's root; the host's is gone then.
fn enter(tree: &Path) -> Result<(), Failure> {
    std::env::set_current_dir(tree).tried(|| "entering the root".into())?;
    let turned = rustix::process::pivot_root(".", ".");
    turned.tried(|| "turning the root".into())?;
    let left = unmount(".", UnmountFlags::DETACH);
    left.tried(|| "leaving the host's files".into())?;
    std::env::set_current_dir("/").tried(|| "entering the root".into())
}
