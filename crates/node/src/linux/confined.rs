//! What a container's program is, and may not do: ids, capabilities, system calls, how many processes.
//!
//! Each container has a user namespace of its own, so that its processes are counted by themselves (user_namespaces(7),
//! getrlimit(2)). It has the node's ids; where that is one, under the number that the program is to see.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};

use nix::libc;
use nix::sched::CloneFlags;
use rustix::fs::{Gid, Uid};
use rustix::process::{Pid, Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::messages::{Failure, Tried};
use super::{MAP, ids};

/// What a container's root may do: the fourteen of Docker's and containerd's default.
const CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::AUDIT_WRITE);

/// Processes and threads of one user of a container: a bomb is small, and a Java program fits.
const PROCESSES: u64 = 1024;

/// Calls that Docker's default profile refuses and that need no capability: namespaces, keyrings, and doors into the kernel that
/// programs of a container do without.
const REFUSED: &[i64] = &[
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_perf_event_open,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// Calls that give a file to somebody whom a node of one id does not have.
const GIVING: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    libc::SYS_fchown,
    libc::SYS_fchownat,
];

/// The user namespace that a program runs in.
pub(crate) enum Users {
    /// This process has joined a container's.
    Joined,
    /// The container gets one; where the node has many ids this process maps them.
    New(Option<Child>),
}

impl Users {
    /// Those of a new container. Before its root is made: what maps ids is a program of the host.
    pub(crate) fn new() -> Result<Self, Failure> {
        if ids::count() == 1 {
            return Ok(Self::New(None));
        }
        let step = || "starting what maps ids".to_owned();
        let mut helper = Command::new("/proc/self/exe");
        let helper = helper.arg0("headless-dns").arg(MAP);
        let helper = helper.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut helper = helper.spawn().tried(step)?;
        // It loads its libraries from the host's root, which is gone once the container's is made: its first octet says that it has.
        if let Some(mut says) = helper.stdout.take() {
            says.read_exact(&mut [0]).tried(step)?;
        }
        Ok(Self::New(Some(helper)))
    }
}

/// Takes a program's ids, and gives up what it may not do.
pub(crate) fn confine(
    user: Option<(u32, u32)>,
    groups: &[u32],
    users: Users,
) -> Result<(), Failure> {
    let user = user.unwrap_or((0, 0));
    match users {
        Users::Joined => {}
        Users::New(Some(helper)) => nest_all(helper)?,
        Users::New(None) => nest_one(user)?,
    }
    let many = ids::count() > 1;
    let (current, maximum) = (Some(PROCESSES), Some(PROCESSES));
    let limited = setrlimit(Resource::Nproc, Rlimit { current, maximum });
    limited.tried(|| "limiting processes".into())?;
    for capability in CapabilitySet::all().difference(CAPABILITIES).iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // One that this kernel does not have.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(Failure::new("dropping capabilities", error)),
        }
    }
    let step = "setting no_new_privs";
    rustix::thread::set_no_new_privs(true).tried(|| step.into())?;
    if many && (user != (0, 0) || !groups.is_empty()) {
        let step = || format!("becoming user {} and group {}", user.0, user.1);
        let (uid, gid) = (Uid::from_raw(user.0), Gid::from_raw(user.1));
        // What is beyond the ids of here is root's, as files are that are given to it.
        let known = groups
            .iter()
            .map(|group| if *group < ids::count() { *group } else { 0 });
        let groups: Vec<Gid> = known.map(Gid::from_raw).collect();
        set_thread_groups(&groups).tried(step)?;
        set_thread_res_gid(gid, gid, gid).tried(step)?;
        set_thread_res_uid(uid, uid, uid).tried(step)?;
    }
    filter(many).tried(|| "refusing system calls".into())
}

fn unshare() -> Result<(), Failure> {
    let unshared = nix::sched::unshare(CloneFlags::CLONE_NEWUSER);
    unshared.tried(|| "making a container's user namespace".into())
}

/// A user namespace whose only id is the node's.
fn nest_one((user, group): (u32, u32)) -> Result<(), Failure> {
    unshare()?;
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{user} 0 1")),
        ("gid_map", format!("{group} 0 1")),
    ] {
        let written = fs::write(format!("/proc/self/{file}"), text);
        written.tried(|| format!("writing {file} of a container"))?;
    }
    Ok(())
}

/// A user namespace with all ids of the node. Who is in it may not say so: the helper does.
fn nest_all(mut helper: Child) -> Result<(), Failure> {
    let step = || "mapping ids of a container".to_owned();
    unshare()?;
    drop(helper.stdin.take());
    let mapped = helper.wait().tried(step)?;
    if !mapped.success() {
        return Err(Failure::new(step(), io::ErrorKind::PermissionDenied));
    }
    Ok(())
}

/// `pod-map`: gives the process that has started it all ids of the node, once that has closed its end of the pipe. Its `/proc` is
/// the container's by then: their root is the same.
pub(crate) fn map() -> ExitCode {
    let parent = rustix::process::getppid().map(Pid::as_raw_pid);
    let (parent, count) = (parent.unwrap_or_default(), ids::count());
    let said = io::stdout().write_all(b"\n");
    let said = said.and_then(|()| io::stdout().flush());
    let closed = said.and_then(|()| io::copy(&mut io::stdin(), &mut io::sink()));
    let written = closed.and_then(|_| {
        ["uid_map", "gid_map"].iter().try_for_each(|file| {
            fs::write(format!("/proc/{parent}/{file}"), format!("0 0 {count}"))
        })
    });
    if written.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Refuses calls. `many`: files can be given to others; where they cannot, a call that does so succeeds and changes nothing, as
/// programs that run as root give files away without need.
fn filter(many: bool) -> io::Result<()> {
    let new_user = u64::from(CloneFlags::CLONE_NEWUSER.bits().cast_unsigned());
    let masked = SeccompCmpOp::MaskedEq(new_user);
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, masked, new_user);
    let rule = SeccompRule::new(vec![condition.map_err(io::Error::other)?]);
    let clones = (libc::SYS_clone, vec![rule.map_err(io::Error::other)?]);
    let calls = |numbers: &[i64]| numbers.iter().map(|number| (*number, vec![])).collect();
    let mut refused: BTreeMap<_, _> = calls(REFUSED);
    refused.extend([clones]);
    // Its flags lie in memory, where a filter cannot look; C libraries use `clone` then.
    let unknown = calls(&[libc::SYS_clone3]);
    let given = if many { BTreeMap::new() } else { calls(GIVING) };
    let number = |errno: i32| errno.cast_unsigned();
    for (rules, errno) in [
        (refused, number(libc::EPERM)),
        (unknown, number(libc::ENOSYS)),
        (given, 0),
    ] {
        if rules.is_empty() {
            continue;
        }
        let arch = std::env::consts::ARCH.try_into();
        let (other, these) = (SeccompAction::Allow, SeccompAction::Errno(errno));
        let filter = SeccompFilter::new(rules, other, these, arch.map_err(io::Error::other)?);
        let filter = filter.map_err(io::Error::other)?;
        let program = BpfProgram::try_from(filter).map_err(io::Error::other)?;
        seccompiler::apply_filter(&program).map_err(io::Error::other)?;
    }
    Ok(())
}
