//! Names of images: `registry/path:tag@digest` (the grammar of distribution/reference).

/// Digests that images are named by, with the length of their hexadecimal text.
const DIGESTS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// The longest name.
const LONGEST: usize = 255;

/// The tag of an image: `latest` where neither a tag nor a digest is said, empty where a digest alone is; `None`: it is no name of
/// an image.
#[must_use]
pub fn tag(image: &str) -> Option<&str> {
    let (named, digest) = match image.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (image, None),
    };
    let is_digest = digest.is_none_or(is_digest);
    let (name, tag) = match named.rsplit_once(':') {
        // The colon of a registry's port.
        Some((_, after)) if after.contains('/') => (named, None),
        Some((name, tag)) => (name, Some(tag)),
        None => (named, None),
    };
    let is_id = image.len() == 64 && image.bytes().all(is_hex);
    let good = is_digest && !is_id && is_name(name) && tag.is_none_or(is_tag);
    let untagged = if digest.is_some() { "" } else { "latest" };
    good.then(|| tag.unwrap_or(untagged))
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hash)| {
        DIGESTS.contains(&(algorithm, hash.len())) && hash.bytes().all(is_hex)
    })
}

fn is_tag(tag: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let begins = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    begins && tag.len() <= 128 && tag.chars().all(inside)
}

/// What is before the first slash is a registry where it looks like a host.
fn is_name(name: &str) -> bool {
    let first = name.split_once('/');
    let is_host = |host: &str| {
        host.contains(['.', ':']) || host == "localhost" || host.to_lowercase() != host
    };
    let (host, path) = match first.filter(|(host, _)| is_host(host)) {
        Some((host, path)) => (Some(host), path),
        None => (None, name),
    };
    name.len() <= LONGEST && host.is_none_or(is_registry) && path.split('/').all(is_part)
}

fn is_registry(registry: &str) -> bool {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (registry, "0"),
    };
    let v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_label = |label: &str| {
        let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let edges = !label.starts_with('-') && !label.ends_with('-');
        !label.is_empty() && label.bytes().all(inside) && edges
    };
    let is_host = match v6 {
        Some(v6) => !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(is_label),
    };
    is_host && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

/// Small letters and digits, with one dot, one or two underscores, or hyphens between.
fn is_part(part: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let between = part.split(is_word).filter(|between| !between.is_empty());
    let good = |between: &str| {
        matches!(between, "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
    };
    part.starts_with(is_word) && part.ends_with(is_word) && between.into_iter().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_the_tag_that_it_says_and_the_latest_where_it_says_none() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (image, wanted) in [
            ("x", Some("latest")),
            ("x:latest", Some("latest")),
            ("x:1", Some("1")),
            ("reg:5000/x", Some("latest")),
            ("reg:5000/x:1", Some("1")),
            ("[fd00::1]:5000/a/b-c__d.e:v1.2.3-a_b", Some("v1.2.3-a_b")),
            (&format!("x@{digest}"), Some("")),
            (&format!("x:latest@{digest}"), Some("latest")),
            ("X:1", None),
            ("x:", None),
            ("http://x", None),
            ("-x", None),
            ("x@sha256:a", None),
            ("a..b", None),
            ("", None),
            (&"a".repeat(64), None),
        ] {
            assert_eq!(tag(image), wanted, "{image}");
        }
    }
}
