//! Times as objects have them.

use jiff::Timestamp;

/// RFC 3339, in UTC, to the second.
#[must_use]
pub fn timestamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
