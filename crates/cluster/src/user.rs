//! Who makes a request: the subject of a client's certificate, a token's ServiceAccount, or the administrator of this process.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::rbac::Subject;

/// The group that everybody is in who has come in.
const AUTHENTICATED: &str = "system:authenticated";

/// The user of a request that shows nothing, and their group.
const ANONYMOUS: [&str; 2] = ["system:anonymous", "system:unauthenticated"];

/// What names of ServiceAccounts as users begin with: their namespace and name follow.
const ACCOUNT: &str = "system:serviceaccount:";

/// A user, as Kubernetes knows one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    name: String,
    groups: Vec<String>,
    /// Empty: the user has none.
    uid: String,
    /// What else is known, as lists of texts by their keys; null: nothing.
    extra: Value,
}

impl Default for User {
    fn default() -> Self {
        Self::new("kubernetes-admin", vec!["system:masters".into()])
    }
}

impl User {
    fn new(name: impl Into<String>, mut groups: Vec<String>) -> Self {
        let name = name.into();
        let [anonymous, strangers] = ANONYMOUS;
        let group = if name == anonymous {
            strangers
        } else {
            AUTHENTICATED
        };
        if !groups.iter().any(|one| one == group || one == strangers) {
            groups.push(group.into());
        }
        Self {
            name,
            groups,
            uid: String::new(),
            extra: Value::Null,
        }
    }

    /// Whoever shows nothing.
    pub(super) fn anonymous() -> Self {
        Self::new(ANONYMOUS[0], Vec::new())
    }

    /// The user of a certificate (DER): its common name, and its organizations as groups. `None`: it cannot be read.
    pub(super) fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let name = subject.iter_common_name().next()?.as_str().ok()?;
        let groups = subject.iter_organization();
        let groups = groups.filter_map(|group| group.as_str().ok().map(str::to_owned));
        Some(Self::new(name, groups.collect()))
    }

    /// A ServiceAccount.
    pub(super) fn of_account(ns: &str, name: &str) -> Self {
        let of_namespace = format!("system:serviceaccounts:{ns}");
        Self::new(
            format!("system:serviceaccount:{ns}:{name}"),
            vec!["system:serviceaccounts".into(), of_namespace],
        )
    }

    /// The same, with its UID and with what else is known.
    pub(super) fn known_as(self, uid: String, extra: Value) -> Self {
        Self { uid, extra, ..self }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// As roles know one.
    pub(super) fn subject(&self) -> Subject {
        Subject {
            name: self.name.clone(),
            groups: self.groups.clone(),
        }
    }

    /// As `UserInfo` of authentication.k8s.io shows one.
    pub(super) fn info(&self) -> Value {
        let mut info = json!({"username": self.name});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.as_str().into();
        }
        info["groups"] = json!(self.groups);
        if self.extra.is_object() {
            info["extra"] = self.extra.clone();
        }
        info
    }
}

/// Whom a request speaks for: its headers `Impersonate-User`, `-Group`, `-Uid` and `-Extra-…`.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    name: String,
    groups: Vec<String>,
    uid: String,
    extra: BTreeMap<String, Vec<String>>,
}

/// One of those things; who asks for it has to be allowed to.
#[derive(Debug)]
pub(super) struct One {
    kind: &'static str,
    pub(super) group: &'static str,
    pub(super) resource: &'static str,
    pub(super) ns: String,
    pub(super) name: String,
    /// That of an extra.
    pub(super) key: String,
}

impl One {
    /// As Go prints an `ObjectReference`.
    pub(super) fn go(&self) -> String {
        let (kind, ns, name, key) = (self.kind, &self.ns, &self.name, &self.key);
        let version = match self.group {
            "" => String::new(),
            group => format!("{group}/v1"),
        };
        format!("{{{kind} {ns} {name}  {version}  {key}}}")
    }
}

const AUTHENTICATION: &str = "authentication.k8s.io";

impl Spoken {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let one = |name: &str| headers.get(name).map(text).unwrap_or_default();
        let groups = headers.get_all("impersonate-group").iter().map(text);
        let mut spoken = Self {
            name: one("impersonate-user"),
            groups: groups.collect(),
            uid: one("impersonate-uid"),
            extra: BTreeMap::new(),
        };
        for (header, value) in headers {
            if let Some(key) = header.as_str().strip_prefix("impersonate-extra-") {
                // Of what a query escapes more, a header's name may have these two.
                let key = key.replace('+', "%2B").replace('&', "%26");
                let mut keys = form_urlencoded::parse(key.as_bytes());
                let key = keys.next().map(|(key, _)| key.into_owned());
                let key = key.unwrap_or_default();
                spoken.extra.entry(key).or_default().push(text(value));
            }
        }
        spoken
    }

    /// All that is asked for.
    pub(super) fn asked(&self) -> Vec<One> {
        let one = |kind, group, resource, name: &str| One {
            kind,
            group,
            resource,
            ns: String::new(),
            name: name.to_owned(),
            key: String::new(),
        };
        let mut asked = Vec::new();
        let account = self.name.strip_prefix(ACCOUNT);
        match account.and_then(|account| account.split_once(':')) {
            Some((ns, name)) => asked.push(One {
                ns: ns.to_owned(),
                ..one("ServiceAccount", "", "serviceaccounts", name)
            }),
            None if self.name.is_empty() => {}
            None => asked.push(one("User", "", "users", &self.name)),
        }
        let groups = self.groups.iter();
        asked.extend(groups.map(|group| one("Group", "", "groups", group)));
        for (key, values) in &self.extra {
            asked.extend(values.iter().map(|value| One {
                key: key.clone(),
                ..one("UserExtra", AUTHENTICATION, "userextras", value)
            }));
        }
        if !self.uid.is_empty() {
            asked.push(one("UID", AUTHENTICATION, "uids", &self.uid));
        }
        asked
    }

    /// That user; `None`: no name is given.
    pub(super) fn user(self) -> Option<User> {
        if self.name.is_empty() {
            return None;
        }
        let account = self.name.strip_prefix(ACCOUNT);
        let account = account.and_then(|account| account.split_once(':'));
        let user = match account.filter(|_| self.groups.is_empty()) {
            Some((ns, name)) => User::of_account(ns, name),
            None => User::new(self.name.as_str(), self.groups),
        };
        let extra = match self.extra.is_empty() {
            true => Value::Null,
            false => json!(self.extra),
        };
        Some(user.known_as(self.uid, extra))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Authority;
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    #[test]
    fn a_certificate_s_common_name_is_the_user_and_its_organization_a_group() {
        let authority = Authority::new().unwrap();
        let made = authority.client("jane", Some("devs")).unwrap();
        let der = CertificateDer::from_pem_slice(made.certificate.as_bytes()).unwrap();
        let user = User::of_certificate(&der).unwrap();
        assert_eq!(
            user.info(),
            json!({"username": "jane", "groups": ["devs", "system:authenticated"]})
        );
        assert_eq!(User::of_certificate(b"no certificate"), None);
    }

    #[test]
    fn whom_a_user_speaks_for_has_the_groups_the_uid_and_the_rest_that_are_given() {
        let spoken = |given: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append(*name, value.parse().unwrap());
            }
            Spoken::of(&headers)
        };
        assert!(spoken(&[]).asked().is_empty());
        let joe = spoken(&[
            ("impersonate-user", "joe"),
            ("impersonate-group", "ops"),
            ("impersonate-uid", "7"),
            ("impersonate-extra-a%2fb", "x"),
            ("impersonate-extra-a%2fb", "y"),
        ]);
        let asked: Vec<_> = joe.asked().iter().map(One::go).collect();
        assert_eq!(
            asked,
            [
                "{User  joe    }",
                "{Group  ops    }",
                "{UserExtra  x  authentication.k8s.io/v1  a/b}",
                "{UserExtra  y  authentication.k8s.io/v1  a/b}",
                "{UID  7  authentication.k8s.io/v1  }",
            ]
        );
        let info = json!({
            "username": "joe", "uid": "7", "groups": ["ops", "system:authenticated"], "extra": {"a/b": ["x", "y"]},
        });
        assert_eq!(joe.user().unwrap().info(), info);
        let account = spoken(&[("impersonate-user", "system:serviceaccount:a:b")]);
        let groups = [
            "system:serviceaccounts",
            "system:serviceaccounts:a",
            "system:authenticated",
        ];
        assert_eq!(account.asked()[0].resource, "serviceaccounts");
        assert_eq!(account.user().unwrap().info()["groups"], json!(groups));
        let nobody = spoken(&[("impersonate-user", "system:anonymous")]);
        assert_eq!(nobody.user(), Some(User::anonymous()));
        assert_eq!(spoken(&[("impersonate-group", "ops")]).user(), None);
    }
}
