//! Where there are no namespaces: a node that cannot be started.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;

use crate::by_name::by_name;
use crate::{Files, NodeError, NodeOptions, Pod, Process, Running, Stdio, Transport};

/// A node; there is none on this system.
#[derive(Debug)]
pub struct Node(Infallible);

/// Whether this process is one of a node's: never.
#[must_use]
pub fn reexecuted() -> Option<ExitCode> {
    None
}

/// A descriptor that this program was started with, by its number; `how`: whether it is read or written.
///
/// # Errors
/// There is none of that number, or it is a socket.
pub fn descriptor(number: i32, how: &OpenOptions) -> io::Result<File> {
    by_name(number, how)
}

/// Has this process become a program in the network of a node.
///
/// # Errors
/// Always: there is no node.
pub fn enter(_process: u32, _resolver: &str, _command: &[OsString]) -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// Sets a terminal's size.
///
/// # Errors
/// Always: no node has made one.
pub fn resize(_terminal: &OwnedFd, _columns: u16, _rows: u16) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Node {
    /// Starts a node.
    ///
    /// # Errors
    /// Always: this system has no namespaces.
    pub fn start(_options: &NodeOptions) -> Result<Self, NodeError> {
        Err(NodeError::Forbidden {
            step: "making namespaces".into(),
            source: io::ErrorKind::Unsupported.into(),
            rule: "only Linux has them".into(),
        })
    }

    /// The process whose namespaces are those of the node.
    #[must_use]
    pub fn process(&self) -> u32 {
        match self.0 {}
    }

    /// Makes a Pod's namespaces and its network.
    ///
    /// # Errors
    /// There is no node.
    pub async fn add_pod(&self, _pod: &Pod) -> Result<(), NodeError> {
        match self.0 {}
    }

    /// Ends a Pod's programs and lets its network go.
    ///
    /// # Errors
    /// There is no node.
    pub async fn remove_pod(&self, _id: &str) -> Result<(), NodeError> {
        match self.0 {}
    }

    /// Starts a container's program in a Pod.
    ///
    /// # Errors
    /// There is no node.
    pub async fn run(
        &self,
        _pod: &str,
        _process: Process,
        _files: Files,
        _stdio: Stdio,
    ) -> Result<Running, NodeError> {
        match self.0 {}
    }

    /// Starts one more program in a container.
    ///
    /// # Errors
    /// There is no node.
    pub async fn join(
        &self,
        _place: (&str, u64),
        _process: Process,
        _stdio: Stdio,
    ) -> Result<Running, NodeError> {
        match self.0 {}
    }

    /// Sends a signal to a task.
    ///
    /// # Errors
    /// There is no node.
    pub async fn signal(&self, _task: u64, _signal: i32) -> Result<(), NodeError> {
        match self.0 {}
    }

    /// A socket that listens in the node's network.
    ///
    /// # Errors
    /// There is no node.
    pub async fn listen(
        &self,
        _address: SocketAddr,
        _transport: Transport,
    ) -> Result<OwnedFd, NodeError> {
        match self.0 {}
    }

    /// A socket of a Pod's network, or of the node's.
    ///
    /// # Errors
    /// There is no node.
    pub async fn socket(
        &self,
        _pod: Option<&str>,
        _transport: Transport,
        _v6: bool,
    ) -> Result<OwnedFd, NodeError> {
        match self.0 {}
    }

    /// Removes a folder.
    ///
    /// # Errors
    /// There is no node.
    pub async fn remove_folder(&self, _path: &Path) -> Result<(), NodeError> {
        match self.0 {}
    }

    /// Makes a folder below the node's.
    ///
    /// # Errors
    /// There is no node.
    pub fn make_folder(&self, _path: &Path) -> Result<(), NodeError> {
        match self.0 {}
    }

    /// Writes a file below the node's folder.
    ///
    /// # Errors
    /// There is no node.
    pub fn write_file(&self, _path: &Path, _octets: &[u8], _mode: u32) -> Result<(), NodeError> {
        match self.0 {}
    }

    /// Makes a user and a group of its containers the owners of a file.
    ///
    /// # Errors
    /// There is no node.
    pub fn give_file(&self, _path: &Path, _owner: (u32, u32)) -> io::Result<()> {
        match self.0 {}
    }

    /// Whether there are more users than one.
    #[must_use]
    pub fn has_users(&self) -> bool {
        match self.0 {}
    }

    /// Ends the node.
    pub fn end(&self) {
        match self.0 {}
    }
}
