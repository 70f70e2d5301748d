//! The program as a person starts it: what it says, where it says it, how it ends.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_headless-dns");

/// A folder of its own, which goes at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("headless-dns-test-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Runs the program to its end: exit code, standard error without log lines.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .args(["--log", "off"])
        .env_remove("KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("HOME", "/nonexistent");
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_corefile_that_is_wrong_is_shown_with_a_caret() {
    let folder = Folder::new("corefile");
    let file = folder.file(
        "Corefile",
        ".:0 {\n    errors\n    kubernetes cluster.local {\n        ttl 9999\n    }\n}\n",
    );
    let (code, said) = run(&["serve", "-conf", &file]);
    let wanted = format!(
        "error: '9999' is no TTL\n --> {file}:4:13\n  |\n4 |         ttl 9999\n  |             ^^^^ expected seconds from 0 to 3600\n"
    );
    assert_eq!((code, said), (Some(1), wanted));
}

#[test]
fn check_says_what_serve_would_make_of_a_corefile() {
    let folder = Folder::new("check");
    let text =
        "a.test:0 {\n    errors\n    debug\n    cache {\n        sucess 1\n    }\n    whoami\n}\n";
    let file = folder.file("Corefile", text);
    let output = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        let output = command.args(["check", "-conf", &file]).args(arguments);
        let output = output.output().unwrap();
        let text = |octets| String::from_utf8(octets).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, said, wrong) = output(&[]);
    let why = "accepted without effect: the log level comes from --log, and a panic never ends the program";
    let wanted = format!(
        "a.test:0\n  errors           supported  ({file}:2)\n  debug            {why}  ({file}:3)\n  \
         cache            WRONG, see below  ({file}:4)\n  whoami           supported  ({file}:7)\n"
    );
    assert_eq!((code, said), (Some(1), wanted));
    assert!(
        wrong.starts_with("error: unknown property 'sucess' of `cache`"),
        "{wrong}"
    );
    let (code, said, _) = output(&["--output", "json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(code, Some(1));
    assert_eq!(
        said["errors"],
        serde_json::json!([{
            "problem": "unknown property 'sucess' of `cache`",
            "expected": "success, denial, prefetch, serve_stale, serve_stale_policy, servfail, disable or keepttl",
            "file": file, "line": 5, "column": 9,
        }])
    );
    assert_eq!(
        said["directives"][2],
        serde_json::json!({
            "block": "a.test:0", "name": "cache", "fate": "wrong", "why": null,
            "file": file, "line": 4, "column": 5,
        })
    );
    folder.file("Corefile", "a.test:0 {\n    whoami\n}\n");
    let wanted = format!("a.test:0\n  whoami           supported  ({file}:2)\n");
    assert_eq!(output(&[]), (Some(0), wanted, String::new()));
}

#[test]
fn a_manifest_that_is_wrong_is_refused_with_its_line() {
    let folder = Folder::new("manifest");
    let file = folder.file(
        "m.yaml",
        "apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: x\n",
    );
    let (code, said) = run(&["sandbox", "--dns", "127.0.0.1:0", &file]);
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with(&format!(
            "{file}:2: no matches for kind \"Widget\" in version \"example.com/v1\": the sandbox has "
        )),
        "{said}"
    );
    let mistyped = folder.file(
        "mistyped.yaml",
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: x}\nspec:\n  serviceName: x\n  updateStrategy: RollingUpdate\n",
    );
    let (code, said) = run(&["sandbox", "--dns", "127.0.0.1:0", &mistyped]);
    let wanted = format!(
        "{mistyped}:6: json: cannot unmarshal string into Go struct field StatefulSetSpec.spec.updateStrategy of type \
         v1.StatefulSetUpdateStrategy\n"
    );
    assert_eq!((code, said), (Some(1), wanted));
    let missing = folder.0.join("none.yaml").display().to_string();
    let (code, said) = run(&["sandbox", &missing]);
    assert_eq!(
        (code, said),
        (
            Some(1),
            format!("cannot read {missing}: No such file or directory (os error 2)\n")
        )
    );
}

#[test]
fn a_folder_and_the_standard_input_are_manifests_too() {
    let folder = Folder::new("folder");
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    folder.file("a.yaml", &map("fine"));
    let wrong = folder.file("b.yml", &map("Wrong"));
    folder.file("notes.txt", "nothing");
    let path = folder.0.display().to_string();
    let (code, said) = run(&["sandbox", "--dns", "127.0.0.1:0", &path]);
    let starts = format!("{wrong}:3: ConfigMap \"Wrong\" is invalid: metadata.name: ");
    assert!(code == Some(1) && said.starts_with(&starts), "{said}");
    let mut program = Command::new(PROGRAM)
        .args(["sandbox", "--dns", "127.0.0.1:0", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = format!("{}---\n{}", map("fine"), map("Wrong"));
    program
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let said = String::from_utf8(program.wait_with_output().unwrap().stderr).unwrap();
    assert!(
        said.contains("-:7: ConfigMap \"Wrong\" is invalid: "),
        "{said}"
    );
    let empty = Folder::new("empty");
    let path = empty.0.display().to_string();
    let wanted =
        format!("cannot read {path}: no file in this folder ends in .json, .yaml or .yml\n");
    assert_eq!(run(&["sandbox", &path]), (Some(1), wanted));
}

#[test]
fn a_busy_port_is_named_and_an_api_for_everybody_is_refused() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let (code, said) = run(&["sandbox", "--dns", &taken]);
    assert_eq!(
        (code, said),
        (
            Some(1),
            format!("cannot listen on {taken} (tcp): Address already in use (os error 98)\n")
        )
    );
}

#[test]
fn without_an_api_server_serve_says_how_to_name_one() {
    let folder = Folder::new("noapi");
    let file = folder.file("Corefile", ".:0 {\n kubernetes cluster.local\n}\n");
    let (code, said) = run(&["-conf", &file]);
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with(
            "error: no API server is configured: give --kubeconfig, or run in a cluster ("
        ) && said.contains("/Corefile:2:2\n"),
        "{said}"
    );
    let (code, said) = run(&[
        "serve",
        "--conf",
        &file,
        "--kubeconfig",
        "/nonexistent/config",
    ]);
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with("error: kubeconfig /nonexistent/config: "),
        "{said}"
    );
    let kubeconfig = folder.file("kubeconfig", "apiVersion: v1\nkind: Config\n");
    let (code, said) = run(&["serve", "-conf", &file, "--kubeconfig", &kubeconfig]);
    let first = |said: String| said.lines().next().unwrap_or_default().to_owned();
    let wanted = format!("error: kubeconfig {kubeconfig}: failed to determine current context");
    assert_eq!((code, first(said)), (Some(1), wanted));
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: gone\n";
    let kubeconfig = folder.file("kubeconfig", text);
    let (code, said) = run(&["serve", "-conf", &file, "--kubeconfig", &kubeconfig]);
    let wanted = format!("error: kubeconfig {kubeconfig}: failed to load current context: gone");
    assert_eq!((code, first(said)), (Some(1), wanted));
}

#[test]
fn reconcile_says_what_is_wrong_with_its_lease_or_its_kubeconfig() {
    let (code, said) = run(&["reconcile", "--lease", "headless-dns"]);
    let first = said.lines().next().unwrap();
    let wanted = "error: invalid value 'headless-dns' for '--lease <NAMESPACE/NAME>': NAMESPACE/NAME was expected, such as kube-system/headless-dns";
    assert_eq!((code, first), (Some(2), wanted));
    let (code, said) = run(&["reconcile", "--kubeconfig", "/nonexistent/kubeconfig"]);
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with("kubeconfig /nonexistent/kubeconfig: "),
        "{said}"
    );
    let (code, said) = run(&["reconcile"]);
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with("no API server is configured: give --kubeconfig"),
        "{said}"
    );
}

#[test]
fn an_api_server_without_scheme_is_asked_over_http_as_client_go_asks_it() {
    let folder = Folder::new("noscheme");
    let corefile = folder.file("Corefile", ".:0 {\n bind 127.0.0.1\n kubernetes\n}\n");
    let asked = |write: &dyn Fn(SocketAddr) -> Vec<String>| {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut child = Command::new(PROGRAM)
            .args(write(server.local_addr().unwrap()))
            .args(["--log", "off"])
            // A machine without authorities to trust is as good as any, where nobody is asked for a certificate.
            .env("SSL_CERT_FILE", "/dev/null")
            .env("SSL_CERT_DIR", "/nonexistent")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.accept().unwrap().0)
            .read_line(&mut line)
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            line.starts_with("GET /api") && line.ends_with(" HTTP/1.1\r\n"),
            "{line}"
        );
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let kubeconfig = |address: SocketAddr| {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: '{address}'}}}}]\n\
             users: [{{name: c, user: {{}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: c}}}}]\n"
        );
        folder.file("kubeconfig", &text)
    };
    asked(&|address| words(&["reconcile", "--kubeconfig", &kubeconfig(address)]));
    asked(&|address| words(&["-conf", &corefile, "--kubeconfig", &kubeconfig(address)]));
    asked(&|address| {
        let text =
            format!(".:0 {{\n bind 127.0.0.1\n kubernetes {{\n endpoint {address}\n }}\n}}\n");
        words(&["-conf", &folder.file("Endpoint", &text)])
    });
    let wrong = folder.file(
        "wrong",
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'ftp://x'}}]\n\
         contexts: [{name: c, context: {cluster: c}}]\n",
    );
    let (code, said) = run(&["reconcile", "--kubeconfig", &wrong]);
    let wanted = format!(
        "kubeconfig {wrong}: server of cluster c: ftp:// is no way to reach an API server\n"
    );
    assert_eq!((code, said), (Some(1), wanted));
}

#[test]
fn a_token_that_is_none_is_said_before_it_is_used() {
    let folder = Folder::new("token");
    let file = folder.file(
        "kubeconfig",
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n\
         users: [{name: c, user: {token: \"a\\nb\"}}]\ncontexts: [{name: c, context: {cluster: c, user: c}}]\n",
    );
    let said = "the token of the user has a character that no token has, such as a line break\n";
    assert_eq!(
        run(&["reconcile", "--kubeconfig", &file]),
        (Some(1), said.to_owned())
    );
}

#[test]
fn version_and_plugins_are_printed_for_coredns_s_flags() {
    let stdout = |arguments: &[&str]| {
        String::from_utf8(
            Command::new(PROGRAM)
                .args(arguments)
                .output()
                .unwrap()
                .stdout,
        )
        .unwrap()
    };
    assert_eq!(
        stdout(&["-version"]),
        format!("headless-dns {}\n", env!("CARGO_PKG_VERSION"))
    );
    let plugins = stdout(&["-plugins"]);
    // Those that are supported, in the order of the chain.
    let some = ["forward", "kubernetes", "route53", "cache", "errors", "tls"];
    let listed: Vec<&str> = plugins.lines().filter(|name| some.contains(name)).collect();
    assert_eq!(listed, ["errors", "cache", "tls", "kubernetes", "forward"]);
}

#[test]
fn a_sandbox_tells_what_happens_and_leaves_nothing_behind() {
    let folder = Folder::new("sandbox");
    let kubeconfig = folder.0.join("config").display().to_string();
    let mut child = Command::new(PROGRAM)
        .args([
            "sandbox",
            "--dns",
            "127.0.0.1:0",
            "--kubeconfig",
            &kubeconfig,
            "--log",
            "off",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        lines.push(line.unwrap());
        if lines.last().unwrap().starts_with("ready in ") {
            break;
        }
    }
    let has = |wanted: &str| {
        assert!(
            lines.iter().any(|line| line == wanted),
            "no {wanted:?} in {lines:#?}"
        )
    };
    has(&format!("export KUBECONFIG={kubeconfig}"));
    has("claim default/redis-data-redis-0 is bound, 2Gi");
    has("pod   default/redis-2 is ready at 10.244.0.4");
    has("name  redis-1.redis.default  → 10.244.0.3");
    let order: Vec<usize> = (0..3)
        .map(|i| {
            lines
                .iter()
                .position(|l| l.contains(&format!("redis-{i} is ready")))
                .unwrap()
        })
        .collect();
    assert!(order.is_sorted(), "{order:?}");
    assert!(
        std::fs::read_to_string(&kubeconfig)
            .unwrap()
            .contains("https://127.0.0.1:")
    );
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()),
        nix::sys::signal::SIGINT,
    )
    .unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!std::path::Path::new(&kubeconfig).exists());
}

#[test]
fn an_argument_that_is_no_text_is_refused_and_said() {
    let odd = std::ffi::OsStr::from_bytes(b"\xff");
    let output = Command::new(PROGRAM)
        .arg("serve")
        .arg(odd)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.starts_with("error: unexpected argument"), "{said}");
}

#[test]
fn help_that_nobody_reads_ends() {
    let (unread, stdout) = std::io::pipe().unwrap();
    // As much as the pipe holds: what is said then waits.
    let mut full = stdout.try_clone().unwrap();
    let size = nix::fcntl::fcntl(&full, nix::fcntl::FcntlArg::F_GETPIPE_SZ).unwrap();
    full.write_all(&vec![b' '; usize::try_from(size).unwrap()])
        .unwrap();
    let mut command = Command::new(PROGRAM);
    let status = command.arg("--help").stdout(stdout).status().unwrap();
    assert_eq!(status.code(), Some(0));
    drop(unread);
}

#[test]
fn what_cannot_be_printed_is_an_error() {
    let full = std::fs::File::create("/dev/full").unwrap();
    let mut command = Command::new(PROGRAM);
    let output = command.arg("man").stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let wanted = "cannot write to standard output: No space left on device (os error 28)\n";
    assert_eq!((output.status.code(), &*said), (Some(74), wanted));
}

#[test]
fn the_log_is_json_where_the_environment_says_so() {
    let folder = Folder::new("json");
    // One line is logged, and then there is no such address here.
    let text = ".:0 {\n bind 192.0.2.1\n cancel\n}\n";
    let file = folder.file("Corefile", text);
    for (value, is_json) in [("1", true), ("true", true), ("0", false), ("", false)] {
        let output = Command::new(PROGRAM)
            .args(["serve", "-conf", &file, "--log", "info"])
            .env("HEADLESS_DNS_LOG_JSON", value)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("accepted without effect"), "{said}");
        assert_eq!(said.starts_with('{'), is_json, "{value}: {said}");
    }
}

#[test]
fn a_server_may_have_as_many_files_as_the_system_lets_it() {
    let folder = Folder::new("files");
    let file = folder.file("Corefile", ".:0 {\n bind 127.0.0.1\n whoami\n}\n");
    // prlimit becomes the program.
    let mut server = Command::new("prlimit")
        .args(["--nofile=300:4000", PROGRAM, "serve", "-conf", &file])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(server.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let words: Vec<_> = files.unwrap().split_whitespace().skip(3).collect();
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(words, ["4000", "4000", "files"]);
}

/// What a program prints that succeeds.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bash_completes_a_command_and_an_option() {
    let folder = Folder::new("completion");
    let script = printed(Command::new(PROGRAM).args(["completion", "bash"]));
    let script = folder.file("completion", &script);
    let completed = |line: &[&str]| {
        let words = line.join(" ");
        let (last, at) = (line[line.len() - 1], line.len() - 1);
        let ask = format!(
            "source {script}; f=$(complete -p headless-dns | sed 's/.*-F \\([^ ]*\\).*/\\1/'); COMP_WORDS=({words}); COMP_CWORD={at}; \
             $f headless-dns '{last}' '{}'; echo ${{COMPREPLY[*]}}",
            line[at - 1]
        );
        printed(Command::new("bash").args(["-c", &ask]))
    };
    assert_eq!(completed(&["headless-dns", "sand"]), "sandbox\n");
    assert_eq!(completed(&["headless-dns", "check", "--ag"]), "--against\n");
}

#[test]
fn each_command_has_a_manual_page() {
    for command in [
        "serve",
        "check",
        "reconcile",
        "sandbox",
        "wait",
        "why",
        "history",
        "completion",
        "man",
    ] {
        let page = printed(Command::new(PROGRAM).args(["man", command]));
        let title = format!(".TH HEADLESS-DNS-{} 1", command.to_uppercase());
        assert!(page.contains(&title), "{page}");
    }
    let page = printed(Command::new(PROGRAM).arg("man"));
    assert!(page.contains(".TH HEADLESS-DNS 1"), "{page}");
    let unknown = (Some(1), "there is no command 'nope'\n".to_owned());
    assert_eq!(run(&["man", "nope"]), unknown);
}
