//! A disruption budget holds up evictions, and a service account's token is given by request.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/send.rs"]
mod send;

use headless_cluster::{Cluster, Delays};
use http::Method;
use send::send;
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_budget_lets_one_of_three_pods_go() {
    const PODS: &str = "/api/v1/namespaces/default/pods";
    const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let cluster = Cluster::start(Delays::default());
    for name in ["a", "b", "c"] {
        let containers = json!([{"name": "c", "image": "i"}]);
        let pod = json!({"metadata": {"name": name, "labels": {"x": "y"}}, "spec": {"containers": containers}});
        assert_eq!(send(&cluster, Method::POST, PODS, &pod).await.0, 201);
    }
    let spec = json!({"minAvailable": 2, "selector": {"matchLabels": {"x": "y"}}});
    let budget = json!({"metadata": {"name": "two"}, "spec": spec});
    assert_eq!(send(&cluster, Method::POST, BUDGETS, &budget).await.0, 201);
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    let (_, budget) = send(&cluster, Method::GET, &format!("{BUDGETS}/two"), &json!({})).await;
    let status = &budget["status"];
    let numbers = [
        "expectedPods",
        "currentHealthy",
        "desiredHealthy",
        "disruptionsAllowed",
    ];
    assert_eq!(
        numbers.map(|field| status[field].as_i64()),
        [3, 3, 2, 1].map(Some)
    );
    assert_eq!(status["conditions"][0]["reason"], "SufficientPods");
    let evict = async |name: &str| {
        let path = format!("{PODS}/{name}/eviction");
        let eviction =
            json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
        send(&cluster, Method::POST, &path, &eviction).await
    };
    assert_eq!(evict("a").await.0, 201);
    let (code, refused) = evict("b").await;
    assert_eq!(code, 429);
    let cause = refused["details"]["causes"][0]["message"].as_str();
    assert!(cause.unwrap().starts_with("The disruption budget two "));
}

#[tokio::test(start_paused = true)]
async fn a_replica_set_that_is_its_own_owner_says_how_many_there_are_to_be() {
    const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
    const PODS: &str = "/api/v1/namespaces/default/pods";
    const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let cluster = Cluster::start(Delays::default());
    let labels = json!({"x": "y"});
    let containers = json!({"containers": [{"name": "c", "image": "i"}]});
    let template = json!({"metadata": {"labels": labels}, "spec": containers});
    let spec = json!({"replicas": 4, "selector": {"matchLabels": labels}, "template": template});
    let set = json!({"metadata": {"name": "r"}, "spec": spec});
    let (_, mut set) = send(&cluster, Method::POST, SETS, &set).await;
    let owner = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": set["metadata"]["uid"], "controller": true,
    }]);
    set["metadata"]["ownerReferences"] = owner.clone();
    let path = format!("{SETS}/r");
    assert_eq!(send(&cluster, Method::PUT, &path, &set).await.0, 200);
    let meta = json!({"name": "p", "labels": labels, "ownerReferences": owner});
    let pod = json!({"metadata": meta, "spec": containers});
    assert_eq!(send(&cluster, Method::POST, PODS, &pod).await.0, 201);
    let spec = json!({"maxUnavailable": 1, "selector": {"matchLabels": labels}});
    let budget = json!({"metadata": {"name": "one"}, "spec": spec});
    assert_eq!(send(&cluster, Method::POST, BUDGETS, &budget).await.0, 201);
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    let (_, budget) = send(&cluster, Method::GET, &format!("{BUDGETS}/one"), &json!({})).await;
    let numbers = ["expectedPods", "desiredHealthy"].map(|f| budget["status"][f].as_i64());
    assert_eq!(numbers, [Some(4), Some(3)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_namespace_is_furnished_with_is_its_controller_s() {
    let cluster = Cluster::start(Delays::default());
    let namespace = json!({"metadata": {"name": "shop", "labels": {"a": "b"}}});
    let (code, _) = send(&cluster, Method::POST, "/api/v1/namespaces", &namespace).await;
    assert_eq!(code, 201);
    let path = "/api/v1/namespaces/shop/configmaps/kube-root-ca.crt";
    let (_, map) = send(&cluster, Method::GET, path, &json!({})).await;
    let owners = map["metadata"]["managedFields"].as_array().unwrap();
    let owners: Vec<_> = owners.iter().map(|owner| &owner["manager"]).collect();
    assert_eq!(owners, [&json!("kube-controller-manager")]);
    assert!(!map["metadata"]["managedFields"][0]["fieldsV1"]["f:data"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_given_for_ten_minutes_at_least() {
    const TOKEN: &str = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let cluster = Cluster::start(Delays::default());
    let (code, made) = send(&cluster, Method::POST, TOKEN, &json!({"spec": {}})).await;
    assert_eq!(
        (code, made["spec"]["expirationSeconds"].as_i64()),
        (201, Some(3600))
    );
    assert!(made["status"]["token"].is_string());
    let short = json!({"spec": {"expirationSeconds": 5}});
    let (code, refused) = send(&cluster, Method::POST, TOKEN, &short).await;
    let why = "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 5: may not specify a duration less \
               than 10 minutes";
    assert_eq!((code, refused["message"].as_str()), (422, Some(why)));
}
