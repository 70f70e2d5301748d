//! Any zone file: it is refused at a line, or its zone answers every question, with nothing that is not its own.
#![no_main]

use headless_dns::message::question::{Question, RecordType};
use headless_dns::name::absolute;
use headless_dns::zonefile::{FileZone, Outcome, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let apex = absolute("z.test").unwrap();
    // Each record of `$GENERATE` is read like any other: a thousand are as good as a million.
    if text.to_ascii_lowercase().contains("$generate") && text.contains("0000") {
        return;
    }
    let records = match read("db", text, &apex, &|_| Err(std::io::ErrorKind::NotFound.into())) {
        Ok(records) => records,
        Err(error) => {
            assert!(error.line > 0 && !error.problem.is_empty());
            return;
        }
    };
    let names: Vec<_> = records.iter().map(|record| record.name.clone()).collect();
    let Ok(zone) = FileZone::new(&apex, records) else {
        return;
    };
    for name in names.iter().take(64) {
        let below = absolute(&format!("q.{name}")).unwrap_or_else(|_| name.clone());
        for name in [name, &below] {
            for qtype in [RecordType::A, RecordType::NS, RecordType::DS, RecordType::ANY] {
                let question = Question::new(name, qtype);
                for dnssec in [false, true] {
                    let looked = zone.lookup(&question, dnssec);
                    let has_answer = !looked.answer.is_empty();
                    assert!(looked.outcome != Outcome::NoSuchName || !has_answer);
                }
            }
        }
    }
});
