//! `pod-init`: pid 1 of the node. It makes Pods, processes and sockets as it is asked, and reaps.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, WaitOptions, WaitStatus, kill_process, wait};

use super::messages::{Beside, Failure, Request, Said, Stage, Tried};
use super::network::{self, Network};
use super::wire::Packets;
use super::{CONTAINER, JOIN, PROGRAM, ROOT};
use crate::{NodeOptions, Pod, Transport};

pub(crate) fn run() -> ExitCode {
    let Ok(packets) = Packets::inherited() else {
        return ExitCode::FAILURE;
    };
    // The socket that is this process's standard input stays open: it is the same end.
    let Ok(Some((options, _))) = packets.receive::<NodeOptions>() else {
        return ExitCode::FAILURE;
    };
    let outcome = Init::new(&packets, options).and_then(|init| init.serve());
    if let Err(failure) = outcome {
        let _gone = packets.send(&Stage::Failed(failure), &[]);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

struct Init<'a> {
    packets: &'a Packets,
    options: NodeOptions,
    network: Network,
    children: SignalFd,
    pods: BTreeMap<String, Namespaces>,
    tasks: BTreeMap<u64, Task>,
}

/// A Pod's namespaces: they live as long as these are open, or a process is in them.
struct Namespaces {
    network: OwnedFd,
    hostname: OwnedFd,
    objects: OwnedFd,
}

struct Task {
    pid: Pid,
    pod: String,
}

impl<'a> Init<'a> {
    /// Everything that a node is before it has a Pod.
    fn new(packets: &'a Packets, options: NodeOptions) -> Result<Self, Failure> {
        let hardened = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", "/proc", "proc", hardened, None).tried(|| "mounting /proc".into())?;
        let root = options.folder.join(ROOT);
        std::fs::create_dir(&root).tried(|| format!("making {}", root.display()))?;
        // What a container's first steps need, tried while there is somebody to be told.
        mount("tmpfs", &root, "tmpfs", hardened, None).tried(|| "mounting a tmpfs".into())?;
        let network = Network::new(&options)?;
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        let blocked = mask.thread_block().map_err(io::Error::from);
        blocked.tried(|| "blocking signals".into())?;
        let children = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
        let children = children.map_err(io::Error::from);
        let ready = packets.send(&Stage::Ready, &[]);
        ready.tried(|| "telling the program".into())?;
        Ok(Self {
            packets,
            options,
            network,
            children: children.tried(|| "hearing of ended programs".into())?,
            pods: BTreeMap::new(),
            tasks: BTreeMap::new(),
        })
    }

    /// Serves until the program has gone; then ends all that runs, and removes what they kept.
    fn serve(mut self) -> Result<(), Failure> {
        loop {
            let mut ready = [
                PollFd::new(self.packets, PollFlags::IN),
                PollFd::new(&self.children, PollFlags::IN),
            ];
            match poll(&mut ready, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Failure::new("waiting", error)),
            }
            let [asked, ended] = ready.map(|ready| !ready.revents().is_empty());
            if ended && !self.reap() || asked && !self.answer() {
                break;
            }
        }
        end_all();
        let folder = &self.options.folder;
        for mounted in [ROOT, PROGRAM] {
            let left = unmount(folder.join(mounted), UnmountFlags::DETACH);
            left.tried(|| format!("unmounting {mounted}"))?;
        }
        // The folder itself may be the program's to remove.
        let _left = remove(folder);
        Ok(())
    }

    /// Answers the next request; false: there is nobody to ask any more.
    fn answer(&mut self) -> bool {
        let Ok(Some(((number, request), descriptors))) = self.packets.receive() else {
            return false;
        };
        let outcome = self.perform(request, descriptors);
        let (outcome, descriptor) = match outcome {
            Ok(descriptor) => (Ok(()), descriptor),
            Err(failure) => (Err(failure), None),
        };
        let descriptors: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
        let said = Said::Done(number, outcome);
        self.packets.send(&said, &descriptors).is_ok()
    }

    fn perform(
        &mut self,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Option<OwnedFd>, Failure> {
        match request {
            Request::AddPod(pod) => self.add_pod(pod).map(|()| None),
            Request::RemovePod(id) => {
                let tasks = self.tasks.values().filter(|task| task.pod == id);
                tasks.for_each(|task| end(task.pid));
                self.pods.remove(&id);
                Ok(None)
            }
            Request::Spawn { pod, task, beside } => {
                let socket = descriptors.into_iter().next();
                let socket = socket.ok_or_else(|| missing("no socket", "starting a process"))?;
                let pid = self.spawn(&pod, beside, socket)?;
                self.tasks.insert(task, Task { pid, pod });
                Ok(None)
            }
            Request::Signal { task, signal } => {
                let named = rustix::process::Signal::from_named_raw(signal);
                let named = named.ok_or_else(|| missing("no such signal", "sending a signal"))?;
                if let Some(task) = self.tasks.get(&task) {
                    kill_process(task.pid, named).tried(|| "sending a signal".into())?;
                }
                Ok(None)
            }
            Request::Listen(address, transport) => listen(address, transport)
                .tried(|| format!("listening on {address}"))
                .map(Some),
            Request::Socket { pod, transport, v6 } => {
                self.socket(pod.as_deref(), (transport, v6)).map(Some)
            }
            Request::RemoveFolder(path) => {
                let removed = remove(&path);
                removed.tried(|| format!("removing {}", path.display()))?;
                Ok(None)
            }
        }
    }

    fn socket(
        &self,
        pod: Option<&str>,
        (transport, v6): (Transport, bool),
    ) -> Result<OwnedFd, Failure> {
        let make = || network::socket(transport, v6).tried(|| "making a socket".into());
        let Some(pod) = pod else {
            return make();
        };
        let namespaces = self.namespaces(pod, "making a socket")?;
        elsewhere(|| {
            enter(namespaces.network.as_fd(), CloneFlags::CLONE_NEWNET)?;
            make()
        })
    }

    fn namespaces(&self, pod: &str, step: &str) -> Result<&Namespaces, Failure> {
        let namespaces = self.pods.get(pod);
        namespaces.ok_or_else(|| missing("no such Pod", step))
    }

    fn add_pod(&mut self, pod: Pod) -> Result<(), Failure> {
        let namespaces = elsewhere(|| Namespaces::new(&pod.hostname))?;
        self.network.connect(&namespaces.network)?;
        let inside = namespaces.network.as_fd();
        let options = &self.options;
        elsewhere(|| {
            enter(inside, CloneFlags::CLONE_NEWNET)?;
            network::address(options, &pod.addresses)
        })?;
        self.pods.insert(pod.id, namespaces);
        Ok(())
    }

    /// Starts a process in a Pod, in a new pid namespace or in that of another task.
    fn spawn(&self, pod: &str, beside: Beside, socket: OwnedFd) -> Result<Pid, Failure> {
        let namespaces = self.namespaces(pod, "starting a process")?;
        let neighbour = match beside {
            Beside::Nobody => None,
            Beside::Processes(task) | Beside::Container(task) => {
                let task = self.tasks.get(&task).map(|task| task.pid.as_raw_pid());
                let none = || missing("no container that runs", "joining a container");
                Some(task.ok_or_else(none)?)
            }
        };
        elsewhere(|| {
            namespaces.enter()?;
            let mut command = Command::new("/proc/self/exe");
            command.arg0("headless-dns");
            if let Some(pid) = neighbour {
                let file = format!("/proc/{pid}/ns/pid");
                let opened = std::fs::File::open(&file).tried(|| format!("opening {file}"))?;
                enter(opened.as_fd(), CloneFlags::CLONE_NEWPID)?;
            } else {
                let unshared = nix::sched::unshare(CloneFlags::CLONE_NEWPID);
                unshared.tried(|| "making a pid namespace".into())?;
            }
            match (beside, neighbour) {
                (Beside::Container(_), Some(pid)) => command.args([JOIN, &pid.to_string()]),
                (Beside::Container(_) | Beside::Nobody | Beside::Processes(_), _) => {
                    command.arg(CONTAINER)
                }
            };
            let spawned = command.stdin(socket).stdout(Stdio::null()).spawn();
            let child = spawned.tried(|| "starting a process".into())?;
            // It is reaped with all others, not by this handle.
            let pid = child.id().cast_signed();
            Pid::from_raw(pid).ok_or_else(|| missing("no pid", "starting a process"))
        })
    }

    /// Tells of every task that has ended; false: there is nobody to tell.
    fn reap(&mut self) -> bool {
        while let Ok(Some(_)) = self.children.read_signal() {}
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let ended = self.tasks.iter().find(|(_, task)| task.pid == pid);
            if let Some(task) = ended.map(|(task, _)| *task) {
                self.tasks.remove(&task);
                let said = Said::Exited(task, code(status));
                if self.packets.send(&said, &[]).is_err() {
                    return false;
                }
            }
        }
        true
    }
}

impl Namespaces {
    /// New ones, of this thread: it keeps them until it ends.
    fn new(hostname: &str) -> Result<Self, Failure> {
        let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
        nix::sched::unshare(flags).tried(|| "making a Pod's namespaces".into())?;
        let named = rustix::system::sethostname(hostname.as_bytes());
        named.tried(|| format!("setting the hostname {hostname}"))?;
        let open = |name: &str| {
            let file = format!("/proc/thread-self/ns/{name}");
            let opened = std::fs::File::open(&file).map(OwnedFd::from);
            opened.tried(|| format!("opening {file}"))
        };
        Ok(Self {
            network: open("net")?,
            hostname: open("uts")?,
            objects: open("ipc")?,
        })
    }

    /// Puts this thread into them.
    fn enter(&self) -> Result<(), Failure> {
        enter(self.network.as_fd(), CloneFlags::CLONE_NEWNET)?;
        enter(self.hostname.as_fd(), CloneFlags::CLONE_NEWUTS)?;
        enter(self.objects.as_fd(), CloneFlags::CLONE_NEWIPC)
    }
}

/// Does something in a thread of its own, whose namespaces end with it.
fn elsewhere<T: Send>(work: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, work);
        let thread = thread.tried(|| "starting a thread".into())?;
        let broke = |_| missing("no outcome", "working in a thread");
        thread.join().unwrap_or_else(|panic| Err(broke(panic)))
    })
}

fn enter(namespace: std::os::fd::BorrowedFd<'_>, kind: CloneFlags) -> Result<(), Failure> {
    nix::sched::setns(namespace, kind).tried(|| format!("entering a namespace ({kind:?})"))
}

fn missing(what: &str, step: &str) -> Failure {
    let problem = format!("there is {what}");
    Failure::new(step, io::Error::new(io::ErrorKind::NotFound, problem))
}

fn listen(address: SocketAddr, transport: Transport) -> io::Result<OwnedFd> {
    match transport {
        Transport::Udp => std::net::UdpSocket::bind(address).map(OwnedFd::from),
        Transport::Tcp => std::net::TcpListener::bind(address).map(OwnedFd::from),
    }
}

/// A code as shells say it.
fn code(status: WaitStatus) -> i32 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).unwrap_or(255)
}

fn end(pid: Pid) {
    // Who has ended meanwhile is reaped next.
    let _ended = kill_process(pid, rustix::process::Signal::KILL);
}

/// Kills everything below this process, and waits for it.
fn end_all() {
    let all = nix::unistd::Pid::from_raw(-1);
    let _nobody = nix::sys::signal::kill(all, Signal::SIGKILL);
    while wait(WaitOptions::empty()).is_ok() {}
}

/// Removes a folder with all that is in it, or a file, where there is one.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
