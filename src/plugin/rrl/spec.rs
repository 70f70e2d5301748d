//! `rrl [ZONES...] { ... }`.

use std::net::IpAddr;
use std::time::Duration;

use super::Category;
use crate::corefile::{CorefileError, Directive};
use crate::name::Origins;
use crate::plugin::block::Block;
use crate::plugin::kit::{Directives, Registration};

pub(in crate::plugin) const PLUGIN: Registration = Registration { name: "rrl", setup };

const PROPERTIES: &str = "window, ipv4-prefix-length, ipv6-prefix-length, responses-per-second, nodata-per-second, nxdomains-per-second, referrals-per-second, errors-per-second, requests-per-second, slip-ratio, max-table-size or report-only";

/// What the directive says; an interval is what one reply takes, `None`: such are not limited.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) origins: Origins,
    pub(super) window: Duration,
    prefixes: (u8, u8),
    responses: Option<Duration>,
    nodata: Option<Duration>,
    nxdomains: Option<Duration>,
    referrals: Option<Duration>,
    errors: Option<Duration>,
    requests: Option<Duration>,
    pub(super) slip: u32,
    pub(super) room: usize,
    pub(super) report_only: bool,
}

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let directive = directives.only()?;
    let spec = read(directives, directive)?;
    block.links.push((PLUGIN.name, Box::new(spec)));
    Ok(())
}

fn read(directives: &Directives<'_>, directive: &Directive) -> Result<Spec, CorefileError> {
    let mut spec = Spec {
        origins: directives.origins(&directive.args)?.into(),
        window: Duration::from_secs(15),
        prefixes: (24, 56),
        responses: None,
        nodata: None,
        nxdomains: None,
        referrals: None,
        errors: None,
        requests: None,
        slip: 0,
        room: 100_000,
        report_only: false,
    };
    // What says nothing of its own is limited as responses are.
    let [mut nodata, mut nxdomains, mut referrals, mut errors] = [None; 4];
    for property in &directive.body {
        match property.name.text.as_str() {
            "window" => spec.window = seconds(property)?,
            "ipv4-prefix-length" => spec.prefixes.0 = prefix(property, 32)?,
            "ipv6-prefix-length" => spec.prefixes.1 = prefix(property, 128)?,
            "responses-per-second" => spec.responses = interval(property)?,
            "nodata-per-second" => nodata = Some(interval(property)?),
            "nxdomains-per-second" => nxdomains = Some(interval(property)?),
            "referrals-per-second" => referrals = Some(interval(property)?),
            "errors-per-second" => errors = Some(interval(property)?),
            "requests-per-second" => spec.requests = interval(property)?,
            "slip-ratio" => spec.slip = whole(property, 0..=10)?,
            "max-table-size" => spec.room = whole(property, 0..=10_000_000)?,
            "report-only" => {
                property.bare()?;
                spec.report_only = true;
            }
            _ => return Err(directive.unknown_property(property, PROPERTIES)),
        }
    }
    let or_responses = |own: Option<Option<Duration>>| own.unwrap_or(spec.responses);
    Ok(Spec {
        nodata: or_responses(nodata),
        nxdomains: or_responses(nxdomains),
        referrals: or_responses(referrals),
        errors: or_responses(errors),
        ..spec
    })
}

fn seconds(property: &Directive) -> Result<Duration, CorefileError> {
    const EXPECTED: &str = "seconds, such as 15";
    let arg = property.one_arg(EXPECTED)?;
    let seconds = arg
        .text
        .parse()
        .ok()
        .filter(|s: &f64| *s > 0.0 && *s <= 3600.0);
    let problem = || {
        arg.error(
            format!("'{}' is no time from 0 to an hour", arg.text),
            EXPECTED,
        )
    };
    seconds.map(Duration::from_secs_f64).ok_or_else(problem)
}

fn prefix(property: &Directive, most: u8) -> Result<u8, CorefileError> {
    whole(property, 1..=most)
}

/// What one of so many a second takes; of 0 a second, nothing is limited.
fn interval(property: &Directive) -> Result<Option<Duration>, CorefileError> {
    const EXPECTED: &str = "how many in a second; 0 for any";
    let arg = property.one_arg(EXPECTED)?;
    let rate = arg.text.parse().ok();
    let rate =
        rate.filter(|rate: &f64| (0.0..=1e9).contains(rate) && (*rate == 0.0 || *rate >= 1e-3));
    let problem = || arg.error(format!("'{}' is no rate", arg.text), EXPECTED);
    let rate = rate.ok_or_else(problem)?;
    Ok((rate > 0.0).then(|| Duration::from_secs_f64(1.0 / rate)))
}

fn whole<N>(property: &Directive, bounds: std::ops::RangeInclusive<N>) -> Result<N, CorefileError>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let expected = format!("a number from {} to {}", bounds.start(), bounds.end());
    let arg = property.one_arg(&expected)?;
    let number = arg
        .text
        .parse()
        .ok()
        .filter(|number| bounds.contains(number));
    number.ok_or_else(|| arg.error(format!("'{}' is no such number", arg.text), expected))
}

impl Spec {
    pub(super) fn interval(&self, category: Category) -> Option<Duration> {
        match category {
            Category::Response => self.responses,
            Category::NoData => self.nodata,
            Category::NxDomain => self.nxdomains,
            Category::Referral => self.referrals,
            Category::Error => self.errors,
            Category::Request => self.requests,
        }
    }

    /// The network of a client, as its first address.
    pub(super) fn network(&self, client: IpAddr) -> IpAddr {
        match client {
            IpAddr::V4(v4) => {
                let left = 32 - u32::from(self.prefixes.0);
                let mask = u32::MAX.checked_shl(left).unwrap_or_default();
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) => {
                let left = 128 - u32::from(self.prefixes.1);
                let mask = u128::MAX.checked_shl(left).unwrap_or_default();
                IpAddr::V6((v6.to_bits() & mask).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tests::{error, read};

    #[test]
    fn what_says_nothing_of_its_own_is_limited_as_responses_are() {
        let spec = |lines: &str| {
            let directive = format!("rrl {{\n{lines}\n}}");
            read(&directive, |directives| {
                super::read(directives, directives.first)
            })
            .unwrap()
        };
        let ten = Some(Duration::from_millis(100));
        let all = |spec: &Spec| {
            use Category::{Error, NoData, NxDomain, Referral, Request, Response};
            [Response, NoData, NxDomain, Referral, Error, Request].map(|it| spec.interval(it))
        };
        assert_eq!(all(&spec("")), [None; 6]);
        let ten_responses = spec("responses-per-second 10");
        assert_eq!(all(&ten_responses), [ten, ten, ten, ten, ten, None]);
        let only_errors = spec("errors-per-second 10\nrequests-per-second 0.5");
        let two_seconds = Some(Duration::from_secs(2));
        assert_eq!(
            all(&only_errors),
            [None, None, None, None, ten, two_seconds]
        );
        let unlimited = spec("responses-per-second 10\nnodata-per-second 0");
        assert_eq!(all(&unlimited)[1], None);
        let network =
            |lines, client: &str| spec(lines).network(client.parse().unwrap()).to_string();
        assert_eq!(network("", "192.0.2.77"), "192.0.2.0");
        assert_eq!(network("ipv4-prefix-length 32", "192.0.2.77"), "192.0.2.77");
        assert_eq!(network("ipv6-prefix-length 1", "ffff::1"), "8000::");
    }

    #[test]
    fn a_line_that_is_wrong_is_refused_with_its_reason() {
        for (lines, why) in [
            ("window 0", "'0' is no time from 0 to an hour"),
            ("responses-per-second -1", "'-1' is no rate"),
            ("ipv4-prefix-length 33", "'33' is no such number"),
            ("slip-ratio 11", "'11' is no such number"),
            ("slip 2", "unknown property 'slip' of `rrl`"),
        ] {
            assert_eq!(error(&format!("rrl {{\n{lines}\n}}")), why);
        }
    }
}
