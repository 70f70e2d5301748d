//! What runs the programs of Pods, where something does: the kubelet gives orders, and hears facts.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// Runs the programs of Pods.
pub trait Runtime: Debug + Send + Sync + 'static {
    /// Does it, later: what becomes of it is a fact.
    fn perform(&self, order: Order);

    /// The next fact.
    fn fact(&self) -> BoxFuture<'_, Fact>;

    /// What a container has written in its last run, or in the one before; none where there is no such run.
    fn log(&self, place: &Place, previous: bool) -> Option<Log>;

    /// Runs one more program in a container.
    ///
    /// # Errors
    /// Why it does not run.
    fn exec<'a>(&'a self, place: &'a Place, exec: Exec) -> BoxFuture<'a, Result<Session, String>>;

    /// What a container's own program reads and writes from now on.
    ///
    /// # Errors
    /// It does not run.
    fn attach(&self, place: &Place) -> Result<Session, String>;

    /// A connection to a port of the Pod with this UID, from inside it.
    ///
    /// # Errors
    /// Nobody listens there, mostly.
    fn connect<'a>(&'a self, pod: &'a str, port: u16) -> BoxFuture<'a, Result<TcpStream, String>>;
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The Pod's UID.
    pub pod: String,
    /// The container's name.
    pub container: String,
}

/// What a container has written.
pub struct Log {
    /// So far.
    pub lines: Vec<Line>,
    /// From then on, until it ends.
    pub more: BoxStream<'static, Line>,
}

/// A line of a log, with its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub at: Timestamp,
    /// The octets.
    pub text: Bytes,
}

/// A program to run beside a container's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Whether it reads what is sent to it.
    pub stdin: bool,
    /// Whether it has a terminal.
    pub tty: bool,
}

/// A program that somebody talks to.
#[derive(Debug)]
pub struct Session {
    /// What it shall read; its input ends where this is dropped.
    pub input: Option<mpsc::Sender<Bytes>>,
    /// What it writes, until its end.
    pub output: mpsc::Receiver<(Stream, Bytes)>,
    /// The size of its terminal: columns and rows.
    pub size: mpsc::UnboundedSender<(u16, u16)>,
    /// The code with which it ends; an error where that is not known.
    pub exit: oneshot::Receiver<i32>,
}

/// Where a program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or its terminal.
    Out,
    /// Standard error.
    Err,
}

/// Where connections to Services come in, each with the endpoints that they go to.
pub type Routes = BTreeMap<Entrance, Vec<SocketAddr>>;

/// An address that leads to a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entrance {
    /// What comes in.
    pub protocol: Protocol,
    /// Whose address it is.
    pub side: Side,
    /// Where.
    pub address: SocketAddr,
}

/// What a port of a Service carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Who can reach an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Pods: it is in the node's network.
    Node,
    /// This machine: it is the host's.
    Host,
}

/// One run of one container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// The Pod's UID.
    pub pod: String,
    /// The container's name.
    pub container: String,
    /// How often it has been started before.
    pub restarts: i64,
}

/// What a kubelet wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A container shall run; its Pod's first makes the Pod.
    Start(Box<Start>),
    /// Every program of the Pod with this UID is asked to end (SIGTERM), and killed after the grace.
    Stop(String, Duration),
    /// This run is asked to end, and killed after the grace.
    End(Run, Duration),
    /// A probe of a container is made.
    Probe(Box<Probe>),
    /// A volume of the Pod with this UID shows other files from now on.
    Show(String, Volume),
    /// Nothing of the Pod is kept but its logs: its programs are killed, its network and its own volumes go.
    Release(String),
    /// Its logs go too.
    Forget(String),
    /// What was kept of a claim goes.
    Discard(Kept),
    /// What comes in at these addresses, and at no others, goes to one of their endpoints.
    Route(Routes),
}

/// What has become of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The program runs.
    Started(Run),
    /// It cannot be run: what is missing, and the words.
    Refused(Run, Refusal, String),
    /// It has ended with a code.
    Ended(Run, i64),
    /// It runs, and what was to be done after its start has failed.
    HookFailed(Run),
    /// Whether a probe of it has succeeded.
    Probed(Run, ProbeKind, bool),
}

/// What a container cannot be run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its image is not there.
    Image,
    /// Its Pod cannot be made.
    Pod,
    /// Its program, or what that is to see, is not there.
    Start,
}

impl Refusal {
    /// The kubelet's word for it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Image => "ImagePullBackOff",
            Self::Pod => "CreatePodSandboxError",
            Self::Start => "StartError",
        }
    }
}

/// A probe to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Of which run.
    pub run: Run,
    /// Which of its probes.
    pub kind: ProbeKind,
    /// What is checked.
    pub check: Check,
    /// How long that may take.
    pub timeout: Duration,
}

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeKind {
    /// Whether the program has started.
    Startup,
    /// Whether it shall live on.
    Liveness,
    /// Whether it is ready to serve.
    Readiness,
}

/// What a probe checks, or a hook does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// A program in the container ends with 0.
    Exec(Vec<String>),
    /// A connection can be made.
    Tcp(SocketAddr),
    /// A GET is answered; a probe wants a code from 200 to 399.
    Http(Http),
    /// `grpc.health.v1.Health/Check` says that a service serves.
    Grpc {
        /// Where.
        address: SocketAddr,
        /// Which; empty: the server itself.
        service: String,
    },
    /// Time passes.
    Sleep(Duration),
    /// Nothing that can be done here: it fails.
    Impossible,
}

/// A GET to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where.
    pub address: SocketAddr,
    /// Whether over TLS; certificates are not looked at.
    pub tls: bool,
    /// The path, with its query.
    pub path: String,
    /// Headers to send: name and value.
    pub headers: Vec<(String, String)>,
}

/// A container to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which run it is.
    pub run: Run,
    /// The Pod that it belongs to.
    pub pod: PodPlace,
    /// Its image, as the Pod names it.
    pub image: String,
    /// What runs instead of the image's program; empty: that one.
    pub command: Vec<String>,
    /// Arguments instead of the image's.
    pub args: Vec<String>,
    /// Variables, in the order in which they are set.
    pub env: Vec<(String, String)>,
    /// Where it starts; empty: where the image says.
    pub workdir: String,
    /// User and group; none: the image's.
    pub user: Option<(u32, u32)>,
    /// Groups that its user is in besides.
    pub groups: Vec<u32>,
    /// The group of the Pod's volumes.
    pub volume_group: Option<u32>,
    /// The volumes that it mounts.
    pub volumes: Vec<Volume>,
    /// Where it sees them.
    pub mounts: Vec<VolumeMount>,
    /// The container whose processes it sees too.
    pub target: Option<String>,
    /// Whether it reads what is sent to it.
    pub stdin: bool,
    /// Whether its input ends with the first who has sent some.
    pub stdin_once: bool,
    /// Whether it has a terminal.
    pub tty: bool,
    /// What is done after its start: only then it has started.
    pub post_start: Option<Check>,
    /// What is done before it is asked to end, within the grace.
    pub pre_stop: Option<Check>,
}

/// Where a Pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPlace {
    /// Its namespace.
    pub ns: String,
    /// Its hostname.
    pub hostname: String,
    /// The headless Service that it has a name in.
    pub subdomain: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Lines of its own for /etc/hosts: address and names.
    pub aliases: Vec<(String, Vec<String>)>,
    /// How its programs look names up.
    pub resolver: Resolver,
}

/// What a Pod's /etc/resolv.conf says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    /// Whether the cluster's DNS is asked, before the others.
    pub cluster: bool,
    /// Name servers.
    pub servers: Vec<String>,
    /// Where names are looked for, in this order.
    pub searches: Vec<String>,
    /// Options, such as `ndots:5`.
    pub options: Vec<String>,
}

/// A volume with what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name in the Pod.
    pub name: String,
    /// What is in it.
    pub content: Content,
}

/// What is in a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// What the Pod's containers put there; it goes with the Pod.
    Empty,
    /// What is kept of a claim.
    Kept(Kept),
    /// Files: path, octets, mode.
    Files(Vec<(String, Vec<u8>, u32)>),
}

/// What is kept when Pods go: a PersistentVolume, and the claim that it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The volume's name.
    pub volume: String,
    /// The claim's namespace.
    pub ns: String,
    /// The claim's name.
    pub claim: String,
}

/// A volume in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeMount {
    /// The volume's name.
    pub volume: String,
    /// Where the container sees it.
    pub path: String,
    /// The part of the volume; empty: all.
    pub sub_path: String,
    /// Whether nobody in the container may change it.
    pub read_only: bool,
}
