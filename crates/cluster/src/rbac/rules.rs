//! A rule of a role: what it allows, and which rules cover others (`policy_comparator.go`, `evaluation_helpers.go`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Attributes, What};

/// A rule (`PolicyRule`), read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rule<'a> {
    verbs: Vec<&'a str>,
    groups: Vec<&'a str>,
    resources: Vec<&'a str>,
    names: Vec<&'a str>,
    paths: Vec<&'a str>,
}

fn words<'a>(rule: &'a Value, field: &str) -> Vec<&'a str> {
    let words = rule[field].as_array().into_iter().flatten();
    words.filter_map(Value::as_str).collect()
}

fn has(words: &[&str], word: &str) -> bool {
    words.contains(&"*") || words.contains(&word)
}

impl<'a> Rule<'a> {
    pub(super) fn of(rule: &'a Value) -> Self {
        Self {
            verbs: words(rule, "verbs"),
            groups: words(rule, "apiGroups"),
            resources: words(rule, "resources"),
            names: words(rule, "resourceNames"),
            paths: words(rule, "nonResourceURLs"),
        }
    }

    /// The rules of a role.
    pub(super) fn all(role: &'a Value) -> impl Iterator<Item = Self> {
        let rules = role["rules"].as_array().into_iter().flatten();
        rules.map(Self::of)
    }

    /// Whether it allows this.
    pub(super) fn allows(&self, asked: &Attributes) -> bool {
        if !has(&self.verbs, &asked.verb) {
            return false;
        }
        match &asked.what {
            What::Path(path) => self.paths.iter().any(|own| covers_path(own, path)),
            What::Object {
                group,
                resource,
                subresource,
                name,
                ..
            } => {
                has(&self.groups, group)
                    && covers_resource(&self.resources, &joined(resource, subresource))
                    && (self.names.is_empty() || self.names.contains(&name.as_str()))
            }
        }
    }

    /// The same as rules of one verb and one of everything else.
    fn parts(&self) -> Vec<Self> {
        let mut parts = Vec::new();
        let names: Vec<Vec<&str>> = match self.names.is_empty() {
            true => vec![Vec::new()],
            false => self.names.iter().map(|name| vec![*name]).collect(),
        };
        for group in &self.groups {
            for resource in &self.resources {
                for verb in &self.verbs {
                    parts.extend(names.iter().map(|names| Self {
                        verbs: vec![verb],
                        groups: vec![group],
                        resources: vec![resource],
                        names: names.clone(),
                        paths: Vec::new(),
                    }));
                }
            }
        }
        for path in &self.paths {
            parts.extend(self.verbs.iter().map(|verb| Self {
                verbs: vec![verb],
                paths: vec![path],
                ..Self::default()
            }));
        }
        parts
    }

    /// Whether it allows all that this part does.
    fn covers(&self, part: &Self) -> bool {
        let all = |own: &[&str], parts: &[&str]| parts.iter().all(|part| has(own, part));
        let names = match (self.names.is_empty(), part.names.is_empty()) {
            (true, _) => true,
            (false, true) => false,
            (false, false) => part.names.iter().all(|name| self.names.contains(name)),
        };
        let paths = |path: &&str| self.paths.iter().any(|own| covers_path(own, path));
        all(&self.verbs, &part.verbs)
            && all(&self.groups, &part.groups)
            && part
                .resources
                .iter()
                .all(|resource| covers_resource(&self.resources, resource))
            && names
            && part.paths.iter().all(paths)
    }

    /// As errors show it.
    fn shown(&self) -> String {
        let fields = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.paths),
            ("ResourceNames", &self.names),
            ("Verbs", &self.verbs),
        ];
        let given = fields.iter().filter(|(_, words)| !words.is_empty());
        let given: Vec<_> = given
            .map(|(field, words)| format!("{field}:{}", go_list(words)))
            .collect();
        format!("{{{}}}", given.join(", "))
    }
}

/// What Go's `%q` makes of a list.
pub(super) fn go_list(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", words.join(" "))
}

fn joined(resource: &str, subresource: &str) -> String {
    match subresource {
        "" => resource.to_owned(),
        sub => format!("{resource}/{sub}"),
    }
}

fn covers_resource(own: &[&str], resource: &str) -> bool {
    let of_any = |sub: &str| own.contains(&format!("*/{sub}").as_str());
    has(own, resource) || resource.split_once('/').is_some_and(|(_, sub)| of_any(sub))
}

fn covers_path(own: &str, path: &str) -> bool {
    let begin = own.strip_suffix('*');
    own == path || begin.is_some_and(|begin| path.starts_with(begin))
}

/// What of the wanted rules the own ones do not cover, a line each, sorted; empty: nothing.
pub(super) fn uncovered(own: &[Rule<'_>], wanted: &[Rule<'_>]) -> BTreeSet<String> {
    let parts = wanted.iter().flat_map(Rule::parts);
    let mut missing: Vec<Rule<'_>> = Vec::new();
    for part in parts.filter(|part| !own.iter().any(|own| own.covers(part))) {
        let same = |rule: &&mut Rule<'_>| {
            (&rule.groups, &rule.resources, &rule.names)
                == (&part.groups, &part.resources, &part.names)
                && rule.paths.is_empty()
                && part.paths.is_empty()
        };
        match missing.iter_mut().find(same) {
            Some(rule) if rule.verbs.contains(&part.verbs[0]) => {}
            Some(rule) => rule.verbs.extend(part.verbs),
            None => missing.push(part),
        }
    }
    missing.iter().map(Rule::shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use serde_json::json;

    fn allows(rule: &Value, path: &str) -> bool {
        let attributes = Attributes::of(&Method::GET, path, (false, ""));
        Rule::of(rule).allows(&attributes)
    }

    #[test]
    fn a_rule_allows_its_verbs_on_its_resources_names_and_paths() {
        let pod = "/api/v1/namespaces/a/pods/b";
        let rule = |resources: Value, names: Value| json!({"verbs": ["get"], "apiGroups": [""], "resources": resources, "resourceNames": names});
        assert!(allows(&rule(json!(["pods"]), json!([])), pod));
        assert!(allows(&rule(json!(["*"]), json!(["b"])), pod));
        assert!(!allows(&rule(json!(["pods"]), json!(["c"])), pod));
        assert!(!allows(&rule(json!(["pods/log"]), json!([])), pod));
        let log = format!("{pod}/log");
        assert!(allows(&rule(json!(["pods/log"]), json!([])), &log));
        assert!(allows(&rule(json!(["*/log"]), json!([])), &log));
        assert!(!allows(&rule(json!(["pods"]), json!([])), &log));
        assert!(!allows(&rule(json!(["pods"]), json!([])), "/api/v1/pods"));
        let paths = json!({"verbs": ["get"], "nonResourceURLs": ["/healthz/*", "/version"]});
        assert!(allows(&paths, "/healthz/ping") && allows(&paths, "/version"));
        assert!(!allows(&paths, "/metrics"));
    }

    #[test]
    fn what_is_not_covered_is_told_by_resource() {
        let own = json!({"verbs": ["get"], "apiGroups": ["*"], "resources": ["pods", "*/status"]});
        let wanted = json!([
            {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods", "nodes/status"]},
            {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
        ]);
        let wanted = json!({"rules": wanted});
        let wanted: Vec<_> = Rule::all(&wanted).collect();
        let missing = uncovered(&[Rule::of(&own)], &wanted);
        assert_eq!(
            missing.into_iter().collect::<Vec<_>>(),
            [
                r#"{APIGroups:[""], Resources:["nodes/status"], Verbs:["list" "watch"]}"#,
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}"#,
                r#"{NonResourceURLs:["/metrics"], Verbs:["get"]}"#,
            ]
        );
        let all = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "nonResourceURLs": ["*"]});
        assert!(uncovered(&[Rule::of(&all)], &wanted).is_empty());
    }
}
