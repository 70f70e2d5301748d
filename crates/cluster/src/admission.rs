//! What the admission plugins of a real cluster add to a new object, and what they refuse.

#[cfg(test)]
mod tests;
mod updates;

use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::kinds::{self, Kind};
use super::objects::Objects;
use super::plane::{Plane, Plugin};
use super::random::{SUFFIX, suffix};
use super::status::ApiStatus;
use headless_objects::object::{self, add_finalizer, name};
use headless_objects::podspec::{default, items};
pub(super) use updates::{each_time, growth};

/// Keeps a claim for as long as a Pod uses it.
pub(super) const PROTECTION: &str = "kubernetes.io/pvc-protection";

/// Where a container finds its Pod's token.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How long a token lasts: an hour, and a little so that nobody meets its end.
const TOKEN_SECONDS: u32 = 3_607;

/// An annotation that makes a StorageClass the one of claims that name none.
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// An annotation that names the class of a claim.
const OLDER_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Admits new objects.
pub(super) struct Admission<'a> {
    pub(super) objects: &'a Objects,
    pub(super) random: &'a mut StdRng,
    pub(super) plane: &'a Plane,
}

impl Admission<'_> {
    /// Adds what the plugins add to an object of this kind.
    ///
    /// # Errors
    /// 403: a Pod of a ServiceAccount or a PriorityClass that is not there, a second PriorityClass for Pods without one.
    pub(super) fn new_object(&mut self, info: &Kind, object: &mut Value) -> Result<(), ApiStatus> {
        let plane = self.plane;
        if info.is(kinds::PERSISTENT_VOLUME_CLAIM) {
            if plane.admits(Plugin::StorageObjectInUseProtection) {
                add_finalizer(object, PROTECTION);
            }
            if plane.admits(Plugin::DefaultStorageClass) {
                self.default_class(object);
            }
        }
        if info.is(kinds::POD) {
            if plane.admits(Plugin::ServiceAccount) {
                self.service_account(object)?;
            }
            if plane.admits(Plugin::Priority) {
                self.priority(object)?;
            }
            if plane.admits(Plugin::RuntimeClass) {
                self.runtime_class(object)?;
            }
        }
        each_time((self.objects, plane), info, object, false)
    }

    /// DefaultStorageClass: of several defaults the youngest.
    fn default_class(&self, claim: &mut Value) {
        // An older client names it in an annotation.
        let annotated = &claim["metadata"]["annotations"][OLDER_CLASS];
        if !claim["spec"]["storageClassName"].is_null() || annotated.is_string() {
            return;
        }
        let classes = self.objects.list(kinds::STORAGE_CLASS, None);
        let defaults =
            classes.filter(|(_, c)| c["metadata"]["annotations"][DEFAULT_CLASS] == "true");
        let age = |class: &Value| {
            class["metadata"]["creationTimestamp"]
                .as_str()
                .map(str::to_owned)
        };
        let youngest =
            defaults.max_by(|(a, x), (b, y)| age(x).cmp(&age(y)).then(b.name.cmp(&a.name)));
        if let Some((key, _)) = youngest {
            claim["spec"]["storageClassName"] = key.name.as_str().into();
        }
    }

    /// ServiceAccount: the account has to be there, and gives its token and its secrets for pulling.
    fn service_account(&mut self, pod: &mut Value) -> Result<(), ApiStatus> {
        let ns = object::ns(pod).to_owned();
        let spec = &mut pod["spec"];
        // The older field of the same meaning is kept beside it.
        let older = spec["serviceAccount"]
            .as_str()
            .filter(|name| !name.is_empty());
        let older = older.unwrap_or("default").to_owned();
        if spec["serviceAccountName"] == "" {
            spec["serviceAccountName"] = Value::Null;
        }
        default(spec, "serviceAccountName", older);
        spec["serviceAccount"] = spec["serviceAccountName"].clone();
        let account = spec["serviceAccountName"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let Some(found) = self.objects.named(kinds::SERVICE_ACCOUNT, &ns, &account) else {
            return Err(refused(
                kinds::POD.info(),
                pod,
                &format!(
                    "error looking up service account {ns}/{account}: serviceaccount \"{account}\" not found"
                ),
            ));
        };
        if spec["imagePullSecrets"]
            .as_array()
            .is_none_or(Vec::is_empty)
            && found["imagePullSecrets"]
                .as_array()
                .is_some_and(|s| !s.is_empty())
        {
            spec["imagePullSecrets"] = found["imagePullSecrets"].clone();
        }
        let of_pod = spec["automountServiceAccountToken"].as_bool();
        let of_account = found["automountServiceAccountToken"].as_bool();
        if of_pod.or(of_account) != Some(false) {
            self.mount_token(spec);
        }
        Ok(())
    }

    /// Mounts the token where no container says what it finds at its place.
    fn mount_token(&mut self, spec: &mut Value) {
        let volume = format!("kube-api-access-{}", suffix(self.random));
        let mut mounted = false;
        for list in ["initContainers", "containers"] {
            for container in items(spec, list).filter(|c| c.is_object()) {
                default(container, "volumeMounts", json!([]));
                let Some(mounts) = container["volumeMounts"].as_array_mut() else {
                    continue;
                };
                if mounts.iter().all(|mount| mount["mountPath"] != TOKEN_PATH) {
                    mounts.push(json!({"name": volume, "readOnly": true, "mountPath": TOKEN_PATH}));
                    mounted = true;
                }
            }
        }
        if !mounted {
            return;
        }
        default(spec, "volumes", json!([]));
        let namespace = json!({"apiVersion": "v1", "fieldPath": "metadata.namespace"});
        let sources = json!([
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": super::accounts::AUTHORITY, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": namespace}]}},
        ]);
        if let Some(volumes) = spec["volumes"].as_array_mut() {
            volumes.push(
                json!({"name": volume, "projected": {"sources": sources, "defaultMode": 420}}),
            );
        }
    }

    /// Priority: the number of the Pod's class, or of the one that is meant for Pods without.
    fn priority(&self, pod: &mut Value) -> Result<(), ApiStatus> {
        let named = pod["spec"]["priorityClassName"].as_str();
        let found = match named.filter(|name| !name.is_empty()) {
            Some(named) => match self.objects.named(kinds::PRIORITY_CLASS, "", named) {
                None => {
                    let why = format!("no PriorityClass with name {named} was found");
                    return Err(refused(kinds::POD.info(), pod, &why));
                }
                found => found,
            },
            None => {
                let mut classes = self.objects.list(kinds::PRIORITY_CLASS, None);
                let default = classes.find(|(_, class)| class["globalDefault"] == true);
                default.map(|(_, class)| class)
            }
        };
        let (mut value, mut policy) = (json!(0), json!("PreemptLowerPriority"));
        if let Some(class) = found {
            pod["spec"]["priorityClassName"] = class["metadata"]["name"].clone();
            value = class["value"].clone();
            policy = class["preemptionPolicy"].clone();
        }
        for (field, called, computed) in [
            ("priority", "integer value of priority", value),
            (
                "preemptionPolicy",
                "string value of PreemptionPolicy",
                policy,
            ),
        ] {
            let given = pod["spec"][field].take();
            if !given.is_null() && given != computed {
                let [given, computed] = [given, computed].map(|v| v.to_string().replace('"', ""));
                let why = format!(
                    "the {called} ({given}) must not be provided in pod spec; priority admission controller computed {computed} \
                     from the given PriorityClass name"
                );
                return Err(refused(kinds::POD.info(), pod, &why));
            }
            pod["spec"][field] = computed;
        }
        Ok(())
    }

    /// RuntimeClass: what the class's Pods need beside their containers, and which nodes they need.
    fn runtime_class(&self, pod: &mut Value) -> Result<(), ApiStatus> {
        let named = pod["spec"]["runtimeClassName"].as_str();
        let found = named.map(|named| (named, self.objects.named(kinds::RUNTIME_CLASS, "", named)));
        let class = match found {
            Some((named, None)) => {
                let why = format!("pod rejected: RuntimeClass \"{named}\" not found");
                return Err(refused(kinds::POD.info(), pod, &why));
            }
            Some((_, Some(class))) => class,
            None => &Value::Null,
        };
        let (fixed, given) = (&class["overhead"]["podFixed"], &pod["spec"]["overhead"]);
        if !given.is_null() && given != fixed {
            let why = if fixed.is_null() {
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            } else {
                "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
            };
            return Err(refused(kinds::POD.info(), pod, why));
        }
        if fixed.is_object() {
            pod["spec"]["overhead"] = fixed.clone();
        }
        nodes_of_class(pod, &class["scheduling"])
    }
}

/// Gives a Pod the nodes that its class needs.
fn nodes_of_class(pod: &mut Value, scheduling: &Value) -> Result<(), ApiStatus> {
    for (key, value) in scheduling["nodeSelector"].as_object().into_iter().flatten() {
        let given = pod["spec"]["nodeSelector"][key].take();
        if !given.is_null() && given != *value {
            let [wanted, given] = [value, &given].map(|v| v.as_str().unwrap_or_default());
            let why = format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {wanted}; pod.spec.nodeSelector[{key}] = {given}"
            );
            return Err(refused(kinds::POD.info(), pod, &why));
        }
        pod["spec"]["nodeSelector"][key] = value.clone();
    }
    if let (Some(more), Some(all)) = (
        scheduling["tolerations"].as_array(),
        pod["spec"]["tolerations"].as_array_mut(),
    ) {
        let missing = more.iter().filter(|toleration| !all.contains(toleration));
        let missing: Vec<_> = missing.cloned().collect();
        all.extend(missing);
    }
    Ok(())
}

/// A name that is to be generated is known by its beginning only.
fn refused(info: &Kind, object: &Value, why: &str) -> ApiStatus {
    let name = name(object);
    let prefix = object["metadata"]["generateName"].as_str();
    let prefix = prefix.filter(|prefix| !prefix.is_empty() && is_generated(name, prefix));
    let of = (info.group, info.plural);
    ApiStatus::forbidden_object(of, prefix.unwrap_or(name), why)
}

fn is_generated(name: &str, prefix: &str) -> bool {
    let end = name.strip_prefix(prefix);
    end.is_some_and(|end| end.len() == SUFFIX)
}
