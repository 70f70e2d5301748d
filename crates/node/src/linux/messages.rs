//! What the program, the node and its containers say to each other.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Files, NodeError, Pod, Process, Transport};

/// What was tried, and the system's number of what went wrong (errno(3)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) step: String,
    errno: i32,
    /// What went wrong where the system has no number for it.
    text: String,
}

impl Failure {
    pub(crate) fn new(step: impl Into<String>, error: impl Into<io::Error>) -> Self {
        let error = error.into();
        Self {
            step: step.into(),
            errno: error.raw_os_error().unwrap_or_default(),
            text: error.to_string(),
        }
    }

    pub(crate) fn error(&self) -> io::Error {
        match self.errno {
            0 => io::Error::other(self.text.clone()),
            errno => io::Error::from_raw_os_error(errno),
        }
    }
}

impl From<Failure> for NodeError {
    fn from(failure: Failure) -> Self {
        let source = failure.error();
        Self::Failed {
            step: failure.step,
            source,
        }
    }
}

/// Says what was tried when it goes wrong.
pub(crate) trait Tried<T> {
    fn tried(self, step: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Tried<T> for Result<T, E> {
    fn tried(self, step: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(step(), error))
    }
}

/// From the program to `pod-node`, after it has said [`Stage::Unshared`]; [`crate::NodeOptions`] follow, for `pod-init`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mapped {
    /// Whether more than one id is there, so that groups can be set.
    pub(crate) many: bool,
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
}

/// How far a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// It has namespaces, and its ids can be mapped.
    Unshared,
    /// It takes requests.
    Ready,
    /// It cannot be.
    Failed(Failure),
}

/// From the program to `pod-init`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    AddPod(Pod),
    /// Ends its programs, and lets its network go.
    RemovePod(String),
    /// A process of a Pod, with the socket that it is told the rest by.
    Spawn {
        pod: String,
        task: u64,
        beside: Beside,
    },
    Signal {
        task: u64,
        signal: i32,
    },
    /// A socket that listens in the node's network.
    Listen(SocketAddr, Transport),
    /// A socket of a Pod's network, or of the node's, for an address of this family, to be connected.
    Socket {
        pod: Option<String>,
        transport: Transport,
        v6: bool,
    },
    /// Removes a folder, whoever owns what is in it.
    RemoveFolder(PathBuf),
}

/// What a process has with those that run already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Beside {
    /// Nothing: it is a container's first.
    Nobody,
    /// The same, but that it is among the processes of this task's container.
    Processes(u64),
    /// It is one more of this task's container.
    Container(u64),
}

/// From `pod-init` to the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Said {
    /// How the request of this number went; a socket comes with it.
    Done(u64, Result<(), Failure>),
    /// A task has ended with a code.
    Exited(u64, i32),
}

/// From the program to `pod-container` and `pod-join`, as a file that comes with three descriptors: standard input, output,
/// error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Specification {
    pub(crate) process: Process,
    /// What a new container sees; none where one is joined.
    pub(crate) files: Option<Files>,
    /// The node's folder.
    pub(crate) folder: PathBuf,
}

/// From `pod-container` and `pod-join` to the program; the end of the socket says that the program runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Prepared {
    /// The other end of its terminal comes with this.
    Terminal,
    Failed(Failure),
}
