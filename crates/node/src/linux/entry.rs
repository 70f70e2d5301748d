//! `pod-node`: leaves the host's namespaces, and waits for `pod-init`, which is pid 1 of the new ones.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use nix::sched::CloneFlags;
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::messages::{Failure, Mapped, Stage, Tried};
use super::wire::Packets;
use super::{INIT, PROGRAM};

pub(crate) fn run() -> ExitCode {
    let Ok(packets) = Packets::inherited() else {
        return ExitCode::FAILURE;
    };
    begin(&packets).unwrap_or_else(|failure| {
        // Where nobody listens any more, nobody wants to know.
        let _gone = packets.send(&Stage::Failed(failure), &[]);
        ExitCode::FAILURE
    })
}

fn begin(packets: &Packets) -> Result<ExitCode, Failure> {
    let flags = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWPID;
    nix::sched::unshare(flags).tried(|| "making namespaces".into())?;
    let told = packets.send(&Stage::Unshared, &[]);
    told.tried(|| "telling the program".into())?;
    let mapped = packets.receive::<Mapped>();
    let Some((mapped, _)) = mapped.tried(|| "hearing the program".into())? else {
        return Ok(ExitCode::SUCCESS);
    };
    // This process is still who started it, and so may reach the program wherever that lies.
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change("/", private).tried(|| "keeping mounts to itself".into())?;
    let own = mapped.folder.join(PROGRAM);
    std::fs::write(&own, "").tried(|| format!("making {}", own.display()))?;
    mount_bind(&mapped.program, &own)
        .tried(|| format!("binding {} for applets", mapped.program.display()))?;
    become_root(mapped.many).tried(|| "becoming root of the namespace".into())?;
    // Its standard input is this one's: the socket.
    let mut init = Command::new("/proc/self/exe")
        .arg0("headless-dns")
        .arg(INIT)
        .stdout(Stdio::null())
        .spawn()
        .tried(|| "starting pid 1".into())?;
    let ended = init.wait().tried(|| "waiting for pid 1".into())?;
    Ok(if ended.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Takes the first id of the namespace. `many`: there are more, so that the groups of who started it can be left.
pub(super) fn become_root(many: bool) -> rustix::io::Result<()> {
    let (uid, gid) = (rustix::fs::Uid::ROOT, rustix::fs::Gid::ROOT);
    if many {
        set_thread_groups(&[])?;
    }
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)
}
