//! What kube's reading of a kubeconfig leaves out.

use std::error::Error;
use std::fmt;

use kube::config::{Kubeconfig, KubeconfigError, NamedAuthInfo};

use crate::apiserver::server_url;

/// What is wrong with a kubeconfig, without any of its text: there are secrets in it.
pub struct KubeconfigProblem(KubeconfigError);

impl From<KubeconfigError> for KubeconfigProblem {
    fn from(error: KubeconfigError) -> Self {
        Self(error)
    }
}

impl fmt::Display for KubeconfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KubeconfigError::Parse(error) = &self.0 else {
            return self.0.fmt(f);
        };
        if let Some(place) = error.location() {
            write!(f, "line {}, column {}: ", place.line(), place.column())?;
        }
        f.write_str("this is no kubeconfig in YAML")
    }
}

impl fmt::Debug for KubeconfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for KubeconfigProblem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        if let KubeconfigError::Parse(_) = &self.0 {
            return None;
        }
        self.0.source()
    }
}

/// Gives every server of a kubeconfig that has no scheme the one that client-go would use. `context`: the context to
/// use; without it the current one. A wrong server in another context is left as it is.
///
/// # Errors
/// What is wrong with the server of the context's cluster.
pub(super) fn complete_servers(
    kubeconfig: &mut Kubeconfig,
    context: Option<&str>,
) -> Result<(), String> {
    let certified = certified_clusters(kubeconfig);
    let wanted = context.or(kubeconfig.current_context.as_deref());
    let mut contexts = kubeconfig.contexts.iter();
    let wanted = contexts.find(|named| Some(named.name.as_str()) == wanted);
    let wanted = wanted.and_then(|named| Some(named.context.as_ref()?.cluster.clone()));
    for named in &mut kubeconfig.clusters {
        let Some(cluster) = &mut named.cluster else {
            continue;
        };
        let tls = certified.contains(&named.name)
            || cluster.certificate_authority.is_some()
            || cluster.certificate_authority_data.is_some()
            || cluster.insecure_skip_tls_verify == Some(true);
        match cluster
            .server
            .as_deref()
            .map(|server| server_url(server, tls))
        {
            Some(Ok(url)) => cluster.server = Some(url.to_string()),
            Some(Err(problem)) if Some(&named.name) == wanted.as_ref() => {
                return Err(format!("server of cluster {}: {problem}", named.name));
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(())
}

/// The clusters that a context enters with a client's certificate.
fn certified_clusters(kubeconfig: &Kubeconfig) -> Vec<String> {
    let has_certificate = |user: &&NamedAuthInfo| {
        user.auth_info.as_ref().is_some_and(|user| {
            user.client_certificate.is_some() || user.client_certificate_data.is_some()
        })
    };
    let users: Vec<&str> = kubeconfig
        .auth_infos
        .iter()
        .filter(has_certificate)
        .map(|user| user.name.as_str())
        .collect();
    kubeconfig
        .contexts
        .iter()
        .filter_map(|named| named.context.as_ref())
        .filter(|context| {
            context
                .user
                .as_deref()
                .is_some_and(|user| users.contains(&user))
        })
        .map(|context| context.cluster.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_that_cannot_be_read_keeps_its_secrets() {
        let said = |text: &str| {
            let problem = KubeconfigProblem::from(Kubeconfig::from_yaml(text).unwrap_err());
            (problem.to_string(), format!("{problem:?}"))
        };
        for (text, place) in [
            (
                "users:\n- name: u\n  user:\n   token: secret\n  x y\n",
                "line 5, column 3",
            ),
            ("users: {token: secret}\n", "line 1, column 8"),
        ] {
            let wanted = format!("{place}: this is no kubeconfig in YAML");
            assert_eq!(said(text), (wanted.clone(), wanted));
        }
    }

    #[test]
    fn a_kubeconfig_s_servers_have_the_scheme_that_its_certificates_ask_for() {
        let mut kubeconfig = Kubeconfig::from_yaml(
            "clusters:\n- {name: plain, cluster: {server: '127.0.0.1:1'}}\n- {name: ca, cluster: {server: '127.0.0.1:2', certificate-authority: ca.crt}}\n\
             - {name: user, cluster: {server: '127.0.0.1:3'}}\n- {name: whole, cluster: {server: 'https://127.0.0.1:4'}}\n\
             users:\n- {name: u, user: {client-certificate: u.crt}}\ncontexts:\n- {name: c, context: {cluster: user, user: u}}\n",
        )
        .unwrap();
        complete_servers(&mut kubeconfig, None).unwrap();
        let servers: Vec<_> = kubeconfig
            .clusters
            .iter()
            .map(|named| named.cluster.as_ref().unwrap().server.clone().unwrap())
            .collect();
        assert_eq!(
            servers,
            [
                "http://127.0.0.1:1/",
                "https://127.0.0.1:2/",
                "https://127.0.0.1:3/",
                "https://127.0.0.1:4/"
            ]
        );
    }

    #[test]
    fn only_the_server_that_is_asked_for_must_be_one() {
        let text = "clusters:\n- {name: x, cluster: {server: 'ftp://y'}}\n- {name: z, cluster: {server: 'HTTPS://z'}}\n\
            contexts:\n- {name: a, context: {cluster: x}}\n- {name: b, context: {cluster: z}}\ncurrent-context: b\n";
        let read = || Kubeconfig::from_yaml(text).unwrap();
        assert_eq!(complete_servers(&mut read(), None), Ok(()));
        assert_eq!(
            complete_servers(&mut read(), Some("a")),
            Err("server of cluster x: ftp:// is no way to reach an API server".into())
        );
    }
}
