//! What a request does, as roles speak of it.

use http::Method;
use serde_json::json;

use crate::status::ApiStatus;

/// What a request does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// `get`, `list`, `create`, …
    pub(crate) verb: String,
    pub(crate) what: What,
}

/// What it does it with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A path that is not of objects.
    Path(String),
    Object {
        group: String,
        /// The plural.
        resource: String,
        subresource: String,
        /// Empty for all namespaces, and for kinds without.
        ns: String,
        /// Empty for a collection.
        name: String,
    },
}

/// Subresources of a namespace, which are no collections in it.
const OF_NAMESPACE: [&str; 2] = ["status", "finalize"];

impl Attributes {
    /// Those of a request (`RequestInfoFactory`). `is_watch`, `fields`: what its query says of a collection.
    pub(crate) fn of(method: &Method, path: &str, (is_watch, fields): (bool, &str)) -> Self {
        let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, rest) = match &parts[..] {
            ["api", _, rest @ ..] if !rest.is_empty() => ("", rest),
            ["apis", group, _, rest @ ..] if !rest.is_empty() => (*group, rest),
            _ => {
                return Self {
                    verb: method.as_str().to_lowercase(),
                    what: What::Path(path.to_owned()),
                };
            }
        };
        let (ns, rest) = match rest {
            ["namespaces", ns, plural, ..] if !OF_NAMESPACE.contains(plural) => (*ns, &rest[2..]),
            ["namespaces", ns, ..] => (*ns, rest),
            _ => ("", rest),
        };
        let part = |at: usize| rest.get(at).copied().unwrap_or_default();
        let mut name = part(1).to_owned();
        let verb = match *method {
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if name.is_empty() => "deletecollection",
            Method::DELETE => "delete",
            _ if !name.is_empty() => "get",
            _ if is_watch => "watch",
            _ => "list",
        };
        if ["list", "watch"].contains(&verb) {
            let named = fields.split(',').find_map(|term| {
                let value = term.strip_prefix("metadata.name=")?;
                Some(value.trim_start_matches('='))
            });
            name = named.unwrap_or_default().to_owned();
        }
        Self {
            verb: verb.to_owned(),
            what: What::Object {
                group: group.to_owned(),
                resource: part(0).to_owned(),
                subresource: part(2).to_owned(),
                ns: ns.to_owned(),
                name,
            },
        }
    }

    /// The same with another verb.
    pub(crate) fn but(&self, verb: &str) -> Self {
        Self {
            verb: verb.to_owned(),
            what: self.what.clone(),
        }
    }

    /// The namespace; empty where it is of none.
    pub(crate) fn ns(&self) -> &str {
        match &self.what {
            What::Path(_) => "",
            What::Object { ns, .. } => ns,
        }
    }

    /// 403. `reason`: what has gone wrong beside; mostly empty.
    pub(crate) fn forbidden(&self, user: &str, reason: &str) -> ApiStatus {
        let verb = &self.verb;
        let begin = format!("User {user:?} cannot {verb}");
        let more = if reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        };
        match &self.what {
            What::Path(path) => {
                let said = sanitized(&format!("{begin} path {path:?}"));
                ApiStatus::forbidden_of(format!("forbidden: {said}{more}"), json!({}))
            }
            What::Object {
                group,
                resource,
                subresource,
                ns,
                name,
            } => {
                let whole = match subresource.as_str() {
                    "" => resource.clone(),
                    sub => format!("{resource}/{sub}"),
                };
                let place = match ns.as_str() {
                    "" => "at the cluster scope".to_owned(),
                    ns => format!("in the namespace {ns:?}"),
                };
                let said = format!("{begin} resource {whole:?} in API group {group:?} {place}");
                let why = sanitized(&said) + &more;
                ApiStatus::forbidden_object((group, resource), name, &why)
            }
        }
    }
}

/// Errors shall not look like HTML.
fn sanitized(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: Method, path: &str) -> String {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let fields = query.strip_prefix("fieldSelector=").unwrap_or_default();
        let attributes = Attributes::of(&method, path, (query == "watch", fields));
        let verb = attributes.verb;
        match attributes.what {
            What::Path(path) => format!("{verb} {path}"),
            What::Object {
                group,
                resource,
                subresource,
                ns,
                name,
            } => format!("{verb} {group}/{resource}/{subresource} {ns}/{name}"),
        }
    }

    #[test]
    fn a_path_and_a_method_are_a_verb_and_what_it_is_of() {
        for (method, path, wanted) in [
            (Method::GET, "/api/v1/pods", "list /pods/ /"),
            (Method::GET, "/api/v1/pods?watch", "watch /pods/ /"),
            (
                Method::GET,
                "/api/v1/namespaces/a/pods?fieldSelector=metadata.name=b",
                "list /pods/ a/b",
            ),
            (
                Method::POST,
                "/api/v1/namespaces/a/pods/b/eviction",
                "create /pods/eviction a/b",
            ),
            (
                Method::PUT,
                "/api/v1/namespaces/a/status",
                "update /namespaces/status a/a",
            ),
            (Method::GET, "/api/v1/namespaces/a", "get /namespaces/ a/a"),
            (
                Method::DELETE,
                "/apis/apps/v1/namespaces/a/deployments",
                "deletecollection apps/deployments/ a/",
            ),
            (
                Method::PATCH,
                "/apis/x.io/v1/things/b",
                "patch x.io/things/ /b",
            ),
            (Method::GET, "/apis/apps/v1", "get /apis/apps/v1"),
            (Method::GET, "/metrics", "get /metrics"),
        ] {
            assert_eq!(read(method, path), wanted);
        }
    }

    #[test]
    fn a_refusal_says_who_may_not_do_what_where() {
        let said = |method: Method, path: &str| {
            let attributes = Attributes::of(&method, path, (false, ""));
            attributes.forbidden("jane", "").object()
        };
        let object = said(
            Method::GET,
            "/apis/apps/v1/namespaces/a/deployments/b/scale",
        );
        let message = "deployments.apps \"b\" is forbidden: User \"jane\" cannot get resource \"deployments/scale\" in API group \"apps\" in \
            the namespace \"a\"";
        assert_eq!(
            (&object["message"], &object["details"]),
            (
                &json!(message),
                &json!({"name": "b", "group": "apps", "kind": "deployments"})
            )
        );
        let list = said(Method::GET, "/api/v1/nodes");
        let message = "nodes is forbidden: User \"jane\" cannot list resource \"nodes\" in API group \"\" at the cluster scope";
        assert_eq!(
            (&list["message"], &list["details"]),
            (&json!(message), &json!({"kind": "nodes"}))
        );
        let path = said(Method::GET, "/metrics");
        let message = "forbidden: User \"jane\" cannot get path \"/metrics\"";
        assert_eq!(
            (&path["message"], &path["details"], &path["code"]),
            (&json!(message), &json!({}), &json!(403))
        );
    }
}
