//! `pod-enter`: a program of this machine in the network of a node, where the cluster's names are looked up.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::sched::CloneFlags;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount};

use super::entry::become_root;
use super::messages::{Failure, Tried};
use super::places::tmpfs;
use super::{ENTER, ENTRY, ids};

/// The file that says how names are looked up.
const RESOLVER: &str = "/etc/resolv.conf";

/// Where that is written before it is mounted: a folder of every Linux (Filesystem Hierarchy Standard 3.0, section 3.12).
const ASIDE: &str = "/mnt";

/// Has this process become a program of this machine that sees the network of the node whose first process this is, and
/// finds `resolver` in /etc/resolv.conf. Its files stay this machine's, its user becomes the node's root.
///
/// # Errors
/// The node has ended, or is somebody else's. Whatever goes wrong later is said by the new process.
pub fn enter(process: u32, resolver: &str, command: &[OsString]) -> io::Error {
    let arguments = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    if arguments.split(|octet| *octet == 0).nth(1) != Some(ENTRY.as_bytes()) {
        let what = format!("process {process} is not a node's: the sandbox has ended");
        return io::Error::new(io::ErrorKind::NotFound, what);
    }
    let mut entered = Command::new("/proc/self/exe");
    let entered = entered.arg0("headless-dns").arg(ENTER);
    let entered = entered.arg(process.to_string()).arg(resolver);
    entered.args(command).exec()
}

pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Err(failure) = join(&arguments.collect::<Vec<_>>());
    let mut said = io::stderr();
    // Who has no standard error sees the code.
    let _unsaid = writeln!(said, "{}: {}", failure.step, failure.error());
    ExitCode::FAILURE
}

fn join(arguments: &[OsString]) -> Result<Infallible, Failure> {
    let [process, resolver, program, arguments @ ..] = arguments else {
        return Err(Failure::new("running nothing", io::ErrorKind::InvalidInput));
    };
    let folder = Path::new("/proc").join(process).join("ns");
    let open = |name: &str| {
        let file = folder.join(name);
        File::open(&file).tried(|| format!("opening {}", file.display()))
    };
    let (users, network) = (open("user")?, open("net")?);
    let joined = nix::sched::setns(users, CloneFlags::CLONE_NEWUSER);
    joined.tried(|| "joining the node's users".into())?;
    let joined = nix::sched::setns(network, CloneFlags::CLONE_NEWNET);
    joined.tried(|| "joining the node's network".into())?;
    become_root(ids::count() > 1).tried(|| "becoming root of the node".into())?;
    let own = nix::sched::unshare(CloneFlags::CLONE_NEWNS);
    own.tried(|| "keeping mounts to itself".into())?;
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change("/", private).tried(|| "keeping mounts to itself".into())?;
    resolve(&resolver.to_string_lossy())?;
    let failed = Command::new(program).args(arguments).exec();
    Err(Failure::new(
        format!("running {}", program.display()),
        failed,
    ))
}

/// Has names be looked up as `resolver` says.
fn resolve(resolver: &str) -> Result<(), Failure> {
    let aside = Path::new(ASIDE);
    tmpfs(aside, "mode=0755,size=1m")?;
    let file = aside.join("resolv.conf");
    fs::write(&file, resolver).tried(|| format!("writing {}", file.display()))?;
    mount_bind(&file, RESOLVER).tried(|| format!("mounting {RESOLVER}"))?;
    unmount(aside, UnmountFlags::DETACH).tried(|| format!("unmounting {ASIDE}"))
}
