//! ConfigMaps and Secrets that a Pod refers to and that are not there, in the kubelet's words.

use std::collections::BTreeMap;

use headless_objects::object::{self, array};
use headless_objects::podspec::containers;
use serde_json::Value;

use crate::kinds::{self, KindId};
use crate::objects::Objects;

/// Whose objects are looked at.
struct Lookup<'a> {
    objects: &'a Objects,
    ns: &'a str,
}

/// What keeps one of a Pod's volumes from being mounted: the volume's name, and why.
pub(crate) fn missing_volume(objects: &Objects, pod: &Value) -> Option<(String, String)> {
    let lookup = Lookup::new(objects, pod);
    let mut volumes = array(&pod["spec"]["volumes"]);
    volumes.find_map(|volume| {
        let why = lookup.of_volume(volume)?;
        Some((volume["name"].as_str().unwrap_or_default().to_owned(), why))
    })
}

/// Whether a volume of the Pod shows what is not there.
pub(super) fn is_missing(objects: &Objects, pod: &Value, volume: &Value) -> bool {
    Lookup::new(objects, pod).of_volume(volume).is_some()
}

/// Why containers cannot be started, by their names: their environment refers to what is not there.
pub(super) fn blocked(objects: &Objects, pod: &Value) -> BTreeMap<String, String> {
    let lookup = Lookup::new(objects, pod);
    let blocked = containers(&pod["spec"]).filter_map(|container| {
        let name = container["name"].as_str().unwrap_or_default().to_owned();
        Some((name, lookup.of_environment(container)?))
    });
    blocked.collect()
}

/// The ConfigMap or Secret that a volume, or one source of a projected one, shows: its kind, its name, what is said of it.
pub(super) fn shown(source: &Value) -> Option<(KindId, &Value, &Value)> {
    let parts = [
        (kinds::CONFIG_MAP, "configMap", "name"),
        (kinds::SECRET, "secret", "secretName"),
    ];
    parts.into_iter().find_map(|(kind, field, name)| {
        let of = &source[field];
        // A projection of a Secret names it by `name`.
        let name = if of[name].is_string() { name } else { "name" };
        of.is_object().then(|| (kind, &of[name], of))
    })
}

impl<'a> Lookup<'a> {
    fn new(objects: &'a Objects, pod: &'a Value) -> Self {
        let ns = object::ns(pod);
        Self { objects, ns }
    }

    /// The object of a reference, or that it is not there. `Ok(None)`: it need not be there.
    fn find(
        &self,
        kind: KindId,
        name: &Value,
        optional: bool,
    ) -> Result<Option<&'a Value>, String> {
        let name = name.as_str().unwrap_or_default();
        match self.objects.named(kind, self.ns, name) {
            Some(object) => Ok(Some(object)),
            None if optional || name.is_empty() => Ok(None),
            None => Err(format!(
                "{} \"{name}\" not found",
                kind.info().kind.to_lowercase()
            )),
        }
    }

    /// What a volume refers to and has not.
    fn of_volume(&self, volume: &Value) -> Option<String> {
        let projected = array(&volume["projected"]["sources"]);
        let mut sources = std::iter::once(volume).chain(projected);
        sources.find_map(|source| self.of_source(source))
    }

    /// What a volume, or one source of a projected one, refers to and has not.
    fn of_source(&self, source: &Value) -> Option<String> {
        let (kind, name, of) = shown(source)?;
        let optional = of["optional"] == true;
        let object = match self.find(kind, name, optional) {
            Ok(object) => object?,
            Err(why) => return Some(why),
        };
        let mut wanted = array(&of["items"]).filter_map(|item| item["key"].as_str());
        let lacks = wanted.find(|key| !has_key(object, key))?;
        let word = kind.info().kind.to_lowercase();
        (!optional).then(|| format!("{word} references non-existent {}: {lacks}", key_word(kind)))
    }

    /// What a container's environment refers to and has not.
    fn of_environment(&self, container: &Value) -> Option<String> {
        let parts = [
            (
                kinds::CONFIG_MAP,
                "configMapRef",
                "configMapKeyRef",
                "ConfigMap",
            ),
            (kinds::SECRET, "secretRef", "secretKeyRef", "Secret"),
        ];
        let whole = array(&container["envFrom"]).find_map(|from| {
            parts.iter().find_map(|(kind, field, _, _)| {
                let of = &from[*field];
                self.find(*kind, &of["name"], of["optional"] == true).err()
            })
        });
        whole.or_else(|| {
            array(&container["env"]).find_map(|variable| {
                parts.iter().find_map(|(kind, _, field, word)| {
                    let of = &variable["valueFrom"][*field];
                    let optional = of["optional"] == true;
                    let object = match self.find(*kind, &of["name"], optional) {
                        Ok(object) => object?,
                        Err(why) => return Some(why),
                    };
                    let key = of["key"].as_str().unwrap_or_default();
                    let name = of["name"].as_str().unwrap_or_default();
                    let lacks = !optional && !has_key(object, key);
                    lacks.then(|| format!("couldn't find key {key} in {word} {}/{name}", self.ns))
                })
            })
        })
    }
}

fn key_word(kind: KindId) -> &'static str {
    if kind == kinds::CONFIG_MAP {
        "config key"
    } else {
        "secret key"
    }
}

fn has_key(object: &Value, key: &str) -> bool {
    ["data", "binaryData"]
        .iter()
        .any(|field| !object[*field][key].is_null())
}
