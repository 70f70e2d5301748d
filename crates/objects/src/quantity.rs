//! Quantities: `1Gi`, `500M`, `1.5Ti`, `1e9`.

/// Suffixes with what they multiply by.
const SUFFIXES: &[(&str, f64)] = &[
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// The number that a quantity says; `None`: it is none.
#[must_use]
pub fn parse(text: &str) -> Option<f64> {
    let suffix = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix));
    let (digits, factor) = match suffix {
        Some((suffix, factor)) => (text.strip_suffix(suffix)?, *factor),
        None => (text, 1.0),
    };
    let number: f64 = digits.parse().ok()?;
    number.is_finite().then_some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_powers_of_two_or_of_ten() {
        let texts = ["1Gi", "1024Mi", "1.5Ki", "10G", "1e3", "100m", "0", "7"];
        let numbers = [
            1_073_741_824.0,
            1_073_741_824.0,
            1536.0,
            1e10,
            1e3,
            0.1,
            0.0,
            7.0,
        ];
        assert_eq!(texts.map(parse), numbers.map(Some));
        assert_eq!(["", "Gi", "1Xi", "inf", "one"].map(parse), [None; 5]);
    }
}
