//! A sandbox in a process of its own, as somebody starts it.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::images;
use super::support::control_plane::Programs;

/// What stands for the image of config/redis.yaml: Debian's redis keeps its data where the claim is, and lets others in.
pub(crate) const REDIS: &str =
    "redis:6.2=redis-server --dir /data --protected-mode no --save 3600 1";

/// Debian's `nobody`.
const NOBODY: &str = "65534";

/// How often something is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How long something may take: never reached where it comes at all.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who starts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// Who runs the tests.
    Own,
    /// Somebody without any right.
    Nobody,
}

impl User {
    /// Those that this process can be.
    pub(crate) fn all() -> Vec<Self> {
        if nix::unistd::geteuid().is_root() {
            vec![Self::Own, Self::Nobody]
        } else {
            vec![Self::Own]
        }
    }

    fn command(self, program: &str) -> Command {
        if self == Self::Own {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        let ids = [
            "--reuid",
            NOBODY,
            "--regid",
            NOBODY,
            "--clear-groups",
            "--",
            program,
        ];
        command.args(ids);
        command
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "own user",
            Self::Nobody => "nobody",
        })
    }
}

/// Why Pods cannot run on this machine, where they cannot.
pub(crate) fn forbidden() -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let options = headless_node::NodeOptions {
        program: env!("CARGO_BIN_EXE_headless-dns").into(),
        folder: folder.path().join("node"),
        addresses: Vec::new(),
        local: Vec::new(),
    };
    let error = headless_node::Node::start(&options).err()?;
    Some(error.to_string())
}

/// A sandbox that runs; dropping it ends it.
pub(crate) struct Sandbox {
    programs: Programs,
    user: User,
    child: Child,
    folder: TempDir,
    /// Where the Service `any` is reached, once it is there.
    pub(crate) published: SocketAddr,
    /// What it said until it was ready.
    pub(crate) told: Vec<String>,
}

impl Sandbox {
    /// Whether its containers have more than one user and group.
    pub(crate) fn has_ids(&self) -> bool {
        self.user == User::Own && nix::unistd::geteuid().is_root()
    }

    /// One with config/redis.yaml, ready.
    pub(crate) fn start(programs: Programs, user: User) -> Self {
        Self::start_with(programs, user, &[])
    }

    fn start_with(programs: Programs, user: User, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o1777);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let program = reachable(&folder);
        // Free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let published = free.unwrap();
        let mut child = user
            .command(&program.display().to_string())
            .args(["sandbox", "--run", "--dns", "127.0.0.1:0", "--image", REDIS])
            .arg("--images")
            .arg(images::write(folder.path()))
            .args(["--publish", &format!("{published}:any")])
            .arg("--kubeconfig")
            .arg(folder.path().join("kubeconfig"))
            .args(more)
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = Vec::new();
        for line in lines {
            told.push(line.unwrap());
            if told.last().unwrap().starts_with("ready in") {
                break;
            }
        }
        let kubeconfig = folder.path().join("kubeconfig");
        if nix::unistd::geteuid().is_root() {
            // kubectl is ours; the file is that of who started the sandbox.
            assert!(kubeconfig.exists(), "{told:?}");
        }
        Self {
            programs,
            user,
            child,
            folder,
            published,
            told,
        }
    }

    /// Another one like this.
    pub(crate) fn again(&self) -> Self {
        Self::start(self.programs.clone(), self.user)
    }

    /// Another one, with more arguments.
    pub(crate) fn with(&self, more: &[&str]) -> Self {
        Self::start_with(self.programs.clone(), self.user, more)
    }

    /// A file of this name that goes with the sandbox.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// What a program in the node's network says.
    pub(crate) fn shell(&self, command: &[&str]) -> String {
        let program = self.folder.path().join("headless-dns");
        let run = self
            .user
            .command(&program.display().to_string())
            .args(["sandbox", "shell", "--kubeconfig", &self.path("kubeconfig")])
            .args(command)
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
        String::from_utf8(run.stdout).unwrap()
    }

    /// kubectl with these variables, its streams open.
    pub(crate) fn kubectl_child(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Child {
        self.programs
            .command("kubectl")
            .args(arguments)
            .envs(environment.iter().copied())
            .env("KUBECONFIG", self.path("kubeconfig"))
            .env("HOME", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// What kubectl does and says with these variables, and this on its standard input.
    pub(crate) fn kubectl_as(
        &self,
        environment: &[(&str, &str)],
        arguments: &[&str],
        input: &str,
    ) -> Output {
        let mut child = self.kubectl_child(environment, arguments);
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // Both ways at once; one that reads nothing has ended.
            scope.spawn(move || stdin.write_all(input.as_bytes()));
            child.wait_with_output().unwrap()
        })
    }

    /// What kubectl does and says, with this on its standard input.
    pub(crate) fn kubectl_with(&self, arguments: &[&str], input: &str) -> Output {
        self.kubectl_as(&[], arguments, input)
    }

    /// What kubectl prints where it succeeds.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.kubectl_with(arguments, "");
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "kubectl {arguments:?}: {out}{err}");
        out
    }

    /// What kubectl prints once that holds.
    pub(crate) fn kubectl_until(&self, arguments: &[&str], holds: impl Fn(&str) -> bool) -> String {
        let begun = tokio::time::Instant::now();
        loop {
            let output = self.kubectl_with(arguments, "");
            let text = String::from_utf8(output.stdout).unwrap();
            if holds(&text) {
                return text;
            }
            assert!(begun.elapsed() < PATIENCE, "kubectl {arguments:?}: {text}");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Kills the program, and waits until nothing is left of its node.
    pub(crate) fn kill(&mut self) {
        assert_eq!(self.nodes().len(), 1, "one folder for one node");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let begun = tokio::time::Instant::now();
        while !self.nodes().is_empty() || !self.programs_below().is_empty() {
            assert!(begun.elapsed() < PATIENCE, "{:?}", self.nodes());
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// The folders of nodes.
    fn nodes(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let is_node = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("headless-dns-") && path.is_dir()
        };
        paths.filter(is_node).collect()
    }

    /// Processes that know this sandbox's folder for temporary files: all that it started have it from their environment, but
    /// those that containers run.
    fn programs_below(&self) -> Vec<String> {
        let mark = format!("TMPDIR={}", self.folder.path().display());
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let marked = |pid: &String| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let text = String::from_utf8_lossy(&environment).into_owned();
            text.split('\0').any(|variable| variable == mark)
        };
        names.filter(marked).collect()
    }
}

/// The program where everybody can reach it.
fn reachable(folder: &TempDir) -> PathBuf {
    let program = folder.path().join("headless-dns");
    let built = env!("CARGO_BIN_EXE_headless-dns");
    if std::fs::hard_link(built, &program).is_err() {
        std::fs::copy(built, &program).unwrap();
    }
    program
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // One that was killed has gone.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
