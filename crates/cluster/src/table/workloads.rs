//! Columns of kinds that make Pods, and of others that stand beside them, which are kept.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{AGE, joined, or_none, since, texts};
use crate::kind::Column;
use headless_objects::object::array;
use headless_objects::selector::Selector;

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn template(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]["containers"]
}

const CONTAINERS: Column = ("Containers", true, |o, _| {
    joined(texts(template(o), "name"), "<none>")
});
const IMAGES: Column = ("Images", true, |o, _| {
    joined(texts(template(o), "image"), "<none>")
});
const SELECTOR: Column = ("Selector", true, |o, _| selector(&o["spec"]["selector"]));

fn selector(of: &Value) -> Value {
    let text = Selector::of(of).unwrap_or_default().to_string();
    if text.is_empty() {
        "<none>".into()
    } else {
        text.into()
    }
}

pub(crate) const DEPLOYMENT: &[Column] = &[
    ("Ready", false, |o, _| {
        format!(
            "{}/{}",
            number(&o["status"]["readyReplicas"]),
            number(&o["spec"]["replicas"])
        )
        .into()
    }),
    ("Up-to-date", false, |o, _| {
        number(&o["status"]["updatedReplicas"]).into()
    }),
    ("Available", false, |o, _| {
        number(&o["status"]["availableReplicas"]).into()
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(crate) const REPLICA_SET: &[Column] = &[
    ("Desired", false, |o, _| {
        number(&o["spec"]["replicas"]).into()
    }),
    ("Current", false, |o, _| {
        number(&o["status"]["replicas"]).into()
    }),
    ("Ready", false, |o, _| {
        number(&o["status"]["readyReplicas"]).into()
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(crate) const DAEMON_SET: &[Column] = &[
    ("Desired", false, |o, _| {
        number(&o["status"]["desiredNumberScheduled"]).into()
    }),
    ("Current", false, |o, _| {
        number(&o["status"]["currentNumberScheduled"]).into()
    }),
    ("Ready", false, |o, _| {
        number(&o["status"]["numberReady"]).into()
    }),
    ("Up-to-date", false, |o, _| {
        number(&o["status"]["updatedNumberScheduled"]).into()
    }),
    ("Available", false, |o, _| {
        number(&o["status"]["numberAvailable"]).into()
    }),
    ("Node Selector", false, |o, _| {
        let pairs = o["spec"]["template"]["spec"]["nodeSelector"].as_object();
        let pair = |(key, value): (&String, &Value)| {
            format!("{key}={}", value.as_str().unwrap_or_default())
        };
        joined(pairs.into_iter().flatten().map(pair), "<none>")
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(crate) const JOB: &[Column] = &[
    ("Status", false, |o, _| {
        let holds = |kind: &str| {
            let condition = headless_objects::object::condition(o, kind);
            condition.is_some_and(|c| c["status"] == "True")
        };
        let all = [
            ("Complete", "Complete"),
            ("Failed", "Failed"),
            ("Suspended", "Suspended"),
        ];
        let found = all.into_iter().find(|(kind, _)| holds(kind));
        found.map_or("Running", |(_, word)| word).into()
    }),
    ("Completions", false, |o, _| {
        let done = number(&o["status"]["succeeded"]);
        match (
            o["spec"]["completions"].as_i64(),
            number(&o["spec"]["parallelism"]),
        ) {
            (Some(all), _) => format!("{done}/{all}").into(),
            (None, parallel) if parallel > 1 => format!("{done}/1 of {parallel}").into(),
            (None, _) => format!("{done}/1").into(),
        }
    }),
    ("Duration", false, duration),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

/// From a Job's start to its end, or to now.
fn duration(job: &Value, now: Timestamp) -> Value {
    let (start, end) = (
        &job["status"]["startTime"],
        &job["status"]["completionTime"],
    );
    if start.is_null() {
        return "".into();
    }
    let end = end.as_str().and_then(|end| end.parse().ok());
    since(start, end.unwrap_or(now))
}

pub(crate) const CRON_JOB: &[Column] = &[
    ("Schedule", false, |o, _| o["spec"]["schedule"].clone()),
    ("Timezone", false, |o, _| or_none(&o["spec"]["timeZone"])),
    ("Suspend", false, |o, _| {
        (o["spec"]["suspend"] == true)
            .to_string()
            .replace('t', "T")
            .replace('f', "F")
            .into()
    }),
    ("Active", false, |o, _| {
        array(&o["status"]["active"]).count().into()
    }),
    ("Last Schedule", false, |o, now| {
        let last = &o["status"]["lastScheduleTime"];
        if last.is_null() {
            return "<none>".into();
        }
        since(last, now)
    }),
    AGE,
];

pub(crate) const BUDGET: &[Column] = &[
    ("Min Available", false, |o, _| {
        or_na(&o["spec"]["minAvailable"])
    }),
    ("Max Unavailable", false, |o, _| {
        or_na(&o["spec"]["maxUnavailable"])
    }),
    ("Allowed Disruptions", false, |o, _| {
        number(&o["status"]["disruptionsAllowed"]).into()
    }),
    AGE,
];

fn or_na(value: &Value) -> Value {
    if value.is_null() {
        return "N/A".into();
    }
    value
        .as_i64()
        .map_or_else(|| value.clone(), |number| number.to_string().into())
}

pub(crate) const INGRESS: &[Column] = &[
    ("Class", false, |o, _| {
        or_none(&o["spec"]["ingressClassName"])
    }),
    ("Hosts", false, |o, _| {
        joined(
            array(&o["spec"]["rules"])
                .filter_map(|r| r["host"].as_str())
                .map(str::to_owned),
            "*",
        )
    }),
    ("Address", false, |o, _| {
        let all = array(&o["status"]["loadBalancer"]["ingress"]);
        joined(
            all.filter_map(|i| i["ip"].as_str().or_else(|| i["hostname"].as_str()))
                .map(str::to_owned),
            "",
        )
    }),
    ("Ports", false, |o, _| {
        let secret = array(&o["spec"]["tls"]).next().is_some();
        if secret { "80, 443" } else { "80" }.into()
    }),
    AGE,
];

pub(crate) const NETWORK_POLICY: &[Column] = &[
    ("Pod-Selector", false, |o, _| {
        selector(&o["spec"]["podSelector"])
    }),
    AGE,
];

pub(crate) const POD_TEMPLATE: &[Column] = &[
    ("Containers", false, |o, _| {
        joined(
            texts(&o["template"]["spec"]["containers"], "name"),
            "<none>",
        )
    }),
    ("Images", false, |o, _| {
        joined(
            texts(&o["template"]["spec"]["containers"], "image"),
            "<none>",
        )
    }),
    ("Pod Labels", false, |o, _| {
        selector(&json!({"matchLabels": o["template"]["metadata"]["labels"]}))
    }),
];

pub(crate) const ENDPOINTS: &[Column] = &[
    ("Endpoints", false, |o, _| {
        let of_subset = |subset: &Value| -> Vec<String> {
            let ports: Vec<_> = array(&subset["ports"])
                .map(|p| number(&p["port"]))
                .collect();
            let addresses = array(&subset["addresses"]).filter_map(|a| a["ip"].as_str());
            addresses
                .flat_map(|ip| ports.iter().map(move |port| format!("{ip}:{port}")))
                .collect()
        };
        let all: Vec<_> = array(&o["subsets"]).flat_map(of_subset).collect();
        match all.len() {
            0 => "<none>".into(),
            1..=3 => all.join(",").into(),
            more => format!("{} + {} more...", all[..3].join(","), more - 3).into(),
        }
    }),
    AGE,
];
