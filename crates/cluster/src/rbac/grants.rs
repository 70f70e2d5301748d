//! Nobody gives away by a role or a binding what they may not do themselves, unless they may `escalate` or `bind`.

use serde_json::{Value, json};

use super::held::role;
use super::rules::{Rule, go_list, uncovered};
use super::{Attributes, Subject, What, decide, held};
use crate::definitions::text;
use crate::objects::{Key, Objects};
use crate::status::ApiStatus;

pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";

/// Refuses a role, or a binding, that gives more than its author has; who says of which others a role is made, or has said
/// so, has to have everything. Other kinds are not looked at.
///
/// # Errors
/// 403 with what is missing, 404 for a role that is bound and is not there.
pub(crate) fn granted(
    objects: &Objects,
    subject: &Subject,
    key: &Key,
    (object, old): (&Value, Option<&Value>),
) -> Result<(), ApiStatus> {
    let info = key.kind.info();
    if subject.is_master() {
        return Ok(());
    }
    let may = |verb: &str, resource: &str, name: &str| {
        let asked = Attributes {
            verb: verb.to_owned(),
            what: What::Object {
                group: GROUP.to_owned(),
                resource: resource.to_owned(),
                subresource: String::new(),
                ns: key.ns.clone(),
                name: name.to_owned(),
            },
        };
        decide(objects, subject, &asked).allowed
    };
    let bound;
    let wanted = match info.kind {
        "Role" | "ClusterRole" if may("escalate", info.plural, &key.name) => return Ok(()),
        "Role" | "ClusterRole" => object,
        "RoleBinding" | "ClusterRoleBinding" => {
            let reference = &object["roleRef"];
            let resource = format!("{}s", text(reference, "kind").to_lowercase());
            let name = text(reference, "name");
            if may("bind", &resource, name) {
                return Ok(());
            }
            let missing = |_| {
                let kind = (GROUP, resource.as_str());
                ApiStatus::not_found_of(kind, name)
            };
            bound = role(objects, reference, &key.ns).map_err(missing)?;
            &*bound
        }
        _ => return Ok(()),
    };
    let held = held(objects, subject, &key.ns);
    let everything = everything();
    let mut either = std::iter::once(object).chain(old);
    let is_made = either.any(|role| role["aggregationRule"].is_object());
    let all = Rule::all(&everything).filter(|_| is_made);
    let wanted: Vec<_> = Rule::all(wanted).chain(all).collect();
    let missing = uncovered(&held.rules(), &wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<_> = missing.into_iter().collect();
    let groups: Vec<_> = subject.groups.iter().map(String::as_str).collect();
    let mut why = format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        subject.name,
        go_list(&groups),
        missing.join("\n")
    );
    if !held.errors.is_empty() {
        why += &format!("; resolution errors: [{}]", held.errors.join(", "));
    }
    let kind = (info.group, info.plural);
    Err(ApiStatus::forbidden_object(kind, &key.name, &why))
}

/// A role of everything: who says what others a role is made of may give anything by it.
fn everything() -> Value {
    json!({"rules": [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, {"verbs": ["*"], "nonResourceURLs": ["*"]},
    ]})
}
