//! A Pod's quality of service, by what its containers ask for (`core/v1/helper/qos`).

use serde_json::Value;

use crate::{podspec, quantity};

/// The resources that count.
const COUNTED: [&str; 2] = ["cpu", "memory"];

/// `Guaranteed`, `Burstable` or `BestEffort`, by a Pod's spec.
#[must_use]
pub fn class(spec: &Value) -> &'static str {
    // What the Pod asks for as a whole stands for what its containers ask for (KEP-2837).
    let whole = std::iter::once(&spec["resources"]);
    if spec["resources"].is_object() {
        return of(whole);
    }
    of(podspec::containers(spec).map(|container| &container["resources"]))
}

fn of<'a>(all: impl Iterator<Item = &'a Value>) -> &'static str {
    let (mut asks, mut guaranteed) = (false, true);
    for resources in all {
        for resource in COUNTED {
            let amount = |kind: &str| {
                let text = resources[kind][resource].as_str();
                text.and_then(quantity::parse)
                    .filter(|amount| *amount > 0.0)
            };
            let (request, limit) = (amount("requests"), amount("limits"));
            asks |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    }
    match (asks, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_of_all_make_a_pod_guaranteed_and_anything_less_burstable() {
        let all = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}});
        let less = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}});
        let spec = |containers: &[&Value]| {
            let containers: Vec<_> = containers.iter().map(|r| json!({"resources": r})).collect();
            json!({"containers": containers})
        };
        let none = json!({});
        for (containers, wanted) in [
            (vec![&none], "BestEffort"),
            (vec![&all], "Guaranteed"),
            (vec![&all, &all], "Guaranteed"),
            (vec![&all, &none], "Burstable"),
            (vec![&less], "Burstable"),
        ] {
            assert_eq!(class(&spec(&containers)), wanted, "{containers:?}");
        }
        let mut whole = spec(&[&none]);
        whole["resources"] = all;
        assert_eq!(class(&whole), "Guaranteed");
    }
}
