//! `apiserver` and `etcd`, as controller-runtime's `envtest` starts them.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use headless_cluster::authority::{Authority, Identity};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::rbac::v1::RoleBinding;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use support::dns::{ask, data};

const PROGRAM: &str = env!("CARGO_BIN_EXE_headless-dns");

/// A program that runs; it is told to end, and ends well.
struct Running(Child, BufReader<std::process::ChildStdout>);

impl Running {
    /// Starts it under one of its other names.
    fn start(folder: &Path, name: &str, arguments: &[String]) -> Self {
        let program = folder.join(name);
        if !program.exists() {
            symlink(PROGRAM, &program).unwrap();
        }
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self(child, out)
    }

    /// The address in the line that begins with this word.
    fn address(&mut self, word: &str) -> SocketAddr {
        let mut line = String::new();
        while self.1.read_line(&mut line).unwrap() > 0 {
            let mut words = line.split_whitespace();
            if words.next() == Some(word) {
                let address = words.next().unwrap();
                let bare = address.rsplit('/').next().unwrap();
                return bare.parse().unwrap();
            }
            line.clear();
        }
        unreachable!("it ended before it said {word}")
    }

    fn stop(mut self) {
        let process = nix::unistd::Pid::from_raw(self.0.id().try_into().unwrap());
        nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

/// An API server with certificates as envtest makes them, and what its clients need.
struct World {
    folder: tempfile::TempDir,
    server: Authority,
    clients: Authority,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (server, clients) = (Authority::new().unwrap(), Authority::new().unwrap());
        let identity = server.server(&[[127, 0, 0, 1].into()]).unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("apiserver.crt", &identity.certificate);
        write("apiserver.key", &identity.key);
        write("client-cert-auth-ca.crt", &clients.certificate());
        Self {
            folder,
            server,
            clients,
        }
    }

    /// The arguments that controller-runtime 0.25 gives, and more.
    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let folder = self.folder.path().display();
        let mut all = vec![
            "--allow-privileged=true".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--cert-dir={folder}"),
            format!("--client-ca-file={folder}/client-cert-auth-ca.crt"),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--etcd-servers=http://127.0.0.1:41027".to_owned(),
            "--secure-port=0".to_owned(),
            "--service-account-issuer=https://127.0.0.1:33821/".to_owned(),
            format!("--service-account-key-file={folder}/sa-signer.crt"),
            format!("--service-account-signing-key-file={folder}/sa-signer.key"),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        ];
        all.extend(more.iter().map(|more| (*more).to_owned()));
        all
    }

    /// Starts it with these arguments too; where it listens, and an administrator's client.
    async fn start(&self, more: &[&str]) -> (Running, SocketAddr, kube::Client) {
        let arguments = self.arguments(more);
        let mut server = Running::start(self.folder.path(), "kube-apiserver", &arguments);
        let address = server.address("api");
        let admin = self.clients.client("admin", Some("system:masters"));
        let client = self.client(address, &admin.unwrap()).await;
        (server, address, client)
    }

    async fn client(&self, address: SocketAddr, of: &Identity) -> kube::Client {
        use base64::Engine as _;
        let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": {
                "server": format!("https://{address}"), "certificate-authority-data": base64(&self.server.certificate())}}],
            "users": [{"name": "a", "user": {
                "client-certificate-data": base64(&of.certificate), "client-key-data": base64(&of.key)}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        });
        let config: Kubeconfig = serde_json::from_value(config).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(config, &options)
            .await
            .unwrap();
        kube::Client::try_from(config).unwrap()
    }
}

fn pod() -> Pod {
    let pod =
        json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    serde_json::from_value(pod).unwrap()
}

#[tokio::test]
async fn an_api_server_alone_makes_nothing_by_itself_and_knows_its_clients() {
    let world = World::new();
    let (server, address, client) = world.start(&[]).await;
    let all = ListParams::default();
    let namespaces = Api::<Namespace>::all(client.clone())
        .list(&all)
        .await
        .unwrap();
    let names: Vec<_> = namespaces
        .items
        .iter()
        .filter_map(|one| one.metadata.name.as_deref())
        .collect();
    assert_eq!(
        names,
        ["default", "kube-node-lease", "kube-public", "kube-system"]
    );
    assert_eq!(
        Api::<Node>::all(client.clone())
            .list(&all)
            .await
            .unwrap()
            .items,
        []
    );
    let accounts = Api::<ServiceAccount>::all(client.clone())
        .list(&all)
        .await
        .unwrap();
    assert_eq!(accounts.items, []);
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    let service = services.get("kubernetes").await.unwrap().spec.unwrap();
    assert_eq!(service.cluster_ip.as_deref(), Some("10.0.0.1"));
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let made = pods.create(&PostParams::default(), &pod()).await.unwrap();
    assert_eq!(made.status.unwrap().phase.as_deref(), Some("Pending"));
    assert_eq!(made.spec.unwrap().service_account_name, None);
    // The port is one that was free, and the Service leads to it.
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), "default");
    let slice = slices.get("kubernetes").await.unwrap();
    let port = slice.ports.unwrap()[0].port;
    assert_eq!(port, Some(i32::from(address.port())));
    let target = service.ports.unwrap()[0].target_port.clone();
    assert_eq!(target, Some(IntOrString::Int(address.port().into())));
    // One whom another authority has signed does not come in.
    let stranger = world
        .server
        .client("admin", Some("system:masters"))
        .unwrap();
    let stranger = world.client(address, &stranger).await;
    assert!(Api::<Namespace>::all(stranger).list(&all).await.is_err());
    server.stop();
}

/// Nobody speaks for others who may not.
async fn speaks_for_nobody(jane: &kube::Client) {
    for (headers, refused) in [
        (
            &[("impersonate-user", "joe")][..],
            "users \"joe\" is forbidden: User \"jane\" cannot impersonate resource \"users\"",
        ),
        (
            &[
                ("impersonate-user", "jane"),
                ("impersonate-group", "system:masters"),
            ],
            "users \"jane\" is forbidden: User \"jane\" cannot impersonate resource \"users\"",
        ),
    ] {
        let request = http::Request::get("/api/v1/namespaces/default/pods");
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        let answer = jane
            .request::<serde_json::Value>(request.body(Vec::new()).unwrap())
            .await;
        let kube::Error::Api(said) = answer.unwrap_err() else {
            unreachable!("it is the server's answer")
        };
        let words = format!("{refused} in API group \"\" at the cluster scope");
        assert_eq!((said.code, said.message), (403, words));
    }
}

#[tokio::test]
async fn roles_say_what_users_may_do_who_are_no_administrators() {
    let world = World::new();
    let (server, address, admin) = world.start(&[]).await;
    let jane = world.clients.client("jane", Some("devs")).unwrap();
    let jane = world.client(address, &jane).await;
    let all = ListParams::default();
    let pods: Api<Pod> = Api::namespaced(jane.clone(), "default");
    let kube::Error::Api(refused) = pods.list(&all).await.unwrap_err() else {
        unreachable!("it is the server's answer")
    };
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (
            403,
            "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
        )
    );
    let binding = json!({
        "metadata": {"name": "devs"}, "subjects": [{"kind": "Group", "name": "devs", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
    });
    let bindings: Api<RoleBinding> = Api::namespaced(admin, "default");
    let binding = serde_json::from_value(binding).unwrap();
    bindings
        .create(&PostParams::default(), &binding)
        .await
        .unwrap();
    assert_eq!(pods.list(&all).await.unwrap().items, []);
    pods.create(&PostParams::default(), &pod()).await.unwrap();
    let nodes = Api::<Node>::all(jane.clone()).list(&all).await;
    assert!(nodes.is_err());
    speaks_for_nobody(&jane).await;
    server.stop();
}

#[test]
fn flags_that_ask_for_what_there_is_not_are_refused() {
    let world = World::new();
    for (flag, why) in [
        (
            "--disable-admission-plugins=ServiceAccounts",
            "disable-admission-plugins plugin \"ServiceAccounts\" is unknown",
        ),
        (
            "--enable-admission-plugins=Priority,None",
            "enable-admission-plugins plugin \"None\" is unknown",
        ),
        (
            "--authorization-mode=Rbac",
            "authorization-mode \"Rbac\" is not a valid mode",
        ),
        (
            "--authorization-mode=RBAC,Webhook",
            "authorization-mode \"Webhook\" is not here",
        ),
    ] {
        let mut arguments = world.arguments(&[]);
        arguments.retain(|one| !one.starts_with(flag.split_once('=').unwrap().0));
        let ended = Command::new(PROGRAM)
            .arg("apiserver")
            .args(arguments)
            .arg(flag)
            .output()
            .unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn with_controllers_pods_become_ready_and_names_answer() {
    let world = World::new();
    let more = ["--controllers", "--enable-admission-plugins=ServiceAccount"];
    let (mut server, _, client) = world.start(&more).await;
    let dns = server.address("dns");
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let mut wanted = pod();
    wanted.metadata.labels = Some([("app".to_owned(), "a".to_owned())].into());
    wanted.spec.as_mut().unwrap().hostname = Some("a".into());
    wanted.spec.as_mut().unwrap().subdomain = Some("a".into());
    pods.create(&PostParams::default(), &wanted).await.unwrap();
    let services: Api<Service> = Api::namespaced(client, "default");
    let service =
        json!({"metadata": {"name": "a"}, "spec": {"clusterIP": "None", "selector": {"app": "a"}}});
    let service = serde_json::from_value(service).unwrap();
    services
        .create(&PostParams::default(), &service)
        .await
        .unwrap();
    let name = "a.a.default.svc.cluster.local.";
    let mut answers = Vec::new();
    while answers.is_empty() {
        answers = data(&ask(dns, name, hickory_proto::rr::RecordType::A).await);
    }
    assert_eq!(answers, ["10.244.0.2"]);
    server.stop();
}

#[test]
fn etcd_says_that_it_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--advertise-client-urls=http://127.0.0.1:0",
        "--data-dir=/tmp/x",
        "--listen-client-urls=http://127.0.0.1:0",
        "--listen-peer-urls=http://127.0.0.1:0",
        "--unsafe-no-fsync=true",
    ];
    let mut etcd = Running::start(folder.path(), "etcd", &arguments.map(str::to_owned));
    let mut stream = TcpStream::connect(etcd.address("etcd")).unwrap();
    let request = b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(
        reply.ends_with("\r\n\r\n{\"health\":\"true\",\"reason\":\"\"}"),
        "{reply}"
    );
    etcd.stop();
}

#[test]
fn the_assets_are_this_program_by_its_other_names() {
    let folder = tempfile::tempdir().unwrap();
    let assets = folder.path().join("assets");
    for _ in 0..2 {
        let made = Command::new(PROGRAM)
            .args(["apiserver", "--assets"])
            .arg(&assets)
            .output()
            .unwrap();
        let shown = std::fs::canonicalize(&assets).unwrap();
        let said = String::from_utf8(made.stdout).unwrap();
        let first = said.lines().next();
        assert_eq!(
            first,
            Some(format!("export KUBEBUILDER_ASSETS={}", shown.display()).as_str())
        );
    }
    let version = Command::new(assets.join("kube-apiserver"))
        .arg("--version")
        .output()
        .unwrap();
    assert_eq!(version.stdout, b"Kubernetes v1.37.2\n");
    let help = Command::new(assets.join("kube-apiserver"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.contains("--client-ca-file") && !help.contains("--insecure-port"),
        "{help}"
    );
    let refused = Command::new(assets.join("kube-apiserver"))
        .arg("--insecure-port=0")
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn the_kubectl_of_the_assets_is_that_of_the_path_and_never_itself() {
    let folder = tempfile::tempdir().unwrap();
    let assets = folder.path().join("assets");
    std::fs::create_dir(&assets).unwrap();
    // The folder may be a part of PATH itself; what stands there is no kubectl of its own.
    let elsewhere = folder.path().join("bin");
    std::fs::create_dir(&elsewhere).unwrap();
    let kubectl = elsewhere.join("kubectl");
    std::fs::copy(PROGRAM, &kubectl).unwrap();
    for path in [
        format!("{}:{}", assets.display(), elsewhere.display()),
        assets.display().to_string(),
    ] {
        let made = Command::new(PROGRAM)
            .args(["apiserver", "--assets"])
            .arg(&assets)
            .env("PATH", path)
            .output()
            .unwrap();
        assert!(made.status.success());
        let link = std::fs::read_link(assets.join("kubectl")).unwrap();
        assert_eq!(link, std::fs::canonicalize(&kubectl).unwrap());
    }
    std::fs::remove_file(&kubectl).unwrap();
    let made = Command::new(PROGRAM)
        .args(["apiserver", "--assets"])
        .arg(&assets)
        .env("PATH", &assets)
        .output()
        .unwrap();
    let said = String::from_utf8(made.stdout).unwrap();
    assert!(said.contains("# there is no kubectl in PATH"), "{said}");
    assert!(!assets.join("kubectl").is_symlink());
}
