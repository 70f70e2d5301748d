//! Roles that are made of others (`aggregationRule`), as kube-controller-manager's clusterrole-aggregation-controller makes them.

use headless_objects::object::array;
use headless_objects::selector::Selector;
use serde_json::Value;

use crate::kind::KindId;
use crate::objects::{Key, Objects};

pub(crate) const CLUSTER_ROLE: KindId = KindId::named("ClusterRole");

/// The roles whose rules are no longer those of the roles that they are made of, each with its rules as they should be.
pub(crate) fn aggregated(objects: &Objects) -> Vec<(Key, Value)> {
    let roles: Vec<_> = objects.list(CLUSTER_ROLE, None).collect();
    let made = roles.iter().filter_map(|(key, role)| {
        let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array()?;
        let mut rules: Vec<&Value> = Vec::new();
        for selector in selectors {
            let selector = Selector::of(selector).unwrap_or_default();
            let fits = |role: &Value| {
                let labels = &role["metadata"]["labels"];
                selector.matches(|key| labels[key].as_str())
            };
            let others = roles
                .iter()
                .filter(|(other, one)| other != key && fits(one));
            for rule in others.flat_map(|(_, one)| array(&one["rules"])) {
                if !rules.contains(&rule) {
                    rules.push(rule);
                }
            }
        }
        let is_same = array(&role["rules"]).eq(rules.iter().copied());
        let mut made = Value::clone(role);
        made["rules"] = rules.into_iter().cloned().collect();
        (!is_same).then(|| ((*key).clone(), made))
    });
    made.collect()
}
