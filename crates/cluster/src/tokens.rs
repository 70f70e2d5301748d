//! The tokens by which Pods are known to the API: who they are, signed with a key that lives as long as the cluster.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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

    /// The token of a user.
    #[must_use]
    pub fn of(&self, user: &str) -> String {
        let tag = hmac::sign(&self.0, user.as_bytes());
        [user.as_bytes(), tag.as_ref()]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".")
    }

    /// The user of a token; `None`: it is none of these.
    #[must_use]
    pub fn user(&self, token: &str) -> Option<String> {
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let (user, tag) = token.split_once('.')?;
        let (user, tag) = (decoded(user)?, decoded(tag)?);
        hmac::verify(&self.0, &user, &tag).ok()?;
        String::from_utf8(user).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_own_cluster_and_only_unchanged() {
        let tokens = Tokens::new([1; 32]);
        let account = "system:serviceaccount:default:default";
        let token = tokens.of(account);
        assert_eq!(tokens.user(&token).as_deref(), Some(account));
        assert_eq!(Tokens::new([2; 32]).user(&token), None);
        let (_, tag) = token.split_once('.').unwrap();
        let other = format!("{}.{tag}", URL_SAFE_NO_PAD.encode("system:admin"));
        for other in [&other, "x", ""] {
            assert_eq!(tokens.user(other), None);
        }
    }
}
