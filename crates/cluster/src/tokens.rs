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

    /// The user of a token; `None`: it is none of these, or not good any more.
    #[must_use]
    pub fn user(&self, token: &str, now: Timestamp) -> Option<String> {
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let (said, tag) = token.split_once('.')?;
        let (said, tag) = (decoded(said)?, decoded(tag)?);
        hmac::verify(&self.0, &said, &tag).ok()?;
        let said = String::from_utf8(said).ok()?;
        // A user's name has no space; what follows one is the end, in seconds.
        match said.split_once(' ') {
            Some((user, end)) => {
                let end: i64 = end.parse().ok()?;
                (now.as_second() < end).then(|| user.to_owned())
            }
            None => Some(said),
        }
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
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(tokens.user(&token, now).as_deref(), Some(account));
        assert_eq!(Tokens::new([2; 32]).user(&token, now), None);
        let (_, tag) = token.split_once('.').unwrap();
        let other = format!("{}.{tag}", URL_SAFE_NO_PAD.encode("system:admin"));
        for wrong in [other.as_str(), "x", ""] {
            assert_eq!(tokens.user(wrong, now), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_with_an_end_is_good_until_then() {
        let tokens = Tokens::new([1; 32]);
        let at = |second| Timestamp::from_second(second).unwrap();
        let account = "system:serviceaccount:default:default";
        let token = tokens.until(account, at(600));
        assert_eq!(tokens.user(&token, at(599)).as_deref(), Some(account));
        assert_eq!(tokens.user(&token, at(600)), None);
    }
}
