//! The executor: performs a plan's actions, tells Events of them, writes the status. It decides nothing.

use std::sync::Arc;

use jiff::Timestamp;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Status;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::cache::Kind;
use crate::statefulset::{Action, Plan};

/// An object as the API server returned it.
pub(super) type Written = (Kind, DynamicObject);

/// Who acts on which set.
pub(super) struct Act {
    client: Client,
    set: Arc<Value>,
    now: Timestamp,
}

/// Whether the status that is wanted differs from the one that is there.
pub(super) fn differs(present: &Value, wanted: &Value) -> bool {
    let without_null = |v: &Value| {
        v.as_object().map(|o| {
            o.iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect::<std::collections::BTreeMap<_, _>>()
        })
    };
    without_null(present) != without_null(wanted)
}

impl Act {
    pub(super) fn new(client: Client, set: Arc<Value>, now: Timestamp) -> Self {
        Self { client, set, now }
    }

    /// Performs the plan. The status is written whatever becomes of the actions; their error comes first.
    pub(super) async fn perform(self, plan: Plan) -> Result<Vec<Written>, kube::Error> {
        let mut written = Vec::new();
        let mut outcome = Ok(());
        for action in plan.actions {
            match self.one(action).await {
                Ok(now) => written.extend(now),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        let status = self.status(&plan.status).await;
        outcome?;
        written.extend(status?);
        Ok(written)
    }

    /// Performs an action; returns what the object is now.
    async fn one(&self, action: Action) -> Result<Option<Written>, kube::Error> {
        match action {
            Action::AdoptPod { name, patch } => {
                self.check_alive().await?;
                self.patch(Kind::Pod, &name, &patch).await
            }
            Action::AdoptRevision { name, patch } => {
                self.check_alive().await?;
                self.patch(Kind::Revision, &name, &patch).await
            }
            Action::ReleasePod { name, patch } => self.patch(Kind::Pod, &name, &patch).await,
            Action::CreateRevision(revision) => {
                let made = self.create(Kind::Revision, &revision).await?;
                Ok(Some((Kind::Revision, made)))
            }
            Action::CreateClaim { claim, pod } => {
                let made = self.create(Kind::Claim, &claim).await;
                let what = format!("Claim {} Pod {pod}", name_of(&claim));
                self.tell("Create", &what, &made).await;
                Ok(Some((Kind::Claim, made?)))
            }
            Action::CreatePod(pod) => {
                let made = self.create(Kind::Pod, &pod).await;
                let what = format!("Pod {}", name_of(&pod));
                self.tell("Create", &what, &made).await;
                Ok(Some((Kind::Pod, made?)))
            }
            Action::DeletePod { name, uid } => {
                let params = DeleteParams {
                    preconditions: Some(Preconditions {
                        uid: Some(uid),
                        resource_version: None,
                    }),
                    ..DeleteParams::default()
                };
                let deleted = self.api(Kind::Pod).delete(&name, &params).await;
                self.tell("Delete", &format!("Pod {name}"), &deleted).await;
                Ok(deleted?.left().map(|pod| (Kind::Pod, pod)))
            }
            Action::DeleteRevision(name) => {
                let revisions = self.api(Kind::Revision);
                revisions.delete(&name, &DeleteParams::default()).await?;
                Ok(None)
            }
            Action::RaiseRevision { name, revision } => {
                let patch = json!({"revision": revision});
                self.patch(Kind::Revision, &name, &patch).await
            }
            Action::RepairPod { name, labels } => {
                let patch = json!({"metadata": {"labels": labels}});
                self.patch(Kind::Pod, &name, &patch).await
            }
        }
    }

    /// Asks the API server itself whether the set is still there: the garbage collector may be orphaning what a
    /// cache would have us adopt.
    async fn check_alive(&self) -> Result<(), kube::Error> {
        let set = self.api(Kind::Set).get(self.name()).await?;
        let uid = set.metadata.uid.as_deref();
        if uid == self.set["metadata"]["uid"].as_str() && set.metadata.deletion_timestamp.is_none()
        {
            return Ok(());
        }
        let gone = Status::failure("the set is being deleted, or is another one", "Conflict");
        Err(kube::Error::Api(Box::new(gone.with_code(409))))
    }

    async fn status(&self, status: &Value) -> Result<Option<Written>, kube::Error> {
        if !differs(&self.set["status"], status) {
            return Ok(None);
        }
        // The whole status, so that a count that fell to none goes; of the revision it was counted from.
        let mut object = json!({"metadata": {"resourceVersion": self.set["metadata"]["resourceVersion"]}, "status": status});
        for field in self.set["status"]
            .as_object()
            .into_iter()
            .flat_map(|s| s.keys())
        {
            if object["status"][field].is_null() {
                object["status"][field] = Value::Null;
            }
        }
        let api = self.api(Kind::Set);
        let new = api
            .patch_status(self.name(), &PatchParams::default(), &Patch::Merge(&object))
            .await?;
        Ok(Some((Kind::Set, new)))
    }

    async fn create(&self, kind: Kind, object: &Value) -> Result<DynamicObject, kube::Error> {
        let object: DynamicObject =
            serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
        self.api(kind).create(&PostParams::default(), &object).await
    }

    async fn patch(
        &self,
        kind: Kind,
        name: &str,
        patch: &Value,
    ) -> Result<Option<Written>, kube::Error> {
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let now = self.api(kind).patch(name, &params, &patch).await?;
        Ok(Some((kind, now)))
    }

    /// Says on the set what was done, in upstream's words; a name that is taken is no news.
    async fn tell<T>(&self, verb: &str, what: &str, outcome: &Result<T, kube::Error>) {
        let done = format!("{verb} {what} in StatefulSet {}", self.name());
        let (kind, reason, message) = match outcome {
            Ok(_) if what.starts_with("Claim") => (
                "Normal",
                format!("Successful{verb}"),
                format!("{done} success"),
            ),
            Ok(_) => (
                "Normal",
                format!("Successful{verb}"),
                format!("{done} successful"),
            ),
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => return,
            Err(error) => (
                "Warning",
                format!("Failed{verb}"),
                format!("{done} failed error: {error}"),
            ),
        };
        let meta = &self.set["metadata"];
        let time = self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"generateName": format!("{}.", self.name()), "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": "apps/v1", "kind": "StatefulSet", "name": meta["name"], "namespace": meta["namespace"],
                "uid": meta["uid"], "resourceVersion": meta["resourceVersion"],
            },
            "reason": reason, "message": message, "type": kind, "count": 1, "firstTimestamp": time, "lastTimestamp": time,
            "source": {"component": "statefulset-controller"}, "reportingComponent": "statefulset-controller", "reportingInstance": "",
        });
        let resource =
            kube::api::ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk("", "v1", "Event"));
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), self.ns(), &resource);
        let sent = match serde_json::from_value(event) {
            Ok(event) => api.create(&PostParams::default(), &event).await.map(drop),
            Err(error) => Err(kube::Error::SerdeError(error)),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "an Event could not be written");
        }
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), self.ns(), &kind.resource())
    }

    fn name(&self) -> &str {
        self.set["metadata"]["name"].as_str().unwrap_or_default()
    }

    fn ns(&self) -> &str {
        self.set["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
    }
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}
