//! `pod-join`: one more program in a container, beside its first.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::process::ExitCode;

use nix::sched::CloneFlags;

use super::messages::{Failure, Tried};
use super::program::{self, Handover};

/// `beside`: the pid of the container's first program, as the node counts.
pub(crate) fn run(beside: Option<OsString>) -> ExitCode {
    let beside = beside.and_then(|pid| pid.into_string().ok());
    program::tell(|handover| enter(handover, beside.as_deref()))
}

fn enter(handover: Handover, beside: Option<&str>) -> Result<Infallible, Failure> {
    let beside = beside.ok_or_else(|| Failure::new("joining", io::ErrorKind::InvalidInput))?;
    let file = format!("/proc/{beside}/ns/mnt");
    let mounts = File::open(&file).tried(|| format!("opening {file}"))?;
    let entered = nix::sched::setns(mounts, CloneFlags::CLONE_NEWNS);
    entered.tried(|| "joining a container's files".into())?;
    handover.become_program()
}
