//! The 106 scenarios of StatefulSets: each has a test that is named after its number and sentence, and
//! `docs/statefulset.md` says where.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use regex::Regex;

/// Where tests are, and what they show of a scenario.
const PLACES: [(&str, &str); 4] = [
    ("src/statefulset", "plan"),
    ("src/reconciler", "reconciler"),
    ("tests/reconciler", "reconciler"),
    ("tests/support/statefulset", "cluster"),
];

const SCENARIOS: u32 = 106;

/// Sentences and places by number.
type Found = BTreeMap<u32, (BTreeSet<String>, BTreeSet<&'static str>)>;

fn look(folder: &Path, place: &'static str, found: &mut Found) {
    let name = Regex::new(r#"(?:fn |")s(\d{2,3})_([a-z0-9_]+)"#).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look(&path, place, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for test in name.captures_iter(&text) {
            let (sentences, places) = found.entry(test[1].parse().unwrap()).or_default();
            sentences.insert(test[2].replace("_s_", "'s ").replace('_', " "));
            places.insert(place);
        }
    }
}

#[test]
fn each_scenario_has_a_test_and_the_document_says_where() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Found::new();
    for (folder, place) in PLACES {
        look(&root.join(folder), place, &mut found);
    }
    let numbers: Vec<u32> = found.keys().copied().collect();
    assert_eq!(numbers, Vec::from_iter(1..=SCENARIOS));
    let mut table = "| | scenario | shown by |\n|---|---|---|\n".to_owned();
    for (number, (sentences, places)) in &found {
        let sentences = Vec::from_iter(sentences.iter().map(String::as_str)).join("; ");
        let places = Vec::from_iter(places.iter().copied()).join(", ");
        writeln!(table, "| {number} | {sentences} | {places} |").unwrap();
    }
    let path = root.join("docs/statefulset.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let head = &text[..text.find("| | scenario |").unwrap_or(text.len())];
    let wanted = format!("{head}{table}");
    #[expect(clippy::disallowed_methods, reason = "how the file is made anew")]
    if std::env::var("UPDATE_DOCS").is_ok() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        text, wanted,
        "run UPDATE_DOCS=1 cargo test --test scenario_list"
    );
}
