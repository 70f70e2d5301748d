//! `deploy/` on a real API server: what it takes, which rights are needed, and that none is too many.

use std::path::{Path, PathBuf};
use std::process::Command;

use futures::FutureExt;
use headless_dns::apiserver::ApiServer;
use headless_dns::serve::{Ambient, Setup};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use crate::names::{folder, kubectl, service_account, token_of};
use crate::support::control_plane::{ControlPlane, Options, Programs};
use crate::support::names::{Names, eventually, setup};
use crate::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "each_folder_of_deploy_is_taken_and_keeps_to_the_restricted_standard",
        needs: Needs::ApiServer,
        run: |p| taken(p).boxed_local(),
    },
    Test {
        name: "each_right_that_is_taken_away_is_the_one_that_check_names",
        needs: Needs::ApiServer,
        run: |p| each_right(p).boxed_local(),
    },
    Test {
        name: "a_role_in_one_namespace_is_enough_for_its_names",
        needs: Needs::ApiServer,
        run: |p| one_namespace(p).boxed_local(),
    },
];

async fn taken(programs: Programs) {
    let plane = ControlPlane::start(&programs, Options::default()).await;
    kubectl(&plane, &["create", "namespace", "tenant"]);
    for ns in ["kube-system", "tenant"] {
        let standard = "pod-security.kubernetes.io/warn=restricted";
        kubectl(&plane, &["label", "namespace", ns, standard]);
    }
    for (overlay, ns, wanted) in [
        ("beside", "kube-system", &["headless-dns"][..]),
        ("replace", "kube-system", &["coredns"]),
        ("reconciler", "kube-system", &["headless-dns-reconciler"]),
        ("sidecar", "tenant", &["with-sidecar"]),
        ("wait", "tenant", &["waits-for-redis"]),
    ] {
        let (_, warnings) = kubectl(&plane, &["apply", "-n", ns, "-k", &folder(overlay)]);
        assert_eq!(warnings, "", "{overlay}");
        let names = "-o=jsonpath={.items[*].metadata.name}";
        let (made, _) = kubectl(&plane, &["get", "deployments", "-n", ns, names]);
        let made: Vec<&str> = made.split(' ').collect();
        assert!(wanted.iter().all(|name| made.contains(name)), "{made:?}");
    }
    // A server of the node's network is more than the standard lets a Pod be.
    let (_, warnings) = kubectl(&plane, &["apply", "-k", &folder("node-local")]);
    assert!(
        warnings.contains("host namespaces (hostNetwork=true)"),
        "{warnings}"
    );
}

/// The rights of an account by `check`, with more arguments: each line, and whether it is granted.
fn rights(plane: &ControlPlane, kubeconfig: &Path, arguments: &[&str]) -> Vec<(String, bool)> {
    let corefile = plane.path("Corefile");
    std::fs::write(&corefile, ".:0 {\n kubernetes cluster.local\n}\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_headless-dns"))
        .args(["check", "--output", "json", "-conf"])
        .arg(corefile)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(arguments)
        .output()
        .unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let right = |right: &Value| {
        let words = ["verb", "resource", "namespace"].map(|key| right[key].as_str());
        let words: Vec<_> = words.into_iter().flatten().collect();
        (words.join(" "), right["granted"] == true)
    };
    said["rights"]
        .as_array()
        .unwrap()
        .iter()
        .map(right)
        .collect()
}

/// What a role's rules are without one verb on one kind.
fn without(role: &Value, kind: &str, verb: &str) -> Value {
    let mut rules = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        for resource in rule["resources"].as_array().unwrap() {
            let verbs = rule["verbs"].as_array().unwrap().iter();
            let kept: Vec<_> = verbs.filter(|v| resource != kind || *v != verb).collect();
            rules.push(
                json!({"apiGroups": rule["apiGroups"], "resources": [resource], "verbs": kept}),
            );
        }
    }
    json!({"rules": rules})
}

/// Takes each right of a role away in turn: it is the only one that is missing then.
async fn each_of(plane: &ControlPlane, account: &Path, role: &[&str], arguments: &[&str]) {
    let get = [&["get", "-o", "json"], role].concat();
    let whole: Value = serde_json::from_str(&kubectl(plane, &get).0).unwrap();
    eventually("all rights", async || {
        let all = rights(plane, account, arguments);
        all.iter().all(|(_, granted)| *granted).then_some(())
    })
    .await;
    let rules = whole["rules"].as_array().unwrap().iter();
    let granted = rules.flat_map(|rule| {
        let resources = rule["resources"].as_array().unwrap().iter();
        resources.flat_map(|kind| {
            let verbs = rule["verbs"].as_array().unwrap().iter();
            verbs.map(move |verb| (kind.as_str().unwrap(), verb.as_str().unwrap()))
        })
    });
    for (kind, verb) in granted {
        let replace = |rules: Value| {
            let patch = rules.to_string();
            kubectl(
                plane,
                &[&["patch", "--type=merge", "-p", &patch], role].concat(),
            );
        };
        replace(without(&whole, kind, verb));
        let missing = format!("{verb} {kind}");
        eventually(&format!("the end of `{missing}`"), async || {
            let now = rights(plane, account, arguments);
            let refused: Vec<_> = now.iter().filter(|(_, granted)| !granted).collect();
            let is_it = |(right, _): &&(String, bool)| right.starts_with(&missing);
            (refused.len() == 1 && refused.iter().all(is_it)).then_some(())
        })
        .await;
        replace(json!({"rules": whole["rules"]}));
    }
}

async fn each_right(programs: Programs) {
    let plane = ControlPlane::start(&programs, Options::default()).await;
    let account = service_account(&plane, "beside", "headless-dns");
    each_of(&plane, &account, &["clusterrole", "headless-dns"], &[]).await;
    kubectl(&plane, &["create", "namespace", "tenant"]);
    let account = sidecar(&plane);
    let role = ["role", "headless-dns-sidecar", "-n", "tenant"];
    each_of(&plane, &account, &role, &["--namespace", "tenant"]).await;
}

/// The account of `deploy/sidecar` in the namespace `tenant`.
fn sidecar(plane: &ControlPlane) -> PathBuf {
    kubectl(plane, &["apply", "-n", "tenant", "-k", &folder("sidecar")]);
    token_of(plane, "tenant", "headless-dns-sidecar")
}

async fn one_namespace(programs: Programs) {
    let plane = ControlPlane::start(&programs, Options::default()).await;
    for ns in ["tenant", "other"] {
        kubectl(&plane, &["create", "namespace", ns]);
        let ports = [
            "create",
            "service",
            "externalname",
            "web",
            "--external-name=a.test",
        ];
        kubectl(&plane, &[&ports[..], &["-n", ns]].concat());
    }
    let api = ApiServer::Kubeconfig {
        file: sidecar(&plane),
        context: None,
    };
    let text = ".:0 {\n bind 127.0.0.1\n kubernetes cluster.local\n}\n";
    let names = Names::with(Setup {
        namespaces: vec!["tenant".into()],
        ..setup(text, Ambient::Server(api))
    })
    .await;
    let of = |name: &str| format!("{name}.svc.cluster.local.");
    let alias = ["a.test.".to_owned()];
    names
        .until(&of("web.tenant"), RecordType::CNAME, &alias)
        .await;
    eventually("the end of the first lists", async || {
        names.zone.synced().then_some(())
    })
    .await;
    let denied = |rcode| (rcode, Vec::new());
    for (name, wanted) in [
        ("tenant", denied(ResponseCode::NoError)),
        ("nope.tenant", denied(ResponseCode::NXDomain)),
        ("web.other", denied(ResponseCode::NXDomain)),
    ] {
        assert_eq!(names.ask(&of(name), RecordType::A).await, wanted, "{name}");
    }
    names.stop().await;
}
