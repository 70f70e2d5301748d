//! The tokens by which Pods are known to the API: who they are, signed with a key that lives as long as the cluster.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;

/// Gives tokens, and knows them again.
#[derive(Clone, Debug)]
pub struct Tokens(hmac::Key);

impl Tokens {
    /// With a key of these octets.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// The token of a user, good for as long as the cluster lives.
    #[must_use]
    pub fn of(&self, user: &str) -> String {
        self.sign(user)
    }

    /// The token of a user, good until then.
    #[must_use]
    pub fn until(&self, user: &str, end: Timestamp) -> String {
        self.sign(&format!("{user} {}", end.as_second()))
    }

    fn sign(&self, said: &str) -> String {
        let tag = hmac::sign(&self.0, said.as_bytes());
        [said.as_bytes(), tag.as_ref()]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".")
    }

    /// Whether a token is one of these, and good now.
    #[must_use]
    pub fn knows(&self, token: &str, now: Timestamp) -> bool {
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let parts = token.split_once('.');
        let parts = parts.and_then(|(said, tag)| Some((decoded(said)?, decoded(tag)?)));
        parts.is_some_and(|(said, tag)| {
            hmac::verify(&self.0, &said, &tag).is_ok() && lasts(&said, now)
        })
    }
}

/// Whether what a token says has not ended: a user's name has no space, what follows one is the end in seconds.
fn lasts(said: &[u8], now: Timestamp) -> bool {
    let said = String::from_utf8_lossy(said);
    match said.split_once(' ') {
        Some((_, end)) => end.parse::<i64>().is_ok_and(|end| now.as_second() < end),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_own_cluster_and_only_unchanged() {
        let tokens = Tokens::new([1; 32]);
        let token = tokens.of("system:serviceaccount:default:default");
        let now = Timestamp::UNIX_EPOCH;
        assert!(tokens.knows(&token, now));
        assert!(!Tokens::new([2; 32]).knows(&token, now));
        let (_, tag) = token.split_once('.').unwrap();
        let other = format!("{}.{tag}", URL_SAFE_NO_PAD.encode("system:admin"));
        for wrong in [other.as_str(), "x", ""] {
            assert!(!tokens.knows(wrong, now), "{wrong}");
        }
    }

    #[test]
    fn a_token_with_an_end_is_good_until_then() {
        let tokens = Tokens::new([1; 32]);
        let at = |second| Timestamp::from_second(second).unwrap();
        let token = tokens.until("system:serviceaccount:default:default", at(600));
        assert!(tokens.knows(&token, at(599)) && !tokens.knows(&token, at(600)));
    }
}
