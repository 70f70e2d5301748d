//! Advisories of other DNS servers whose kind of fault could be ours: each has a test here, and `docs/reliability.md` says
//! which.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

const PAGE: &str = include_str!("../docs/reliability.md");

/// The rows of the table: the advisory's numbers, what it was, and the test as `FILE: NAME`.
fn rows() -> Vec<[String; 3]> {
    let section = PAGE.split("\n## Advisories of others\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with("| "));
    let row = |line: &str| {
        let cells = line.trim_matches(['|', ' ']).split(" | ");
        let cells: Vec<_> = cells.map(|cell| cell.trim().to_owned()).collect();
        <[String; 3]>::try_from(cells).unwrap()
    };
    lines.skip(1).map(row).collect()
}

#[test]
fn each_advisory_has_a_test_that_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut missing, rows) = (Vec::new(), rows());
    for [numbers, _, test] in &rows {
        let (file, name) = test.trim_matches('`').split_once(": ").unwrap();
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        let is_function = text.contains(&format!("fn {name}("));
        let is_line = text
            .lines()
            .any(|line| line.split(' ').next() == Some(name));
        if !is_function && !is_line {
            missing.push(format!("{numbers}: {test}"));
        }
    }
    assert_eq!(missing, [""; 0]);
    assert!(rows.len() >= 25, "{}", rows.len());
}
