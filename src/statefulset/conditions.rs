//! The set's conditions: ours come and go, everybody else's stay.

use jiff::Timestamp;
use serde_json::{Value, json};

use headless_objects::rfc3339::timestamp;

/// Something is wrong that waiting does not mend. The name is kstatus's.
const STALLED: &str = "Stalled";

/// The reasons that we give: a `Stalled` condition with another reason is somebody else's.
const REASONS: [&str; 2] = [ROLLOUT_BLOCKED, NAME_TOO_LONG];

const ROLLOUT_BLOCKED: &str = "RolloutBlocked";

const NAME_TOO_LONG: &str = "NameTooLong";

/// The one condition that Kubernetes writes itself, for the strategy Recreate (KEP-3541).
const PROGRESSING: &str = "Progressing";

/// Why a set cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stall {
    /// A Pod of an older revision that does not become available holds up the update that would replace it.
    RolloutBlocked {
        /// The Pod.
        pod: String,
        /// `<namespace>/<name>` of the revision it is to have.
        wanted: String,
        /// What a person can do.
        command: String,
    },
    /// A label's value would be too long for Pods to be made.
    NameTooLong {
        /// Which label.
        label: &'static str,
        /// Its value.
        value: String,
    },
}

impl Stall {
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::RolloutBlocked { .. } => ROLLOUT_BLOCKED,
            Self::NameTooLong { .. } => NAME_TOO_LONG,
        }
    }

    pub(super) fn message(&self) -> String {
        match self {
            Self::RolloutBlocked {
                pod,
                wanted,
                command,
            } => format!(
                "Pod {pod} is of an older revision than {wanted} and not available, and OrderedReady waits for it: {command}"
            ),
            Self::NameTooLong { label, value } => {
                format!(
                    "no Pod can be made: its label {label} would be {value:?}, longer than 63 characters"
                )
            }
        }
    }
}

/// How far a Recreate has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Pods of another revision are there.
    Recreating,
    /// None is, and all of the new one are Ready.
    Complete,
    /// The strategy is another, or nothing has changed.
    None,
}

/// The conditions a set is to have, from those it has; null for none.
pub(super) fn conditions(
    now: Timestamp,
    present: &Value,
    stall: Option<&Stall>,
    progress: Progress,
) -> Value {
    let present = present.as_array().map(Vec::as_slice).unwrap_or_default();
    let progressing = match progress {
        Progress::Recreating => Some((
            "RecreateInProgress",
            "Pods of an older revision end first".to_owned(),
        )),
        Progress::Complete => Some((
            "RecreateComplete",
            "every Pod is of the update revision".to_owned(),
        )),
        Progress::None => None,
    };
    let stalled = stall.map(|stall| (stall.reason(), stall.message()));
    let mut all = Vec::new();
    for condition in present {
        let ours = match condition["type"].as_str() {
            Some(STALLED) => REASONS.iter().any(|reason| condition["reason"] == *reason),
            Some(PROGRESSING) => progressing.is_some(),
            Some(_) | None => false,
        };
        if !ours {
            all.push(condition.clone());
        }
    }
    for (kind, wanted) in [(STALLED, stalled), (PROGRESSING, progressing)] {
        let Some((reason, message)) = wanted else {
            continue;
        };
        let same = present
            .iter()
            .find(|c| c["type"] == kind && c["status"] == "True");
        let since = same.map_or_else(
            || timestamp(now).into(),
            |c| c["lastTransitionTime"].clone(),
        );
        all.retain(|c| c["type"] != kind);
        all.push(json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since}));
    }
    if all.is_empty() {
        Value::Null
    } else {
        all.into()
    }
}
