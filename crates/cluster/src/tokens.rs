//! The tokens by which Pods and others are known to the API: what they say, signed with a key that lives as long as the
//! cluster.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::Value;

use crate::random::uid_of;

/// Signs tokens, and knows them again.
#[derive(Clone, Debug)]
pub struct Tokens(hmac::Key);

impl Tokens {
    /// With a key of these octets.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// The token that says this.
    #[must_use]
    pub fn sign(&self, said: &Value) -> String {
        let said = said.to_string();
        let tag = hmac::sign(&self.0, said.as_bytes());
        [said.as_bytes(), tag.as_ref()]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".")
    }

    /// What a token says, and its own UUID, made of its signature; `None`: it is none of these.
    #[must_use]
    pub fn read(&self, token: &str) -> Option<(Value, String)> {
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let (said, tag) = token.split_once('.')?;
        let (said, tag) = (decoded(said)?, decoded(tag)?);
        hmac::verify(&self.0, &said, &tag).ok()?;
        let octets = *tag.first_chunk::<16>()?;
        Some((serde_json::from_slice(&said).ok()?, uid_of(octets)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_is_known_by_its_own_cluster_and_only_unchanged() {
        let tokens = Tokens::new([1; 32]);
        let said = json!({"account": "default"});
        let token = tokens.sign(&said);
        let (read, id) = tokens.read(&token).unwrap();
        assert_eq!((read, id.len()), (said, 36));
        assert_eq!(Tokens::new([2; 32]).read(&token), None);
        let (_, tag) = token.split_once('.').unwrap();
        let other = json!({"account": "admin"}).to_string();
        let other = format!("{}.{tag}", URL_SAFE_NO_PAD.encode(other));
        for wrong in [other.as_str(), "x", ""] {
            assert_eq!(tokens.read(wrong), None, "{wrong}");
        }
    }
}
