//! What is ordered of one Pod, done in that order.

use std::sync::Arc;
use std::time::Duration;

use headless_cluster::runtime::{Check, Fact, Order, Refusal, Run, Start};
use headless_node::{NodeError, Pod};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use tracing::warn;

use super::{KILL, Shared, check, container, files, probe};

const TERM: i32 = 15;

/// What a program has to end after its hook has used up the grace: the kubelet's.
const LEAST: Duration = Duration::from_secs(2);

/// Does what is ordered of a Pod until it is forgotten.
pub(super) async fn serve(shared: Arc<Shared>, uid: String, mut orders: UnboundedReceiver<Order>) {
    let mut made = false;
    while let Some(order) = orders.recv().await {
        match order {
            Order::Start(start) => {
                if !made && let Err(error) = make(&shared, &start).await {
                    shared.say(Fact::Refused(start.run, Refusal::Pod, error.to_string()));
                    continue;
                }
                made = true;
                container::start(&shared, *start).await;
            }
            Order::Stop(_, grace) => stop(&shared, &uid, None, grace),
            Order::End(run, grace) => stop(&shared, &uid, Some(&run.container), grace),
            Order::Probe(asked) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { probe::make(&shared, *asked).await });
            }
            Order::Show(_, volume) => {
                if made
                    && let Err(error) = files::show(&shared.node, &shared.folders, &uid, &volume)
                {
                    warn!(%error, volume = volume.name, "a volume stays as it was");
                }
            }
            Order::Release(_) => {
                if made {
                    release(&shared, &uid).await;
                }
                made = false;
            }
            Order::Forget(_) => {
                let mut containers = shared.containers();
                containers.retain(|(pod, _), _| *pod != uid);
                return;
            }
            // They are of no Pod.
            Order::Route(_) | Order::Discard(_) => {}
        }
    }
}

async fn make(shared: &Shared, start: &Start) -> Result<(), NodeError> {
    let pod = Pod {
        id: start.run.pod.clone(),
        hostname: start.pod.hostname.clone(),
        addresses: start.pod.addresses.clone(),
    };
    shared.node.add_pod(&pod).await
}

/// A container that is to be asked to end.
struct Asked {
    run: Run,
    task: u64,
    signal: i32,
    hook: Option<Check>,
}

/// The containers of a Pod that have not ended, or the one of this name.
fn asked(shared: &Shared, uid: &str, only: Option<&str>) -> Vec<Asked> {
    let containers = shared.containers();
    let meant = |pod: &str, name: &str| pod == uid && only.is_none_or(|only| only == name);
    let running = containers
        .iter()
        .filter(|((pod, name), container)| meant(pod, name) && container.code().is_none());
    let asked = running.map(|(_, container)| Asked {
        run: container.start.run.clone(),
        task: container.task,
        signal: container.entry.stop.unwrap_or(TERM),
        hook: container.start.pre_stop.clone(),
    });
    asked.collect()
}

/// Asks a program to end, after its hook, and ends it when the grace is over.
async fn end(shared: Arc<Shared>, asked: Asked, grace: Duration) {
    let begun = Instant::now();
    let mut left = grace;
    if let Some(hook) = asked.hook.filter(|_| !grace.is_zero()) {
        // One that fails, or takes too long, does not hold the end up.
        let _failed = check::holds(&shared, &asked.run, (&hook, check::ANY_CODE), grace).await;
        left = grace.saturating_sub(begun.elapsed()).max(LEAST);
    }
    signal(&shared, asked.task, asked.signal).await;
    tokio::time::sleep(left).await;
    let still = self::asked(&shared, &asked.run.pod, Some(&asked.run.container));
    if still.iter().any(|one| one.task == asked.task) {
        signal(&shared, asked.task, KILL).await;
    }
}

fn stop(shared: &Arc<Shared>, uid: &str, only: Option<&str>, grace: Duration) {
    for asked in asked(shared, uid, only) {
        tokio::spawn(end(Arc::clone(shared), asked, grace));
    }
}

async fn signal(shared: &Shared, task: u64, number: i32) {
    if let Err(error) = shared.node.signal(task, number).await {
        warn!(%error, task, "a container did not get its signal");
    }
}

async fn release(shared: &Shared, uid: &str) {
    let folder = shared.folders.own(uid);
    let released = async {
        shared.node.remove_pod(uid).await?;
        shared.node.remove_folder(&folder).await
    };
    if let Err(error) = released.await {
        warn!(%error, "a Pod was not let go");
    }
}
