//! When a Job has succeeded by its `successPolicy` (KEP-3998).

use std::collections::BTreeSet;

use headless_objects::object::array;
use serde_json::Value;

use super::indexes::parse;

/// Which rule is fulfilled by these numbers, in words.
pub(super) fn met(job: &Value, succeeded: &BTreeSet<i64>, completions: i64) -> Option<String> {
    if succeeded.is_empty() {
        return None;
    }
    let is_met = |rule: &Value| {
        let enough = rule["succeededCount"].as_u64();
        let enough = enough.and_then(|count| usize::try_from(count).ok());
        let Some(listed) = rule["succeededIndexes"].as_str() else {
            return enough.is_some_and(|enough| succeeded.len() >= enough);
        };
        let wanted = parse(listed, completions);
        let there = wanted.intersection(succeeded).count();
        !wanted.is_empty()
            && (there == wanted.len() || enough.is_some_and(|enough| there >= enough))
    };
    let at = array(&job["spec"]["successPolicy"]["rules"]).position(is_met)?;
    Some(format!("Matched rules at index {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rule_asks_for_numbers_for_a_count_or_for_a_count_of_numbers() {
        let job = json!({"spec": {"successPolicy": {"rules": [
            {"succeededIndexes": "0,2-3"},
            {"succeededIndexes": "5-9", "succeededCount": 2},
            {"succeededCount": 4},
        ]}}});
        let met = |numbers: &[i64]| met(&job, &numbers.iter().copied().collect(), 10);
        assert_eq!(met(&[]), None);
        assert_eq!(met(&[0, 2, 5]), None);
        let rule = |at: usize| Some(format!("Matched rules at index {at}"));
        assert_eq!(met(&[0, 2, 3]), rule(0));
        assert_eq!(met(&[6, 9]), rule(1));
        assert_eq!(met(&[0, 1, 4, 5]), rule(2));
    }
}
