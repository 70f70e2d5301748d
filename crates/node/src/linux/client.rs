//! The program's side of a node.

use std::collections::BTreeMap;
use std::io::{self, Seek, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio as ChildStdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::MemfdFlags;
use rustix::termios::Winsize;
use tokio::sync::oneshot;

use super::ids::Ids;
use super::messages::{
    Beside, Failure, Mapped, Prepared, Request, Said, Specification, Stage, Tried,
};
use super::wire::Packets;
use super::{ENTRY, forbidden};
use crate::{Files, NodeError, NodeOptions, Pod, Process, Running, Stdio, Transport};

/// A node that runs; dropping it ends it, and every program in it.
#[derive(Debug)]
pub struct Node {
    packets: Arc<Packets>,
    waiting: Arc<Mutex<Waiting>>,
    next: AtomicU64,
    entry: Mutex<Option<Child>>,
    process: u32,
    ids: Ids,
    folder: PathBuf,
}

/// How a request went, and the descriptor that came with the answer.
type Answer = (Result<(), Failure>, Option<OwnedFd>);

/// Who waits for what.
#[derive(Debug, Default)]
struct Waiting {
    answers: BTreeMap<u64, oneshot::Sender<Answer>>,
    exits: BTreeMap<u64, oneshot::Sender<i32>>,
}

impl Node {
    /// Starts a node: some milliseconds, for which this blocks. It needs no runtime.
    ///
    /// # Errors
    /// [`NodeError::Forbidden`] where this machine does not allow it; [`NodeError::Start`] where the program or the folder
    /// cannot be used.
    pub fn start(options: &NodeOptions) -> Result<Self, NodeError> {
        let ids = Ids::available();
        make_folder(ids, &options.folder)?;
        let start = |failure: Failure| NodeError::Start {
            source: failure.error(),
            step: failure.step,
        };
        let pair = Packets::pair().tried(|| "making a socket".into());
        let (packets, theirs) = pair.map_err(start)?;
        let spawned = Command::new(&options.program)
            .arg(ENTRY)
            .stdin(theirs.into_descriptor())
            .stdout(ChildStdio::null())
            .spawn()
            .tried(|| format!("running {}", options.program.display()));
        let entry = spawned.map_err(start)?;
        let node = Self {
            packets: Arc::new(packets),
            waiting: Arc::default(),
            next: AtomicU64::new(1),
            process: entry.id(),
            entry: Mutex::new(Some(entry)),
            ids,
            folder: options.folder.clone(),
        };
        node.greet(options)?;
        let (packets, waiting) = (Arc::clone(&node.packets), Arc::clone(&node.waiting));
        let listener = std::thread::Builder::new().name("node".into());
        let listens = listener.spawn(move || listen(&packets, &waiting));
        listens
            .tried(|| "starting a thread".into())
            .map_err(start)?;
        Ok(node)
    }

    /// Tells the new node all that it needs, and hears that it takes requests.
    fn greet(&self, options: &NodeOptions) -> Result<(), NodeError> {
        self.expect(&Stage::Unshared)?;
        let mapped = self.ids.map(self.process);
        let mapped = mapped.tried(|| "mapping ids".into());
        mapped.map_err(|failure| forbidden::error(&failure))?;
        let many = self.ids.many();
        let first = Mapped {
            many,
            program: options.program.clone(),
            folder: options.folder.clone(),
        };
        let told = self.packets.send(&first, &[]);
        let told = told.and_then(|()| self.packets.send(options, &[]));
        told.map_err(|_| NodeError::Gone)?;
        self.expect(&Stage::Ready)
    }

    fn expect(&self, stage: &Stage) -> Result<(), NodeError> {
        match self.packets.receive::<Stage>() {
            Ok(Some((Stage::Failed(failure), _))) => Err(forbidden::error(&failure)),
            Ok(Some((reached, _))) if reached == *stage => Ok(()),
            Ok(Some((Stage::Unshared | Stage::Ready, _)) | None) | Err(_) => {
                let program = io::Error::other("the program does not know how to be a node");
                let step = "starting the node's first process".into();
                Err(NodeError::Start {
                    step,
                    source: program,
                })
            }
        }
    }

    /// The pid of the node's first process, whose namespaces are the node's but for the pid namespace.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process
    }

    /// Makes a Pod's namespaces and its network.
    ///
    /// # Errors
    /// What the system says.
    pub async fn add_pod(&self, pod: &Pod) -> Result<(), NodeError> {
        self.ask(&Request::AddPod(pod.clone()), None).await?;
        Ok(())
    }

    /// Ends a Pod's programs and lets its network go.
    ///
    /// # Errors
    /// The node has ended.
    pub async fn remove_pod(&self, id: &str) -> Result<(), NodeError> {
        self.ask(&Request::RemovePod(id.into()), None).await?;
        Ok(())
    }

    /// Starts a container's program in a Pod: files, then exec.
    ///
    /// # Errors
    /// What cannot be mounted, or why the program cannot be run.
    pub async fn run(
        &self,
        pod: &str,
        process: Process,
        files: Files,
        stdio: Stdio,
    ) -> Result<Running, NodeError> {
        let beside = files.processes.map_or(Beside::Nobody, Beside::Processes);
        let specification = self.specification(process, Some(files));
        self.spawn(pod, beside, specification, stdio).await
    }

    /// Starts one more program in a container: beside the task that is its first.
    ///
    /// # Errors
    /// The container has ended; the program cannot be run.
    pub async fn join(
        &self,
        (pod, beside): (&str, u64),
        process: Process,
        stdio: Stdio,
    ) -> Result<Running, NodeError> {
        let specification = self.specification(process, None);
        let beside = Beside::Container(beside);
        self.spawn(pod, beside, specification, stdio).await
    }

    fn specification(&self, process: Process, files: Option<Files>) -> Specification {
        Specification {
            process,
            files,
            folder: self.folder.clone(),
        }
    }

    async fn spawn(
        &self,
        pod: &str,
        beside: Beside,
        specification: Specification,
        stdio: Stdio,
    ) -> Result<Running, NodeError> {
        let (ours, theirs) = self.handed_over(&specification, &stdio)?;
        drop(stdio);
        let task = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell, exit) = oneshot::channel();
        // Before the request: a program may have ended before its answer is read.
        self.waiting().exits.insert(task, tell);
        let request = Request::Spawn {
            pod: pod.into(),
            task,
            beside,
        };
        let asked = self.ask(&request, Some(theirs.into_descriptor())).await;
        if let Err(error) = asked {
            self.waiting().exits.remove(&task);
            return Err(error);
        }
        // Whoever prepares the container answers within milliseconds; meanwhile this waits elsewhere.
        let prepared = tokio::task::spawn_blocking(move || prepared(&ours));
        let prepared = prepared.await.map_err(|_| NodeError::Gone)?;
        let terminal = prepared?;
        Ok(Running {
            task,
            terminal,
            exit,
        })
    }

    /// A socket whose other end says all that a new process needs.
    fn handed_over(
        &self,
        specification: &Specification,
        stdio: &Stdio,
    ) -> Result<(Packets, Packets), Failure> {
        for end in [&stdio.stdin, &stdio.stdout, &stdio.stderr] {
            let given = self.ids.give_open(end);
            given.tried(|| "handing over pipes".into())?;
        }
        let text = serde_json::to_vec(specification).map_err(io::Error::from);
        let text = text.tried(|| "writing a specification".into())?;
        // Not by argument: what is secret stays off lists of processes.
        let file = rustix::fs::memfd_create("specification", MemfdFlags::CLOEXEC);
        let mut file = std::fs::File::from(file.tried(|| "keeping a specification".into())?);
        let written = file.write_all(&text).and_then(|()| file.rewind());
        written.tried(|| "keeping a specification".into())?;
        let (ours, theirs) = Packets::pair().tried(|| "making a socket".into())?;
        let (stdin, stdout, stderr) = (&stdio.stdin, &stdio.stdout, &stdio.stderr);
        let descriptors = [file.as_fd(), stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        let sent = ours.send(&(), &descriptors);
        sent.tried(|| "handing over a specification".into())?;
        Ok((ours, theirs))
    }

    /// Sends a signal to a task; one that has ended hears nothing.
    ///
    /// # Errors
    /// The node has ended; there is no such signal.
    pub async fn signal(&self, task: u64, signal: i32) -> Result<(), NodeError> {
        self.ask(&Request::Signal { task, signal }, None).await?;
        Ok(())
    }

    /// A socket that listens in the node's network, at any address that is the node's.
    ///
    /// # Errors
    /// What the system says: the address is taken, mostly.
    pub async fn listen(
        &self,
        address: SocketAddr,
        transport: Transport,
    ) -> Result<OwnedFd, NodeError> {
        let socket = self.ask(&Request::Listen(address, transport), None).await?;
        socket.ok_or(NodeError::Gone)
    }

    /// A socket of a Pod's network, or of the node's, not connected yet: for an address of that family.
    ///
    /// # Errors
    /// What the system says; there is no such Pod.
    pub async fn socket(
        &self,
        pod: Option<&str>,
        transport: Transport,
        v6: bool,
    ) -> Result<OwnedFd, NodeError> {
        let pod = pod.map(str::to_owned);
        let request = Request::Socket { pod, transport, v6 };
        let socket = self.ask(&request, None).await?;
        socket.ok_or(NodeError::Gone)
    }

    /// Makes a folder below the node's, that Pods may write in.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_folder(&self, path: &Path) -> Result<(), NodeError> {
        if let Some(above) = path.parent().filter(|above| !above.exists()) {
            self.make_folder(above)?;
        }
        let made = match std::fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made.and_then(|()| self.ids.give(path)),
        };
        let made = made.tried(|| format!("making {}", path.display()));
        Ok(made?)
    }

    /// Writes a file below the node's folder, that Pods may read as its mode says.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_file(&self, path: &Path, octets: &[u8], mode: u32) -> Result<(), NodeError> {
        if let Some(folder) = path.parent() {
            self.make_folder(folder)?;
        }
        let permissions = std::fs::Permissions::from_mode(mode);
        let written = std::fs::write(path, octets)
            .and_then(|()| std::fs::set_permissions(path, permissions))
            .and_then(|()| self.ids.give(path));
        let written = written.tried(|| format!("writing {}", path.display()));
        Ok(written?)
    }

    /// Makes a user and a group of its containers the owners of a file.
    ///
    /// # Errors
    /// What the system says.
    pub fn give_file(&self, path: &Path, owner: (u32, u32)) -> io::Result<()> {
        self.ids.give_to(path, owner)
    }

    /// Whether there are more users than one: then a container's root may become another, else each container has one.
    #[must_use]
    pub fn has_users(&self) -> bool {
        self.ids.many()
    }

    /// Removes a folder, whoever of the Pods owns what is in it.
    ///
    /// # Errors
    /// What the system says.
    pub async fn remove_folder(&self, path: &Path) -> Result<(), NodeError> {
        self.ask(&Request::RemoveFolder(path.into()), None).await?;
        Ok(())
    }

    async fn ask(
        &self,
        request: &Request,
        descriptor: Option<OwnedFd>,
    ) -> Result<Option<OwnedFd>, NodeError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell, answer) = oneshot::channel();
        self.waiting().answers.insert(number, tell);
        let descriptors: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
        let sent = self.packets.send(&(number, request), &descriptors);
        if sent.is_err() {
            self.waiting().answers.remove(&number);
            return Err(NodeError::Gone);
        }
        let (outcome, descriptor) = answer.await.map_err(|_| NodeError::Gone)?;
        outcome?;
        Ok(descriptor)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

impl Node {
    /// Ends the node with every program in it, and removes its folder: some milliseconds, for which this blocks.
    pub fn end(&self) {
        self.packets.hang_up();
        let entry = self
            .entry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut entry) = entry {
            // The first process ends after everything below it.
            let _ended = entry.wait();
            // What is left is the folder itself; all of it, where the node never came to be.
            let _gone = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sets a terminal's size.
///
/// # Errors
/// What the system says: it is no terminal, mostly.
pub fn resize(terminal: &OwnedFd, columns: u16, rows: u16) -> io::Result<()> {
    let size = Winsize {
        ws_col: columns,
        ws_row: rows,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(rustix::termios::tcsetwinsize(terminal, size)?)
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn make_folder(ids: Ids, folder: &Path) -> Result<(), NodeError> {
    let made = std::fs::create_dir(folder).and_then(|()| ids.give(folder));
    made.map_err(|source| NodeError::Start {
        step: format!("making {}", folder.display()),
        source,
    })
}

/// Hears the node for as long as it lives; then nobody's wait has an end but this.
fn listen(packets: &Packets, waiting: &Mutex<Waiting>) {
    while let Ok(Some((said, mut descriptors))) = packets.receive::<Said>() {
        match said {
            Said::Done(number, outcome) => {
                let asked = lock(waiting).answers.remove(&number);
                // Who asked may have gone.
                let _gone = asked.map(|asked| asked.send((outcome, descriptors.pop())));
            }
            Said::Exited(task, code) => {
                let asked = lock(waiting).exits.remove(&task);
                let _gone = asked.map(|asked| asked.send(code));
            }
        }
    }
    *lock(waiting) = Waiting::default();
}

/// How the making of a process went: its terminal, where it has one.
fn prepared(packets: &Packets) -> Result<Option<OwnedFd>, NodeError> {
    let mut terminal = None;
    loop {
        match packets.receive::<Prepared>() {
            Ok(Some((Prepared::Terminal, descriptors))) => {
                terminal = descriptors.into_iter().next();
            }
            Ok(Some((Prepared::Failed(failure), _))) => return Err(failure.into()),
            Ok(None) => return Ok(terminal),
            Err(source) => {
                return Err(NodeError::Failed {
                    step: "hearing a new process".into(),
                    source,
                });
            }
        }
    }
}
