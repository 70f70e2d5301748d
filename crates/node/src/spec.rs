//! What a node is asked for.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// The host's folders that a container sees.
pub const PROGRAMS: &[&str] = &[
    "bin", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "usr",
];

/// What a node is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeOptions {
    /// The program that calls [`reexecuted`](crate::reexecuted): this one, where that is not a test's.
    pub program: PathBuf,
    /// A folder for what the node's Pods keep; it is made, and goes with the node.
    pub folder: PathBuf,
    /// The addresses of the node, each with the length of its Pods' prefix: 10.244.0.1/16.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Prefixes whose every address is the node's own, so that sockets can listen there: 10.96.0.0/12.
    pub local: Vec<(IpAddr, u8)>,
}

impl NodeOptions {
    /// The node's address of the family of `address`, which is its Pods' way out.
    pub(crate) fn gateway(&self, address: IpAddr) -> Option<(IpAddr, u8)> {
        let mut all = self.addresses.iter();
        all.find(|(own, _)| own.is_ipv4() == address.is_ipv4())
            .copied()
    }
}

/// A Pod: its containers share a network, a hostname and System V objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// What later requests call it.
    pub id: String,
    /// Its hostname.
    pub hostname: String,
    /// Its addresses, one of a family.
    pub addresses: Vec<IpAddr>,
}

/// A program to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The program, looked for in its PATH, and its arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// Where it starts; made where it is missing. Empty: `/`.
    pub workdir: PathBuf,
    /// Its user and group, as the container counts them.
    pub user: Option<(u32, u32)>,
    /// Groups that it is in besides; where the node has one id it is in none.
    pub groups: Vec<u32>,
    /// Whether it has a terminal.
    pub terminal: bool,
}

/// The files that a container sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// A folder that it sees as `/`, and does not change; without it the host's programs.
    pub root: Option<PathBuf>,
    /// Folders and files of the host, in this order.
    pub mounts: Vec<Mount>,
    /// Small files: path and text.
    pub texts: Vec<(PathBuf, String)>,
    /// Where the node's own program is found under other names.
    pub applets: Vec<PathBuf>,
    /// In `/proc`, the processes of this task's container too; without it its own only.
    pub processes: Option<u64>,
}

/// A folder or file of the host in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// On the host.
    pub source: PathBuf,
    /// In the container, from `/` on.
    pub target: PathBuf,
    /// Nobody in the container may change it.
    pub read_only: bool,
}

/// What a program reads and writes. With a terminal only the terminal is used, whose other end is in [`Running`].
#[derive(Debug)]
pub struct Stdio {
    /// Where it reads.
    pub stdin: OwnedFd,
    /// Where it writes.
    pub stdout: OwnedFd,
    /// Where it writes what went wrong.
    pub stderr: OwnedFd,
}

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    /// What later requests call it.
    pub task: u64,
    /// The other end of its terminal, where it has one.
    pub terminal: Option<OwnedFd>,
    /// The code with which it ends; 128 and the signal's number where a signal ended it. An error: the node has ended.
    pub exit: oneshot::Receiver<i32>,
}

/// What a socket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
}
