//! What a zone says, in one line.

use headless_dns::answer::compose;
use headless_dns::message::question::{Question, RecordType};
use headless_dns::message::rcode_name;
use headless_dns::name::absolute;
use headless_dns::zone::{Shown, View, Zone};

/// A stanza without options.
pub fn view() -> View {
    let zones = ["cluster.local", "in-addr.arpa", "ip6.arpa"].map(|zone| absolute(zone).unwrap());
    View {
        origins: zones.to_vec().into(),
        ..View::default()
    }
}

/// What such a stanza shows.
pub fn shown() -> Shown {
    view().into()
}

/// What it says of a name in its zones.
pub fn said(zone: &Zone, qname: &str, qtype: RecordType) -> String {
    said_by(zone, &shown(), qname, qtype).unwrap()
}

/// The data of the answer, sorted; else `NODATA reason`, `NXDOMAIN reason` or `SERVFAIL reason`. `None`: out of zone.
pub fn said_by(zone: &Zone, shown: &Shown, qname: &str, qtype: RecordType) -> Option<String> {
    let question = Question::new(absolute(qname).unwrap(), qtype);
    let reply = compose(zone, shown, &question)?;
    let Some(why) = reply.error else {
        let mut data: Vec<_> = reply.answer.iter().map(|r| r.data.to_string()).collect();
        data.sort();
        return Some(data.join(" | "));
    };
    let rcode = rcode_name(reply.rcode).replace("NOERROR", "NODATA");
    Some(format!("{rcode} {}", why.text))
}
