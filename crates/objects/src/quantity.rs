//! Quantities: `1Gi`, `500M`, `1.5Ti`, `1e9`; read to the nanopart, and shown in one way as `resource.Quantity` of Kubernetes does.

/// Suffixes of powers of two, by their exponent over ten.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Suffixes of powers of ten, with their exponents.
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

/// Nanoparts of one.
pub const NANO: i128 = 1_000_000_000;

/// The most that there is of anything: Go keeps 63 bits.
const MOST: i128 = (i64::MAX as i128) * NANO;

/// How the power in a quantity is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Binary,
    Decimal,
    Exponent,
}

/// A factor: its form, and the power of two or of ten.
fn factor(suffix: &str) -> Option<(Form, i32)> {
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((Form::Decimal, *power));
    }
    if let Some(at) = BINARY.iter().position(|name| *name == suffix) {
        return Some((Form::Binary, i32::try_from(at).ok()? * 10));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    Some((Form::Exponent, exponent.parse().ok()?))
}

fn read(text: &str) -> Option<(i128, Form)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (digits, suffix) = unsigned.split_at(end.unwrap_or(unsigned.len()));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if digits.trim_matches('.').is_empty() || part.contains('.') {
        return None;
    }
    let (form, power) = factor(suffix)?;
    let mut number = 0_i128;
    for digit in whole.bytes().chain(part.bytes()) {
        number = number
            .saturating_mul(10)
            .saturating_add(i128::from(digit - b'0'));
    }
    let (times, ten) = match form {
        Form::Binary => (1_i128 << power, 9),
        Form::Decimal | Form::Exponent => (1, power.saturating_add(9)),
    };
    let ten = ten.saturating_sub(i32::try_from(part.len()).ok()?);
    let scale = 10_i128.checked_pow(ten.unsigned_abs()).unwrap_or(i128::MAX);
    let number = number.saturating_mul(times);
    let nanos = if ten < 0 {
        // What is less than a nanopart is one.
        number.div_euclid(scale) + i128::from(number.rem_euclid(scale) != 0)
    } else {
        number.saturating_mul(scale)
    };
    let nanos = nanos.min(MOST);
    Some((if text.starts_with('-') { -nanos } else { nanos }, form))
}

/// The nanoparts that a quantity says; `None`: it is none.
#[must_use]
pub fn nanos(text: &str) -> Option<i128> {
    read(text).map(|(nanos, _)| nanos)
}

/// The number that a quantity says; `None`: it is none.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a float is what is asked for")]
pub fn parse(text: &str) -> Option<f64> {
    nanos(text).map(|nanos| nanos as f64 / NANO as f64)
}

/// The quantity in the one form that the API server shows (`Quantity.CanonicalizeBytes`); `None`: it is none.
#[must_use]
pub fn canonical(text: &str) -> Option<String> {
    let (nanos, form) = read(text)?;
    show(nanos, form)
}

/// The same, in whole thousandths: what is begun of one counts (`SetDefaults_ResourceList`).
#[must_use]
pub fn in_thousandths(text: &str) -> Option<String> {
    const MILLI: i128 = NANO / 1000;
    let (nanos, form) = read(text)?;
    let begun = i128::from(nanos % MILLI != 0) * nanos.signum();
    show((nanos / MILLI + begun) * MILLI, form)
}

/// These nanoparts as a quantity in the form of another.
#[must_use]
pub fn like(nanos: i128, other: &str) -> Option<String> {
    let (_, form) = read(other)?;
    show(nanos, form)
}

fn show(nanos: i128, form: Form) -> Option<String> {
    if nanos == 0 {
        return Some("0".into());
    }
    if form == Form::Binary && nanos.abs() >= 1024 * NANO && nanos % NANO == 0 {
        let (mut number, mut suffixes) = (nanos / NANO, BINARY.iter());
        let mut suffix = suffixes.next()?;
        while number % 1024 == 0
            && let Some(next) = suffixes.next()
        {
            (number, suffix) = (number / 1024, next);
        }
        return Some(format!("{number}{suffix}"));
    }
    let (mut number, mut power) = (nanos, -9_i32);
    while number % 10 == 0 {
        (number, power) = (number / 10, power + 1);
    }
    let over = power.rem_euclid(3);
    (number, power) = (number * 10_i128.pow(over.unsigned_abs()), power - over);
    if form == Form::Exponent && power != 0 {
        return Some(format!("{number}e{power}"));
    }
    let (suffix, _) = DECIMAL.iter().find(|(_, of)| *of == power)?;
    Some(format!("{number}{suffix}"))
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
        let none = ["", "Gi", "1Xi", "inf", "one", "1.2.3", ".", "1 Gi", "1e"];
        assert_eq!(none.map(parse), [None; 9]);
    }

    #[test]
    fn what_is_less_than_a_thousandth_counts_as_one() {
        for (text, shown) in [
            ("1.0005", "1001m"),
            ("1000u", "1m"),
            ("1n", "1m"),
            ("1.5Gi", "1536Mi"),
            ("-1n", "-1m"),
            ("2", "2"),
        ] {
            assert_eq!(in_thousandths(text).as_deref(), Some(shown), "{text}");
        }
    }

    #[test]
    fn a_quantity_is_shown_in_one_form() {
        for (given, shown) in [
            ("2048Mi", "2Gi"),
            ("1.5Gi", "1536Mi"),
            ("1.5Ki", "1536"),
            ("0.5Gi", "512Mi"),
            ("0.5Ki", "512"),
            ("1000m", "1"),
            ("0.1", "100m"),
            ("1.5", "1500m"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("1e3", "1e3"),
            ("12e4", "120e3"),
            ("1e0", "1"),
            ("-1", "-1"),
            ("+5", "5"),
            ("0Gi", "0"),
            ("0.0000000001", "1n"),
            ("99999999999999999999E", "9223372036854775807"),
        ] {
            assert_eq!(canonical(given).as_deref(), Some(shown), "{given}");
        }
        assert_eq!(canonical("many"), None);
    }
}
