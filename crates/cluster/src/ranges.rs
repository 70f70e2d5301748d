//! The addresses that Services have: a range of IPv4, and one of IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the addresses of Services come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges {
    v4: Range,
    v6: Range,
}

/// Addresses with the same beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    /// The first, as a number.
    first: u128,
    /// How many there are.
    size: u128,
    /// As flags and errors show it.
    shown: String,
}

/// Why text is no range of addresses.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no range of addresses: 10.0.0.0/24 was expected, or one of IPv4 and one of IPv6 with a comma"
)]
pub struct NoRange(String);

/// The largest range, in bits: kube-apiserver takes no larger one (`MaxSize` of its allocator, a 20-bit suffix).
const MOST_BITS: u8 = 20;

/// As many addresses at the beginning of a range are for Services that ask for them (KEP-3070).
const STATIC: std::ops::RangeInclusive<u128> = 16..=256;

impl Default for Ranges {
    /// kubeadm's range, as far as this cluster uses it, and an IPv6 counterpart.
    fn default() -> Self {
        Self {
            v4: Range::new(Ipv4Addr::new(10, 96, 0, 0).into(), 16),
            v6: Range::new(Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0).into(), 112),
        }
    }
}

impl std::str::FromStr for Ranges {
    type Err = NoRange;

    /// Reads `10.0.0.0/24` or `10.0.0.0/24,fd00::/112`, in either order.
    fn from_str(text: &str) -> Result<Self, NoRange> {
        let mut ranges = Self::default();
        let wrong = || NoRange(text.to_owned());
        let parts: Vec<_> = text.split(',').collect();
        let mut has = [false; 2];
        for part in &parts {
            let (address, bits) = part.split_once('/').ok_or_else(wrong)?;
            let address: IpAddr = address.parse().map_err(|_| wrong())?;
            let bits: u8 = bits.parse().map_err(|_| wrong())?;
            let width: u8 = if address.is_ipv4() { 32 } else { 128 };
            // One of fewer than eight addresses has none for Services.
            let fits = bits <= width - 3 && width - bits <= MOST_BITS;
            let twice = std::mem::replace(&mut has[usize::from(address.is_ipv6())], true);
            if !fits || twice {
                return Err(wrong());
            }
            let range = Range::new(address, bits);
            match address {
                IpAddr::V4(_) => ranges.v4 = range,
                IpAddr::V6(_) => ranges.v6 = range,
            }
        }
        Ok(ranges)
    }
}

impl Ranges {
    /// The address of the Service `kubernetes`: the first of IPv4.
    #[must_use]
    pub fn api(&self) -> IpAddr {
        self.v4.address(1, false)
    }

    /// Whether an address is one of these, and the range that it should be of.
    pub(super) fn has(&self, address: IpAddr) -> (bool, &str) {
        let range = self.of(address.is_ipv6());
        let i = number(address).checked_sub(range.first);
        // The first address is that of the range itself, the last of IPv4 its broadcast address.
        let end = range.size - u128::from(address.is_ipv4());
        let inside = i.is_some_and(|i| (1..end).contains(&i));
        (inside, &range.shown)
    }

    /// The addresses that are given out to Services that ask for none, the lowest first; where all are taken, those at the beginning.
    pub(super) fn given(&self, is_v6: bool) -> impl Iterator<Item = IpAddr> {
        let range = self.of(is_v6);
        let band = (range.size / 16).clamp(*STATIC.start(), *STATIC.end());
        let begin = band.min(range.size - 2);
        // The last one of a range of IPv4 is its broadcast address.
        let all = (begin..range.size - 1).chain(1..begin);
        all.map(move |i| range.address(i, is_v6))
    }

    fn of(&self, is_v6: bool) -> &Range {
        if is_v6 { &self.v6 } else { &self.v4 }
    }
}

impl Range {
    fn new(address: IpAddr, bits: u8) -> Self {
        let width: u8 = if address.is_ipv4() { 32 } else { 128 };
        let size = 1_u128 << (width - bits);
        let first = number(address) & !(size - 1);
        let mut range = Self {
            first,
            size,
            shown: String::new(),
        };
        range.shown = format!("{}/{bits}", range.address(0, address.is_ipv6()));
        range
    }

    fn address(&self, i: u128, is_v6: bool) -> IpAddr {
        let number = self.first + i;
        match u32::try_from(number) {
            Ok(number) if !is_v6 => Ipv4Addr::from_bits(number).into(),
            _ => Ipv6Addr::from_bits(number).into(),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(ranges: &Ranges, is_v6: bool) -> String {
        ranges.given(is_v6).next().unwrap().to_string()
    }

    #[test]
    fn the_lowest_addresses_are_for_services_that_ask_for_them() {
        let ranges = Ranges::default();
        assert_eq!(first(&ranges, false), "10.96.1.0");
        assert_eq!(first(&ranges, true), "fd00:10:96::100");
        let ranges: Ranges = "10.0.0.0/24".parse().unwrap();
        assert_eq!(first(&ranges, false), "10.0.0.16");
        assert_eq!(ranges.given(false).count(), 254);
        let last = ranges.given(false).last().map(|ip| ip.to_string());
        assert_eq!(last.as_deref(), Some("10.0.0.15"));
        assert_eq!(ranges.api().to_string(), "10.0.0.1");
        let ranges: Ranges = "fd01::/120,192.168.7.9/28".parse().unwrap();
        assert_eq!(first(&ranges, false), "192.168.7.14");
        assert_eq!(first(&ranges, true), "fd01::10");
    }

    #[test]
    fn an_address_is_of_the_range_of_its_family() {
        let ranges: Ranges = "10.0.0.0/24".parse().unwrap();
        let has = |text: &str| ranges.has(text.parse().unwrap());
        assert_eq!(has("10.0.0.254"), (true, "10.0.0.0/24"));
        assert_eq!(has("10.0.0.255"), (false, "10.0.0.0/24"));
        assert_eq!(has("10.0.0.0"), (false, "10.0.0.0/24"));
        assert_eq!(has("fd00:10:96::ffff"), (true, "fd00:10:96::/112"));
        assert_eq!(has("10.0.1.0"), (false, "10.0.0.0/24"));
        assert_eq!(has("fd00:10:96::9"), (true, "fd00:10:96::/112"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0.0/30",
            "10.0.0.0/8",
            "fd00::/64",
            "10.0.0.0/24,10.1.0.0/24",
            "x/3",
        ] {
            assert_eq!(text.parse::<Ranges>(), Err(NoRange(text.into())), "{text}");
        }
    }
}
