//! `pod-join`: one more program in a container, beside its first.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::process::ExitCode;

use nix::sched::CloneFlags;

use super::confined::Users;
use super::messages::{Failure, Tried};
use super::program::{self, Handover};

/// `beside`: the pid of the container's first program, as the node counts.
pub(crate) fn run(beside: Option<OsString>) -> ExitCode {
    let beside = beside.and_then(|pid| pid.into_string().ok());
    program::tell(|handover| enter(handover, beside.as_deref()))
}

fn enter(handover: Handover, beside: Option<&str>) -> Result<Infallible, Failure> {
    let beside = beside.ok_or_else(|| Failure::new("joining", io::ErrorKind::InvalidInput))?;
    let folder = format!("/proc/{beside}/ns");
    let open = |name: &str| {
        let file = format!("{folder}/{name}");
        File::open(&file).tried(|| format!("opening {file}"))
    };
    let (mounts, users) = (open("mnt")?, open("user")?);
    let entered = nix::sched::setns(mounts, CloneFlags::CLONE_NEWNS);
    entered.tried(|| "joining a container's files".into())?;
    let entered = nix::sched::setns(users, CloneFlags::CLONE_NEWUSER);
    entered.tried(|| "joining a container's users".into())?;
    handover.become_program(Users::Joined)
}
