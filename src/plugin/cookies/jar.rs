//! Server cookies (RFC 9018): what they are made of, and when one is good.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

/// Octets of a client's cookie, of ours behind it, and of the secret they are made with.
const CLIENT: usize = 8;
const SERVER: usize = 16;
pub(super) const SECRET: usize = 16;

/// Octets that other servers' cookies have (RFC 7873 section 4).
const OTHERS: std::ops::RangeInclusive<usize> = CLIENT + 8..=CLIENT + 32;

/// The only version there is (RFC 9018 section 4.1).
const VERSION: u8 = 1;

/// How old a cookie may be, how far ahead of our clock, and from which age on there is a new one, in seconds (RFC 9018
/// section 4.3).
const OLDEST: i32 = 3600;
const AHEAD: i32 = 300;
const RENEWED: i32 = 1800;

/// A secret.
pub(super) type Secret = [u8; SECRET];

/// What a client says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing.
    Nothing,
    /// What is no cookie.
    Malformed,
    /// Its own cookie, and not a good one of ours: it may be anybody.
    Stranger([u8; CLIENT]),
    /// A cookie that was given to this client at its address, and whether it is to have a new one.
    Known([u8; CLIENT], Renewal),
}

/// What goes into the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    New,
    /// The same once more.
    Same([u8; SERVER]),
}

/// Looks at the option's octets; the first of `secrets` makes cookies, the others are good too. `now`: Unix time.
pub(super) fn look(option: Option<&[u8]>, client: IpAddr, secrets: &[Secret], now: u32) -> Shown {
    let Some(octets) = option else {
        return Shown::Nothing;
    };
    let Some((own, ours)) = octets.split_first_chunk::<CLIENT>() else {
        return Shown::Malformed;
    };
    if !ours.is_empty() && !OTHERS.contains(&octets.len()) {
        return Shown::Malformed;
    }
    let Ok(ours) = <[u8; SERVER]>::try_from(ours) else {
        return Shown::Stranger(*own);
    };
    let time = u32::from_be_bytes([ours[4], ours[5], ours[6], ours[7]]);
    // Serial numbers (RFC 1982): the difference counts, also after 2106.
    let age = now.wrapping_sub(time).cast_signed();
    let by = secrets
        .iter()
        .position(|secret| made(own, client, secret, time) == ours);
    match by {
        Some(at) if (-AHEAD..=OLDEST).contains(&age) => {
            let is_fresh = at == 0 && age < RENEWED;
            let renewal = if is_fresh {
                Renewal::Same(ours)
            } else {
                Renewal::New
            };
            Shown::Known(*own, renewal)
        }
        Some(_) | None => Shown::Stranger(*own),
    }
}

/// The option of a reply: the client's cookie, and ours.
pub(super) fn option(
    own: &[u8; CLIENT],
    renewal: Renewal,
    client: IpAddr,
    (secret, now): (&Secret, u32),
) -> Vec<u8> {
    let ours = match renewal {
        Renewal::New => made(own, client, secret, now),
        Renewal::Same(ours) => ours,
    };
    [&own[..], &ours].concat()
}

fn made(own: &[u8; CLIENT], client: IpAddr, secret: &Secret, time: u32) -> [u8; SERVER] {
    let head = [&[VERSION, 0, 0, 0][..], &time.to_be_bytes()].concat();
    let mut hasher = SipHasher24::new_with_key(secret);
    hasher.write(own);
    hasher.write(&head);
    match client {
        IpAddr::V4(v4) => hasher.write(&v4.octets()),
        IpAddr::V6(v6) => hasher.write(&v6.octets()),
    }
    let mut ours = [0; SERVER];
    ours[..8].copy_from_slice(&head);
    ours[8..].copy_from_slice(&hasher.finish().to_le_bytes());
    ours
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: [Secret; 2] = [
        [
            0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f, 0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37,
            0xbf, 0xcf,
        ],
        [7; SECRET],
    ];
    const OWN: [u8; CLIENT] = [0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57];
    const TIME: u32 = 1_559_731_985;

    fn client() -> IpAddr {
        [198, 51, 100, 100].into()
    }

    fn given(secret: &Secret) -> Vec<u8> {
        option(&OWN, Renewal::New, client(), (secret, TIME))
    }

    /// RFC 9018 appendix A.1.
    #[test]
    fn a_cookie_is_the_one_that_other_servers_make() {
        let hex: String = given(&SECRETS[0])
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        assert_eq!(hex, "2464c4abcf10c957010000005cf79f111f8130c3eee29480");
    }

    #[test]
    fn a_cookie_is_good_for_its_client_for_an_hour() {
        let shown = |at: i64| {
            let now = u32::try_from(i64::from(TIME) + at).unwrap();
            look(Some(&given(&SECRETS[0])), client(), &SECRETS, now)
        };
        let same = <[u8; SERVER]>::try_from(&given(&SECRETS[0])[CLIENT..]).unwrap();
        assert_eq!(shown(1799), Shown::Known(OWN, Renewal::Same(same)));
        assert_eq!(shown(-300), Shown::Known(OWN, Renewal::Same(same)));
        assert_eq!(shown(1800), Shown::Known(OWN, Renewal::New));
        assert_eq!(shown(3600), Shown::Known(OWN, Renewal::New));
        assert_eq!(shown(3601), Shown::Stranger(OWN));
        assert_eq!(shown(-301), Shown::Stranger(OWN));
        let seen =
            |octets: &[u8], client: [u8; 4]| look(Some(octets), client.into(), &SECRETS, TIME);
        let ours = [198, 51, 100, 100];
        assert_eq!(
            seen(&given(&SECRETS[1]), ours),
            Shown::Known(OWN, Renewal::New)
        );
        assert_eq!(seen(&given(&[8; SECRET]), ours), Shown::Stranger(OWN));
        assert_eq!(
            seen(&given(&SECRETS[0]), [198, 51, 100, 101]),
            Shown::Stranger(OWN)
        );
    }

    #[test]
    fn what_has_another_size_is_no_cookie() {
        let seen = |size: usize| look(Some(&[0; 41][..size]), client(), &SECRETS, TIME);
        for size in [8, 16, 24, 40] {
            assert_eq!(seen(size), Shown::Stranger([0; CLIENT]), "{size}");
        }
        for size in [0, 7, 9, 15, 41] {
            assert_eq!(seen(size), Shown::Malformed, "{size}");
        }
        assert_eq!(look(None, client(), &SECRETS, TIME), Shown::Nothing);
    }
}
