//! The tokens by which Pods and others are known to the API: what they say, signed with a key that lives as long as the
//! cluster.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

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

    /// The token that says this: a JWT (RFC 7519) whose `jti` is made of what else it says.
    #[must_use]
    pub fn sign(&self, mut said: Value) -> String {
        let own = hmac::sign(&self.0, said.to_string().as_bytes());
        let own = own.as_ref().first_chunk::<16>().copied();
        said["jti"] = uid_of(own.unwrap_or_default()).into();
        let header = json!({"alg": "HS256"});
        let text = [header, said]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
            .join(".");
        let tag = hmac::sign(&self.0, text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// What a token says; `None`: it is none of these.
    #[must_use]
    pub fn read(&self, token: &str) -> Option<Value> {
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let (text, tag) = token.rsplit_once('.')?;
        hmac::verify(&self.0, text.as_bytes(), &decoded(tag)?).ok()?;
        let (_, said) = text.split_once('.')?;
        serde_json::from_slice(&decoded(said)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_own_cluster_and_only_unchanged() {
        let tokens = Tokens::new([1; 32]);
        let token = tokens.sign(json!({"sub": "default"}));
        let read = tokens.read(&token).unwrap();
        assert_eq!(read["sub"], "default");
        assert_eq!(read["jti"].as_str().map(str::len), Some(36));
        assert_eq!(Tokens::new([2; 32]).read(&token), None);
        let [header, _, tag] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("{token}")
        };
        assert_eq!(
            URL_SAFE_NO_PAD.decode(header).unwrap(),
            br#"{"alg":"HS256"}"#
        );
        let other = URL_SAFE_NO_PAD.encode(json!({"sub": "admin"}).to_string());
        let other = format!("{header}.{other}.{tag}");
        for wrong in [other.as_str(), "x", "x.y", ""] {
            assert_eq!(tokens.read(wrong), None, "{wrong}");
        }
    }
}
