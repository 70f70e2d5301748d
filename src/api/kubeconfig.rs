//! What kube's reading of a kubeconfig leaves out.

use kube::config::{Kubeconfig, NamedAuthInfo};

use crate::apiserver::server_url;

/// Gives every server of a kubeconfig that has no scheme the one that client-go would use.
///
/// # Errors
/// Which cluster's server is none, and why.
pub(super) fn complete_servers(kubeconfig: &mut Kubeconfig) -> Result<(), String> {
    let certified = certified_clusters(kubeconfig);
    for named in &mut kubeconfig.clusters {
        let Some(cluster) = &mut named.cluster else {
            continue;
        };
        let tls = certified.contains(&named.name)
            || cluster.certificate_authority.is_some()
            || cluster.certificate_authority_data.is_some()
            || cluster.insecure_skip_tls_verify == Some(true);
        if let Some(server) = &mut cluster.server {
            let url = server_url(server, tls)
                .map_err(|problem| format!("server of cluster {}: {problem}", named.name))?;
            *server = url.to_string();
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
    fn a_kubeconfig_s_servers_have_the_scheme_that_its_certificates_ask_for() {
        let mut kubeconfig = Kubeconfig::from_yaml(
            "clusters:\n- {name: plain, cluster: {server: '127.0.0.1:1'}}\n- {name: ca, cluster: {server: '127.0.0.1:2', certificate-authority: ca.crt}}\n\
             - {name: user, cluster: {server: '127.0.0.1:3'}}\n- {name: whole, cluster: {server: 'https://127.0.0.1:4'}}\n\
             users:\n- {name: u, user: {client-certificate: u.crt}}\ncontexts:\n- {name: c, context: {cluster: user, user: u}}\n",
        )
        .unwrap();
        complete_servers(&mut kubeconfig).unwrap();
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
        let mut wrong =
            Kubeconfig::from_yaml("clusters:\n- {name: x, cluster: {server: 'ftp://y'}}\n")
                .unwrap();
        assert_eq!(
            complete_servers(&mut wrong),
            Err("server of cluster x: ftp:// is no way to reach an API server".into())
        );
    }
}
