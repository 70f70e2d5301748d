//! Which API server: a value, as people write it.

use std::path::PathBuf;

use http::Uri;

/// Which API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ApiServer {
    /// `$KUBECONFIG`, else `~/.kube/config`; where there is none that can be used, the Pod's service account.
    #[default]
    Ambient,
    /// A URL, with client certificate, key and CA (files) where TLS needs them.
    Endpoint {
        /// The server.
        url: String,
        /// Files: certificate, key, CA.
        tls: Option<[String; 3]>,
    },
    /// A kubeconfig file, and a context where it is not the current one.
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// The context.
        context: Option<String>,
    },
}

/// The URL of a server; `tls`: certificates for it are configured.
///
/// Without a scheme that is `https` where TLS is configured and `http` where not, and there may be no path
/// (client-go, `rest.DefaultServerURL`).
///
/// # Errors
/// What is wrong with the text, in words.
pub fn server_url(text: &str, tls: bool) -> Result<Uri, String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => ("http", rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => ("https", rest),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_scheme_is_reached_as_client_go_reaches_it() {
        let url = |text, tls| server_url(text, tls).map(|uri| uri.to_string());
        for (text, tls, wanted) in [
            ("127.0.0.1:8080", false, "http://127.0.0.1:8080/"),
            ("127.0.0.1:8080", true, "https://127.0.0.1:8080/"),
            ("[::1]:8080", false, "http://[::1]:8080/"),
            ("api.example", true, "https://api.example/"),
            ("http://10.0.0.1", true, "http://10.0.0.1/"),
            ("HTTPS://10.0.0.1", false, "https://10.0.0.1/"),
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
