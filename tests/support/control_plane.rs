//! A real Kubernetes control plane for a test: etcd, kube-apiserver, kube-controller-manager, kubectl.
//!
//! Where its programs are: `$KUBEBUILDER_ASSETS` (a folder with one file each, as envtest has it), else what
//! `just control-plane` built. Each test has its own, on ports that are reserved before anything starts, with
//! certificates of its own; it goes with the value, and with the test's process.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::Duration;

use headless_cluster::authority::Authority;
use headless_dns::api::{self, Client};
use headless_dns::apiserver::ApiServer;
use serde_json::json;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::authority;

/// How long a program may take to answer: never reached where it starts at all.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often it is asked whether it has.
const ASK_AGAIN: Duration = Duration::from_millis(25);

/// The control plane's programs.
#[derive(Clone, Debug)]
pub enum Programs {
    /// A folder with one file each.
    Folder(PathBuf),
    /// One file, whose first argument says which program it is to be.
    One(PathBuf),
}

impl Programs {
    /// The programs of this machine, where it has them.
    #[expect(
        clippy::disallowed_methods,
        reason = "where the tests are told of the environment"
    )]
    pub fn find() -> Option<Self> {
        if let Ok(folder) = std::env::var("KUBEBUILDER_ASSETS") {
            return Some(Self::Folder(folder.into()));
        }
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/control-plane");
        built.is_file().then_some(Self::One(built))
    }

    pub fn has(&self, program: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(program).is_file(),
            Self::One(_) => true,
        }
    }

    pub fn command(&self, program: &str) -> Command {
        match self {
            Self::Folder(folder) => Command::new(folder.join(program)),
            Self::One(file) => {
                let mut command = Command::new(file);
                command.arg(program);
                command
            }
        }
    }
}

/// A program that ends when this value does, or when this process ends in whatever way: the shell around it reads a
/// pipe of which only we have the other end.
struct Process {
    shell: Child,
    lifeline: Option<ChildStdin>,
    log: PathBuf,
}

const UNTIL_EOF: &str =
    r#"log=$0; "$@" >>"$log" 2>&1 </dev/null & child=$!; read -r _; kill -9 $child; wait"#;

impl Process {
    fn start(command: &Command, log: PathBuf) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", UNTIL_EOF]).arg(&log);
        shell
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut shell = shell.spawn().unwrap();
        let lifeline = shell.stdin.take();
        Self {
            shell,
            lifeline,
            log,
        }
    }

    /// What it said last.
    fn last_words(&self) -> String {
        let mut text = Vec::new();
        if let Ok(mut file) = std::fs::File::open(&self.log) {
            file.read_to_end(&mut text).unwrap();
        }
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        self.shell.wait().unwrap();
    }
}

/// A port that stays ours: bound and never listened on, it is shared with the program that listens.
struct Port {
    _reserved: Socket,
    number: u16,
}

impl Port {
    fn reserve() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket
            .bind(&SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0).into())
            .unwrap();
        let number = socket
            .local_addr()
            .unwrap()
            .as_socket()
            .map(|a| a.port())
            .unwrap();
        Self {
            _reserved: socket,
            number,
        }
    }
}

/// How a control plane differs from a plain one.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The controllers to run, as kube-controller-manager's `--controllers` has them; none without.
    pub controllers: Option<&'static str>,
    /// Whether Pods need a ServiceAccount and get its token. Only where controllers run are there accounts.
    pub accounts: bool,
    /// Further flags of the API server.
    pub api_flags: Vec<&'static str>,
}

/// A control plane that runs; dropping it ends it.
pub struct ControlPlane {
    programs: Programs,
    options: Options,
    // Ended in this order: what depends before what it depends on, the folder last.
    controllers: Option<Process>,
    api: Option<Process>,
    _etcd: Process,
    ports: [Port; 3],
    pub authority: Authority,
    /// A client with all rights.
    pub client: Client,
    folder: TempDir,
}

impl ControlPlane {
    /// Starts one, and waits until it answers.
    pub async fn start(programs: &Programs, options: Options) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("control-plane-")
            .tempdir()
            .unwrap();
        let ports = std::array::from_fn(|_| Port::reserve());
        let authority = Authority::new().unwrap();
        authority::write(&authority, folder.path());
        let etcd = start_etcd(programs, &ports, folder.path());
        let kubeconfig = write_admin(&authority, ports[2].number, folder.path());
        let server = ApiServer::Kubeconfig {
            file: kubeconfig,
            context: None,
        };
        let client = api::connect(&server, None).await.unwrap();
        let mut plane = Self {
            programs: programs.clone(),
            options,
            controllers: None,
            api: None,
            _etcd: etcd,
            ports,
            authority,
            client,
            folder,
        };
        plane.start_api().await;
        plane.start_controllers();
        plane
    }

    /// Where the API server listens, or will again.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports[2].number).into()
    }

    /// The kubeconfig of a client with all rights.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("admin.kubeconfig")
    }

    /// A path in the control plane's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends the API server at once, as a crash does.
    pub fn kill_api(&mut self) {
        self.api = None;
    }

    /// Starts the API server, and waits until it answers.
    pub async fn start_api(&mut self) {
        let process = Process::start(&self.api_command(), self.path("api.log"));
        let ready = async {
            let mut pause = tokio::time::interval(ASK_AGAIN);
            loop {
                pause.tick().await;
                let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
                if self.client.request_text(request).await.is_ok() {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, ready).await.is_err() {
            panic!("the API server does not answer:\n{}", process.last_words());
        }
        self.api = Some(process);
    }

    fn api_command(&self) -> Command {
        let [etcd, _, port] = self.ports.each_ref().map(|port| port.number);
        let file = |name: &str| self.path(name).display().to_string();
        let mut command = self.programs.command("kube-apiserver");
        command.args([
            format!("--etcd-servers=http://127.0.0.1:{etcd}"),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={port}"),
            "--permit-port-sharing=true".into(),
            format!("--cert-dir={}", self.folder.path().display()),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            format!("--service-account-issuer=https://127.0.0.1:{port}/"),
            format!("--service-account-key-file={}", file("sa.pub")),
            format!("--service-account-signing-key-file={}", file("sa.key")),
            "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112".into(),
            "--authorization-mode=RBAC".into(),
            "--allow-privileged=true".into(),
            "--advertise-address=10.0.0.1".into(),
            "--endpoint-reconciler-type=none".into(),
        ]);
        if !self.options.accounts {
            command.arg("--disable-admission-plugins=ServiceAccount");
        }
        command.args(&self.options.api_flags);
        command
    }

    fn start_controllers(&mut self) {
        let Some(controllers) = self.options.controllers else {
            return;
        };
        let mut command = self.programs.command("kube-controller-manager");
        command.args([
            format!("--kubeconfig={}", self.kubeconfig().display()),
            format!("--controllers={controllers}"),
            "--leader-elect=false".into(),
            "--use-service-account-credentials=false".into(),
            "--secure-port=0".into(),
            "--enable-hostpath-provisioner=true".into(),
            "--kube-api-qps=1000".into(),
            "--kube-api-burst=2000".into(),
        ]);
        self.controllers = Some(Process::start(&command, self.path("controllers.log")));
    }

    /// Replaces the authority of the API server and all its clients, from the server's next start on.
    pub fn renew_authority(&mut self) {
        self.authority = Authority::new().unwrap();
        authority::write(&self.authority, self.folder.path());
        write_admin(&self.authority, self.address().port(), self.folder.path());
    }

    /// Runs the control plane's own kubectl with all rights.
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        kubectl(&self.programs, &self.kubeconfig(), arguments)
    }

    /// Has etcd forget all history: watches from before get 410.
    pub async fn compact(&self) {
        let url = format!("http://127.0.0.1:{}", self.ports[0].number);
        let etcd = api::connect(&ApiServer::Endpoint { url, tls: None }, None)
            .await
            .unwrap();
        let call = async |path: &str, body: serde_json::Value| {
            let request = http::Request::post(path).body(body.to_string().into_bytes());
            let reply = etcd.request_text(request.unwrap()).await.unwrap();
            serde_json::from_str::<serde_json::Value>(&reply).unwrap()
        };
        let status = call("/v3/maintenance/status", json!({})).await;
        let revision = &status["header"]["revision"];
        call(
            "/v3/kv/compaction",
            json!({"revision": revision, "physical": true}),
        )
        .await;
    }
}

/// Runs a kubectl; the output is for the caller to judge.
pub fn kubectl(programs: &Programs, kubeconfig: &Path, arguments: &[&str]) -> Output {
    let mut command = programs.command("kubectl");
    command.args(arguments).env("KUBECONFIG", kubeconfig);
    command.stdin(Stdio::null()).output().unwrap()
}

fn start_etcd(programs: &Programs, ports: &[Port; 3], folder: &Path) -> Process {
    let url = |port: &Port| format!("http://127.0.0.1:{}", port.number);
    let mut command = programs.command("etcd");
    command.args([
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={}", url(&ports[0])),
        format!("--advertise-client-urls={}", url(&ports[0])),
        format!("--listen-peer-urls={}", url(&ports[1])),
        format!("--initial-advertise-peer-urls={}", url(&ports[1])),
        format!("--initial-cluster=default={}", url(&ports[1])),
        "--socket-reuse-port=true".into(),
        "--unsafe-no-fsync".into(),
    ]);
    Process::start(&command, folder.join("etcd.log"))
}

fn write_admin(authority: &Authority, port: u16, folder: &Path) -> PathBuf {
    let admin = authority.client("admin", Some("system:masters")).unwrap();
    let user = json!({
        "client-certificate-data": base64(&admin.certificate), "client-key-data": base64(&admin.key),
    });
    write_kubeconfig(
        &folder.join("admin.kubeconfig"),
        port,
        &folder.join("ca.crt"),
        &user,
    )
}

/// Writes a kubeconfig for this user of the API server on this port.
pub fn write_kubeconfig(file: &Path, port: u16, ca: &Path, user: &serde_json::Value) -> PathBuf {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": format!("https://127.0.0.1:{port}"), "certificate-authority": ca}}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "default"}}],
    });
    std::fs::write(file, config.to_string()).unwrap();
    file.to_owned()
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
