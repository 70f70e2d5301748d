//! How a Pod's programs look names up: its `dnsPolicy` and its `dnsConfig`, as the kubelet takes them together
//! (pkg/kubelet/network/dns).

use headless_objects::object::{self, array};
use serde_json::Value;

use crate::runtime::Resolver;

/// The zone of the cluster's names.
const ZONE: &str = "cluster.local";

/// The most name servers and search domains that a Pod has; the rest is left out.
const MOST: (usize, usize) = (3, 32);

pub(super) fn of(pod: &Value) -> Resolver {
    let spec = &pod["spec"];
    let on_node = spec["hostNetwork"] == true;
    let mut resolver = match spec["dnsPolicy"].as_str() {
        Some("None") => Resolver::default(),
        // A node of this cluster asks the cluster's DNS itself, and looks for no name below a domain.
        Some("Default") => node(),
        Some("ClusterFirstWithHostNet") => cluster(object::ns(pod)),
        // `ClusterFirst`, and where nothing is said.
        _ if on_node => node(),
        _ => cluster(object::ns(pod)),
    };
    add(&mut resolver, &spec["dnsConfig"]);
    resolver
}

fn node() -> Resolver {
    Resolver {
        cluster: true,
        ..Resolver::default()
    }
}

fn cluster(ns: &str) -> Resolver {
    let domains = [format!("{ns}.svc."), "svc.".into(), String::new()];
    Resolver {
        searches: domains.map(|domain| domain + ZONE).into(),
        options: vec!["ndots:5".into()],
        ..node()
    }
}

/// Adds a `dnsConfig`: an option that is there already gets the new value.
fn add(resolver: &mut Resolver, config: &Value) {
    let texts = |field: &str| array(&config[field]).filter_map(Value::as_str);
    for server in texts("nameservers") {
        push(&mut resolver.servers, server);
    }
    for search in texts("searches") {
        push(&mut resolver.searches, search);
    }
    resolver
        .servers
        .truncate(MOST.0 - usize::from(resolver.cluster));
    resolver.searches.truncate(MOST.1);
    for option in array(&config["options"]) {
        let Some(name) = option["name"].as_str() else {
            continue;
        };
        let known = |option: &String| option.split(':').next() == Some(name);
        resolver.options.retain(|option| !known(option));
        resolver.options.push(match option["value"].as_str() {
            Some(value) => format!("{name}:{value}"),
            None => name.to_owned(),
        });
    }
}

fn push(all: &mut Vec<String>, new: &str) {
    if !all.iter().any(|known| known == new) {
        all.push(new.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Whether the cluster is asked; servers, searches and options.
    fn shown(spec: &Value) -> String {
        let pod = json!({"metadata": {"namespace": "shop"}, "spec": spec});
        let Resolver {
            cluster,
            servers,
            searches,
            options,
        } = of(&pod);
        format!("{cluster} {servers:?} {searches:?} {options:?}")
    }

    #[test]
    fn each_policy_is_the_kubelets_and_what_the_pod_says_is_added() {
        let whole = r#"true [] ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"] ["ndots:5"]"#;
        let bare = "true [] [] []";
        for (spec, wanted) in [
            (json!({}), whole),
            (json!({"dnsPolicy": "ClusterFirst"}), whole),
            (
                json!({"dnsPolicy": "ClusterFirst", "hostNetwork": true}),
                bare,
            ),
            (
                json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}),
                whole,
            ),
            (json!({"dnsPolicy": "Default"}), bare),
            (
                json!({"dnsPolicy": "None", "dnsConfig": {
                    "nameservers": ["127.0.0.1", "1.1.1.1", "127.0.0.1", "2.2.2.2", "3.3.3.3"],
                    "searches": ["a.test"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
                }}),
                r#"false ["127.0.0.1", "1.1.1.1", "2.2.2.2"] ["a.test"] ["ndots:2", "edns0"]"#,
            ),
            (
                json!({"dnsConfig": {
                    "nameservers": ["1.1.1.1", "2.2.2.2", "3.3.3.3"], "searches": ["svc.cluster.local", "a.test"],
                    "options": [{"name": "ndots", "value": "1"}],
                }}),
                r#"true ["1.1.1.1", "2.2.2.2"] ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "a.test"] ["ndots:1"]"#,
            ),
        ] {
            assert_eq!(shown(&spec), wanted, "{spec}");
        }
    }
}
