//! The hash that names of revisions end with.

use std::fmt::Write as _;

use serde_json::Value;

/// FNV-1 over the data and the number of collisions, in letters that spell no word.
#[must_use]
pub fn hash(data: &Value, collisions: i64) -> String {
    const OFFSET: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    // The API server writes JSON as Go does: fit for HTML.
    let escapes = [
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u{2028}", "\\u2028"),
        ("\u{2029}", "\\u2029"),
    ];
    let mut text = escapes
        .iter()
        .fold(data.to_string(), |text, (raw, escaped)| {
            text.replace(raw, escaped)
        });
    let _infallible = write!(text, "{collisions}");
    let sum = text.bytes().fold(OFFSET, |hash, byte| {
        hash.wrapping_mul(PRIME) ^ u32::from(byte)
    });
    letters(sum)
}

/// The number's decimal digits, as letters and digits that spell no word.
fn letters(sum: u32) -> String {
    let letter = |digit: u8| char::from(b"456789bcdf"[usize::from(digit - b'0')]);
    sum.to_string().bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_of_upstream_s_samples_have_upstream_s_letters() {
        // Of the samples of 1.33 and 1.34.
        assert_eq!(letters(733_928_534), "c77f6d978");
        assert_eq!(letters(3_325_552_446), "776999688b");
    }
}
