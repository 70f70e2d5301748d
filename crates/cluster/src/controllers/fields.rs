//! What a Pod is told of itself: fields, and what its containers may take.

use serde_json::Value;

use super::scheduler;
use headless_objects::{podspec, quantity};

/// The field of a Pod that a path names, as text; none where no Pod has it.
pub(super) fn of(pod: &Value, path: &str) -> Option<String> {
    let (meta, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
    if let Some((map, key)) = path
        .strip_suffix("']")
        .and_then(|path| path.split_once("['"))
    {
        let map = map.strip_prefix("metadata.")?;
        return Some(meta[map][key].as_str().unwrap_or_default().to_owned());
    }
    let ips = |list: &Value| {
        let all = list.as_array().into_iter().flatten();
        let all: Vec<_> = all.filter_map(|ip| ip["ip"].as_str()).collect();
        all.join(",")
    };
    let value = match path {
        "metadata.name" => &meta["name"],
        "metadata.namespace" => &meta["namespace"],
        "metadata.uid" => &meta["uid"],
        "metadata.labels" => return Some(lines(&meta["labels"])),
        "metadata.annotations" => return Some(lines(&meta["annotations"])),
        "spec.nodeName" => &spec["nodeName"],
        "spec.serviceAccountName" => &spec["serviceAccountName"],
        "status.hostIP" => &status["hostIP"],
        "status.hostIPs" => return Some(ips(&status["hostIPs"])),
        "status.podIP" => &status["podIP"],
        "status.podIPs" => return Some(ips(&status["podIPs"])),
        _ => return None,
    };
    Some(value.as_str().unwrap_or_default().to_owned())
}

/// A map as the file of a downward API volume: `key="value"`, a line each.
fn lines(map: &Value) -> String {
    let all = map.as_object().into_iter().flatten();
    let all: Vec<_> = all.map(|(key, value)| format!("{key}={value}")).collect();
    all.join("\n")
}

/// What a container may take, in units of the divisor, rounded up: what `resourceFieldRef` asks for. Where the container says
/// nothing, it is what the node has.
pub(super) fn resource(pod: &Value, container: &Value, of: &Value) -> Option<String> {
    let named = of["containerName"].as_str();
    let container = match named {
        Some(name) => {
            podspec::containers(&pod["spec"]).find(|container| container["name"] == name)?
        }
        None => container,
    };
    let (list, resource) = of["resource"].as_str()?.split_once('.')?;
    let amount = |list: &str| {
        let text = &container["resources"][list][resource];
        quantity::parse(text.as_str()?)
    };
    let amount = match list {
        "limits" => amount("limits").or_else(|| whole_node(resource))?,
        "requests" => amount("requests").unwrap_or_default(),
        _ => return None,
    };
    let divisor = of["divisor"].as_str().and_then(quantity::parse);
    let divisor = divisor.filter(|divisor| *divisor > 0.0).unwrap_or(1.0);
    Some(format!("{:.0}", (amount / divisor).ceil()))
}

/// What the node has: that of the sandbox's.
fn whole_node(resource: &str) -> Option<f64> {
    let counted = ["cpu", "memory"].contains(&resource);
    let all = counted.then(scheduler::resources)?;
    quantity::parse(all[resource].as_str()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_are_counted_in_their_divisor_and_rounded_up() {
        let container = json!({"name": "c", "resources": {"limits": {"memory": "100Mi"}, "requests": {"cpu": "1500m"}}});
        let ask = |of: Value| resource(&json!({}), &container, &of);
        assert_eq!(
            ask(json!({"resource": "limits.memory", "divisor": "1Mi"})).as_deref(),
            Some("100")
        );
        assert_eq!(
            ask(json!({"resource": "requests.cpu"})).as_deref(),
            Some("2")
        );
        assert_eq!(
            ask(json!({"resource": "requests.cpu", "divisor": "1m"})).as_deref(),
            Some("1500")
        );
        assert_eq!(
            ask(json!({"resource": "limits.cpu"})).as_deref(),
            Some("64")
        );
        assert_eq!(ask(json!({"resource": "limits.gpu"})), None);
    }
}
