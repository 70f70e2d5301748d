//! Each namespace has a ServiceAccount `default`.

use serde_json::json;

use super::{Action, Step, touched};
use crate::kinds;
use crate::objects::Key;

const NAME: &str = "default";

pub(super) fn step(step: &Step<'_>) -> Vec<Action> {
    let kind = kinds::SERVICE_ACCOUNT;
    // Also the namespaces of deleted accounts: the account is made again.
    let of_accounts = touched(step, "ServiceAccount")
        .into_iter()
        .map(|key| key.ns);
    let namespaces = touched(step, "Namespace").into_iter().map(|key| key.name);
    let mut actions = Vec::new();
    for ns in namespaces.chain(of_accounts) {
        let namespace = Key {
            kind: kinds::NAMESPACE,
            ns: String::new(),
            name: ns.clone(),
        };
        let active = step
            .objects
            .get(&namespace)
            .is_some_and(|ns| ns["metadata"]["deletionTimestamp"].is_null());
        let account = Key {
            kind,
            ns,
            name: NAME.into(),
        };
        if active && step.objects.get(&account).is_none() {
            let object = json!({"metadata": {"name": NAME}});
            actions.push(Action::Create(kind, account.ns, object));
        }
    }
    actions
}
