//! Types and classes by name: hickory-proto's, and those of the registry that it does not know.

use super::question::{DNSClass, RecordType};

/// Names of the registry ("Resource Record (RR) TYPEs") beside hickory-proto's, as Go's tools write them.
const OTHERS: &[(&str, u16)] = &[
    ("None", 0),
    ("MD", 3),
    ("MF", 4),
    ("MB", 7),
    ("MG", 8),
    ("MR", 9),
    ("MINFO", 14),
    ("RP", 17),
    ("AFSDB", 18),
    ("X25", 19),
    ("ISDN", 20),
    ("RT", 21),
    ("NSAP-PTR", 23),
    ("PX", 26),
    ("GPOS", 27),
    ("LOC", 29),
    ("NXT", 30),
    ("EID", 31),
    ("NIMLOC", 32),
    ("ATMA", 34),
    ("KX", 36),
    ("OPT", 41),
    ("APL", 42),
    ("IPSECKEY", 45),
    ("DHCID", 49),
    ("HIP", 55),
    ("NINFO", 56),
    ("RKEY", 57),
    ("TALINK", 58),
    ("ZONEMD", 63),
    ("SPF", 99),
    ("UINFO", 100),
    ("UID", 101),
    ("GID", 102),
    ("UNSPEC", 103),
    ("NID", 104),
    ("L32", 105),
    ("L64", 106),
    ("LP", 107),
    ("EUI48", 108),
    ("EUI64", 109),
    ("NXNAME", 128),
    ("TKEY", 249),
    ("IXFR", 251),
    ("MAILB", 253),
    ("MAILA", 254),
    ("URI", 256),
    ("AVC", 258),
    ("AMTRELAY", 260),
    ("RESINFO", 261),
    ("TA", 32_768),
    ("DLV", 32_769),
    ("Reserved", 65_535),
];

/// The type as the registry writes it; one that it does not have as RFC 3597 section 5 does.
#[must_use]
pub fn type_name(rtype: RecordType) -> String {
    let number = u16::from(rtype);
    let other = OTHERS.iter().find(|(_, known)| *known == number);
    match (other, rtype) {
        (Some((name, _)), _) => (*name).to_owned(),
        (None, RecordType::Unknown(number)) => format!("TYPE{number}"),
        (None, rtype) => rtype.to_string(),
    }
}

/// The type of that name, in any case.
#[must_use]
pub fn type_named(name: &str) -> Option<RecordType> {
    let mut others = OTHERS.iter();
    let other = others.find(|(known, _)| known.eq_ignore_ascii_case(name));
    match other {
        Some((_, number)) => Some(RecordType::from(*number)),
        None => name.to_uppercase().parse().ok(),
    }
}

/// The type that Go's tools, and so CoreDNS's files, have under this very name.
#[must_use]
pub fn type_called(name: &str) -> Option<RecordType> {
    let found = type_named(name).filter(|rtype| type_name(*rtype) == name)?;
    (found != RecordType::ANAME).then_some(found)
}

/// The classes that have a name.
const CLASSES: &[(&str, u16)] = &[
    ("IN", 1),
    ("CS", 2),
    ("CH", 3),
    ("HS", 4),
    ("NONE", 254),
    ("ANY", 255),
];

/// The class of that name, in any case.
#[must_use]
pub fn class_named(name: &str) -> Option<DNSClass> {
    let mut classes = CLASSES.iter();
    let found = classes.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, class)| DNSClass::from(*class))
}

/// The class as the registry writes it; one without a name as RFC 3597 section 5 does.
#[must_use]
pub fn class_name(class: DNSClass) -> String {
    let named = [DNSClass::IN, DNSClass::CH, DNSClass::HS, DNSClass::NONE];
    if named.contains(&class) {
        return class.to_string();
    }
    format!("CLASS{}", u16::from(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_a_corefile_are_those_of_go_s_tools_by_their_very_names() {
        const GO: &str = "A AAAA AFSDB AMTRELAY ANY APL ATMA AVC AXFR CAA CDNSKEY CDS CERT CNAME CSYNC DHCID DLV DNAME DNSKEY \
        DS EID EUI48 EUI64 GID GPOS HINFO HIP HTTPS IPSECKEY ISDN IXFR KEY KX L32 L64 LOC LP MAILA MAILB MB \
        MD MF MG MINFO MR MX NAPTR NID NIMLOC NINFO NS NSAP-PTR NSEC NSEC3 NSEC3PARAM NULL NXNAME NXT None \
        OPENPGPKEY OPT PTR PX RESINFO RKEY RP RRSIG RT Reserved SIG SMIMEA SOA SPF SRV SSHFP SVCB TA TALINK \
        TKEY TLSA TSIG TXT UID UINFO UNSPEC URI X25 ZONEMD";
        for name in GO.split(' ') {
            assert_eq!(type_called(name).map(type_name).as_deref(), Some(name));
        }
        for name in [
            "RESERVED",
            "NONE",
            "a",
            "TYPE1",
            "TYPE65280",
            "ANAME",
            "ZERO",
            "NSAP",
        ] {
            assert_eq!(type_called(name), None, "{name}");
        }
        assert_eq!(class_named("cs"), Some(DNSClass::from(2)));
        assert_eq!(class_named("CLASS1"), None);
    }

    #[test]
    fn a_type_and_a_class_have_the_registry_s_name_or_their_number() {
        for (number, name) in [
            (1, "A"),
            (29, "LOC"),
            (0, "None"),
            (65_400, "TYPE65400"),
            (249, "TKEY"),
        ] {
            assert_eq!(type_name(RecordType::from(number)), name);
            if number < 65_400 {
                assert_eq!(
                    type_named(&name.to_lowercase()),
                    Some(RecordType::from(number))
                );
            }
        }
        assert_eq!(type_named("nothing"), None);
        let classes = [1, 3, 7, 255].map(|class| class_name(DNSClass::from(class)));
        assert_eq!(classes, ["IN", "CH", "CLASS7", "CLASS255"]);
    }
}
