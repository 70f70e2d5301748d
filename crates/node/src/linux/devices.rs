//! `/dev`, `/proc` and `/sys` of a container.

use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::mount::{MountFlags, mount as mount_type, mount_bind};

use super::messages::{Failure, Tried};
use super::places::{make_file, make_folder, tmpfs};

/// The host's devices that harm nobody.
const DEVICES: &[&str] = &["full", "null", "random", "tty", "urandom", "zero"];

const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("ptmx", "pts/ptmx"),
    ("stderr", "/proc/self/fd/2"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
];

/// Mounts them below `tree`.
pub(crate) fn mount(tree: &Path) -> Result<(), Failure> {
    let hardened = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let proc = mount_type("proc", tree.join("proc"), "proc", hardened, None);
    proc.tried(|| "mounting /proc".into())?;
    let sys = mount_type(
        "sysfs",
        tree.join("sys"),
        "sysfs",
        hardened | MountFlags::RDONLY,
        None,
    );
    sys.tried(|| "mounting /sys".into())?;
    let dev = tree.join("dev");
    tmpfs(&dev, "mode=0755,size=64k")?;
    for name in DEVICES {
        let device = dev.join(name);
        make_file(&device)?;
        let bound = mount_bind(Path::new("/dev").join(name), &device);
        bound.tried(|| format!("binding /dev/{name}"))?;
    }
    for (name, target) in LINKS {
        symlink(target, dev.join(name)).tried(|| format!("linking /dev/{name}"))?;
    }
    for name in ["pts", "shm", "mqueue"] {
        make_folder(&dev.join(name))?;
    }
    tmpfs(&dev.join("shm"), "mode=1777,size=64m")?;
    // No group of terminals: the container may not have its id.
    let options = c"newinstance,ptmxmode=0666,mode=0620";
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    let pts = mount_type("devpts", dev.join("pts"), "devpts", flags, options);
    pts.tried(|| "mounting /dev/pts".into())?;
    let queues = mount_type("mqueue", dev.join("mqueue"), "mqueue", hardened, None);
    queues.tried(|| "mounting /dev/mqueue".into())
}
