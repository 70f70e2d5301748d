//! The volumes that a container mounts, with what is in them.

use headless_objects::object::{self, array};
use serde_json::{Value, json};

use super::environment::{contents, expanded};
use super::{fields, references};
use crate::bearers::{AUDIENCE, Grant};
use crate::kinds;
use crate::objects::Objects;
use crate::runtime::{Content, Kept, Volume, VolumeMount};
use crate::tokens::Tokens;

/// The mode of files whose volume says none.
const MODE: u32 = 0o644;

/// How long the token in a volume is good, in seconds: kube-apiserver's `ExpirationExtensionSeconds`.
const YEAR: i64 = 365 * 24 * 3600;

/// What volumes are made from.
pub(super) struct Given<'a> {
    pub(super) objects: &'a Objects,
    pub(super) tokens: &'a Tokens,
    pub(super) pod: &'a Value,
}

/// The volumes of a container, and where it mounts them; `env`: its variables.
pub(super) fn of(
    given: &Given<'_>,
    container: &Value,
    env: &[(String, String)],
) -> (Vec<Volume>, Vec<VolumeMount>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mount = |mount: &Value| {
        let expression = mount["subPathExpr"].as_str();
        let sub_path = expression.map(|expression| expanded(expression, env));
        VolumeMount {
            volume: text(&mount["name"]),
            path: text(&mount["mountPath"]),
            sub_path: sub_path.unwrap_or_else(|| text(&mount["subPath"])),
            read_only: mount["readOnly"] == true,
        }
    };
    let mounts: Vec<_> = array(&container["volumeMounts"]).map(mount).collect();
    let used = |volume: &&Value| {
        mounts
            .iter()
            .any(|mount| volume["name"] == mount.volume.as_str())
    };
    let volumes = array(&given.pod["spec"]["volumes"]).filter(used);
    let volumes = volumes.filter_map(|volume| {
        Some(Volume {
            name: text(&volume["name"]),
            content: content(given, volume)?,
        })
    });
    (volumes.collect(), mounts)
}

/// What is in a volume; none where this cluster has nothing to put there.
pub(super) fn content(given: &Given<'_>, volume: &Value) -> Option<Content> {
    let ns = object::ns(given.pod);
    if volume["emptyDir"].is_object() {
        return Some(Content::Empty);
    }
    if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() {
        let claim = given
            .objects
            .named(kinds::PERSISTENT_VOLUME_CLAIM, ns, claim)?;
        return Some(Content::Kept(Kept {
            volume: claim["spec"]["volumeName"].as_str()?.to_owned(),
            ns: ns.to_owned(),
            claim: object::name(claim).to_owned(),
        }));
    }
    let projected = &volume["projected"];
    let (sources, projection) = if projected.is_object() {
        (array(&projected["sources"]).collect(), projected)
    } else {
        (vec![volume], volume)
    };
    let mut files = Vec::new();
    for source in sources {
        let (source, default) = source_of(source, projection)?;
        files.extend(source.files(given).into_iter().map(|(path, octets, mode)| {
            let mode = u32::try_from(mode.unwrap_or(default)).unwrap_or(MODE);
            (path, octets, mode)
        }));
    }
    Some(Content::Files(files))
}

/// A source of files.
enum Source<'a> {
    /// A ConfigMap's or a Secret's: its kind, its name, the items wanted.
    Object(kinds::KindId, &'a str, &'a Value),
    /// What the Pod is told of itself.
    Downward(&'a Value),
    /// What it shows to the API, or to this audience, in a file of this name.
    Token(&'a str, &'a Value),
}

/// The source, and the mode of its files.
fn source_of<'a>(source: &'a Value, projection: &Value) -> Option<(Source<'a>, u64)> {
    let mode = |own: &Value| {
        let own = own["defaultMode"].as_u64();
        own.or_else(|| projection["defaultMode"].as_u64())
            .unwrap_or_else(|| MODE.into())
    };
    if let Some((kind, name, of)) = references::shown(source) {
        return Some((Source::Object(kind, name.as_str()?, &of["items"]), mode(of)));
    }
    let token = &source["serviceAccountToken"];
    if let Some(path) = token["path"].as_str() {
        return Some((Source::Token(path, &token["audience"]), mode(&Value::Null)));
    }
    let of = &source["downwardAPI"];
    of.is_object()
        .then(|| (Source::Downward(&of["items"]), mode(of)))
}

impl Source<'_> {
    fn files(&self, given: &Given<'_>) -> Vec<(String, Vec<u8>, Option<u64>)> {
        let Given { objects, pod, .. } = given;
        let ns = object::ns(pod);
        match self {
            Self::Object(kind, name, items) => {
                let all = objects
                    .named(*kind, ns, name)
                    .map(|object| contents(object))
                    .unwrap_or_default();
                let Some(items) = items.as_array() else {
                    return all
                        .into_iter()
                        .map(|(key, octets)| (key, octets, None))
                        .collect();
                };
                let file = |item: &Value| {
                    let key = item["key"].as_str()?;
                    let (_, octets) = all.iter().find(|(known, _)| known == key)?;
                    let path = item["path"].as_str().unwrap_or(key);
                    Some((path.to_owned(), octets.clone(), item["mode"].as_u64()))
                };
                items.iter().filter_map(file).collect()
            }
            Self::Token(path, audience) => {
                // The same text each time: it is good for as long as programs of a real cluster may keep theirs.
                let made = pod["metadata"]["creationTimestamp"].as_str();
                let made = made.and_then(|made| made.parse().ok());
                let account = pod["spec"]["serviceAccountName"].as_str();
                let account = account.unwrap_or("default");
                let account = objects.named(kinds::SERVICE_ACCOUNT, ns, account);
                let grant = Grant {
                    account: account.map_or(&Value::Null, |account| account),
                    bound: Some(("Pod", pod)),
                    audiences: &json!([audience.as_str().unwrap_or(AUDIENCE)]),
                    begins: made.unwrap_or_default(),
                    life: YEAR,
                };
                let token = grant.token(objects, given.tokens);
                vec![((*path).to_owned(), token.into_bytes(), None)]
            }
            Self::Downward(items) => {
                let file = |item: &Value| {
                    let field = &item["fieldRef"]["fieldPath"];
                    let value = match field.as_str() {
                        Some(field) => fields::of(pod, field),
                        None => fields::resource(pod, &Value::Null, &item["resourceFieldRef"]),
                    };
                    let path = item["path"].as_str()?.to_owned();
                    Some((path, value?.into_bytes(), item["mode"].as_u64()))
                };
                array(items).filter_map(file).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Key;

    fn objects() -> Objects {
        let mut objects = Objects::default();
        for object in [
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default", "uid": "a-1"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}, "data": {"a": "1", "b": "2"}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}, "data": {"k": "c2VjcmV0"}}),
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "default"}, "spec": {"volumeName": "pvc-1"}}),
        ] {
            objects.put(Key::of(&object).unwrap(), object);
        }
        objects
    }

    fn pod() -> Value {
        json!({
            "metadata": {"name": "p", "namespace": "default"},
            "spec": {"volumes": [
                {"name": "config", "configMap": {"name": "c", "items": [{"key": "b", "path": "x/b", "mode": 0o400}]}},
                {"name": "all", "projected": {"defaultMode": 0o440, "sources": [
                    {"secret": {"name": "s"}}, {"downwardAPI": {"items": [{"path": "me", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                    {"serviceAccountToken": {"path": "token"}},
                ]}},
                {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "other", "emptyDir": {}},
            ]},
        })
    }

    #[test]
    fn a_container_gets_the_volumes_that_it_mounts_with_their_files() {
        let objects = objects();
        let pod = pod();
        let container = json!({
            "volumeMounts": [
                {"name": "config", "mountPath": "/etc/c"}, {"name": "all", "mountPath": "/all", "readOnly": true},
                {"name": "data", "mountPath": "/data", "subPathExpr": "$(N)/x"}, {"name": "tmp", "mountPath": "/t"},
            ],
        });
        let tokens = Tokens::new([0; 32]);
        let given = Given {
            objects: &objects,
            tokens: &tokens,
            pod: &pod,
        };
        let token = tokens.sign(json!({
            "aud": [AUDIENCE], "exp": YEAR, "iat": 0, "iss": AUDIENCE,
            "kubernetes.io": {
                "namespace": "default", "serviceaccount": {"name": "default", "uid": "a-1"}, "pod": {"name": "p", "uid": ""},
            },
            "nbf": 0, "sub": "system:serviceaccount:default:default",
        }));
        let env = [("N".to_owned(), "n".to_owned())];
        let (volumes, mounts) = of(&given, &container, &env);
        let volume = |name: &str, content| Volume {
            name: name.into(),
            content,
        };
        let file = |path: &str, text: &str, mode| (path.to_owned(), text.as_bytes().to_vec(), mode);
        let wanted = [
            volume("config", Content::Files(vec![file("x/b", "2", 0o400)])),
            volume(
                "all",
                Content::Files(vec![
                    file("k", "secret", 0o440),
                    file("me", "p", 0o440),
                    file("token", &token, 0o440),
                ]),
            ),
            volume(
                "data",
                Content::Kept(Kept {
                    volume: "pvc-1".into(),
                    ns: "default".into(),
                    claim: "data".into(),
                }),
            ),
            volume("tmp", Content::Empty),
        ];
        assert_eq!(volumes, wanted);
        let mounted = mounts
            .iter()
            .map(|m| (m.path.as_str(), m.sub_path.as_str(), m.read_only));
        let wanted = [
            ("/etc/c", "", false),
            ("/all", "", true),
            ("/data", "n/x", false),
            ("/t", "", false),
        ];
        assert!(mounted.eq(wanted));
    }
}
