//! Messages over HTTPS (RFC 8484).

/// Where they are sent to: section 4.1.1's example, which everybody uses.
pub const PATH: &str = "/dns-query";

/// Their media type (section 6).
pub const MEDIA_TYPE: &str = "application/dns-message";

/// The most octets of one (RFC 1035 section 4.2.2).
pub const LARGEST: usize = 65_535;

/// Whether it is their media type, in any case and with any parameters (RFC 9110 section 8.3.1).
#[must_use]
pub fn is_message(media_type: &str) -> bool {
    let (name, _parameters) = media_type.split_once(';').unwrap_or((media_type, ""));
    name.trim().eq_ignore_ascii_case(MEDIA_TYPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_has_any_case_and_any_parameters_and_nothing_behind() {
        let told = [
            "application/dns-message",
            "Application/DNS-Message ; charset=utf-8",
            "application/dns-messagex",
            "text/html",
        ];
        assert_eq!(told.map(is_message), [true, true, false, false]);
    }
}
