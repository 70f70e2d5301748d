//! Signatures of transactions (RFC 8945): what a request says of its signature, whether that is true, and the signature of
//! the reply.

use std::sync::OnceLock;

use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::HEADER;
use crate::name::{Name, Qname, wire};

/// How far clocks may be apart from the time of a reply, in seconds (RFC 8945 section 10).
const FUDGE: u16 = 300;

/// The type of such a record.
pub(super) const TSIG: u16 = 250;

/// Class ANY and TTL 0, which each TSIG record has (RFC 8945 section 4.2).
const ANY: [u8; 2] = [0, 255];
const NO_TTL: [u8; 4] = [0; 4];

/// How messages are signed: what RFC 8945 section 6 names, but for MD5 and GSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Their names as they are written.
const ALGORITHMS: [(&[u8], Algorithm); 5] = [
    (b"\x09hmac-sha1\0", Algorithm::Sha1),
    (b"\x0bhmac-sha224\0", Algorithm::Sha224),
    (b"\x0bhmac-sha256\0", Algorithm::Sha256),
    (b"\x0bhmac-sha384\0", Algorithm::Sha384),
    (b"\x0bhmac-sha512\0", Algorithm::Sha512),
];

impl Algorithm {
    /// Octets of a signature.
    fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn sign(self, secret: &[u8], octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => of::<Hmac<Sha1>>(secret, octets)
                .finalize()
                .into_bytes()
                .to_vec(),
            Self::Sha224 => of::<Hmac<Sha224>>(secret, octets)
                .finalize()
                .into_bytes()
                .to_vec(),
            Self::Sha256 => of::<Hmac<Sha256>>(secret, octets)
                .finalize()
                .into_bytes()
                .to_vec(),
            Self::Sha384 => of::<Hmac<Sha384>>(secret, octets)
                .finalize()
                .into_bytes()
                .to_vec(),
            Self::Sha512 => of::<Hmac<Sha512>>(secret, octets)
                .finalize()
                .into_bytes()
                .to_vec(),
        }
    }

    /// Whether this is the signature; how long that takes does not depend on it.
    fn is_signature(self, secret: &[u8], octets: &[u8], mac: &[u8]) -> bool {
        let verified = match self {
            Self::Sha1 => of::<Hmac<Sha1>>(secret, octets).verify_slice(mac),
            Self::Sha224 => of::<Hmac<Sha224>>(secret, octets).verify_slice(mac),
            Self::Sha256 => of::<Hmac<Sha256>>(secret, octets).verify_slice(mac),
            Self::Sha384 => of::<Hmac<Sha384>>(secret, octets).verify_slice(mac),
            Self::Sha512 => of::<Hmac<Sha512>>(secret, octets).verify_slice(mac),
        };
        verified.is_ok()
    }
}

fn of<M: Mac + KeyInit>(secret: &[u8], octets: &[u8]) -> M {
    let mac = <M as Mac>::new_from_slice(secret);
    mac.expect("a key has any length").chain_update(octets)
}

/// What is wrong with a signature (RFC 8945 section 3); the numbers are those of the TSIG record's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody knows the key, or its algorithm.
    BadKey,
    /// Another key, or another message.
    BadSignature,
    /// The clocks are too far apart.
    BadTime,
}

impl Fault {
    fn code(self) -> u16 {
        match self {
            Self::BadSignature => 16,
            Self::BadKey => 17,
            Self::BadTime => 18,
        }
    }
}

/// What a request says of its signature.
#[derive(Debug)]
pub struct Signed {
    /// The key's name, in lower case.
    pub key: Name,
    /// The algorithm's name as it is written, in lower case.
    algorithm: Vec<u8>,
    /// When it was signed, in seconds since 1970.
    time: u64,
    fudge: u16,
    mac: Vec<u8>,
    error: u16,
    other: Vec<u8>,
    /// The message without that record, with the id that it was signed with.
    message: Vec<u8>,
    /// How its reply is to be signed.
    manner: OnceLock<Manner>,
}

/// How a reply is signed.
#[derive(Clone, Debug)]
struct Manner {
    secret: Vec<u8>,
    /// The time at the server, in seconds since 1970.
    now: u64,
    fault: Option<Fault>,
}

/// A reader of octets.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        let octets = self.take(2)?;
        Some(u16::from_be_bytes([octets[0], octets[1]]))
    }

    /// So many octets as the number before them says.
    fn counted(&mut self) -> Option<&'a [u8]> {
        let count = self.number()?;
        self.take(count.into())
    }

    fn name(&mut self) -> Option<Qname> {
        let name = Qname::read(self.0)?;
        self.take(name.typed().len())?;
        Some(name)
    }
}

/// Takes the signature off a message, whose last record it is: what it says, and the message without it. `start` and
/// `data`: where the record and its data begin. `None`: it cannot be read.
#[must_use]
pub(super) fn take_off(packet: &[u8], (start, data): (usize, usize)) -> Option<(Signed, Vec<u8>)> {
    // It may point back (RFC 1035 section 4.1.4).
    let owner = u16::try_from(start).ok()?;
    let key = Name::read(&mut BinDecoder::new(packet).clone(owner)).ok()?;
    let mut reader = Reader(packet.get(data..)?);
    let algorithm = reader.name()?.to_lowercase();
    let time = reader
        .take(6)?
        .iter()
        .fold(0, |time, octet| time << 8 | u64::from(*octet));
    let fudge = reader.number()?;
    let mac = reader.counted()?.to_vec();
    let original_id = reader.number()?;
    let error = reader.number()?;
    let other = reader.counted()?.to_vec();
    if !reader.0.is_empty() {
        return None;
    }
    let mut bare = packet.get(..start)?.to_vec();
    let count = u16::from_be_bytes([bare[10], bare[11]]).checked_sub(1)?;
    bare[10..HEADER].copy_from_slice(&count.to_be_bytes());
    let mut message = bare.clone();
    message[..2].copy_from_slice(&original_id.to_be_bytes());
    let signed = Signed {
        key: key.to_lowercase(),
        algorithm: algorithm.typed().to_vec(),
        time,
        fudge,
        mac,
        error,
        other,
        message,
        manner: OnceLock::new(),
    };
    Some((signed, bare))
}

impl Signed {
    /// Whether the signature is that of this key at this time, in seconds since 1970; `None`: there is no such key. From then
    /// on replies are signed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, secret: Option<&[u8]>, now: u64) -> Result<(), Fault> {
        let verified = match (secret, self.hmac()) {
            (Some(secret), Some(algorithm)) => self.verified((secret, algorithm), now),
            (Some(_) | None, _) => Err(Fault::BadKey),
        };
        // A question that another plugin asks for its client has been verified already.
        let _known = self.manner.set(Manner {
            secret: secret.unwrap_or_default().to_vec(),
            now,
            fault: verified.err(),
        });
        verified
    }

    fn hmac(&self) -> Option<Algorithm> {
        let mut known = ALGORITHMS.iter();
        let known = known.find(|(name, _)| *name == self.algorithm);
        known.map(|(_, algorithm)| *algorithm)
    }

    fn verified(&self, (secret, algorithm): (&[u8], Algorithm), now: u64) -> Result<(), Fault> {
        let octets = self.octets((&[], &self.message), self);
        if !algorithm.is_signature(secret, &octets, &self.mac) {
            return Err(Fault::BadSignature);
        }
        if now.abs_diff(self.time) > self.fudge.into() {
            return Err(Fault::BadTime);
        }
        Ok(())
    }

    /// What is signed: a signature before, the message, and the variables of `of` (RFC 8945 section 4.3).
    fn octets(&self, (before, message): (&[u8], &[u8]), of: &Self) -> Vec<u8> {
        let mut octets = before.to_vec();
        octets.extend(message);
        octets.extend(wire(&self.key));
        octets.extend(ANY);
        octets.extend(NO_TTL);
        octets.extend(&self.algorithm);
        octets.extend(of.timers());
        octets.extend(of.error.to_be_bytes());
        octets.extend(counted(&of.other));
        octets
    }

    fn timers(&self) -> Vec<u8> {
        let mut timers = self.time.to_be_bytes()[2..].to_vec();
        timers.extend(self.fudge.to_be_bytes());
        timers
    }

    /// Whether replies are signed.
    #[must_use]
    pub fn signs(&self) -> bool {
        self.manner.get().is_some()
    }

    /// Octets of a reply's signature.
    #[must_use]
    pub fn size(&self) -> usize {
        // The record's head, time, fudge, the lengths, id and error, and a time more.
        let mac = self.hmac().map_or(0, Algorithm::length);
        wire(&self.key).len() + 10 + self.algorithm.len() + 16 + mac + 6
    }

    /// Signs a reply, where replies are signed. `before`: the signature of the message before it, of the same reply (RFC 8945
    /// section 5.3.1). Returns the message's own.
    pub fn sign(&self, reply: &mut Vec<u8>, before: Option<&[u8]>) -> Vec<u8> {
        let Some(manner) = self.manner.get() else {
            return Vec::new();
        };
        let has_bad_time = manner.fault == Some(Fault::BadTime);
        let own = Self {
            key: self.key.clone(),
            algorithm: self.algorithm.clone(),
            // RFC 8945 section 5.2.3.
            time: if has_bad_time { self.time } else { manner.now },
            fudge: FUDGE,
            mac: Vec::new(),
            error: manner.fault.map_or(0, Fault::code),
            other: if has_bad_time {
                manner.now.to_be_bytes()[2..].to_vec()
            } else {
                Vec::new()
            },
            message: Vec::new(),
            manner: OnceLock::new(),
        };
        let octets = match before {
            Some(before) => [counted(before), reply.clone(), own.timers()].concat(),
            None => self.octets((&counted(&self.mac), reply), &own),
        };
        // Who has another key, or none that is known, could not verify it (RFC 8945 section 5.3.2).
        let is_signed = matches!(manner.fault, None | Some(Fault::BadTime));
        let mac = match self.hmac().filter(|_| is_signed) {
            Some(hmac) => hmac.sign(&manner.secret, &octets),
            None => Vec::new(),
        };
        own.append(&mac, reply);
        mac
    }

    /// Puts the record behind a message.
    fn append(&self, mac: &[u8], reply: &mut Vec<u8>) {
        let Some(id) = reply.first_chunk::<2>().copied() else {
            return;
        };
        let mut data = self.algorithm.clone();
        data.extend(self.timers());
        data.extend(counted(mac));
        data.extend(id);
        data.extend(self.error.to_be_bytes());
        data.extend(counted(&self.other));
        reply.extend(wire(&self.key));
        reply.extend(TSIG.to_be_bytes());
        reply.extend(ANY);
        reply.extend(NO_TTL);
        reply.extend(counted(&data));
        let count = u16::from_be_bytes([reply[10], reply[11]]).saturating_add(1);
        reply[10..HEADER].copy_from_slice(&count.to_be_bytes());
    }
}

/// Octets behind their number.
fn counted(octets: &[u8]) -> Vec<u8> {
    let count = u16::try_from(octets.len()).unwrap_or(u16::MAX);
    [&count.to_be_bytes(), octets].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::skim;
    use crate::name::absolute;

    fn take_off(packet: &[u8]) -> Option<(Signed, Vec<u8>)> {
        let places = skim::places(packet)?;
        let last = places.last().filter(|last| last.end == packet.len())?;
        super::take_off(packet, (last.start, last.data))
    }

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NOW: u64 = 1_800_000_000;

    /// A question for the root, signed.
    fn request(algorithm: &[u8], secret: &[u8], time: u64) -> Vec<u8> {
        let message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01".to_vec();
        let signed = Signed {
            key: absolute("k.test").unwrap(),
            algorithm: algorithm.to_vec(),
            time,
            fudge: 300,
            mac: Vec::new(),
            error: 0,
            other: Vec::new(),
            message: message.clone(),
            manner: OnceLock::new(),
        };
        let octets = signed.octets((&[], &message), &signed);
        let mac = signed
            .hmac()
            .map_or(Vec::new(), |hmac| hmac.sign(secret, &octets));
        let mut packet = message;
        signed.append(&mac, &mut packet);
        packet
    }

    #[test]
    fn a_signature_is_good_with_its_key_its_message_and_its_time() {
        for (algorithm, _) in ALGORITHMS {
            let packet = request(algorithm, SECRET, NOW);
            let (signed, bare) = take_off(&packet).unwrap();
            assert_eq!(bare, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01");
            assert_eq!(signed.key.to_string(), "k.test.");
            assert_eq!(signed.verify(Some(SECRET), NOW + 300), Ok(()));
            assert_eq!(signed.verify(Some(SECRET), NOW + 301), Err(Fault::BadTime));
            assert_eq!(signed.verify(Some(b"x"), NOW), Err(Fault::BadSignature));
            assert_eq!(signed.verify(None, NOW), Err(Fault::BadKey));
            let mut changed = packet.clone();
            changed[3] ^= 0x10;
            let (signed, _) = take_off(&changed).unwrap();
            assert_eq!(signed.verify(Some(SECRET), NOW), Err(Fault::BadSignature));
        }
        let unknown = request(b"\x08hmac-md5\0", SECRET, NOW);
        let (signed, _) = take_off(&unknown).unwrap();
        assert_eq!(signed.verify(Some(SECRET), NOW), Err(Fault::BadKey));
    }

    /// RFC 4231 section 4.3, and RFC 2202 section 3.
    #[test]
    fn the_algorithms_are_those_of_their_rfcs() {
        let hex = |octets: &[u8]| -> String {
            octets.iter().map(|octet| format!("{octet:02x}")).collect()
        };
        for (algorithm, start) in [
            (Algorithm::Sha1, "effcdf6ae5eb2fa2"),
            (Algorithm::Sha224, "a30e01098bc6dbbf"),
            (Algorithm::Sha256, "5bdcc146bf60754e"),
            (Algorithm::Sha384, "af45d2e376484031"),
            (Algorithm::Sha512, "164b7a7bfcf819e2"),
        ] {
            let mac = algorithm.sign(b"Jefe", b"what do ya want for nothing?");
            assert_eq!(mac.len(), algorithm.length());
            assert_eq!(hex(&mac[..8]), start);
        }
    }

    #[test]
    fn a_reply_is_signed_after_its_request() {
        let packet = request(b"\x0bhmac-sha256\0", SECRET, NOW);
        let bare = b"\x12\x34\x81\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01".to_vec();
        let (signed, _) = take_off(&packet).unwrap();
        assert!(!signed.signs());
        let mut reply = bare.clone();
        assert!(signed.sign(&mut reply, None).is_empty());
        assert_eq!(reply, bare, "nobody has verified the request");
        signed.verify(Some(SECRET), NOW).unwrap();
        let mac = signed.sign(&mut reply, None);
        assert!(reply.len() <= bare.len() + signed.size());
        let (of_reply, without) = take_off(&reply).unwrap();
        assert_eq!((without, &of_reply.mac), (bare.clone(), &mac));
        let octets = of_reply.octets((&counted(&signed.mac), &bare), &of_reply);
        let is_good =
            |octets: &[u8], mac: &[u8]| Algorithm::Sha256.is_signature(SECRET, octets, mac);
        assert!(is_good(&octets, &mac));
        // The second message of a transfer.
        let mut next = bare.clone();
        let second = signed.sign(&mut next, Some(&mac));
        let octets = [counted(&mac), bare, of_reply.timers()].concat();
        assert!(is_good(&octets, &second));
    }

    #[test]
    fn a_reply_to_a_bad_signature_says_what_is_wrong() {
        for (secret, now, error, has_mac, other) in [
            (Some(&b"x"[..]), NOW, 16, false, 0),
            (None, NOW, 17, false, 0),
            (Some(SECRET), NOW + 1000, 18, true, 6),
        ] {
            let packet = request(b"\x0bhmac-sha256\0", SECRET, NOW);
            let (signed, _) = take_off(&packet).unwrap();
            let _fault = signed.verify(secret, now);
            let mut reply = b"\x12\x34\x81\x09\0\x01\0\0\0\0\0\0\0\0\x01\0\x01".to_vec();
            signed.sign(&mut reply, None);
            let (of_reply, _) = take_off(&reply).unwrap();
            let found = (
                of_reply.error,
                !of_reply.mac.is_empty(),
                of_reply.other.len(),
            );
            assert_eq!(found, (error, has_mac, other));
        }
    }

    #[test]
    fn a_key_s_name_may_point_back() {
        // `k.test` behind a question for `h.test`, as dnspython writes it.
        let mut packet = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x01h\x04test\0\0\x01\0\x01".to_vec();
        packet.extend(b"\x01k\xc0\x0e\0\xfa\0\xff\0\0\0\0");
        let data = b"\x0bhmac-sha256\0\0\0\0\0\0\x01\x01\x2c\0\0\x12\x34\0\0\0\0";
        packet.extend(counted(data));
        let (signed, bare) = take_off(&packet).unwrap();
        assert_eq!(signed.key.to_string(), "k.test.");
        assert_eq!(bare.len(), 24);
    }

    #[test]
    fn what_is_no_signature_at_the_end_of_a_message_is_left_alone() {
        let packet = request(b"\x0bhmac-sha256\0", SECRET, NOW);
        for cut in [0, 11, 17, packet.len() - 1] {
            assert!(take_off(&packet[..cut]).is_none(), "{cut}");
        }
        let longer = [&packet[..], b"x"].concat();
        assert!(take_off(&longer).is_none());
    }
}
