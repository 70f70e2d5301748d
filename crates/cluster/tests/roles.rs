//! Roles: what they allow is done and all else refused, with Kubernetes' words; who may do what is told by the same rules.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/ask.rs"]
mod ask;

use ask::ask;
use headless_cluster::plane::{Authorization, Plane};
use headless_cluster::{Cluster, Options};
use http::{Method, Request};
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/default/pods";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
const CLUSTER_ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const CLUSTER_BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

struct World(Cluster);

impl World {
    fn new() -> Self {
        let plane = Plane {
            controllers: false,
            authorization: Authorization::Roles,
            ..Plane::default()
        };
        Self(Cluster::start(Options {
            plane,
            ..Options::default()
        }))
    }

    /// What somebody is answered; nobody: the administrator.
    async fn send(&self, user: &str, (method, path): (Method, &str), body: &Value) -> (u16, Value) {
        let mut request = Request::builder().method(method.clone()).uri(path);
        if !user.is_empty() {
            request = request.header("impersonate-user", user);
        }
        let media_type = match method {
            Method::PATCH => "application/apply-patch+yaml",
            _ => "application/json",
        };
        request = request.header("content-type", media_type);
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (head, body) = ask(&self.0, request, text).await;
        let answer = serde_json::from_slice(&body).unwrap_or_default();
        (head.status.as_u16(), answer)
    }

    async fn get(&self, user: &str, path: &str) -> (u16, Value) {
        self.send(user, (Method::GET, path), &Value::Null).await
    }

    /// What somebody is answered who makes an object: the code, and the message or, of a review, the status.
    async fn post(&self, user: &str, path: &str, object: &Value) -> (u16, Value) {
        let (code, answer) = self.send(user, (Method::POST, path), object).await;
        let said = if answer["kind"] == "Status" {
            answer["message"].clone()
        } else {
            answer["status"].clone()
        };
        (code, said)
    }

    async fn make(&self, path: &str, object: &Value) {
        let (code, answer) = self.send("", (Method::POST, path), object).await;
        assert_eq!(code, 201, "{answer}");
    }

    /// Binds a role of this namespace to a user.
    async fn bind(&self, user: &str, (kind, role): (&str, &str)) {
        let group = "rbac.authorization.k8s.io";
        let subject = json!({"kind": "User", "name": user, "apiGroup": group});
        let binding = json!({
            "metadata": {"name": format!("{user}-{role}")}, "subjects": [subject],
            "roleRef": {"apiGroup": group, "kind": kind, "name": role},
        });
        self.make(BINDINGS, &binding).await;
    }

    async fn role(&self, name: &str, rules: Value) {
        let role = json!({"metadata": {"name": name}, "rules": rules});
        self.make(ROLES, &role).await;
    }
}

fn message(answer: (u16, Value)) -> (u16, String) {
    let said = answer.1["message"].as_str().unwrap_or_default().to_owned();
    (answer.0, said)
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

#[tokio::test]
async fn a_user_may_do_what_bound_roles_allow_and_nothing_else() {
    let world = World::new();
    world.make(MAPS, &map("one")).await;
    world.make(MAPS, &map("two")).await;
    let refused = message(world.get("jane", MAPS).await);
    let words = "configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"";
    assert_eq!(refused, (403, words.to_owned()));
    let rules = json!([
        {"verbs": ["get", "patch"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"]},
        {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]},
    ]);
    world.role("reader", rules).await;
    world.bind("jane", ("Role", "reader")).await;
    assert_eq!(world.get("jane", &format!("{MAPS}/one")).await.0, 200);
    assert_eq!(world.get("jane", PODS).await.0, 200);
    for path in [
        format!("{MAPS}/two"),
        MAPS.to_owned(),
        "/api/v1/pods".to_owned(),
        format!("{PODS}?watch=true"),
    ] {
        assert_eq!(world.get("jane", &path).await.0, 403, "{path}");
    }
    // An apply of an object that is there is a patch; where it is not, it makes one.
    let apply = |name: &str| (Method::PATCH, format!("{MAPS}/{name}?fieldManager=jane"));
    let (method, path) = apply("one");
    assert_eq!(
        world.send("jane", (method, &path), &map("one")).await.0,
        200
    );
    let (method, path) = apply("three");
    let refused = message(world.send("jane", (method, &path), &map("three")).await);
    let words = "configmaps \"three\" is forbidden: User \"jane\" cannot patch resource \"configmaps\" in API group \"\" in the namespace \
        \"default\"";
    assert_eq!(refused, (403, words.to_owned()));
    world
        .role(
            "patcher",
            json!([{"verbs": ["patch"], "apiGroups": [""], "resources": ["configmaps"]}]),
        )
        .await;
    world.bind("pat", ("Role", "patcher")).await;
    let (_, said) = message(
        world
            .send("pat", (Method::PATCH, &path), &map("three"))
            .await,
    );
    assert_eq!(
        said,
        words.replace("jane", "pat").replace("patch", "create")
    );
    assert_eq!(world.get("joe", PODS).await.0, 403);
    assert_eq!(world.get("", MAPS).await.0, 200);
}

#[tokio::test]
async fn groups_accounts_paths_and_the_roles_of_the_start_count() {
    let world = World::new();
    for path in ["/healthz", "/version", "/apis/apps/v1", "/openapi/v2"] {
        assert_eq!(world.get("jane", path).await.0, 200, "{path}");
    }
    let refused = message(world.get("jane", "/metrics").await);
    let words = "forbidden: User \"jane\" cannot get path \"/metrics\"";
    assert_eq!(refused, (403, words.to_owned()));
    assert_eq!(world.get("system:anonymous", "/version").await.0, 200);
    assert_eq!(world.get("system:anonymous", "/apis").await.0, 403);
    world.bind("ed", ("ClusterRole", "edit")).await;
    let (code, _) = world.send("ed", (Method::POST, MAPS), &map("one")).await;
    assert_eq!(code, 201);
    assert_eq!(world.get("ed", "/api/v1/nodes").await.0, 403);
    assert_eq!(world.get("ed", ROLES).await.0, 403);
    let account = "system:serviceaccount:default:robot";
    let subjects = json!([{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}, {
        "kind": "Group", "name": "system:serviceaccounts:kube-system", "apiGroup": "rbac.authorization.k8s.io"}]);
    let reference =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"});
    let binding =
        json!({"metadata": {"name": "robots"}, "subjects": subjects, "roleRef": reference});
    world.make(CLUSTER_BINDINGS, &binding).await;
    assert_eq!(world.get(account, "/api/v1/pods").await.0, 200);
    assert_eq!(world.get(account, "/api/v1/secrets").await.0, 403);
    assert_eq!(
        world
            .get("system:serviceaccount:kube-system:x", PODS)
            .await
            .0,
        200
    );
    assert_eq!(
        world
            .get("system:serviceaccount:default:other", PODS)
            .await
            .0,
        403
    );
}

#[tokio::test]
async fn a_role_that_is_made_of_others_follows_them() {
    let world = World::new();
    world.bind("vi", ("ClusterRole", "view")).await;
    let things = "/apis/example.com/v1/namespaces/default/things";
    assert_eq!(world.get("vi", things).await.0, 403);
    let rules =
        json!([{"verbs": ["get", "list"], "apiGroups": ["example.com"], "resources": ["things"]}]);
    let labels = json!({"rbac.authorization.k8s.io/aggregate-to-view": "true"});
    let role = json!({"metadata": {"name": "things", "labels": labels}, "rules": rules});
    world.make(CLUSTER_ROLES, &role).await;
    // It may be asked for, and is not there.
    assert_eq!(world.get("vi", things).await.0, 404);
    let (_, view) = world.get("", &format!("{CLUSTER_ROLES}/view")).await;
    assert!(view["rules"].as_array().unwrap().contains(&rules[0]));
    let (_, admin) = world.get("", &format!("{CLUSTER_ROLES}/admin")).await;
    assert!(
        admin["rules"].as_array().unwrap().contains(&rules[0]),
        "by edit, which has it by view"
    );
    let gone = (Method::DELETE, &*format!("{CLUSTER_ROLES}/things"));
    world.send("", gone, &Value::Null).await;
    assert_eq!(world.get("vi", things).await.0, 403);
}

/// One who may make roles and bindings and read Pods (jane), and one who may `escalate` and `bind` (max).
async fn with_givers() -> World {
    let world = World::new();
    for (user, role, verbs) in [
        ("max", "all", json!(["*"])),
        ("jane", "some", json!(["create"])),
    ] {
        let rules = json!([
            {"verbs": verbs, "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"]},
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
        ]);
        world.role(role, rules).await;
        world.bind(user, ("Role", role)).await;
    }
    world
}

fn giving(name: &str, resources: Value, verbs: Value) -> Value {
    json!({"metadata": {"name": name}, "rules": [{"verbs": verbs, "apiGroups": [""], "resources": resources}]})
}

#[tokio::test]
async fn nobody_makes_a_role_of_what_they_may_not_do() {
    let world = with_givers().await;
    let more = giving("b", json!(["pods", "secrets"]), json!(["get", "list"]));
    let words = "roles.rbac.authorization.k8s.io \"b\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is attempting to \
        grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\"]}\n\
        {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\" \"list\"]}";
    assert_eq!(world.post("jane", ROLES, &more).await, (403, words.into()));
    assert_eq!(world.post("max", ROLES, &more).await.0, 201);
    let own = giving("c", json!(["pods"]), json!(["get"]));
    assert_eq!(world.post("jane", ROLES, &own).await.0, 201);
}

#[tokio::test]
async fn nobody_binds_a_role_of_what_they_may_not_do() {
    let world = with_givers().await;
    let secrets = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]);
    world.role("a", secrets).await;
    let binding = |role: &str| {
        let group = "rbac.authorization.k8s.io";
        json!({"metadata": {"name": format!("to-{role}")}, "subjects": [{"kind": "User", "name": "joe", "apiGroup": group}],
            "roleRef": {"apiGroup": group, "kind": "Role", "name": role}})
    };
    let (code, said) = world.post("jane", BINDINGS, &binding("a")).await;
    let end = "not currently held:\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}";
    assert!(
        code == 403 && said.as_str().unwrap().ends_with(end),
        "{said}"
    );
    let missing = "roles.rbac.authorization.k8s.io \"none\" not found";
    let answer = world.post("jane", BINDINGS, &binding("none")).await;
    assert_eq!(answer, (404, missing.into()));
    assert_eq!(world.post("max", BINDINGS, &binding("a")).await.0, 201);
    assert_eq!(world.post("jane", BINDINGS, &binding("some")).await.0, 201);
}

/// Whether somebody may read the scale of a Deployment there.
fn asking(ns: &str) -> Value {
    let attributes = json!({
        "namespace": ns, "verb": "get", "group": "apps", "resource": "deployments", "subresource": "scale", "name": "a",
    });
    json!({"spec": {"resourceAttributes": attributes}})
}

/// The rule that jane holds, and by it the answers to reviews.
async fn with_a_reader() -> (World, Value) {
    let world = World::new();
    let rule = json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments/scale"]});
    world.role("reader", json!([rule])).await;
    world.bind("jane", ("Role", "reader")).await;
    (world, rule)
}

const REVIEWS: &str = "/apis/authorization.k8s.io/v1";

#[tokio::test]
async fn access_reviews_answer_by_the_same_rules() {
    let (world, _) = with_a_reader().await;
    let own = format!("{REVIEWS}/selfsubjectaccessreviews");
    let reason =
        "RBAC: allowed by RoleBinding \"jane-reader/default\" of Role \"reader\" to User \"jane\"";
    let allowed = json!({"allowed": true, "reason": reason});
    let answer = world.post("jane", &own, &asking("default")).await;
    assert_eq!(answer, (201, allowed.clone()));
    let elsewhere = asking("kube-system");
    let answer = world.post("jane", &own, &elsewhere).await;
    assert_eq!(answer, (201, json!({"allowed": false})));
    let answer = world.post("", &own, &elsewhere).await;
    assert_eq!(answer, (201, json!({"allowed": true})));
    let of_others = format!("{REVIEWS}/subjectaccessreviews");
    let mut asked = asking("default");
    asked["spec"]["user"] = "jane".into();
    assert_eq!(world.post("", &of_others, &asked).await, (201, allowed));
    assert_eq!(world.post("jane", &of_others, &asked).await.0, 403);
    let words = "SubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of \
        nonResourceAttributes or resourceAttributes must be specified";
    let nothing = json!({"spec": {"user": "jane"}});
    let answer = world.post("", &of_others, &nothing).await;
    assert_eq!(answer, (422, words.into()));
}

#[tokio::test]
async fn rules_reviews_tell_the_rules_that_somebody_holds() {
    let (world, rule) = with_a_reader().await;
    let path = format!("{REVIEWS}/selfsubjectrulesreviews");
    let asked = json!({"spec": {"namespace": "default"}});
    let all = |answer: &Value| {
        let rules = answer["resourceRules"].as_array().unwrap().iter();
        rules.clone().any(|rule| rule["verbs"] == json!(["*"]))
    };
    let (code, told) = world.post("jane", &path, &asked).await;
    let rules = told["resourceRules"].as_array().unwrap();
    assert!(
        code == 201 && rules.contains(&rule) && !all(&told),
        "{told}"
    );
    let (_, told) = world.post("", &path, &asked).await;
    assert!(all(&told), "{told}");
}

#[tokio::test]
async fn who_speaks_for_others_has_to_be_allowed_to_and_names_a_user() {
    let world = World::new();
    let head = |headers: &[(&str, &str)]| {
        let request = Request::builder().uri("/api/v1/namespaces/default/pods");
        headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        })
    };
    let (reply, body) = ask(
        &world.0,
        head(&[("impersonate-group", "system:masters")]),
        String::new(),
    )
    .await;
    let said: Value = serde_json::from_slice(&body).unwrap();
    let words = "Internal Server Error: \"/api/v1/namespaces/default/pods\": requested [{Group  system:masters    }] without impersonating a \
        user";
    assert_eq!(
        (reply.status.as_u16(), said["message"].as_str()),
        (500, Some(words))
    );
    let masters = [
        ("impersonate-user", "a"),
        ("impersonate-group", "system:masters"),
    ];
    let (reply, _) = ask(&world.0, head(&masters), String::new()).await;
    assert_eq!(reply.status.as_u16(), 200);
}

#[tokio::test]
async fn roles_that_are_made_of_each_other_hinder_nobody() {
    let world = World::new();
    for (name, of, verb) in [("a", "b", "get"), ("b", "a", "list")] {
        let rules = json!([{"verbs": [verb], "apiGroups": [""], "resources": ["pods"]}]);
        let role = json!({
            "metadata": {"name": name, "labels": {"x": name}}, "rules": rules,
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"x": of}}]},
        });
        world.make(CLUSTER_ROLES, &role).await;
    }
    assert_eq!(world.get("", PODS).await.0, 200);
}

/// With everything but a right of one's own, a role gets it through its labels, or through what it is made of.
#[tokio::test]
async fn nobody_gives_by_labels_or_by_other_roles_what_they_may_not_do() {
    let world = World::new();
    let rules = json!([{
        "verbs": ["create", "update", "patch"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
    }]);
    world
        .make(
            CLUSTER_ROLES,
            &json!({"metadata": {"name": "maker"}, "rules": rules}),
        )
        .await;
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "metadata": {"name": "maker"}, "subjects": [{"kind": "User", "name": "jane", "apiGroup": group}],
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "maker"},
    });
    world.make(CLUSTER_BINDINGS, &binding).await;
    let empty = json!({"metadata": {"name": "x"}, "rules": []});
    assert_eq!(world.post("jane", CLUSTER_ROLES, &empty).await.0, 201);
    let made = json!({
        "metadata": {"name": "y"}, "rules": [],
        "aggregationRule": {"clusterRoleSelectors": [{"matchExpressions": [{"key": "foo", "operator": "DoesNotExist"}]}]},
    });
    let (code, said) = world.post("jane", CLUSTER_ROLES, &made).await;
    let end = "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n{NonResourceURLs:[\"*\"], Verbs:[\"*\"]}";
    assert!(
        code == 403 && said.as_str().unwrap().ends_with(end),
        "{said}"
    );
    let (_, mut admin) = world
        .get("", &format!("{CLUSTER_ROLES}/cluster-admin"))
        .await;
    admin["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] = "true".into();
    let path = format!("{CLUSTER_ROLES}/cluster-admin");
    let labelled = world.send("jane", (Method::PUT, &path), &admin).await;
    assert_eq!(labelled.0, 403, "{}", labelled.1);
}

/// One who may do everything in a namespace makes nothing of the cluster there.
#[tokio::test]
async fn what_belongs_to_the_cluster_is_not_below_a_namespace() {
    let world = World::new();
    world.bind("joe", ("ClusterRole", "cluster-admin")).await;
    for (path, kind) in [
        ("/api/v1/namespaces/default/nodes", "Node"),
        (
            "/apis/admissionregistration.k8s.io/v1/namespaces/default/mutatingwebhookconfigurations",
            "MutatingWebhookConfiguration",
        ),
    ] {
        let object = json!({"kind": kind, "metadata": {"name": "a"}});
        assert_eq!(world.post("joe", path, &object).await.0, 404, "{path}");
    }
}
