//! An API server's address as people write it, `host:port` among it, read as client-go reads it.

use http::Uri;
use kube::config::{Kubeconfig, NamedAuthInfo};

/// The URL of a server; `tls`: certificates for it are configured.
///
/// Without a scheme that is `https` where TLS is configured and `http` where not, and there may be no path
/// (client-go, `rest.DefaultServerURL`).
///
/// # Errors
/// What is wrong with the text, in words.
pub fn server_url(text: &str, tls: bool) -> Result<Uri, String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
        Some((scheme, _)) => {
            return Err(format!("{scheme}:// is no way to reach an API server"));
        }
        None if tls => ("https", text),
        None => ("http", text),
    };
    if rest.is_empty() || rest.starts_with(['/', ':']) {
        return Err(format!("'{text}' names no host"));
    }
    let uri: Uri = format!("{scheme}://{rest}")
        .parse()
        .map_err(|error| format!("'{text}' is no URL: {error}"))?;
    let port = uri
        .authority()
        .and_then(|authority| authority.as_str().strip_prefix(authority.host()));
    if port.is_some_and(|port| !port.is_empty()) && uri.port_u16().is_none() {
        return Err(format!("'{text}' has no port that could be one"));
    }
    if !text.contains("://") && uri.path() != "/" {
        return Err(format!("'{text}' is neither a URL nor host:port"));
    }
    Ok(uri)
}

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

    #[test]
    fn a_server_without_scheme_is_reached_as_client_go_reaches_it() {
        let url = |text, tls| server_url(text, tls).map(|uri| uri.to_string());
        for (text, tls, wanted) in [
            ("127.0.0.1:8080", false, "http://127.0.0.1:8080/"),
            ("127.0.0.1:8080", true, "https://127.0.0.1:8080/"),
            ("[::1]:8080", false, "http://[::1]:8080/"),
            ("api.example", true, "https://api.example/"),
            ("http://10.0.0.1", true, "http://10.0.0.1/"),
            ("https://10.0.0.1/k8s/c1", false, "https://10.0.0.1/k8s/c1"),
        ] {
            assert_eq!(url(text, tls).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_server_says_why() {
        for (text, wanted) in [
            ("", "'' names no host"),
            ("http://", "'http://' names no host"),
            ("/api", "'/api' names no host"),
            ("ftp://10.0.0.1", "ftp:// is no way to reach an API server"),
            (
                "10.0.0.1:6443/k8s",
                "'10.0.0.1:6443/k8s' is neither a URL nor host:port",
            ),
            (
                "10.0.0.1:port",
                "'10.0.0.1:port' has no port that could be one",
            ),
            (":6443", "':6443' names no host"),
        ] {
            assert_eq!(server_url(text, false), Err(wanted.into()), "{text}");
        }
    }
}
