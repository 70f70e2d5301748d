//! Types whose fields say how the others are to be read: APL, HIP, IPSECKEY and AMTRELAY.

use std::net::IpAddr;

use super::coded::{base64, hex};
use super::value::{NOT_WHOLE, Octets, Word, counted, name, number, u8, v4, v6};
use crate::name::{Name, wire};

/// Any number of `[!]FAMILY:ADDRESS/PREFIX` (RFC 3123 section 5).
pub(super) fn prefixes(words: &[Word], _: &Name) -> Octets {
    let all = words.iter().map(|word| {
        prefix(&word.text)
            .ok_or_else(|| format!("'{}' is no prefix such as !1:10.0.0.0/8", word.text))
    });
    Ok(all.collect::<Result<Vec<_>, _>>()?.concat())
}

/// Family, length of the prefix, whether it is left out with the number of octets, the octets up to the last that is not 0
/// (RFC 3123 section 4).
fn prefix(text: &str) -> Option<Vec<u8>> {
    let positive = text.strip_prefix('!');
    let (family, network) = positive.unwrap_or(text).split_once(':')?;
    let (ip, length) = network.split_once('/')?;
    let (ip, octets) = match ip.parse().ok()? {
        IpAddr::V4(ip) => (ip.to_bits().into(), ip.octets().to_vec()),
        IpAddr::V6(ip) => (ip.to_bits(), ip.octets().to_vec()),
    };
    let bits = u32::try_from(8 * octets.len()).ok()?;
    let length = number(length, bits).ok()?;
    let host = u128::MAX
        .checked_shl(bits - length)
        .map_or(u128::MAX, |mask| !mask);
    let is_family = number(family, 2).ok()? == if octets.len() == 4 { 1 } else { 2 };
    if !is_family || ip & host != 0 {
        return None;
    }
    let used = octets
        .iter()
        .rposition(|octet| *octet != 0)
        .map_or(0, |last| last + 1);
    let negation = u8::from(positive.is_some()) << 7;
    let family = u8::from(octets.len() == 16) + 1;
    let head = [
        0,
        family,
        length.to_be_bytes()[3],
        negation | used.to_be_bytes()[7],
    ];
    Some([&head, &octets[..used]].concat())
}

/// `ALGORITHM TAG KEY SERVER...` (RFC 8005 sections 5 and 6).
pub(super) fn host_identity(words: &[Word], origin: &Name) -> Octets {
    let [algorithm, tag, key, servers @ ..] = words else {
        return Err(NOT_WHOLE.into());
    };
    let (tag, key) = (counted(&hex(&tag.text)?)?, base64(&key.text)?);
    let length = u16::try_from(key.len()).map_err(|_| "a key has 65535 octets at most")?;
    let mut octets = vec![tag[0]];
    octets.extend(u8(&algorithm.text)?);
    octets.extend(length.to_be_bytes());
    octets.extend(&tag[1..]);
    octets.extend(key);
    for server in servers {
        octets.extend_from_slice(&wire(&name(&server.text, origin)?));
    }
    Ok(octets)
}

/// `PRECEDENCE KIND ALGORITHM GATEWAY [KEY]` (RFC 4025 section 3.1).
pub(super) fn ipsec_key(words: &[Word], origin: &Name) -> Octets {
    let [precedence, kind, algorithm, at, key @ ..] = words else {
        return Err(NOT_WHOLE.into());
    };
    let key: String = key.iter().map(|word| word.text.as_str()).collect();
    let mut octets = Vec::new();
    for number in [precedence, kind, algorithm] {
        octets.extend(u8(&number.text)?);
    }
    octets.extend(gateway(octets[1], &at.text, origin)?);
    octets.extend(base64(&key)?);
    Ok(octets)
}

/// `PRECEDENCE DISCOVERY KIND RELAY` (RFC 8777 section 4.3).
pub(super) fn multicast_relay(words: &[Word], origin: &Name) -> Octets {
    let [precedence, discovery, kind, at] = words else {
        return Err("PRECEDENCE 0|1 KIND RELAY was expected".into());
    };
    let (discovery, kind) = (number(&discovery.text, 1)?, number(&kind.text, 127)?);
    let mut octets = u8(&precedence.text)?;
    octets.push((discovery << 7 | kind).to_be_bytes()[3]);
    octets.extend(gateway(octets[1] & 0x7f, &at.text, origin)?);
    Ok(octets)
}

/// Who it goes through, by its kind: nobody, IPv4, IPv6, a name (RFC 4025 section 2.3).
fn gateway(kind: u8, text: &str, origin: &Name) -> Octets {
    match kind {
        0 if text == "." => Ok(Vec::new()),
        0 => Err(format!("'{text}': a gateway of kind 0 is `.`")),
        1 => v4(text),
        2 => v6(text),
        3 => Ok(wire(&name(text, origin)?).to_vec()),
        _ => Err(format!("{kind} is no kind of gateway from 0 to 3")),
    }
}
