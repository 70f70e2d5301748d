//! What a zone says, in one line.

use headless_dns::answer::compose;
use headless_dns::message::question::{Question, RecordType};
use headless_dns::message::rcode_name;
use headless_dns::name::absolute;
use headless_dns::zone::{Shown, View, Zone};

/// A stanza without options.
pub fn shown() -> Shown {
    let zones = ["cluster.local", "in-addr.arpa", "ip6.arpa"].map(|zone| absolute(zone).unwrap());
    let view = View {
        origins: zones.to_vec().into(),
        ..View::default()
    };
    view.into()
}

/// The data of the answer, sorted; else `NODATA reason`, `NXDOMAIN reason` or `SERVFAIL reason`.
pub fn said(zone: &Zone, qname: &str, qtype: RecordType) -> String {
    let question = Question::new(absolute(qname).unwrap(), qtype);
    let Some(reply) = compose(zone, &shown(), &question) else {
        return "OUTOFZONE".into();
    };
    let Some(why) = reply.error else {
        let mut data: Vec<_> = reply.answer.iter().map(|r| r.data.to_string()).collect();
        data.sort();
        return data.join(" | ");
    };
    let rcode = rcode_name(reply.rcode).replace("NOERROR", "NODATA");
    format!("{rcode} {}", why.text)
}
