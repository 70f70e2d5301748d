//! What is drawn: uids and the ends of generated names.

use rand::RngExt;
use rand::rngs::StdRng;

/// A random (version 4) UUID.
pub(super) fn uid(random: &mut StdRng) -> String {
    uid_of(random.random())
}

/// That of these octets.
pub(super) fn uid_of(octets: [u8; 16]) -> String {
    uuid::Builder::from_random_bytes(octets)
        .into_uuid()
        .to_string()
}

/// How many letters a generated name ends with.
pub(super) const SUFFIX: usize = 5;

/// Five letters and digits that spell no word, as the API server picks them.
pub(super) fn suffix(random: &mut StdRng) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let letter = |_| char::from(LETTERS[random.random_range(0..LETTERS.len())]);
    (0..SUFFIX).map(letter).collect()
}
