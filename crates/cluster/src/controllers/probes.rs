//! Probes of a container that runs: which is due, and what their outcomes mean. No clock and no process.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::checks;
use crate::runtime::{Check, ProbeKind};

/// The kinds; the first holds the others up.
const KINDS: [ProbeKind; 3] = [
    ProbeKind::Startup,
    ProbeKind::Liveness,
    ProbeKind::Readiness,
];

/// A container's probe of a kind; null where it has none.
fn probe(container: &Value, kind: ProbeKind) -> &Value {
    match kind {
        ProbeKind::Startup => &container["startupProbe"],
        ProbeKind::Liveness => &container["livenessProbe"],
        ProbeKind::Readiness => &container["readinessProbe"],
    }
}

/// What is known of the probes of one run.
#[derive(Debug, Default)]
pub(super) struct Probes(BTreeMap<ProbeKind, Known>);

#[derive(Debug)]
struct Known {
    /// When it is made next; none while its outcome is waited for.
    due: Option<Timestamp>,
    successes: u64,
    failures: u64,
    holds: bool,
}

/// A probe to be made now.
#[derive(Debug, PartialEq)]
pub(super) struct Due {
    pub(super) kind: ProbeKind,
    pub(super) check: Check,
    pub(super) timeout: Duration,
}

impl Probes {
    /// The probes that are due, and when the next is. `since`: when the program was started.
    pub(super) fn due(
        &mut self,
        (now, since): (Timestamp, Timestamp),
        pod: &Value,
        container: &Value,
    ) -> (Vec<Due>, Option<Timestamp>) {
        let (mut all, mut wake) = (Vec::new(), None::<Timestamp>);
        for kind in KINDS {
            let probe = probe(container, kind);
            let Some(check) = checks::of(pod, container, probe) else {
                continue;
            };
            if kind != ProbeKind::Startup && !self.has_started(container) {
                continue;
            }
            let first = since + number(probe, "initialDelaySeconds", 0);
            let known = self.0.entry(kind).or_insert_with(|| Known {
                due: Some(first),
                successes: 0,
                failures: 0,
                holds: kind == ProbeKind::Liveness,
            });
            match known.due {
                Some(due) if now >= due => {
                    known.due = None;
                    let timeout = number(probe, "timeoutSeconds", 1);
                    all.push(Due {
                        kind,
                        check,
                        timeout,
                    });
                }
                Some(due) => wake = Some(wake.map_or(due, |wake| wake.min(due))),
                None => {}
            }
        }
        (all, wake)
    }

    /// Takes an outcome in; true: the program is to be ended for it.
    pub(super) fn hear(
        &mut self,
        now: Timestamp,
        container: &Value,
        (kind, good): (ProbeKind, bool),
    ) -> bool {
        let probe = probe(container, kind);
        let Some(known) = self.0.get_mut(&kind).filter(|known| known.due.is_none()) else {
            return false;
        };
        let threshold = |name: &str, default: u64| probe[name].as_u64().unwrap_or(default);
        if good {
            known.successes += 1;
            known.failures = 0;
            known.holds |= known.successes >= threshold("successThreshold", 1);
        } else {
            known.failures += 1;
            known.successes = 0;
            known.holds &= known.failures < threshold("failureThreshold", 3);
        }
        let failed = known.failures >= threshold("failureThreshold", 3);
        let ends = failed && kind != ProbeKind::Readiness;
        // A program that has started is not asked again whether it has, and one that is to end is not asked to end twice.
        let has_started = kind == ProbeKind::Startup && known.holds;
        if !has_started && !ends {
            known.due = Some(now + number(probe, "periodSeconds", 10));
        }
        ends
    }

    /// Whether the program counts as started.
    pub(super) fn has_started(&self, container: &Value) -> bool {
        self.holds(container, ProbeKind::Startup)
    }

    /// Whether the program is ready to serve.
    pub(super) fn is_ready(&self, container: &Value) -> bool {
        self.has_started(container) && self.holds(container, ProbeKind::Readiness)
    }

    fn holds(&self, container: &Value, kind: ProbeKind) -> bool {
        !probe(container, kind).is_object() || self.0.get(&kind).is_some_and(|known| known.holds)
    }
}

fn number(probe: &Value, field: &str, default: u64) -> Duration {
    Duration::from_secs(probe[field].as_u64().unwrap_or(default))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        json!({"status": {"podIP": "10.244.0.2"}})
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// The kinds that are due at a second, and the second of the next.
    fn due(probes: &mut Probes, container: &Value, seconds: u64) -> (Vec<ProbeKind>, Option<i64>) {
        let (due, wake) = probes.due((at(seconds), at(0)), &pod(), container);
        let kinds = due.into_iter().map(|due| due.kind).collect();
        (kinds, wake.map(Timestamp::as_second))
    }

    #[test]
    fn a_container_is_ready_after_as_many_successes_as_it_says_and_until_as_many_failures() {
        let exec = json!({"exec": {"command": ["true"]}, "initialDelaySeconds": 5, "periodSeconds": 2, "successThreshold": 2, "failureThreshold": 2});
        let container = json!({"readinessProbe": exec});
        let mut probes = Probes::default();
        assert_eq!(due(&mut probes, &container, 0), (vec![], Some(5)));
        assert!(probes.has_started(&container) && !probes.is_ready(&container));
        let mut seconds = 5;
        for (good, ready) in [(true, false), (true, true), (false, true), (false, false)] {
            assert_eq!(
                due(&mut probes, &container, seconds),
                (vec![ProbeKind::Readiness], None)
            );
            assert!(!probes.hear(at(seconds), &container, (ProbeKind::Readiness, good)));
            assert_eq!(probes.is_ready(&container), ready, "{seconds}");
            seconds += 2;
        }
    }

    #[test]
    fn others_wait_for_the_startup_probe_and_a_program_that_fails_is_to_be_ended() {
        let tcp =
            json!({"tcpSocket": {"port": "redis"}, "periodSeconds": 1, "failureThreshold": 2});
        let container = json!({"startupProbe": tcp, "livenessProbe": tcp, "ports": [{"name": "redis", "containerPort": 6379}]});
        let mut probes = Probes::default();
        let (first, _) = probes.due((at(0), at(0)), &pod(), &container);
        let wanted = Due {
            kind: ProbeKind::Startup,
            check: Check::Tcp("10.244.0.2:6379".parse().unwrap()),
            timeout: Duration::from_secs(1),
        };
        assert_eq!(first, [wanted]);
        assert!(!probes.has_started(&container));
        assert!(!probes.hear(at(0), &container, (ProbeKind::Startup, true)));
        assert!(probes.is_ready(&container));
        assert_eq!(
            due(&mut probes, &container, 0),
            (vec![ProbeKind::Liveness], None)
        );
        assert!(!probes.hear(at(0), &container, (ProbeKind::Liveness, false)));
        assert_eq!(
            due(&mut probes, &container, 1),
            (vec![ProbeKind::Liveness], None)
        );
        assert!(probes.hear(at(1), &container, (ProbeKind::Liveness, false)));
        assert_eq!(due(&mut probes, &container, 60), (vec![], None));
    }
}
