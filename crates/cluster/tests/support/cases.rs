//! Cases of requests and answers: a file of them, read, asked of somebody, and written. Answers are without what is new each time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A request: `[agent=NAME] METHOD TYPE PATH [BODY]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) line: String,
    /// Why the embedded cluster answers otherwise, where it does (`!` before the request).
    pub(crate) reason: Option<String>,
    /// What was answered.
    pub(crate) answer: String,
}

/// A case: its name, and its requests.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) asks: Vec<Ask>,
}

/// Reads a file of cases. Gives what stands above the first, too.
pub(crate) fn read(text: &str) -> (String, Vec<Case>) {
    let (mut head, mut cases) = (String::new(), Vec::<Case>::new());
    let mut reason = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            let name = name.to_owned();
            cases.push(Case { name, asks: vec![] });
            continue;
        }
        let Some(case) = cases.last_mut() else {
            head += &format!("{line}\n");
            continue;
        };
        if let Some(request) = line.strip_prefix("> ") {
            case.asks.push(Ask {
                line: request.to_owned(),
                reason: reason.take(),
                answer: String::new(),
            });
        } else if let Some(why) = line.strip_prefix("! ") {
            reason = Some(why.to_owned());
        } else if let Some(answer) = line.strip_prefix("< ") {
            case.asks.last_mut().unwrap().answer = answer.to_owned();
        }
    }
    (head, cases)
}

/// How a request begins that is asked again until it is found: a definition takes a moment to be served.
pub(crate) const WAIT: &str = "WAIT";

/// A request, as it is sent.
pub(crate) struct Sent {
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) media_type: &'static str,
    pub(crate) agent: String,
    pub(crate) body: String,
}

/// What makes the namespace of a case.
pub(crate) fn namespace(ns: &str) -> Sent {
    let body = json!({"metadata": {"name": ns}});
    let ask = Ask {
        line: format!("POST - /api/v1/namespaces {body}"),
        reason: None,
        answer: String::new(),
    };
    ask.sent(ns)
}

/// Short names of collections, with their paths in a namespace.
const SHORT: &[(&str, &str)] = &[
    ("cm", "api/v1/namespaces/{ns}/configmaps"),
    ("cronjob", "apis/batch/v1/namespaces/{ns}/cronjobs"),
    ("deploy", "apis/apps/v1/namespaces/{ns}/deployments"),
    ("event", "api/v1/namespaces/{ns}/events"),
    (
        "hpa",
        "apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers",
    ),
    (
        "hpa1",
        "apis/autoscaling/v1/namespaces/{ns}/horizontalpodautoscalers",
    ),
    ("ing", "apis/networking.k8s.io/v1/namespaces/{ns}/ingresses"),
    ("job", "apis/batch/v1/namespaces/{ns}/jobs"),
    (
        "lease",
        "apis/coordination.k8s.io/v1/namespaces/{ns}/leases",
    ),
    (
        "netpol",
        "apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies",
    ),
    ("ns", "api/v1/namespaces/{ns}"),
    ("pdb", "apis/policy/v1/namespaces/{ns}/poddisruptionbudgets"),
    ("pvc", "api/v1/namespaces/{ns}/persistentvolumeclaims"),
    (
        "revision",
        "apis/apps/v1/namespaces/{ns}/controllerrevisions",
    ),
    (
        "role",
        "apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles",
    ),
    (
        "rolebinding",
        "apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings",
    ),
    ("sa", "api/v1/namespaces/{ns}/serviceaccounts"),
    ("secret", "api/v1/namespaces/{ns}/secrets"),
    (
        "slice",
        "apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices",
    ),
    ("sts", "apis/apps/v1/namespaces/{ns}/statefulsets"),
    ("svc", "api/v1/namespaces/{ns}/services"),
];

impl Ask {
    /// The request in this namespace.
    pub(crate) fn sent(&self, ns: &str) -> Sent {
        let (agent, line) = match self.line.strip_prefix("agent=") {
            Some(rest) => rest.split_once(' ').unwrap(),
            None => ("cases/1", &*self.line),
        };
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (method, how, path, body) = (word(), word(), word(), word());
        let path = match path.strip_prefix('/') {
            Some(path) => path.to_owned(),
            None => {
                let end = path.find(['/', '?']).unwrap_or(path.len());
                let (short, rest) = path.split_at(end);
                let long = SHORT.iter().find(|(name, _)| *name == short).unwrap().1;
                format!("{long}{rest}")
            }
        };
        Sent {
            method: match method {
                WAIT => http::Method::GET,
                method => method.parse().unwrap(),
            },
            path: format!("/{path}").replace("{ns}", ns),
            media_type: match how {
                "apply" => "application/apply-patch+yaml",
                "json" => "application/json-patch+json",
                "merge" => "application/merge-patch+json",
                "strategic" => "application/strategic-merge-patch+json",
                _ => "application/json",
            },
            agent: agent.to_owned(),
            body: match body.starts_with(['{', '[']) {
                true => body.replace("{ns}", ns),
                false => body.replace("\\n", "\n"),
            },
        }
    }
}

/// Answers of one case, made comparable.
#[derive(Default)]
pub(crate) struct Answers {
    /// The last revision of each object.
    revisions: BTreeMap<String, String>,
}

/// What stands before the uid that an object has, where another was said.
const OTHER: &str = "UID in object meta: ";

impl Answers {
    /// An answer in one line: its code and its document.
    pub(crate) fn line(&mut self, ns: &str, code: u16, body: &[u8]) -> String {
        let text = String::from_utf8(body.to_vec())
            .unwrap()
            .replace(ns, "{ns}");
        let shown = match serde_json::from_str(&text) {
            Ok(document) => self.normal("", document).to_string(),
            Err(_) => text.trim_end().to_owned(),
        };
        format!("{code} {shown}")
    }

    fn normal(&mut self, key: &str, value: Value) -> Value {
        match value {
            Value::Object(fields) => self.object(fields),
            Value::Array(mut items) => {
                match key {
                    "managedFields" => items.sort_by_key(|entry| {
                        let of = |field: &str| entry[field].to_string();
                        (
                            of("operation"),
                            of("manager"),
                            of("apiVersion"),
                            of("subresource"),
                        )
                    }),
                    "causes" => items.sort_by_key(|cause| {
                        (cause["message"].to_string(), cause["field"].to_string())
                    }),
                    _ => {}
                }
                let items = items.into_iter().map(|item| self.normal(key, item));
                items.collect()
            }
            Value::String(text) if key == "clusterIP" || key == "clusterIPs" => match &*text {
                "None" => text.into(),
                _ => "<ip>".into(),
            },
            // A message of an object that is another one ends in its uid.
            Value::String(text) if key == "message" => match text.split_once(OTHER) {
                Some((message, _)) => format!("{message}{OTHER}<uid>").into(),
                None => text.into(),
            },
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
        }
    }

    fn object(&mut self, mut fields: serde_json::Map<String, Value>) -> Value {
        if let Some(revision) = fields.get("resourceVersion").and_then(Value::as_str) {
            let revision = revision.to_owned();
            let object = fields
                .get("uid")
                .map_or_else(|| "list".into(), Value::to_string);
            let last = self.revisions.insert(object, revision.clone());
            let word = if last == Some(revision) {
                "<same>"
            } else {
                "<new>"
            };
            fields.insert("resourceVersion".into(), word.into());
        }
        let mut sorted: Vec<_> = fields
            .into_iter()
            .map(|(key, value)| {
                let is_new = key.ends_with("uid")
                    || key == "time"
                    || key == "lastTransitionTime"
                    || key.ends_with("Timestamp");
                // A uid that the case gives is told from one that the server gives.
                let text = value.as_str().filter(|_| is_new);
                let value = match text.filter(|text| !key.ends_with("uid") || text.len() == 36) {
                    Some(_) => format!("<{key}>").into(),
                    None => self.normal(&key, value),
                };
                (key, value)
            })
            .collect();
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        Value::Object(sorted.into_iter().collect())
    }
}
