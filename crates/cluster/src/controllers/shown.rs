//! Volumes that show what objects say: what a running Pod is shown follows them.

use std::collections::BTreeMap;

use headless_objects::object::array;

use super::mounts::{self, Given};
use super::references;
use crate::kinds;
use crate::objects::Key;
use crate::runtime::{Content, Order, Volume};

/// What the volumes of a Pod show, by their names.
#[derive(Debug, Default)]
pub(super) struct Shown {
    volumes: BTreeMap<String, Content>,
    /// The revision of the objects that they are of.
    revision: u64,
}

impl Shown {
    /// Notes what containers are started with, and gives the volumes that have other files by now.
    pub(super) fn follow(&mut self, given: &Given<'_>, orders: &[Order]) -> Vec<Volume> {
        let is_stale = self.is_stale(given);
        self.revision = given.objects.revision();
        for order in orders {
            if let Order::Start(start) = order {
                self.note(&start.volumes);
            }
        }
        if !is_stale || self.volumes.is_empty() {
            return Vec::new();
        }
        let volumes = array(&given.pod["spec"]["volumes"]).filter_map(|volume| {
            let name = volume["name"].as_str()?;
            let shown = self.volumes.get(name)?;
            // As the kubelet has it, what has to be there and is gone stays as it was.
            let is_missing = references::is_missing(given.objects, given.pod, volume);
            let content = mounts::content(given, volume).filter(|_| !is_missing)?;
            (*shown != content).then(|| Volume {
                name: name.to_owned(),
                content,
            })
        });
        let volumes: Vec<_> = volumes.collect();
        self.note(&volumes);
        volumes
    }

    fn note(&mut self, volumes: &[Volume]) {
        for Volume { name, content } in volumes {
            if matches!(content, Content::Files(_)) {
                self.volumes.insert(name.clone(), content.clone());
            }
        }
    }

    /// Whether an object has changed that may be shown.
    fn is_stale(&self, given: &Given<'_>) -> bool {
        let own = Key::of(given.pod);
        let Some(mut changes) = given.objects.since(self.revision) else {
            return true;
        };
        changes.any(|change| {
            let kind = change.key.kind;
            kind == kinds::CONFIG_MAP || kind == kinds::SECRET || Some(&change.key) == own.as_ref()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::objects::Objects;
    use crate::runtime::Run;
    use crate::tokens::Tokens;

    fn put(objects: &mut Objects, object: &Value) {
        objects.put(Key::of(object).unwrap(), object.clone());
    }

    fn config(data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}, "data": data})
    }

    #[test]
    fn a_volume_is_shown_anew_where_its_object_changes_and_stays_where_that_goes() {
        let tokens = Tokens::new([0; 32]);
        let (mut objects, mut shown) = (Objects::default(), Shown::default());
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default", "labels": {"a": "1"}},
            "spec": {
                "volumes": [
                    {"name": "config", "configMap": {"name": "c"}},
                    {"name": "me", "downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.labels['a']"}}]}},
                    {"name": "tmp", "emptyDir": {}},
                ],
                "containers": [{"name": "x", "volumeMounts": [
                    {"name": "config", "mountPath": "/c"}, {"name": "me", "mountPath": "/me"}, {"name": "tmp", "mountPath": "/tmp"},
                ]}],
            },
        });
        put(&mut objects, &config(json!({"k": "1"})));
        put(&mut objects, &pod);
        let mut follow = |objects: &Objects, pod: &Value, is_started: bool| {
            let given = Given {
                objects,
                tokens: &tokens,
                pod,
            };
            let run = Run {
                pod: "u".into(),
                container: "x".into(),
                restarts: 0,
            };
            let start = super::super::start::of(&given, &pod["spec"]["containers"][0], run);
            let orders = [Order::Start(Box::new(start))];
            let told = shown.follow(&given, if is_started { &orders } else { &[] });
            let told = told.into_iter().map(|volume| match volume.content {
                Content::Files(files) => {
                    let files = files.iter().map(|(path, octets, _)| {
                        format!("{path}={}", String::from_utf8_lossy(octets))
                    });
                    format!("{}: {}", volume.name, files.collect::<Vec<_>>().join(" "))
                }
                Content::Empty | Content::Kept(_) => volume.name,
            });
            told.collect::<Vec<_>>()
        };
        assert_eq!(follow(&objects, &pod, true), [""; 0]);
        put(&mut objects, &config(json!({"k": "2", "n": "new"})));
        assert_eq!(follow(&objects, &pod, false), ["config: k=2 n=new"]);
        assert_eq!(follow(&objects, &pod, false), [""; 0]);
        pod["metadata"]["labels"]["a"] = "2".into();
        put(&mut objects, &pod);
        assert_eq!(follow(&objects, &pod, false), ["me: a=2"]);
        objects.remove(&Key::of(&config(json!({}))).unwrap());
        assert_eq!(follow(&objects, &pod, false), [""; 0]);
        put(&mut objects, &config(json!({"k": "3"})));
        assert_eq!(follow(&objects, &pod, false), ["config: k=3"]);
    }
}
