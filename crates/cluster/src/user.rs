//! Who makes a request: the subject of a client's certificate, a token's ServiceAccount, or the administrator of this process.

use http::HeaderMap;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The group that everybody is in who has come in.
const AUTHENTICATED: &str = "system:authenticated";

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
        groups.push(AUTHENTICATED.into());
        Self {
            name: name.into(),
            groups,
            uid: String::new(),
            extra: Value::Null,
        }
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

    /// Who this one speaks for (`Impersonate-User`, `Impersonate-Group`).
    pub(super) fn speaking(self, headers: &HeaderMap) -> Self {
        let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let Some(name) = headers.get("impersonate-user") else {
            return self;
        };
        let groups = headers.get_all("impersonate-group").iter().map(text);
        Self::new(text(name), groups.collect())
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
    fn whom_a_user_speaks_for_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(User::default().speaking(&headers), User::default());
        headers.insert("impersonate-user", "joe".parse().unwrap());
        headers.append("impersonate-group", "ops".parse().unwrap());
        let info = json!({"username": "joe", "groups": ["ops", "system:authenticated"]});
        assert_eq!(User::default().speaking(&headers).info(), info);
    }
}
