//! One leader among many, by a Lease (coordination.k8s.io/v1), as client-go elects one.
//!
//! Clocks of others are never compared with ours: another holds a lease for as long as we see it change at least once
//! within the duration that it names.

use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::fence::fenced;
use crate::api::explain;

/// How long the others wait for a silent leader: client-go's default, as are the two below.
const DURATION: Duration = Duration::from_secs(15);

/// A leader that could not renew for this long stops before others may take over.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// So long before others may take over nothing is written any more: a write takes a while to arrive.
const MARGIN: Duration = Duration::from_secs(1);

/// How often the lease is looked at.
const RETRY: Duration = Duration::from_secs(2);

/// A lease, and who asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its namespace.
    pub ns: String,
    /// Its name.
    pub name: String,
    /// Ours alone among all that may ask.
    pub identity: String,
}

/// What was seen of the lease last, and when it was seen to change.
#[derive(Debug, Default)]
struct Seen {
    spec: Value,
    at: Option<Instant>,
}

/// What a look at the lease asks for.
#[derive(Debug, PartialEq)]
enum Step {
    Create(Value),
    Replace(Value),
    Wait,
}

/// What has come of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// The lease is ours, from now on or still.
    Ours,
    /// Another has it.
    Anothers,
    /// Somebody wrote it at the same time: the next look shows who.
    Contested,
}

/// Does the work whenever we lead, until `stop`; then the lease is given back. What fails is said and tried again. The work
/// has a client that writes nothing once the lease may have run out.
pub async fn lead<W: Future<Output = ()> + Send + 'static>(
    client: Client,
    lease: Lease,
    work: impl Fn(Client) -> W,
    stop: CancellationToken,
) {
    let renewed = watch::Sender::new(Instant::now());
    let fenced = fenced(&client, renewed.subscribe(), DURATION - MARGIN);
    let elector = Elector::new(client, lease);
    let mut seen = Seen::default();
    let mut leading: Option<AbortOnDropHandle<()>> = None;
    let mut failing = false;
    let mut pause = tokio::time::interval(RETRY);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = pause.tick() => {}
            () = stop.cancelled() => break,
        }
        if let Some(task) = leading.take_if(|task| task.is_finished()) {
            // The work ends by itself only with a panic, which is passed on.
            if let Err(broken) = task.await {
                std::panic::resume_unwind(broken.into_panic());
            }
        }
        let asked = Instant::now();
        let outcome = tokio::time::timeout(RETRY, elector.round(&mut seen)).await;
        match &outcome {
            Ok(Ok(Round::Ours)) => {
                failing = false;
                renewed.send_replace(asked);
                leading.get_or_insert_with(|| {
                    info!(lease = %elector.lease.name, "leading");
                    AbortOnDropHandle::new(tokio::spawn(work(fenced.clone())))
                });
                continue;
            }
            Ok(Ok(Round::Anothers | Round::Contested)) => failing = false,
            Ok(Err(error)) => elector.complain(&mut failing, &explain(error)),
            Err(_) => elector.complain(&mut failing, "the API server does not answer"),
        }
        // Another has the lease, or it could not be renewed for too long: the work must end.
        let lost = matches!(outcome, Ok(Ok(Round::Anothers)));
        let late = renewed.borrow().elapsed() + RETRY >= RENEW_DEADLINE;
        if let Some(task) = leading.take_if(|_| lost || late) {
            end(task).await;
            warn!(lease = %elector.lease.name, "not leading any more");
        }
    }
    if let Some(task) = leading {
        end(task).await;
        let released = tokio::time::timeout(RETRY, elector.release()).await;
        if !matches!(released, Ok(Ok(()))) {
            warn!(lease = %elector.lease.name, "the lease could not be given back: others wait until it runs out");
        }
    }
}

/// Ends the work, and waits until it has ended.
async fn end(task: AbortOnDropHandle<()>) {
    task.abort();
    let _aborted = task.await;
}

struct Elector {
    api: Api<DynamicObject>,
    lease: Lease,
}

impl Elector {
    fn new(client: Client, lease: Lease) -> Self {
        let kind = GroupVersionKind::gvk("coordination.k8s.io", "v1", "Lease");
        let resource = ApiResource::from_gvk(&kind);
        let api = Api::namespaced_with(client, &lease.ns, &resource);
        Self { api, lease }
    }

    /// Says once, until it works again, that the lease cannot be had.
    fn complain(&self, failing: &mut bool, reason: &str) {
        if !std::mem::replace(failing, true) {
            warn!(ns = %self.lease.ns, name = %self.lease.name, "cannot have the lease: {reason}");
        }
    }

    /// Looks, and takes or renews the lease where that is due.
    async fn round(&self, seen: &mut Seen) -> Result<Round, kube::Error> {
        let present = self.api.get_opt(&self.lease.name).await?;
        let present = present.map(|lease| serde_json::to_value(lease).unwrap_or_default());
        seen.look(present.as_ref());
        let now = Timestamp::now();
        let step = step(present.as_ref(), seen, &self.lease, now);
        let params = PostParams::default();
        let parse = |object| serde_json::from_value(object).map_err(kube::Error::SerdeError);
        let outcome = match step {
            Step::Wait => return Ok(Round::Anothers),
            Step::Create(lease) => self.api.create(&params, &parse(lease)?).await,
            Step::Replace(lease) => {
                let name = &self.lease.name;
                self.api.replace(name, &params, &parse(lease)?).await
            }
        };
        match outcome {
            Ok(_) => Ok(Round::Ours),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Round::Contested),
            Err(error) => Err(error),
        }
    }

    /// Gives the lease back, so that nobody has to wait.
    async fn release(&self) -> Result<(), kube::Error> {
        let present = self.api.get(&self.lease.name).await?;
        let mut lease = serde_json::to_value(present).unwrap_or_default();
        if lease["spec"]["holderIdentity"] != self.lease.identity.as_str() {
            return Ok(());
        }
        lease["spec"]["holderIdentity"] = "".into();
        lease["spec"]["leaseDurationSeconds"] = 1.into();
        let lease = serde_json::from_value(lease).map_err(kube::Error::SerdeError)?;
        let params = PostParams::default();
        self.api.replace(&self.lease.name, &params, &lease).await?;
        Ok(())
    }
}

impl Seen {
    fn look(&mut self, present: Option<&Value>) {
        let spec = present.map_or(&Value::Null, |lease| &lease["spec"]);
        if *spec != self.spec || self.at.is_none() {
            self.spec = spec.clone();
            self.at = Some(Instant::now());
        }
    }

    /// Whether the holder has let the lease run out.
    fn is_over(&self) -> bool {
        let seconds = self.spec["leaseDurationSeconds"]
            .as_u64()
            .unwrap_or_default();
        let passed = self.at.map(|at| at.elapsed());
        passed.is_some_and(|passed| passed > Duration::from_secs(seconds))
    }
}

fn step(present: Option<&Value>, seen: &Seen, lease: &Lease, now: Timestamp) -> Step {
    let time = now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    let mut spec = json!({
        "holderIdentity": lease.identity, "leaseDurationSeconds": DURATION.as_secs(),
        "acquireTime": time, "renewTime": time, "leaseTransitions": 0,
    });
    let Some(present) = present else {
        return Step::Create(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": lease.name, "namespace": lease.ns}, "spec": spec,
        }));
    };
    let old = &present["spec"];
    let holder = old["holderIdentity"].as_str().unwrap_or_default();
    let ours = holder == lease.identity;
    if !ours && !holder.is_empty() && !seen.is_over() {
        return Step::Wait;
    }
    let transitions = old["leaseTransitions"].as_i64().unwrap_or_default();
    // The API server takes an int32, whatever stands there.
    let transitions = transitions.saturating_add(i64::from(!ours));
    spec["leaseTransitions"] = transitions.clamp(0, i32::MAX.into()).into();
    if ours {
        spec["acquireTime"] = old["acquireTime"].clone();
    }
    let mut new = present.clone();
    new["spec"] = spec;
    Step::Replace(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_begins_again_has_its_lease_back_and_another_waits() {
        let ask = |identity: &str| {
            let lease = Lease {
                ns: "default".into(),
                name: "l".into(),
                identity: identity.into(),
            };
            let present = json!({"spec": {"holderIdentity": "pod-a", "leaseDurationSeconds": 15, "acquireTime": "t"}});
            step(
                Some(&present),
                &Seen::default(),
                &lease,
                Timestamp::UNIX_EPOCH,
            )
        };
        assert!(matches!(ask("pod-a"), Step::Replace(_)));
        assert_eq!(ask("pod-b"), Step::Wait);
    }

    #[test]
    fn the_count_of_transitions_stays_what_the_api_server_takes() {
        let lease = Lease {
            ns: "default".into(),
            name: "l".into(),
            identity: "us".into(),
        };
        let taken = |transitions: Value| {
            let present = json!({"spec": {"holderIdentity": "", "leaseTransitions": transitions}});
            let step = step(
                Some(&present),
                &Seen::default(),
                &lease,
                Timestamp::UNIX_EPOCH,
            );
            let Step::Replace(new) = step else {
                panic!("{step:?}");
            };
            new["spec"]["leaseTransitions"].clone()
        };
        let all = [
            5.into(),
            i32::MAX.into(),
            i64::MAX.into(),
            (-9).into(),
            "x".into(),
        ];
        assert_eq!(
            all.map(taken),
            [6, i32::MAX, i32::MAX, 0, 1].map(Value::from)
        );
    }
}
