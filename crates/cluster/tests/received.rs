//! What becomes of objects that come in requests: of fields that no type has, of kinds that are only kept, of questions.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/ask.rs"]
mod ask;

use ask::ask;
use headless_cluster::{Cluster, Delays};
use http::{Method, Request};
use serde_json::{Value, json};

/// A reply: its code, its warnings, its object.
struct Reply {
    code: u16,
    warnings: Vec<String>,
    body: Value,
}

async fn send(cluster: &Cluster, method: Method, path: &str, body: &str) -> Reply {
    let media_type = if method == Method::PATCH {
        "application/strategic-merge-patch+json"
    } else {
        "application/json"
    };
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", media_type);
    let (head, body) = ask(cluster, request, body.to_owned()).await;
    let warnings = head.headers.get_all("warning").iter();
    let warnings = warnings.map(|value| value.to_str().unwrap().to_owned());
    let (code, warnings) = (head.status.as_u16(), warnings.collect());
    Reply {
        code,
        warnings,
        body: serde_json::from_slice(&body).unwrap(),
    }
}

#[tokio::test]
async fn fields_that_no_type_has_are_refused_warned_of_or_left_out() {
    let cluster = Cluster::start(Delays::default());
    let body = r#"{"metadata": {"name": "a"}, "data": {"x": "1", "x": "2"}, "datta": {}}"#;
    let path = "/api/v1/namespaces/default/configmaps?dryRun=All";
    let strict = send(
        &cluster,
        Method::POST,
        &format!("{path}&fieldValidation=Strict"),
        body,
    )
    .await;
    let message = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: \
                   duplicate field \"data.x\", unknown field \"datta\"";
    assert_eq!(
        (strict.code, &strict.body["message"]),
        (400, &message.into())
    );
    let warned = send(&cluster, Method::POST, path, body).await;
    let warnings = [
        r#"299 - "duplicate field \"data.x\"""#,
        r#"299 - "unknown field \"datta\"""#,
    ];
    assert_eq!(
        (warned.code, &warned.warnings[..]),
        (201, &warnings.map(str::to_owned)[..])
    );
    assert_eq!(
        (&warned.body["data"], &warned.body["datta"]),
        (&json!({"x": "2"}), &Value::Null)
    );
    let ignored = send(
        &cluster,
        Method::POST,
        &format!("{path}&fieldValidation=Ignore"),
        body,
    )
    .await;
    assert_eq!((ignored.code, ignored.warnings), (201, Vec::new()));
}

#[tokio::test]
async fn a_patch_that_leaves_what_cannot_be_read_is_refused() {
    let cluster = Cluster::start(Delays::default());
    let service = "/api/v1/namespaces/default/services/kubernetes?fieldValidation=Strict";
    for (patch, wanted) in [
        (
            r#"{"spec": {"sesionAffinity": "None"}}"#,
            r#" "" is invalid: patch: Invalid value: "map[spec:map[sesionAffinity:None]]": strict decoding error: unknown field "spec.sesionAffinity""#,
        ),
        (
            r#"{"spec": {"externalIPs": "10.0.0.1"}}"#,
            r#" "" is invalid: patch: Invalid value: "map[spec:map[externalIPs:10.0.0.1]]": json: cannot unmarshal string into Go struct field ServiceSpec.spec.externalIPs of type []string"#,
        ),
    ] {
        let refused = send(&cluster, Method::PATCH, service, patch).await;
        assert_eq!(
            (refused.code, &refused.body["message"]),
            (422, &wanted.into())
        );
    }
}

#[tokio::test]
async fn kinds_without_behaviour_are_kept_and_their_required_fields_asked_for() {
    let cluster = Cluster::start(Delays::default());
    let path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let budget = r#"{"metadata": {"name": "zk"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"a": "b"}}}}"#;
    assert_eq!(send(&cluster, Method::POST, path, budget).await.code, 201);
    let kept = send(&cluster, Method::GET, &format!("{path}/zk"), "").await;
    assert_eq!(kept.body["spec"]["minAvailable"], 2);
    assert_eq!(kept.body["metadata"]["generation"], 1);
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let binding = r#"{"metadata": {"name": "system:x"}, "roleRef": {"kind": "ClusterRole"}}"#;
    let refused = send(&cluster, Method::POST, path, binding).await;
    let message = "ClusterRoleBinding.rbac.authorization.k8s.io \"system:x\" is invalid: roleRef.name: Required value";
    assert_eq!(
        (refused.code, &refused.body["message"]),
        (422, &message.into())
    );
}

#[tokio::test]
async fn everybody_may_do_everything() {
    let cluster = Cluster::start(Delays::default());
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let question = r#"{"spec": {"resourceAttributes": {"verb": "create", "resource": "pods"}}}"#;
    let answered = send(&cluster, Method::POST, path, question).await;
    assert_eq!(
        (answered.code, &answered.body["status"]["allowed"]),
        (201, &true.into())
    );
    assert_eq!(send(&cluster, Method::GET, path, "").await.code, 405);
}

#[tokio::test]
async fn what_may_not_change_does_not() {
    let cluster = Cluster::start(Delays::default());
    let core = "/api/v1/namespaces/default";
    let map = r#"{"metadata": {"name": "fixed"}, "data": {"a": "1"}, "immutable": true}"#;
    let made = send(&cluster, Method::POST, &format!("{core}/configmaps"), map).await;
    assert_eq!(made.code, 201);
    let claim = r#"{"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}}"#;
    let made = send(
        &cluster,
        Method::POST,
        &format!("{core}/persistentvolumeclaims"),
        claim,
    )
    .await;
    assert_eq!(made.code, 201);
    let bound = made.body.clone();
    cluster
        .wait_until(|cluster| {
            cluster
                .present(&bound)
                .is_some_and(|claim| claim["status"]["phase"] == "Bound")
        })
        .await;
    let claim = "PersistentVolumeClaim \"c\" is invalid: spec";
    for (path, patch, code, wanted) in [
        (
            "configmaps/fixed",
            r#"{"data": {"a": "2"}}"#,
            422,
            "ConfigMap \"fixed\" is invalid: data: Forbidden: field is immutable when `immutable` is set".to_owned(),
        ),
        (
            "persistentvolumeclaims/c",
            r#"{"spec": {"resources": {"requests": {"storage": "1Gi"}}}}"#,
            422,
            format!("{claim}.resources.requests.storage: Forbidden: field can not be less than status.capacity"),
        ),
        (
            "persistentvolumeclaims/c",
            r#"{"spec": {"accessModes": ["ReadWriteMany"]}}"#,
            422,
            format!("{claim}: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"),
        ),
        (
            "persistentvolumeclaims/c",
            r#"{"spec": {"resources": {"requests": {"storage": "3Gi"}}}}"#,
            403,
            "persistentvolumeclaims \"c\" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that \
             provisions the pvc must support resize"
                .to_owned(),
        ),
    ] {
        let refused = send(&cluster, Method::PATCH, &format!("{core}/{path}"), patch).await;
        assert_eq!((refused.code, &refused.body["message"]), (code, &wanted.into()));
    }
}

#[tokio::test]
async fn a_secret_has_what_its_type_asks_for() {
    let cluster = Cluster::start(Delays::default());
    let path = "/api/v1/namespaces/default/secrets";
    let tls =
        r#"{"metadata": {"name": "t"}, "type": "kubernetes.io/tls", "data": {"tls.crt": ""}}"#;
    let refused = send(&cluster, Method::POST, path, tls).await;
    let wanted = "Secret \"t\" is invalid: data[tls.key]: Required value";
    assert_eq!(
        (refused.code, &refused.body["message"]),
        (422, &wanted.into())
    );
}

#[tokio::test]
async fn who_uses_a_kind_that_was_given_up_is_warned() {
    let cluster = Cluster::holding(&[]);
    for (path, warnings) in [
        (
            "/api/v1/endpoints",
            &[
                "299 - \"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\"",
            ][..],
        ),
        ("/apis/discovery.k8s.io/v1/endpointslices", &[]),
    ] {
        let listed = send(&cluster, Method::GET, path, "").await;
        assert_eq!(
            (listed.code, &listed.warnings[..]),
            (
                200,
                &warnings.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..]
            )
        );
    }
}
