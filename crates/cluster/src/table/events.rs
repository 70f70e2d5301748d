//! Columns of Events, whose fields have other names in events.k8s.io.

use jiff::Timestamp;
use serde_json::Value;

use super::{joined, since, text_or_empty};
use crate::kind::Column;

/// When an Event was first said; when it was last.
fn first_seen(event: &Value, now: Timestamp) -> Value {
    let times = [&event["firstTimestamp"], &event["eventTime"]];
    let first = times.into_iter().find(|time| time.is_string());
    since(first.unwrap_or(&Value::Null), now)
}

fn last_seen(event: &Value, now: Timestamp) -> Value {
    let last = [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
    ];
    match last.into_iter().find(|time| time.is_string()) {
        Some(last) => since(last, now),
        None => first_seen(event, now),
    }
}

pub(crate) const EVENT: &[Column] = &[
    ("Last Seen", false, last_seen),
    ("Type", false, |o, _| o["type"].clone()),
    ("Reason", false, |o, _| o["reason"].clone()),
    ("Object", false, |o, _| {
        let of = &o["involvedObject"];
        let text = |field: &str| of[field].as_str().unwrap_or_default();
        format!("{}/{}", text("kind").to_lowercase(), text("name")).into()
    }),
    ("Subobject", true, |o, _| {
        text_or_empty(&o["involvedObject"]["fieldPath"])
    }),
    ("Source", true, |o, _| {
        let source = ["component", "host"].map(|field| o["source"][field].as_str());
        joined(source.into_iter().flatten().map(str::to_owned), "")
    }),
    ("Message", false, |o, _| o["message"].clone()),
    ("First Seen", true, first_seen),
    ("Count", true, |o, _| {
        let counts = [&o["series"]["count"], &o["count"]];
        let count = counts
            .into_iter()
            .find_map(|count| count.as_i64().filter(|n| *n > 0));
        count.unwrap_or(1).into()
    }),
];

fn last_seen_of_group(event: &Value, now: Timestamp) -> Value {
    let times = [
        &event["series"]["lastObservedTime"],
        &event["deprecatedLastTimestamp"],
        &event["deprecatedFirstTimestamp"],
        &event["eventTime"],
    ];
    let last = times.into_iter().find(|time| time.is_string());
    since(last.unwrap_or(&Value::Null), now)
}

pub(crate) const EVENT_OF_GROUP: &[Column] = &[
    ("Last Seen", false, last_seen_of_group),
    ("Type", false, |o, _| o["type"].clone()),
    ("Reason", false, |o, _| o["reason"].clone()),
    ("Object", false, |o, _| {
        let text = |field: &str| o["regarding"][field].as_str().unwrap_or_default();
        format!("{}/{}", text("kind").to_lowercase(), text("name")).into()
    }),
    ("Message", false, |o, _| o["note"].clone()),
];
