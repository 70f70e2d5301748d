//! A node whose programs run for real. Where the machine allows no namespaces these tests wait, and say why.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::print_stderr, reason = "tests that wait say so")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use headless_node::{Files, Mount, Node, NodeOptions, Pod, Process, Running, Stdio, Transport};
use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;

/// What shows that a sentence is true.
type Test = (&'static str, fn(World));

fn main() -> ExitCode {
    if let Some(code) = headless_node::reexecuted() {
        return code;
    }
    let forbidden = World::new().err();
    if let Some(error) = &forbidden {
        eprintln!("the tests of programs that run wait: {error}");
    }
    let tests: &[Test] = &[
        (
            "a_program_has_a_hostname_an_address_and_pids_of_its_own",
            own_world,
        ),
        (
            "pods_reach_each_other_and_what_listens_in_the_node",
            network,
        ),
        (
            "a_container_sees_its_mounts_and_the_host_s_programs_and_writes_only_above_them",
            files,
        ),
        ("one_more_program_joins_a_container", join),
        ("a_container_may_see_another_s_processes", processes),
        ("a_folder_goes_and_what_cannot_go_is_said", removed),
        ("a_program_may_have_a_terminal", terminal),
        ("what_cannot_be_run_is_said", refused),
        (
            "a_signal_reaches_a_program_and_a_pod_that_is_removed_ends_it",
            ends,
        ),
        ("nothing_is_left_of_a_node", nothing_left),
    ];
    let trials = tests.iter().map(|(name, run)| {
        let run = || {
            run(World::new()?);
            Ok(())
        };
        Trial::test(*name, run).with_ignored_flag(forbidden.is_some())
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// A node, and what a test asks it with.
struct World {
    node: Node,
    folder: PathBuf,
    runtime: tokio::runtime::Runtime,
    _above: TempDir,
}

impl World {
    fn new() -> Result<Self, headless_node::NodeError> {
        let above = tempfile::tempdir().unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(above.path(), open).unwrap();
        let folder = above.path().join("node");
        let node = Node::start(&NodeOptions {
            program: std::env::current_exe().unwrap(),
            folder: folder.clone(),
            addresses: vec![
                (Ipv4Addr::new(10, 244, 0, 1).into(), 16),
                ("fd00:10:244::1".parse().unwrap(), 64),
            ],
            local: vec![(Ipv4Addr::new(10, 96, 0, 0).into(), 12)],
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Ok(Self {
            node,
            folder,
            runtime,
            _above: above,
        })
    }

    /// A Pod `a` with the address 10.244.0.2, `b` with .3 and so on.
    fn pod(&self, id: &str) {
        let number = id.as_bytes()[0] - b'a' + 2;
        let pod = Pod {
            id: id.into(),
            hostname: format!("host-{id}"),
            addresses: vec![
                Ipv4Addr::new(10, 244, 0, number).into(),
                format!("fd00:10:244::{number}").parse().unwrap(),
            ],
        };
        self.runtime.block_on(self.node.add_pod(&pod)).unwrap();
    }

    fn start(&self, pod: &str, script: &str, files: Files) -> (Running, std::io::PipeReader) {
        let (stdio, output) = stdio();
        let run = self.node.run(pod, shell(script), files, stdio);
        (self.runtime.block_on(run).unwrap(), output)
    }

    /// What a script writes, and the code with which it ends.
    fn run(&self, pod: &str, script: &str, files: Files) -> (String, i32) {
        let (running, output) = self.start(pod, script, files);
        let text = all(output);
        (text, self.end(running))
    }

    fn end(&self, running: Running) -> i32 {
        self.runtime.block_on(running.exit).unwrap()
    }
}

fn shell(script: &str) -> Process {
    Process {
        argv: vec!["sh".into(), "-c".into(), script.into()],
        env: vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
        ..Process::default()
    }
}

/// No input, and both outputs in one pipe.
fn stdio() -> (Stdio, std::io::PipeReader) {
    let (read, write) = std::io::pipe().unwrap();
    let stdio = Stdio {
        stdin: std::fs::File::open("/dev/null").unwrap().into(),
        stdout: write.try_clone().unwrap().into(),
        stderr: write.into(),
    };
    (stdio, read)
}

fn all(mut output: impl Read) -> String {
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    text
}

/// The next line.
fn line(output: &mut impl Read) -> String {
    let mut text = Vec::new();
    let mut octet = [0];
    while output.read(&mut octet).unwrap() == 1 && octet[0] != b'\n' {
        text.push(octet[0]);
    }
    String::from_utf8(text).unwrap()
}

fn own_world(world: World) {
    world.pod("a");
    let script = "hostname; echo $$; ls /proc | grep -c '^[0-9]'; id -u; ip -4 -o addr show eth0 | awk '{print $4}'; exit 7";
    let (text, code) = world.run("a", script, Files::default());
    // The shell, and those of the pipe.
    assert!(text.starts_with("host-a\n1\n"), "{text}");
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[2].parse::<u32>().unwrap() <= 3, "{text}");
    assert_eq!((lines[3], lines[4], code), ("0", "10.244.0.2/16", 7));
    let (text, _) = world.run(
        "a",
        "echo out; echo err >&2; echo x > /dev/stdout",
        Files::default(),
    );
    assert_eq!(text, "out\nerr\nx\n");
}

fn network(world: World) {
    world.pod("a");
    world.pod("b");
    let address: SocketAddr = "10.96.0.10:5353".parse().unwrap();
    let listen = world.node.listen(address, Transport::Tcp);
    let listener = TcpListener::from(world.runtime.block_on(listen).unwrap());
    let asks = "exec bash -c 'exec 3<>/dev/tcp/10.96.0.10/5353; echo asked >&3; cat <&3'";
    let (running, output) = world.start("a", asks, Files::default());
    let (mut stream, from) = listener.accept().unwrap();
    assert_eq!(from.ip(), Ipv4Addr::new(10, 244, 0, 2));
    assert_eq!(line(&mut stream), "asked");
    stream.write_all(b"answered").unwrap();
    drop(stream);
    assert_eq!((all(output), world.end(running)), ("answered".into(), 0));
    // From the program into a Pod.
    let serves = "exec perl -MIO::Socket::INET -e 'my $l = IO::Socket::INET->new(Listen => 1, LocalPort => 80) or die; print \"up\\n\"; \
                  STDOUT->flush; my $c = $l->accept; print $c \"from \" . `hostname`'";
    let (running, mut output) = world.start("b", serves, Files::default());
    assert_eq!(line(&mut output), "up");
    let socket = world
        .runtime
        .block_on(world.node.socket(None, Transport::Tcp, false))
        .unwrap();
    let text = world.runtime.block_on(async {
        let socket = tokio::net::TcpSocket::from_std_stream(socket.into());
        let mut stream = socket
            .connect("10.244.0.3:80".parse().unwrap())
            .await
            .unwrap();
        let mut text = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text)
            .await
            .unwrap();
        text
    });
    assert_eq!((text.as_str(), world.end(running)), ("from host-b\n", 0));
}

fn files(world: World) {
    world.pod("a");
    let volume = world.folder.join("volume");
    world.node.make_folder(&volume).unwrap();
    world
        .node
        .write_file(&volume.join("in"), b"given\n", 0o644)
        .unwrap();
    let mount = |target: &str, read_only| Mount {
        source: volume.clone(),
        target: target.into(),
        read_only,
    };
    let files = || Files {
        root: None,
        mounts: vec![
            mount("/data", false),
            mount("/usr/share/no-such/place", true),
        ],
        texts: vec![("/etc/hosts".into(), "127.0.0.1 localhost\n".into())],
        applets: vec!["/usr/local/bin/applet".into()],
        processes: None,
    };
    let script = "cat /data/in /etc/hosts; echo new > /data/out; cat /usr/share/no-such/place/out; \
                  echo no 2>/dev/null > /usr/share/no-such/place/x || echo refused; \
                  test -x /usr/local/bin/applet && ls -d /home/* 2>/dev/null; touch /etc/own && ls /etc/own";
    let (text, code) = world.run("a", script, files());
    let wanted = "given\n127.0.0.1 localhost\nnew\nrefused\n/etc/own\n";
    assert_eq!((text.as_str(), code), (wanted, 0));
    assert_eq!(
        std::fs::read_to_string(volume.join("out")).unwrap(),
        "new\n"
    );
    assert!(!Path::new("/etc/own").exists());
    let (text, _) = world.run("a", "ls /etc/own 2>&1 | grep -c 'No such'", files());
    assert_eq!(text, "1\n");
}

fn join(world: World) {
    world.pod("a");
    let (running, mut output) = world.start(
        "a",
        "echo in > /tmp/x; echo up; exec sleep 1000",
        Files::default(),
    );
    assert_eq!(line(&mut output), "up");
    let (stdio, output) = stdio();
    let script = "cat /tmp/x; cat /proc/1/comm; hostname; exit 5";
    let joined = world.node.join(("a", running.task), shell(script), stdio);
    let joined = world.runtime.block_on(joined).unwrap();
    assert_eq!(
        (all(output), world.end(joined)),
        ("in\nsleep\nhost-a\n".into(), 5)
    );
}

fn terminal(world: World) {
    world.pod("a");
    let (stdio, _output) = stdio();
    let mut process = shell("tty; read -r line; echo got $line; stty size; exit 3");
    process.terminal = true;
    let run = world.node.run("a", process, Files::default(), stdio);
    let mut running = world.runtime.block_on(run).unwrap();
    let terminal = running.terminal.take().unwrap();
    headless_node::resize(&terminal, 132, 40).unwrap();
    let mut terminal = std::fs::File::from(terminal);
    terminal.write_all(b"hello\n").unwrap();
    let mut text = Vec::new();
    // The end is an error (EIO).
    let _end = terminal.read_to_end(&mut text);
    let text = String::from_utf8(text).unwrap().replace('\r', "");
    assert!(text.contains("/dev/pts/0\n"), "{text}");
    assert!(text.ends_with("got hello\n40 132\n"), "{text}");
    assert_eq!(world.end(running), 3);
}

fn refused(world: World) {
    world.pod("a");
    let run = |process: Process, files: Files| {
        let run = world.node.run("a", process, files, stdio().0);
        world.runtime.block_on(run).unwrap_err().to_string()
    };
    let missing = Process {
        argv: vec!["no-such-program".into()],
        ..shell("")
    };
    assert_eq!(
        run(missing, Files::default()),
        "running no-such-program: No such file or directory (os error 2)"
    );
    let mount = Mount {
        source: "/no/such/source".into(),
        target: "/data".into(),
        read_only: false,
    };
    let files = Files {
        mounts: vec![mount],
        ..Files::default()
    };
    assert_eq!(
        run(shell(""), files),
        "mounting /data: No such file or directory (os error 2)"
    );
    let elsewhere = world.node.run("z", shell(""), Files::default(), stdio().0);
    let error = world.runtime.block_on(elsewhere).unwrap_err();
    assert_eq!(
        error.to_string(),
        "starting a process: there is no such Pod"
    );
}

fn processes(world: World) {
    world.pod("a");
    let (running, mut output) = world.start("a", "echo up; exec sleep 1000", Files::default());
    assert_eq!(line(&mut output), "up");
    let look = "cat /proc/1/comm; echo $$";
    let files = Files {
        processes: Some(running.task),
        ..Files::default()
    };
    let (seen, code) = world.run("a", look, files.clone());
    assert_eq!((seen.lines().next(), code), (Some("sleep"), 0), "{seen}");
    let (alone, _) = world.run("a", look, Files::default());
    assert_eq!(alone, "sh\n1\n");
    // Its files are its own.
    let (seen, _) = world.run("a", "echo mine > /etc/own; ls /etc/own", files.clone());
    assert_eq!(seen, "/etc/own\n");
    world
        .runtime
        .block_on(world.node.signal(running.task, 9))
        .unwrap();
    assert_eq!(world.end(running), 137);
    let late = world.node.run("a", shell(look), files, stdio().0);
    let error = world.runtime.block_on(late).unwrap_err();
    assert_eq!(
        error.to_string(),
        "joining a container: there is no container that runs"
    );
}

fn removed(world: World) {
    let remove = |path: &Path| {
        let removed = world.runtime.block_on(world.node.remove_folder(path));
        removed.map_err(|error| error.to_string())
    };
    let folder = world.folder.join("kept");
    world
        .node
        .write_file(&folder.join("a/b"), b"x", 0o600)
        .unwrap();
    assert_eq!(remove(&folder), Ok(()));
    assert!(!folder.exists());
    // It has gone already.
    assert_eq!(remove(&folder), Ok(()));
    let said = remove(Path::new("/proc/sys/kernel")).unwrap_err();
    assert!(said.starts_with("removing /proc/sys/kernel: "), "{said}");
}

fn ends(world: World) {
    world.pod("a");
    let script = "trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.01; done";
    let (running, mut output) = world.start("a", script, Files::default());
    assert_eq!(line(&mut output), "up");
    world
        .runtime
        .block_on(world.node.signal(running.task, 15))
        .unwrap();
    assert_eq!((all(output), world.end(running)), ("bye\n".into(), 9));
    let (running, mut output) = world.start("a", "echo up; exec sleep 1000", Files::default());
    assert_eq!(line(&mut output), "up");
    world.runtime.block_on(world.node.remove_pod("a")).unwrap();
    assert_eq!((all(output), world.end(running)), (String::new(), 137));
}

fn nothing_left(world: World) {
    world.pod("a");
    let (running, mut output) = world.start("a", "echo up; exec sleep 1000", Files::default());
    assert_eq!(line(&mut output), "up");
    let (folder, process) = (world.folder.clone(), world.node.process());
    drop(world.node);
    // The program's end of the pipe is closed: it has gone.
    assert_eq!(all(output), "");
    assert!(!folder.exists());
    assert!(!Path::new(&format!("/proc/{process}")).exists());
    let ended = world.runtime.block_on(async {
        let patience = Duration::from_secs(10);
        tokio::time::timeout(patience, running.exit).await.unwrap()
    });
    assert!(ended.is_err(), "nobody has seen how it ended");
}
