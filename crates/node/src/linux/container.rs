//! `pod-container`: pid 1 of a container. It makes what the program sees, and becomes the program.

use std::convert::Infallible;
use std::process::ExitCode;

use nix::sched::CloneFlags;

use super::confined::Users;
use super::messages::{Failure, Tried};
use super::program::{self, Handover};
use super::root;

pub(crate) fn run() -> ExitCode {
    program::tell(prepare)
}

fn prepare(handover: Handover) -> Result<Infallible, Failure> {
    let unshared = nix::sched::unshare(CloneFlags::CLONE_NEWNS);
    unshared.tried(|| "making a mount namespace".into())?;
    let users = Users::new()?;
    let files = handover.specification.files.clone().unwrap_or_default();
    root::build(&handover.specification.folder, &files)?;
    handover.become_program(users)
}
