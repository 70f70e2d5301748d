//! An API server that will not have us: one clear line, not ready, and tried again until it will.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use futures::FutureExt;
use headless_cluster::authority::Authority;
use headless_dns::apiserver::ApiServer;
use headless_dns::serve::{Ambient, Program};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::names::service_account;
use crate::support::control_plane::{ControlPlane, Options, Programs, write_kubeconfig};
use crate::support::names::{eventually, setup};
use crate::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "an_api_server_that_cannot_be_reached_or_refuses_is_one_line_each",
        needs: Needs::ApiServer,
        run: |p| lines(p).boxed_local(),
    },
    Test {
        name: "a_server_that_lacks_a_right_is_not_ready_until_it_has_it",
        needs: Needs::ApiServer,
        run: |p| right(p).boxed_local(),
    },
];

/// What the program says first about its API server, without time and level.
fn said(plane: &ControlPlane, kubeconfig: &Path) -> String {
    let corefile = plane.path("Corefile");
    std::fs::write(&corefile, COREFILE).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_headless-dns"))
        .args(["serve", "--log", "warn", "-conf"])
        .arg(&corefile)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(server.stderr.take().unwrap());
    let lines = log.lines().map(Result::unwrap);
    let line = lines.into_iter().find(|line| line.contains("stays served"));
    server.kill().unwrap();
    server.wait().unwrap();
    let line = line.unwrap();
    let message = line
        .split_once("headless_dns::api::connection: ")
        .unwrap()
        .1;
    message.rsplit_once(" watched=").unwrap().0.to_owned()
}

const COREFILE: &str = ".:0 {\n bind 127.0.0.1\n ready 127.0.0.1:0\n kubernetes cluster.local {\n  startup_timeout 1s\n }\n}\n";

async fn lines(programs: Programs) {
    let plane = ControlPlane::start(&programs, Options::default()).await;
    let kubeconfig = service_account(&plane, "beside", "headless-dns");
    let (port, ca) = (plane.address().port(), plane.path("ca.crt"));
    let other = plane.path("bad.kubeconfig");
    let with = |port: u16, ca: &PathBuf, user: Value| {
        said(&plane, &write_kubeconfig(&other, port, ca, &user))
    };
    let stranger = plane.path("stranger.crt");
    std::fs::write(&stranger, Authority::new().unwrap().certificate()).unwrap();
    let signed = Authority::new().unwrap().client("admin", None).unwrap();
    let files = ["stranger.crt", "stranger.key"].map(|name| plane.path(&format!("client-{name}")));
    std::fs::write(&files[0], signed.certificate).unwrap();
    std::fs::write(&files[1], signed.key).unwrap();
    let certificate = json!({"client-certificate": files[0], "client-key": files[1]});

    let all = [
        with(1, &ca, json!({})),
        with(port, &stranger, json!({})),
        with(port, &ca, json!({"token": "nobody's"})),
        with(port, &ca, certificate),
    ];
    let after = "; what is known stays served";
    let wanted = [
        "the API server cannot be reached: Connection refused (os error 111)",
        "the API server's certificate is signed by another authority than the one that is configured",
        "the API server refuses the credentials: 401 Unauthorized",
        "the API server refuses the credentials: 401 Unauthorized",
    ];
    assert_eq!(all, wanted.map(|line| format!("{line}{after}")));

    let role = "clusterrolebinding/headless-dns";
    assert!(plane.kubectl(&["delete", role]).status.success());
    let user = "User \"system:serviceaccount:kube-system:headless-dns\" cannot list resource";
    let missing = said(&plane, &kubeconfig);
    assert!(
        missing.starts_with("a right is missing: ") && missing.contains(user),
        "{missing}"
    );
}

/// What `check` says of the rights of a user: from the line on that says so.
fn checked(plane: &ControlPlane, kubeconfig: &Path) -> String {
    let corefile = plane.path("Corefile");
    std::fs::write(&corefile, COREFILE).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_headless-dns"))
        .arg("check")
        .args([
            Path::new("-conf"),
            &corefile,
            Path::new("--kubeconfig"),
            kubeconfig,
        ])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let rights = said.find("rights that").map_or("", |at| &said[at..]);
    let wrong = String::from_utf8(output.stderr).unwrap();
    format!("{rights}{wrong}[{}]", output.status.code().unwrap())
}

fn rights(said: &str) -> String {
    let mut lines = "rights that `kubernetes` needs\n".to_owned();
    for resource in ["namespaces", "services", "endpointslices"] {
        for verb in ["list", "watch"] {
            let right = format!("{verb} {resource}");
            lines += &format!("  {right:24} {said}\n");
        }
    }
    lines
}

async fn right(programs: Programs) {
    let plane = ControlPlane::start(&programs, Options::default()).await;
    let file = service_account(&plane, "beside", "headless-dns");
    let checked = || checked(&plane, &file);
    let wanted = rights("granted") + "[0]";
    assert_eq!(checked(), wanted);
    let role = "clusterrolebinding/headless-dns";
    assert!(plane.kubectl(&["delete", role]).status.success());
    let refused = rights("NOT GRANTED") + "the API server does not grant 6 of the rights\n[1]";
    eventually("the end of the rights", async || {
        (checked() == refused).then_some(())
    })
    .await;
    let api = ApiServer::Kubeconfig {
        file: file.clone(),
        context: None,
    };
    let setup = setup(COREFILE, Ambient::Server(api));
    let program = Program::bind(setup).await.unwrap();
    let probe = program.probes().unwrap()[0];
    let stop = CancellationToken::new();
    let task = tokio::spawn(program.run(stop.clone()));
    let ready = async || {
        let mut stream = TcpStream::connect(probe).await.unwrap();
        let request = "GET /ready HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap();
        format!("{code} {body}")
    };
    // The DNS server waits for its first lists for a second, then serves what there is.
    eventually("a server that waits for the API alone", async || {
        (ready().await == "503 kubernetes").then_some(())
    })
    .await;
    service_account(&plane, "beside", "headless-dns");
    eventually("readiness", async || {
        (ready().await == "200 OK").then_some(())
    })
    .await;
    stop.cancel();
    task.await.unwrap().unwrap();
}
