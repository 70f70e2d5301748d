#![doc = include_str!("../README.md")]
//!
//! ```text
//!  the program (tokio, the host's namespaces, no privilege)            Node: asks, and holds the ends of pipes and sockets
//!     │  one socket of packets: JSON, and descriptors (SCM_RIGHTS)
//!  ┌──┴─ `pod-node`   the program once more: unshare(user, mount, network, ipc, uts, pid); waits
//!  │     └─ `pod-init`   pid 1 of all that: /proc, the bridge, the routes; makes Pods and sockets; reaps
//!  │           Pod          network, uts and ipc namespace: descriptors, no process
//!  │           `pod-container`   pid 1 of a pid and a mount namespace: mounts, pivot_root, exec of the program
//!  │           `pod-join`        the same for one more process in a container
//!  │           `pod-map`         a helper of `pod-container`: says which ids it has
//!  │     `pod-enter`   a program of the host in the node's network
//!  └──── the end of the socket is the end of the program: `pod-init` ends, and with it everything below
//! ```
//!
//! The program must call [`reexecuted`] first of all: it is run again for each of the processes above. Nothing here forks.

mod by_name;
mod error;
mod inside;
mod spec;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Node, descriptor, enter, reexecuted, resize};
pub use error::NodeError;
pub use inside::inside;
#[cfg(target_os = "linux")]
pub use linux::{Node, descriptor, enter, reexecuted, resize};
pub use spec::{Files, Mount, NodeOptions, PROGRAMS, Pod, Process, Running, Stdio, Transport};
