//! What went wrong between us and an API server, as one line for a person.

use kube::Error;
use kube::core::Status;

use super::renewing::tls;

/// One line: what is wrong, and where it helps what to do.
#[must_use]
pub fn explain(error: &Error) -> String {
    if let Error::Api(status) = error {
        return explain_status(status);
    }
    if let Some(tls) = tls(error) {
        return explain_tls(tls);
    }
    if let Error::SerdeError(error) = error {
        return format!("the API server's answer cannot be read: {error}");
    }
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    format!("the API server cannot be reached: {last}")
}

fn explain_tls(error: &rustls::Error) -> String {
    use rustls::CertificateError::{BadSignature, UnknownIssuer};
    if let rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature) = error {
        return "the API server's certificate is signed by another authority than the one that is configured".into();
    }
    if let rustls::Error::InvalidCertificate(wrong) = error {
        return format!("the API server's certificate is not accepted: {wrong:?}");
    }
    if let rustls::Error::AlertReceived(alert) = error {
        return format!("the API server refuses our certificate: {alert:?}");
    }
    format!("TLS with the API server fails: {error}")
}

/// What the server says.
#[must_use]
pub fn explain_status(status: &Status) -> String {
    match status.code {
        401 => "the API server refuses the credentials: 401 Unauthorized".to_owned(),
        // What admission refuses is of one object, and about no user.
        403 if status.message.contains("\" is forbidden: ")
            && !status.message.contains(" cannot ") =>
        {
            format!("it is refused: {}", words(&status.message))
        }
        403 => format!("a right is missing: {}", words(&status.message)),
        // Kube makes an empty status of a line that is none.
        0 => "the API server has sent what is no event of a watch".to_owned(),
        // What a server says that does not know the path.
        404 => "the API server knows no such resource: 404 Not Found".to_owned(),
        code => format!("the API server says {code}: {}", words(&status.message)),
    }
}

/// The first line of a message, up to what a log line has room for: a proxy says web pages.
fn words(message: &str) -> String {
    const ROOM: usize = 300;
    let line = message.lines().next().unwrap_or_default();
    line.chars().take(ROOM).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, message: &str) -> Error {
        let status = serde_json::json!({"code": code, "message": message});
        Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn each_refusal_is_one_line_that_says_what_to_look_at() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::BadCertificate);
        let lines = [
            explain(&api(401, "Unauthorized")),
            explain(&api(403, "services is forbidden")),
            explain(&api(
                403,
                "pods \"a\" is forbidden: error looking up service account",
            )),
            explain(&api(500, "etcd is away")),
            explain(&api(502, &format!("<html>{}\n<p>", "x".repeat(1000)))),
            explain(&api(0, "")),
            explain(&Error::SerdeError(
                serde_json::from_str::<u8>("x").unwrap_err(),
            )),
            explain(&Error::Service(Box::new(refused))),
            explain(&Error::Service(Box::new(std::io::Error::other(untrusted)))),
            explain(&Error::Service(Box::new(std::io::Error::other(expired)))),
            explain(&Error::Service(Box::new(std::io::Error::other(alert)))),
        ];
        assert_eq!(
            lines.each_ref().map(String::as_str),
            [
                "the API server refuses the credentials: 401 Unauthorized",
                "a right is missing: services is forbidden",
                "it is refused: pods \"a\" is forbidden: error looking up service account",
                "the API server says 500: etcd is away",
                &format!("the API server says 502: <html>{}", "x".repeat(294)),
                "the API server has sent what is no event of a watch",
                "the API server's answer cannot be read: expected value at line 1 column 1",
                "the API server cannot be reached: connection refused",
                "the API server's certificate is signed by another authority than the one that is configured",
                "the API server's certificate is not accepted: Expired",
                "the API server refuses our certificate: BadCertificate",
            ]
        );
    }
}
