//! Events, in upstream's words.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::told::Tell;
use crate::api::explain;
use headless_objects::rfc3339::timestamp;

/// Type, reason and message of what was done; `None` for what is no news.
pub(super) fn of_request(
    verb: &str,
    what: &str,
    set: &str,
    error: Option<&kube::Error>,
) -> Option<(&'static str, String, String)> {
    let done = format!("{verb} {what} in StatefulSet {set}");
    let news = match error {
        None if what.starts_with("Claim") => (
            "Normal",
            format!("Successful{verb}"),
            format!("{done} success"),
        ),
        None => (
            "Normal",
            format!("Successful{verb}"),
            format!("{done} successful"),
        ),
        // A name that is taken.
        Some(kube::Error::Api(status)) if status.reason == "AlreadyExists" => return None,
        Some(error) => {
            let said = if let kube::Error::Api(status) = error {
                status.message.clone()
            } else {
                explain(error)
            };
            (
                "Warning",
                format!("Failed{verb}"),
                format!("{done} failed error: {said}"),
            )
        }
    };
    Some(news)
}

/// An Event about a set, with its type and reason.
pub(super) fn event(
    set: &Value,
    now: Timestamp,
    (kind, reason): (&str, &str),
    tell: &Tell,
) -> Value {
    let meta = &set["metadata"];
    let (first, last) = (timestamp(tell.first), timestamp(now));
    let name = meta["name"].as_str().unwrap_or_default();
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("{name}.{}", tell.suffix), "namespace": meta["namespace"]},
        "involvedObject": {
            "apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "namespace": meta["namespace"],
            "uid": meta["uid"], "resourceVersion": meta["resourceVersion"],
        },
        "reason": reason, "message": tell.message, "type": kind, "count": tell.count,
        "firstTimestamp": first, "lastTimestamp": last,
        "source": {"component": "statefulset-controller"}, "reportingComponent": "statefulset-controller", "reportingInstance": "",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_controller_s_events_come_out_again_word_for_word() {
        let text = include_str!("../../tests/fixtures/statefulset-1.36.3.json");
        let fixture: Value = serde_json::from_str(text).unwrap();
        let events = fixture["events"].as_array().unwrap();
        for event in events {
            let (set, message) = (
                event["set"].as_str().unwrap(),
                event["message"].as_str().unwrap(),
            );
            let (verb, rest) = message.split_once(' ').unwrap();
            let (what, _) = rest.split_once(" in StatefulSet ").unwrap();
            let wanted = (
                "Normal",
                event["reason"].as_str().unwrap().to_owned(),
                message.to_owned(),
            );
            assert_eq!(of_request(verb, what, set, None), Some(wanted));
        }
        assert_eq!(events.len(), 14);
    }
}
