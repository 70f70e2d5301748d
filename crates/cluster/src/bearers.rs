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

/// The claim that has those of Kubernetes itself.
const OWN: &str = "kubernetes.io";

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
    /// From when on it is good.
    pub(super) begins: Timestamp,
    /// For how many seconds.
    pub(super) life: i64,
}

impl Grant<'_> {
    pub(super) fn token(&self, objects: &Objects, tokens: &Tokens) -> String {
        let reference = |object: &Value| json!({"name": name(object), "uid": uid(object)});
        let (ns, account, begins) = (ns(self.account), self.account, self.begins.as_second());
        let mut own = json!({"namespace": ns, "serviceaccount": reference(account)});
        if let Some((kind, object)) = self.bound {
            own[claim(kind)] = reference(object);
            // A Pod's token says too where the Pod is.
            let node = object["spec"]["nodeName"].as_str();
            if let Some(node) = node.filter(|_| kind == "Pod") {
                let there = objects.named(kinds::NODE, "", node);
                let uid = there.map(|node| node["metadata"]["uid"].clone());
                own["node"] = json!({"name": node, "uid": uid});
            }
        }
        tokens.sign(json!({
            "aud": self.audiences, "exp": begins.saturating_add(self.life), "iat": begins, "iss": AUDIENCE,
            OWN: own, "nbf": begins, "sub": format!("system:serviceaccount:{ns}:{}", name(account)),
        }))
    }
}

/// What a claim about an object of this kind is called.
fn claim(kind: &str) -> String {
    kind.to_ascii_lowercase()
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
        let said = self.tokens.read(token).ok_or(INVALID)?;
        let audiences = self.checked(&said);
        let audiences = audiences.map_err(|why| format!("[{INVALID}, {why}]"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (own, id) = (&said[OWN], text(&said["jti"]));
        let account = &own["serviceaccount"];
        let mut extra =
            json!({"authentication.kubernetes.io/credential-id": [format!("JTI={id}")]});
        for key in ["node", "pod"] {
            for field in ["name", "uid"] {
                if let Some(value) = own[key][field].as_str() {
                    extra[format!("authentication.kubernetes.io/{key}-{field}")] = json!([value]);
                }
            }
        }
        let user = User::of_account(&text(&own["namespace"]), &text(&account["name"]));
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
        let own = &said[OWN];
        self.account(own)?;
        for (called, kind) in BOUND {
            // What a Pod's token says of a node is only told.
            if own[claim(called)].is_object() && (called != "Node" || own["pod"].is_null()) {
                self.bound(own, called, kind)?;
            }
        }
        Ok(both.into_iter().map(str::to_owned).collect())
    }

    fn account(&self, own: &Value) -> Result<(), String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let claimed = &own["serviceaccount"];
        let (space, called) = (text(&own["namespace"]), text(&claimed["name"]));
        let account = self
            .objects
            .named(kinds::SERVICE_ACCOUNT, &space, &called)
            .ok_or_else(|| format!("serviceaccounts \"{called}\" not found"))?;
        if claimed["uid"] != uid(account) {
            return Err(format!(
                "service account UID ({}) does not match claim ({})",
                uid(account),
                text(&claimed["uid"])
            ));
        }
        if self.is_gone(account) {
            return Err(format!("service account {space}/{called} has been deleted"));
        }
        Ok(())
    }

    fn bound(&self, own: &Value, called: &str, kind: KindId) -> Result<(), String> {
        const INVALIDATED: &str = "service account token has been invalidated";
        let what = claim(called);
        let (reference, space) = (&own[&what], own["namespace"].as_str().unwrap_or_default());
        let space = if kind.info().namespaced { space } else { "" };
        let object = self
            .objects
            .named(kind, space, reference["name"].as_str().unwrap_or_default())
            .ok_or(INVALIDATED)?;
        if reference["uid"] != uid(object) {
            let (uid, claimed) = (uid(object), reference["uid"].as_str().unwrap_or_default());
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
