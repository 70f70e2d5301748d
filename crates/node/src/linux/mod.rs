//! The node on Linux: who is run as what.

mod client;
mod confined;
mod container;
mod descriptor;
mod devices;
mod enter;
mod entry;
mod forbidden;
mod host;
mod ids;
mod image;
mod init;
mod join;
mod messages;
mod netlink;
mod network;
mod places;
mod program;
mod root;
mod wire;

use std::process::ExitCode;

pub use client::{Node, resize};
pub use descriptor::descriptor;
pub use enter::enter;

/// The first argument of the processes that a node is made of.
const ENTRY: &str = "pod-node";
const INIT: &str = "pod-init";
const CONTAINER: &str = "pod-container";
const JOIN: &str = "pod-join";
const ENTER: &str = "pod-enter";
const MAP: &str = "pod-map";

/// Where the node's folder has the node's own program.
const PROGRAM: &str = "program";

/// Where it has a folder to mount a container's root on.
const ROOT: &str = "root";

/// Does the work of one of a node's processes, where this process is one. The first thing that a program does: nothing may
/// have started a thread yet.
#[must_use]
pub fn reexecuted() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let role = arguments.next()?;
    let role = role.to_str()?;
    match role {
        ENTRY => Some(entry::run()),
        INIT => Some(init::run()),
        CONTAINER => Some(container::run()),
        JOIN => Some(join::run(arguments.next())),
        ENTER => Some(enter::run(arguments)),
        MAP => Some(confined::map()),
        _ => None,
    }
}
