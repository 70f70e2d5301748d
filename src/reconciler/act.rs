//! The executor: performs a plan's actions, tells Events of them, writes the status. It decides nothing.

use headless_objects::object::{name, ns};
use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Status;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::events;
use super::kinds::{Kind, Written};
use super::told::{Said, Told};
use crate::api::explain;
use crate::statefulset::{Action, MAX_BATCH, Plan, Warning};

/// Who writes, in `managedFields`.
const FIELD_MANAGER: &str = "headless-dns";

/// How long an action may take: a connection that stalls must not keep a set from being looked after.
const REQUEST: Duration = Duration::from_secs(10);

/// A reconcile that came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{}", explain(.0))]
    Api(#[from] kube::Error),
    /// A request went out and nothing came back.
    #[error("the API server has not answered for {} s", REQUEST.as_secs())]
    Late,
    /// It is tried again like any other.
    #[error("the reconcile broke; this is a bug")]
    Broken,
}

impl Error {
    /// Whether looking again is all there is to do: an object is gone, or another than the plan saw.
    pub(super) fn lags(&self) -> bool {
        match self {
            Self::Api(kube::Error::Api(status)) => matches!(status.code, 404 | 409),
            Self::Api(_) | Self::Late | Self::Broken => false,
        }
    }
}

/// The executor for one set.
pub(super) struct Act {
    client: Client,
    set: Arc<Value>,
    now: Timestamp,
    told: Arc<Mutex<Told>>,
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
    pub(super) fn new(
        client: Client,
        set: Arc<Value>,
        now: Timestamp,
        told: Arc<Mutex<Told>>,
    ) -> Self {
        Self {
            client,
            set,
            now,
            told,
        }
    }

    /// Performs the plan. The status is written whatever becomes of the actions; their error comes first. Returns what
    /// was written in any case.
    pub(super) async fn perform(&self, plan: &Plan) -> (Vec<Written>, Result<(), Error>) {
        let mut written = Vec::new();
        let mut outcome = Ok(());
        let mut batches = Batches {
            left: &plan.actions,
            parallel: plan.parallel,
            size: 1,
        };
        while let Some(batch) = batches.next()
            && outcome.is_ok()
        {
            for result in join_all(
                batch
                    .iter()
                    .map(|action| in_time(self.perform_action(action))),
            )
            .await
            {
                match result {
                    Ok(now) => written.extend(now),
                    Err(error) => outcome = outcome.and(Err(error)),
                }
            }
        }
        match in_time(self.status(&plan.status)).await {
            Ok(now) => written.extend(now),
            Err(error) => outcome = outcome.and(Err(error)),
        }
        (written, outcome)
    }

    /// Says what is the matter with the set.
    pub(super) async fn warn(&self, warning: &Warning) {
        self.tell("Warning", warning.reason, &warning.message).await;
    }

    /// Performs an action; returns what the objects are now.
    async fn perform_action(&self, action: &Action) -> Result<Vec<Written>, kube::Error> {
        match action {
            Action::AdoptPod { name, patch } => self.adopt(Kind::Pod, name, patch).await,
            Action::AdoptRevision { name, patch } => self.adopt(Kind::Revision, name, patch).await,
            Action::CreateClaim { claim, pod } => self.create_claim(claim, pod).await,
            Action::CreatePod { pod, claims } => {
                let mut written = Vec::new();
                for claim in claims {
                    match self.create_claim(claim, name(pod)).await {
                        Ok(made) => written.extend(made),
                        Err(error) => {
                            let what = format!("Pod {}", name(pod));
                            self.report::<()>("Create", &what, Err(&error)).await;
                            return Err(error);
                        }
                    }
                }
                let made = self.create(Kind::Pod, pod).await;
                let what = format!("Pod {}", name(pod));
                self.report("Create", &what, made.as_ref()).await;
                written.push((Kind::Pod, made?));
                Ok(written)
            }
            Action::CreateRevision(revision) => {
                let made = self.create(Kind::Revision, revision).await?;
                Ok(vec![(Kind::Revision, made)])
            }
            Action::DeletePod { name, uid } => {
                let deleted = self.delete(Kind::Pod, name, uid).await;
                let what = format!("Pod {name}");
                self.report("Delete", &what, deleted.as_ref()).await;
                Ok(deleted?.into_iter().map(|pod| (Kind::Pod, pod)).collect())
            }
            Action::DeleteRevision { name, uid } => {
                let deleted = self.delete(Kind::Revision, name, uid).await?;
                Ok(deleted
                    .into_iter()
                    .map(|gone| (Kind::Revision, gone))
                    .collect())
            }
            Action::OwnClaim { name, patch } => self.patch(Kind::Claim, name, patch).await,
            Action::RaiseRevision { name, revision } => {
                let patch = json!({"revision": revision});
                self.patch(Kind::Revision, name, &patch).await
            }
            Action::ReleasePod { name, patch } => self.patch(Kind::Pod, name, patch).await,
            Action::RepairPod { name, labels } => {
                let patch = json!({"metadata": {"labels": labels}});
                let repaired = self.patch(Kind::Pod, name, &patch).await;
                let what = format!("Pod {name}");
                self.report("Update", &what, repaired.as_ref()).await;
                repaired
            }
        }
    }

    async fn adopt(
        &self,
        kind: Kind,
        name: &str,
        patch: &Value,
    ) -> Result<Vec<Written>, kube::Error> {
        self.check_alive().await?;
        self.patch(kind, name, patch).await
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

    async fn create_claim(&self, claim: &Value, pod: &str) -> Result<Vec<Written>, kube::Error> {
        let made = self.create(Kind::Claim, claim).await;
        let what = format!("Claim {} Pod {pod}", name(claim));
        self.report("Create", &what, made.as_ref()).await;
        Ok(vec![(Kind::Claim, made?)])
    }

    /// Deletes this incarnation and no other.
    async fn delete(
        &self,
        kind: Kind,
        name: &str,
        uid: &str,
    ) -> Result<Option<DynamicObject>, kube::Error> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        Ok(self.api(kind).delete(name, &params).await?.left())
    }

    async fn status(&self, status: &Value) -> Result<Option<Written>, kube::Error> {
        if !differs(&self.set["status"], status) {
            return Ok(None);
        }
        // The patch names every old field, so that a count that is left out is removed. With the resourceVersion, it
        // applies only to the set that was counted.
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
        let patch = Patch::Merge(&object);
        let new = api.patch_status(self.name(), &patching(), &patch).await?;
        Ok(Some((Kind::Set, new)))
    }

    async fn create(&self, kind: Kind, object: &Value) -> Result<DynamicObject, kube::Error> {
        let object: DynamicObject =
            serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PostParams::default()
        };
        self.api(kind).create(&params, &object).await
    }

    async fn patch(
        &self,
        kind: Kind,
        name: &str,
        patch: &Value,
    ) -> Result<Vec<Written>, kube::Error> {
        let patch = Patch::Merge(patch);
        let now = self.api(kind).patch(name, &patching(), &patch).await?;
        Ok(vec![(kind, now)])
    }

    /// Says on the set what was done, in upstream's words; a name that is taken is no news.
    async fn report<T>(&self, verb: &str, what: &str, outcome: Result<&T, &kube::Error>) {
        let Some((kind, reason, message)) =
            events::of_request(verb, what, self.name(), outcome.err())
        else {
            return;
        };
        self.tell(kind, &reason, &message).await;
    }

    async fn tell(&self, kind: &str, reason: &str, message: &str) {
        let said = Said {
            uid: self.set["metadata"]["uid"].as_str().unwrap_or_default(),
            kind,
            reason,
            message,
        };
        let tell = self.told.lock().await.next(self.now, said);
        let Some(tell) = tell else { return };
        let event = events::event(&self.set, self.now, (kind, reason), &tell);
        if let Err(error) = self.write(&event, tell.count > 1).await {
            tracing::debug!(%error, "an Event could not be written");
        }
    }

    /// Writes an Event; one that is there already, with its new count.
    async fn write(&self, event: &Value, again: bool) -> Result<(), kube::Error> {
        let resource =
            kube::api::ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk("", "v1", "Event"));
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), self.ns(), &resource);
        if again {
            let fields = ["count", "lastTimestamp", "message"];
            let patch: serde_json::Map<_, _> = fields
                .iter()
                .map(|field| ((*field).to_owned(), event[*field].clone()))
                .collect();
            let patch = Patch::Merge(Value::from(patch));
            match api.patch(name(event), &patching(), &patch).await {
                // The API server keeps Events for an hour only.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => return other.map(drop),
            }
        }
        let event = serde_json::from_value(event.clone()).map_err(kube::Error::SerdeError)?;
        api.create(&PostParams::default(), &event).await.map(drop)
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), self.ns(), &kind.resource())
    }

    fn name(&self) -> &str {
        name(&self.set)
    }

    fn ns(&self) -> &str {
        ns(&self.set)
    }
}

async fn in_time<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    let outcome = tokio::time::timeout(REQUEST, request).await;
    Ok(outcome.map_err(|_| Error::Late)??)
}

/// Splits actions into batches that are done at the same time: one action each, but in a Parallel set more and more
/// neighbours of the same kind.
struct Batches<'a> {
    left: &'a [Action],
    parallel: bool,
    size: usize,
}

impl<'a> Iterator for Batches<'a> {
    type Item = &'a [Action];

    fn next(&mut self) -> Option<&'a [Action]> {
        let kind = discriminant(self.left.first()?);
        let limit = if self.parallel { self.size } else { 1 };
        let alike = self.left.iter().take_while(|a| discriminant(*a) == kind);
        let count = alike.take(limit).count();
        let (batch, left) = self.left.split_at(count);
        let goes_on = left.first().is_some_and(|next| discriminant(next) == kind);
        // Kubernetes' slow start: an API server that refuses everything is asked little.
        self.size = if goes_on {
            (self.size * 2).min(MAX_BATCH)
        } else {
            1
        };
        self.left = left;
        Some(batch)
    }
}

fn patching() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s18_the_batches_of_a_parallel_set_double_from_one_and_hold_one_kind_of_action() {
        let delete = |n: usize| Action::DeletePod {
            name: n.to_string(),
            uid: String::new(),
        };
        let mut actions: Vec<Action> = (0..1500).map(delete).collect();
        actions.push(Action::CreateRevision(Value::Null));
        let sizes = |parallel| -> Vec<usize> {
            let left = actions.as_slice();
            let size = 1;
            Batches {
                left,
                parallel,
                size,
            }
            .map(<[_]>::len)
            .collect()
        };
        assert_eq!(sizes(true), [1, 2, 4, 8, 16, 32, 64, 128, 256, 500, 489, 1]);
        assert_eq!(sizes(false), [1; 1501]);
    }
}
