//! Whom a token of a ServiceAccount stands for, while what it names is there (Kubernetes' `serviceaccount/claims.go`).

use headless_objects::object::{array, name, ns, uid};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::kinds::{self, KindId};
use super::objects::Objects;
use super::tokens::Tokens;
use super::user::User;

/// Whom tokens are for that say nothing else: this API.
pub(super) const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// How long what is being deleted still counts as there (go-jose's `DefaultLeeway`).
const LEEWAY: SignedDuration = SignedDuration::from_mins(1);

/// What is said of who shows no token of this cluster.
const INVALID: &str = "invalid bearer token";

/// The kinds that a token may be bound to.
const BOUND: [(&str, KindId); 3] = [
    ("Pod", kinds::POD),
    ("Secret", KindId::named("Secret")),
    ("Node", kinds::NODE),
];

/// The kind of this name, where a token may be bound to an object of it.
pub(super) fn bindable(called: &str) -> Option<KindId> {
    let kind = BOUND.iter().find(|(kind, _)| *kind == called);
    kind.map(|(_, kind)| *kind)
}

/// What a token is to say.
pub(super) struct Grant<'a> {
    pub(super) account: &'a Value,
    /// The object that it is bound to, with its kind.
    pub(super) bound: Option<(&'a str, &'a Value)>,
    /// Whom it is for.
    pub(super) audiences: &'a Value,
    /// `None`: it lives as long as what it names.
    pub(super) ends: Option<Timestamp>,
}

impl Grant<'_> {
    pub(super) fn token(&self, objects: &Objects, tokens: &Tokens) -> String {
        let reference = |object: &Value| json!({"name": name(object), "uid": uid(object)});
        let mut said = json!({
            "ns": ns(self.account), "account": reference(self.account), "aud": self.audiences,
        });
        if let Some(ends) = self.ends {
            said["exp"] = ends.as_second().into();
        }
        if let Some((kind, object)) = self.bound {
            said[kind] = reference(object);
            // A Pod's token says too where the Pod is.
            let node = object["spec"]["nodeName"].as_str();
            if let Some(node) = node.filter(|_| kind == "Pod") {
                let there = objects.named(kinds::NODE, "", node);
                let uid = there.map(|node| node["metadata"]["uid"].clone());
                said["Node"] = json!({"name": node, "uid": uid});
            }
        }
        tokens.sign(&said)
    }
}

/// Who shows a token, to whom.
pub(super) struct Shown<'a> {
    pub(super) now: Timestamp,
    pub(super) objects: &'a Objects,
    pub(super) tokens: &'a Tokens,
    /// Whom it is shown to.
    pub(super) audiences: &'a [&'a str],
}

impl Shown<'_> {
    /// The user of a token, and for whom of the audiences it is.
    ///
    /// # Errors
    /// Why it is none, or not good any more.
    pub(super) fn user(&self, token: &str) -> Result<(User, Vec<String>), String> {
        let (said, id) = self.tokens.read(token).ok_or(INVALID)?;
        let audiences = self.checked(&said);
        let audiences = audiences.map_err(|why| format!("[{INVALID}, {why}]"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let account = &said["account"];
        let mut extra =
            json!({"authentication.kubernetes.io/credential-id": [format!("JTI={id}")]});
        for (kind, key) in [("Node", "node"), ("Pod", "pod")] {
            for field in ["name", "uid"] {
                if let Some(value) = said[kind][field].as_str() {
                    extra[format!("authentication.kubernetes.io/{key}-{field}")] = json!([value]);
                }
            }
        }
        let user = User::of_account(&text(&said["ns"]), &text(&account["name"]));
        Ok((user.known_as(text(&account["uid"]), extra), audiences))
    }

    /// Whom the token is for.
    fn checked(&self, said: &Value) -> Result<Vec<String>, String> {
        let given = array(&said["aud"]).filter_map(Value::as_str);
        let given: Vec<_> = given.collect();
        let mut both = given.clone();
        both.retain(|audience| self.audiences.contains(audience));
        if both.is_empty() {
            return Err(format!(
                "token audiences {} is invalid for the target audiences {}",
                quoted(&given),
                quoted(self.audiences)
            ));
        }
        if said["exp"]
            .as_i64()
            .is_some_and(|end| self.now.as_second() >= end)
        {
            return Err("service account token has expired".to_owned());
        }
        self.account(said)?;
        for (called, kind) in BOUND {
            // What a Pod's token says of a node is only told.
            if said[called].is_object() && (called != "Node" || said["Pod"].is_null()) {
                self.bound(said, called, kind)?;
            }
        }
        Ok(both.into_iter().map(str::to_owned).collect())
    }

    fn account(&self, said: &Value) -> Result<(), String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (space, called) = (text(&said["ns"]), text(&said["account"]["name"]));
        let account = self
            .objects
            .named(kinds::SERVICE_ACCOUNT, &space, &called)
            .ok_or_else(|| format!("serviceaccounts \"{called}\" not found"))?;
        if said["account"]["uid"] != uid(account) {
            return Err(format!(
                "service account UID ({}) does not match claim ({})",
                uid(account),
                text(&said["account"]["uid"])
            ));
        }
        if self.is_gone(account) {
            return Err(format!("service account {space}/{called} has been deleted"));
        }
        Ok(())
    }

    fn bound(&self, said: &Value, called: &str, kind: KindId) -> Result<(), String> {
        const INVALIDATED: &str = "service account token has been invalidated";
        let (reference, space) = (&said[called], said["ns"].as_str().unwrap_or_default());
        let space = if kind.info().namespaced { space } else { "" };
        let object = self
            .objects
            .named(kind, space, reference["name"].as_str().unwrap_or_default())
            .ok_or(INVALIDATED)?;
        if reference["uid"] != uid(object) {
            let (uid, claimed) = (uid(object), reference["uid"].as_str().unwrap_or_default());
            let what = called.to_lowercase();
            return Err(format!(
                "{what} UID ({uid}) does not match service account {what} ref claim ({claimed})"
            ));
        }
        if self.is_gone(object) {
            return Err(INVALIDATED.to_owned());
        }
        Ok(())
    }

    /// Whether the object has been as good as deleted for a while.
    fn is_gone(&self, object: &Value) -> bool {
        let at = object["metadata"]["deletionTimestamp"].as_str();
        let at = at.and_then(|at| at.parse::<Timestamp>().ok());
        at.is_some_and(|at| at < self.now.saturating_sub(LEEWAY).unwrap_or(at))
    }
}

/// As Go writes a list of texts with `%q`.
fn quoted(texts: &[&str]) -> String {
    let all: Vec<_> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", all.join(" "))
}
