//! What is ordered of one Pod, done in that order.

use std::sync::Arc;
use std::time::Duration;

use headless_cluster::runtime::{Fact, Order, Start};
use headless_node::{NodeError, Pod};
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::warn;

use super::{KILL, Shared, container, files, probe};

const TERM: i32 = 15;

/// Does what is ordered of a Pod until it is forgotten.
pub(super) async fn serve(shared: Arc<Shared>, uid: String, mut orders: UnboundedReceiver<Order>) {
    let mut made = false;
    while let Some(order) = orders.recv().await {
        match order {
            Order::Start(start) => {
                if !made && let Err(error) = make(&shared, &start).await {
                    let reason = "CreatePodSandboxError";
                    shared.say(Fact::Refused(start.run, reason, error.to_string()));
                    continue;
                }
                made = true;
                container::start(&shared, *start).await;
            }
            Order::Stop(_, grace) => stop(&shared, &uid, None, grace).await,
            Order::End(run, grace) => stop(&shared, &uid, Some(run.container), grace).await,
            Order::Probe(asked) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { probe::make(&shared, *asked).await });
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
            // It is of no Pod.
            Order::Route(_) => {}
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

/// The tasks of a Pod's containers that have not ended, or of the one of this name.
fn tasks(shared: &Shared, uid: &str, only: Option<&str>) -> Vec<u64> {
    let containers = shared.containers();
    let meant = |pod: &str, name: &str| pod == uid && only.is_none_or(|only| only == name);
    let running = containers
        .iter()
        .filter(|((pod, name), container)| meant(pod, name) && container.code().is_none());
    running.map(|(_, container)| container.task).collect()
}

/// Asks programs to end, and ends those that have not when the grace is over.
async fn stop(shared: &Arc<Shared>, uid: &str, only: Option<String>, grace: Duration) {
    let asked = tasks(shared, uid, only.as_deref());
    for task in &asked {
        signal(shared, *task, TERM).await;
    }
    let (shared, uid) = (Arc::clone(shared), uid.to_owned());
    tokio::spawn(async move {
        tokio::time::sleep(grace).await;
        let late = tasks(&shared, &uid, only.as_deref());
        for task in late.into_iter().filter(|task| asked.contains(task)) {
            signal(&shared, task, KILL).await;
        }
    });
}

async fn signal(shared: &Shared, task: u64, number: i32) {
    if let Err(error) = shared.node.signal(task, number).await {
        warn!(%error, task, "a container did not get its signal");
    }
}

async fn release(shared: &Shared, uid: &str) {
    let folder = files::folder_of(&shared.folder, uid);
    let released = async {
        shared.node.remove_pod(uid).await?;
        shared.node.remove_folder(&folder).await
    };
    if let Err(error) = released.await {
        warn!(%error, "a Pod was not let go");
    }
}
