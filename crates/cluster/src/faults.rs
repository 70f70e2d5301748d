//! What a person asks of the kubelet by annotations on a Pod: failures, delays, another time. `docs/testing.md`
//! has the list; a template's annotations reach every Pod of its set.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use headless_objects::go_duration;

/// What annotations of ours begin with.
pub(crate) const PREFIX: &str = "embedded.headless-dns/";

/// Moves the cluster's clock; it goes when that is done.
pub(crate) const ADVANCE: &str = "embedded.headless-dns/advance-clock";

/// The annotations, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// `ready: "false"`: it runs, and is not Ready.
    pub(crate) unready: bool,
    /// `phase: Failed` or `Succeeded`: it ends so, whatever it was doing.
    pub(crate) phase: Option<&'static str>,
    /// `reason: Evicted`: why, in its status.
    pub(crate) reason: Option<String>,
    /// `exit: "name=1"`: containers that end with a code as soon as they are started; several with commas.
    pub(crate) exits: BTreeMap<String, i64>,
    /// `node: lost`: nobody looks after it any more.
    pub(crate) lost: bool,
    /// `start-delay: 5s`: from when it has its node to when it runs.
    pub(crate) start: Option<Duration>,
    /// `stop-delay: 5s`: from its deletion to its end.
    pub(crate) stop: Option<Duration>,
    /// `advance-clock: 1h`.
    pub(crate) advance: Option<Duration>,
}

/// An annotation that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misread {
    /// Its whole name.
    pub(crate) annotation: String,
    /// What it could have been.
    pub(crate) expected: &'static str,
}

impl Faults {
    /// Reads an object's annotations, and leaves out those that mean nothing.
    pub(crate) fn of(object: &Value) -> (Self, Vec<Misread>) {
        let mut faults = Self::default();
        let mut misread = Vec::new();
        let annotations = object["metadata"]["annotations"].as_object();
        for (annotation, value) in annotations.into_iter().flatten() {
            let Some(name) = annotation.strip_prefix(PREFIX) else {
                continue;
            };
            if let Err(expected) = faults.set(name, value.as_str().unwrap_or_default()) {
                misread.push(Misread {
                    annotation: annotation.clone(),
                    expected,
                });
            }
        }
        (faults, misread)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        let duration = || go_duration(value).ok_or("a duration such as 5s or 300ms");
        match name {
            "ready" => match value {
                "false" => self.unready = true,
                "true" => self.unready = false,
                _ => return Err("true or false"),
            },
            "phase" => match value {
                "Failed" => self.phase = Some("Failed"),
                "Succeeded" => self.phase = Some("Succeeded"),
                _ => return Err("Failed or Succeeded"),
            },
            "reason" => self.reason = Some(value.to_owned()),
            "exit" => {
                for part in value.split(',') {
                    let code = part
                        .split_once('=')
                        .and_then(|(c, n)| Some((c, n.parse().ok()?)));
                    let (container, code) =
                        code.ok_or("containers with exit codes, such as clone=1")?;
                    self.exits.insert(container.to_owned(), code);
                }
            }
            "node" => match value {
                "lost" => self.lost = true,
                _ => return Err("lost"),
            },
            "start-delay" => self.start = Some(duration()?),
            "stop-delay" => self.stop = Some(duration()?),
            "advance-clock" => self.advance = Some(duration()?),
            _ => {
                return Err(
                    "ready, phase, reason, exit, node, start-delay, stop-delay or advance-clock",
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(annotations: Value) -> (Faults, Vec<Misread>) {
        Faults::of(&json!({"metadata": {"annotations": annotations}}))
    }

    #[test]
    fn every_annotation_is_documented() {
        let text = include_str!("../../../docs/testing.md");
        let all = Faults::default()
            .set("", "")
            .unwrap_err()
            .replace(" or ", ", ");
        for name in all.split(", ") {
            assert!(text.contains(&format!("| `{name}` |")), "{name}");
        }
    }

    #[test]
    fn every_annotation_is_read() {
        let (faults, misread) = read(json!({
            "embedded.headless-dns/ready": "false", "embedded.headless-dns/phase": "Failed", "embedded.headless-dns/reason": "Evicted",
            "embedded.headless-dns/exit": "init=1,app=137", "embedded.headless-dns/node": "lost", "embedded.headless-dns/start-delay": "1s",
            "embedded.headless-dns/stop-delay": "2s", "embedded.headless-dns/advance-clock": "1h", "example.org/ready": "maybe",
        }));
        let wanted = Faults {
            unready: true,
            phase: Some("Failed"),
            reason: Some("Evicted".into()),
            exits: [("init".to_owned(), 1), ("app".to_owned(), 137)].into(),
            lost: true,
            start: Some(Duration::from_secs(1)),
            stop: Some(Duration::from_secs(2)),
            advance: Some(Duration::from_secs(3600)),
        };
        assert_eq!((faults, misread), (wanted, Vec::new()));
    }

    #[test]
    fn what_means_nothing_is_said_with_what_was_expected() {
        for (name, value, expected) in [
            ("ready", "maybe", "true or false"),
            ("phase", "Running", "Failed or Succeeded"),
            (
                "exit",
                "init",
                "containers with exit codes, such as clone=1",
            ),
            ("node", "away", "lost"),
            ("start-delay", "soon", "a duration such as 5s or 300ms"),
            (
                "redy",
                "false",
                "ready, phase, reason, exit, node, start-delay, stop-delay or advance-clock",
            ),
        ] {
            let annotation = format!("{PREFIX}{name}");
            let (faults, misread) = read(json!({annotation.as_str(): value}));
            let wanted = Misread {
                annotation,
                expected,
            };
            assert_eq!((faults, misread), (Faults::default(), vec![wanted]));
        }
    }
}
