//! `AdmissionReview`: the request, as a webhook is shown it, and its response, as it is read.

use base64::Engine as _;
use serde_json::{Value, json};

use super::{Hook, Verdict};
use crate::kind::KindId;
use crate::status::ApiStatus;

const GROUP: &str = "admission.k8s.io";

/// The review that is sent.
pub(crate) fn sent(hook: &Hook, request: &Value, uid: &str) -> Value {
    let mut request = request.clone();
    request["uid"] = uid.into();
    json!({"kind": "AdmissionReview", "apiVersion": format!("{GROUP}/{}", hook.version), "request": request})
}

/// A kind as reviews name one.
pub(crate) fn kind(kind: KindId) -> Value {
    let info = kind.info();
    json!({"group": info.group, "version": info.version, "kind": info.kind})
}

/// Its objects, as reviews name them.
pub(crate) fn resource(kind: KindId) -> Value {
    let info = kind.info();
    json!({"group": info.group, "version": info.version, "resource": info.plural})
}

/// What a response says. The words are kube-apiserver's (`VerifyAdmissionResponse`, `ToStatusErr`).
pub(crate) fn verdict(hook: &Hook, uid: &str, review: &Value) -> Verdict {
    match read(hook, uid, review) {
        Ok(verdict) => verdict,
        Err(why) => Verdict::Failed(format!("received invalid webhook response: {why}")),
    }
}

fn read(hook: &Hook, uid: &str, review: &Value) -> Result<Verdict, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&review["apiVersion"]), text(&review["kind"]));
    let wanted = format!("{GROUP}/{}", hook.version);
    if hook.version == "v1" && (version != wanted || kind != "AdmissionReview") {
        let shown = if version.contains('/') {
            version
        } else {
            format!("/{version}")
        };
        return Err(format!(
            "expected webhook response of {wanted}, Kind=AdmissionReview, got {shown}, Kind={kind}"
        ));
    }
    let response = &review["response"];
    if !response.is_object() {
        return Err("webhook response was absent".into());
    }
    if hook.version == "v1" && response["uid"] != uid {
        let got = text(&response["uid"]);
        return Err(format!("expected response.uid={uid:?}, got {got:?}"));
    }
    let warnings = response["warnings"].as_array().into_iter().flatten();
    let warnings = warnings.map(text).collect();
    if response["allowed"] != true {
        return Ok(Verdict::Denied(
            denied(&hook.name, &response["status"]),
            warnings,
        ));
    }
    let patch = text(&response["patch"]);
    match (patch.as_str(), response["patchType"].as_str()) {
        ("", None) => Ok(Verdict::Allowed(None, warnings)),
        ("", Some(_)) => Err("webhook returned response.patchType but not response.patch".into()),
        (_, None) if hook.version == "v1" => {
            Err("webhook returned response.patch but not response.patchType".into())
        }
        (_, Some("JSONPatch") | None) => {
            let octets = base64::engine::general_purpose::STANDARD.decode(&patch);
            let octets = octets.map_err(|error| format!("response.patch: {error}"))?;
            let patch = serde_json::from_slice(&octets);
            let patch = patch.map_err(|error| format!("response.patch: {error}"))?;
            Ok(Verdict::Allowed(Some(patch), warnings))
        }
        (_, Some(other)) => Err(format!(
            "invalid response.patchType of {other:?}; allowed values are: JSONPatch"
        )),
    }
}

/// Why a write is refused.
fn denied(hook: &str, status: &Value) -> ApiStatus {
    let text = |field: &str| status[field].as_str().unwrap_or_default();
    let by = format!("admission webhook {hook:?} denied the request");
    let message = match (text("message"), text("reason")) {
        ("", "") => format!("{by} without explanation"),
        ("", why) | (why, _) => format!("{by}: {why}"),
    };
    let code = status["code"]
        .as_u64()
        .and_then(|code| u16::try_from(code).ok());
    let code = code.unwrap_or_default().clamp(400, 599);
    ApiStatus::of_webhook(code, text("reason"), message, status["details"].clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn hook() -> Hook {
        Hook {
            of: ("c".to_owned(), 0),
            name: "a.b.c".into(),
            client: Value::Null,
            timeout: Duration::from_secs(1),
            fails: true,
            takes_dry_run: true,
            again: false,
            version: "v1",
            kind: crate::kinds::POD,
        }
    }

    fn heard(response: &Value) -> Verdict {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
        verdict(&hook(), "u", &review)
    }

    #[test]
    fn a_response_allows_changes_or_denies() {
        let allowed = heard(&json!({"uid": "u", "allowed": true, "warnings": ["old"]}));
        assert_eq!(allowed, Verdict::Allowed(None, vec!["old".into()]));
        let patch = json!([{"op": "add", "path": "/a", "value": 1}]);
        let encoded = base64::engine::general_purpose::STANDARD.encode(patch.to_string());
        let response =
            json!({"uid": "u", "allowed": true, "patchType": "JSONPatch", "patch": encoded});
        assert_eq!(heard(&response), Verdict::Allowed(Some(patch), Vec::new()));
        for (status, code, message) in [
            (
                json!({"code": 403, "message": "no", "reason": "Forbidden"}),
                403,
                ": no",
            ),
            (json!({"reason": "because", "code": 200}), 400, ": because"),
            (Value::Null, 400, " without explanation"),
        ] {
            let response = json!({"uid": "u", "allowed": false, "status": status});
            let Verdict::Denied(denied, _) = heard(&response) else {
                panic!("{response}")
            };
            let wanted = format!("admission webhook \"a.b.c\" denied the request{message}");
            assert_eq!((denied.code, denied.message), (code, wanted));
        }
    }

    #[test]
    fn a_response_that_is_none_is_a_failed_call() {
        for (response, why) in [
            (Value::Null, "webhook response was absent"),
            (
                json!({"uid": "x", "allowed": true}),
                "expected response.uid=\"u\", got \"x\"",
            ),
            (
                json!({"uid": "u", "allowed": true, "patch": "W10="}),
                "webhook returned response.patch but not response.patchType",
            ),
            (
                json!({"uid": "u", "allowed": true, "patch": "W10=", "patchType": "x"}),
                "invalid response.patchType of \"x\"; allowed values are: JSONPatch",
            ),
        ] {
            let wanted = format!("received invalid webhook response: {why}");
            assert_eq!(heard(&response), Verdict::Failed(wanted));
        }
        let other = json!({"apiVersion": "v2", "kind": "Review"});
        let why = "received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /v2, \
            Kind=Review";
        assert_eq!(verdict(&hook(), "u", &other), Verdict::Failed(why.into()));
    }
}
