//! What the API server fills into a Pod's spec, also inside a template, where it says nothing.

use serde_json::{Value, json};

use crate::{image, object::array};

/// Sets `object[key]` where it is missing or null.
pub fn default(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(object) = object.as_object_mut()
        && object.get(key).is_none_or(Value::is_null)
    {
        object.insert(key.into(), value.into());
    }
}

/// The items of the list at `key`.
pub fn items<'a>(parent: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    parent
        .get_mut(key)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

/// The containers of a Pod's spec, init containers first.
pub fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["initContainers", "containers"];
    lists.into_iter().flat_map(|list| array(&spec[list]))
}

/// Fills in a Pod's spec (`SetDefaults_PodSpec` and its kin of core/v1).
pub fn fill(spec: &mut Value) {
    account(spec);
    default(spec, "restartPolicy", "Always");
    default(spec, "terminationGracePeriodSeconds", 30);
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "securityContext", json!({}));
    default(spec, "schedulerName", "default-scheduler");
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        items(spec, list).for_each(container);
    }
    for volume in items(spec, "volumes") {
        let is_source = |name: &String| name != "name";
        if volume.as_object().is_some_and(|v| !v.keys().any(is_source)) {
            default(volume, "emptyDir", json!({}));
        }
        if volume.get("hostPath").is_some_and(Value::is_object) {
            default(&mut volume["hostPath"], "type", "");
        }
        downward(volume);
        if volume.get("image").is_some_and(Value::is_object) {
            pull_policy(&mut volume["image"], "reference", "pullPolicy");
        }
        if let Some(claim) = volume.pointer_mut("/ephemeral/volumeClaimTemplate/spec") {
            default(claim, "volumeMode", "Filesystem");
        }
        if let Some(projected) = volume.get_mut("projected") {
            for source in items(projected, "sources") {
                downward(source);
                if source
                    .get("serviceAccountToken")
                    .is_some_and(Value::is_object)
                {
                    default(
                        &mut source["serviceAccountToken"],
                        "expirationSeconds",
                        3600,
                    );
                }
            }
        }
        for source in ["configMap", "secret", "projected", "downwardAPI"] {
            if volume.get(source).is_some_and(Value::is_object) {
                default(&mut volume[source], "defaultMode", 420);
            }
        }
    }
}

/// The account's name is kept under its older name too; the newer one counts.
fn account(spec: &mut Value) {
    let both = ["serviceAccountName", "serviceAccount"];
    let name = |field: &&str| spec[*field].as_str().filter(|name| !name.is_empty());
    if let Some(name) = both.iter().find_map(name).map(str::to_owned) {
        for field in both {
            spec[field] = name.as_str().into();
        }
    }
}

/// An image that is the latest one is looked for each time.
fn pull_policy(parent: &mut Value, image: &str, field: &str) {
    let image = parent[image].as_str().unwrap_or_default();
    let is_latest = image::tag(image) == Some("latest");
    let policy = if is_latest { "Always" } else { "IfNotPresent" };
    default(parent, field, policy);
}

fn container(container: &mut Value) {
    pull_policy(container, "image", "imagePullPolicy");
    default(container, "resources", json!({}));
    default(container, "terminationMessagePath", "/dev/termination-log");
    default(container, "terminationMessagePolicy", "File");
    for port in items(container, "ports") {
        default(port, "protocol", "TCP");
    }
    for variable in items(container, "env") {
        if variable.get("valueFrom").is_some_and(Value::is_object) {
            field_reference(&mut variable["valueFrom"], "fieldRef");
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container.get(name).is_some_and(Value::is_object) {
            probe(container, name);
        }
    }
    if container.get("lifecycle").is_some_and(Value::is_object) {
        for hook in ["postStart", "preStop"] {
            handler(&mut container["lifecycle"], hook);
        }
    }
}

/// The items of a volume's, or of a projection's, `downwardAPI`.
fn downward(source: &mut Value) {
    if let Some(downward) = source.get_mut("downwardAPI") {
        for item in items(downward, "items") {
            field_reference(item, "fieldRef");
        }
    }
}

/// A reference to a field of the Pod.
fn field_reference(parent: &mut Value, key: &str) {
    if parent.get(key).is_some_and(Value::is_object) {
        default(&mut parent[key], "apiVersion", "v1");
    }
}

/// What is done at the start or the end of a container, or to see whether it lives.
fn handler(parent: &mut Value, key: &str) {
    let Some(handler) = parent.get_mut(key).filter(|handler| handler.is_object()) else {
        return;
    };
    if handler.get("httpGet").is_some_and(Value::is_object) {
        default(&mut handler["httpGet"], "path", "/");
        default(&mut handler["httpGet"], "scheme", "HTTP");
    }
    if handler.get("grpc").is_some_and(Value::is_object) {
        default(&mut handler["grpc"], "service", "");
    }
}

fn probe(container: &mut Value, name: &str) {
    handler(container, name);
    let probe = &mut container[name];
    for (key, value) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        default(probe, key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spec_leaves_out_is_filled_in() {
        let claim = json!({"volumeClaimTemplate": {"spec": {}}});
        let mut spec = json!({
            "serviceAccount": "a", "containers": [{"image": "x:latest"}, {"image": "X"}],
            "volumes": [{"name": "c", "ephemeral": claim}, {"name": "i", "image": {"reference": "x"}}],
        });
        fill(&mut spec);
        assert_eq!(spec["serviceAccountName"], "a");
        let policies: Vec<_> = containers(&spec).map(|c| &c["imagePullPolicy"]).collect();
        assert_eq!(policies, ["Always", "IfNotPresent"]);
        let mode = &spec["volumes"][0]["ephemeral"]["volumeClaimTemplate"]["spec"]["volumeMode"];
        assert_eq!(mode, "Filesystem");
        assert_eq!(spec["volumes"][1]["image"]["pullPolicy"], "Always");
        let mut both = json!({"serviceAccount": "a", "serviceAccountName": "b"});
        fill(&mut both);
        assert_eq!(
            (&both["serviceAccount"], &both["serviceAccountName"]),
            (&json!("b"), &json!("b"))
        );
    }
}
