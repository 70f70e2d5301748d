//! A container's environment: Services, ConfigMaps, Secrets, fields of the Pod, and variables in variables.

use base64::Engine as _;
use headless_objects::object::{self, array};
use serde_json::Value;

use super::fields;
use crate::kinds;
use crate::objects::Objects;

/// The container's variables, in the order in which they are set; what they refer to is there.
pub(super) fn of(objects: &Objects, pod: &Value, container: &Value) -> Vec<(String, String)> {
    let ns = object::ns(pod);
    let mut variables = Variables::default();
    if pod["spec"]["enableServiceLinks"] != false {
        for (_, service) in objects.list(kinds::SERVICE, Some(ns)) {
            variables.add_service(service);
        }
    }
    if let Some(kubernetes) = objects.named(kinds::SERVICE, "default", "kubernetes") {
        variables.add_service(kubernetes);
    }
    for from in array(&container["envFrom"]) {
        let prefix = from["prefix"].as_str().unwrap_or_default();
        for (kind, field) in [
            (kinds::CONFIG_MAP, "configMapRef"),
            (kinds::SECRET, "secretRef"),
        ] {
            let name = from[field]["name"].as_str().unwrap_or_default();
            let object = objects.named(kind, ns, name);
            for (key, value) in object.map(|object| texts(object)).unwrap_or_default() {
                variables.set(&format!("{prefix}{key}"), value);
            }
        }
    }
    for variable in array(&container["env"]) {
        let name = variable["name"].as_str().unwrap_or_default();
        let from = &variable["valueFrom"];
        let value = if from.is_object() {
            value_from(objects, (pod, container), from)
        } else {
            let text = variable["value"].as_str().unwrap_or_default();
            Some(expanded(text, &variables.0))
        };
        if let Some(value) = value {
            variables.set(name, value);
        }
    }
    variables.0
}

#[derive(Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(set, _)| set == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// What programs of the time before DNS look for: the kubelet's, and Docker's of its links.
    fn add_service(&mut self, service: &Value) {
        let ip = service["spec"]["clusterIP"].as_str().unwrap_or("None");
        if ip == "None" || ip.is_empty() {
            return;
        }
        let name = service["metadata"]["name"].as_str().unwrap_or_default();
        let name = name.to_uppercase().replace('-', "_");
        self.set(&format!("{name}_SERVICE_HOST"), ip.to_owned());
        for (at, port) in array(&service["spec"]["ports"]).enumerate() {
            let number = port["port"].to_string();
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            let url = format!("{}://{ip}:{number}", protocol.to_lowercase());
            if at == 0 {
                self.set(&format!("{name}_SERVICE_PORT"), number.clone());
                self.set(&format!("{name}_PORT"), url.clone());
            }
            if let Some(own) = port["name"].as_str() {
                let own = own.to_uppercase().replace('-', "_");
                self.set(&format!("{name}_SERVICE_PORT_{own}"), number.clone());
            }
            let link = format!("{name}_PORT_{number}_{protocol}");
            self.set(&link, url);
            self.set(&format!("{link}_PROTO"), protocol.to_lowercase());
            self.set(&format!("{link}_PORT"), number);
            self.set(&format!("{link}_ADDR"), ip.to_owned());
        }
    }
}

fn value_from(
    objects: &Objects,
    (pod, container): (&Value, &Value),
    from: &Value,
) -> Option<String> {
    let ns = object::ns(pod);
    for (kind, field) in [
        (kinds::CONFIG_MAP, "configMapKeyRef"),
        (kinds::SECRET, "secretKeyRef"),
    ] {
        let of = &from[field];
        if of.is_object() {
            let name = of["name"].as_str().unwrap_or_default();
            let wanted = of["key"].as_str().unwrap_or_default();
            let all = texts(objects.named(kind, ns, name)?);
            return all
                .into_iter()
                .find(|(key, _)| key == wanted)
                .map(|(_, value)| value);
        }
    }
    if from["fieldRef"].is_object() {
        return fields::of(
            pod,
            from["fieldRef"]["fieldPath"].as_str().unwrap_or_default(),
        );
    }
    fields::resource(pod, container, &from["resourceFieldRef"])
}

/// What a ConfigMap or a Secret holds that is text.
fn texts(object: &Value) -> Vec<(String, String)> {
    let all = contents(object).into_iter();
    all.filter_map(|(key, octets)| Some((key, String::from_utf8(octets).ok()?)))
        .collect()
}

/// What a ConfigMap or a Secret holds.
pub(super) fn contents(object: &Value) -> Vec<(String, Vec<u8>)> {
    let encoded = object["kind"] == "Secret";
    let mut all = Vec::new();
    for (field, encoded) in [("data", encoded), ("binaryData", true)] {
        for (key, value) in object[field].as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            let octets = if encoded {
                let decoded = base64::engine::general_purpose::STANDARD.decode(text);
                // The API takes nothing else.
                decoded.unwrap_or_default()
            } else {
                text.as_bytes().to_vec()
            };
            all.push((key.clone(), octets));
        }
    }
    all
}

/// A text with `$(NAME)` replaced where that variable is known; `$$` is a dollar.
pub(super) fn expanded(text: &str, variables: &[(String, String)]) -> String {
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        whole.push_str(before);
        if let Some(dollar) = after.strip_prefix('$') {
            whole.push('$');
            rest = dollar;
            continue;
        }
        let name = after
            .strip_prefix('(')
            .and_then(|named| named.split_once(')'));
        let known = name.and_then(|(name, rest)| {
            let value = variables.iter().find(|(known, _)| known == name);
            value.map(|(_, value)| (value, rest))
        });
        if let Some((value, after)) = known {
            whole.push_str(value);
            rest = after;
        } else {
            whole.push('$');
            rest = after;
        }
    }
    whole.push_str(rest);
    whole
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::objects::Key;

    #[test]
    fn a_variable_stands_for_its_value_where_it_is_known() {
        let known = [("A".to_owned(), "1".to_owned())];
        for (text, wanted) in [
            ("$(A)", "1"),
            ("x$(A)y$(A)", "x1y1"),
            ("$(B) $$(A) $A $(A", "$(B) $(A) $A $(A"),
            ("$", "$"),
        ] {
            assert_eq!(expanded(text, &known), wanted);
        }
    }

    #[test]
    fn later_variables_win_and_see_earlier_ones() {
        let mut objects = Objects::default();
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}, "data": {"A": "map", "B": "b"}});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}, "data": {"k": "c2VjcmV0"}});
        for object in [map, secret] {
            objects.put(Key::of(&object).unwrap(), object);
        }
        let pod = json!({"metadata": {"name": "p", "namespace": "default", "labels": {"app": "x"}}, "status": {"podIP": "10.244.0.9"}});
        let container = json!({
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "c"}}],
            "env": [
                {"name": "P_A", "value": "own"}, {"name": "B", "value": "$(P_A)-$(P_B)"},
                {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "k", "optional": true}}},
            ],
        });
        let wanted = [
            ("P_A", "own"),
            ("P_B", "b"),
            ("B", "own-b"),
            ("S", "secret"),
            ("IP", "10.244.0.9"),
            ("L", "x"),
        ];
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(of(&objects, &pod, &container), wanted);
    }
}
