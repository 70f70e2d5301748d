//! Questions that wait for a name: each until something changes about its Service, until it is let go, or until it leaves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::name::ServiceKey;

/// All that wait.
pub(super) struct Waiting {
    /// How many may.
    most: usize,
    state: Mutex<State>,
}

/// Places by their numbers, of which a later one is larger.
#[derive(Default)]
struct State {
    last: u64,
    len: usize,
    services: HashMap<ServiceKey, BTreeMap<u64, Arc<Signal>>>,
    clients: HashMap<IpAddr, BTreeMap<u64, ServiceKey>>,
    /// Clients by their ranks.
    ranks: BTreeSet<(Rank, IpAddr)>,
}

/// How many places a client has, and its oldest: of those that have the same number the oldest ranks highest.
type Rank = (usize, Reverse<u64>);

fn rank(places: &BTreeMap<u64, ServiceKey>) -> Option<Rank> {
    let oldest = places.keys().next()?;
    Some((places.len(), Reverse(*oldest)))
}

#[derive(Default)]
struct Signal {
    notify: Notify,
    let_go: AtomicBool,
}

/// A place among those that wait; dropping it leaves.
pub(super) struct Place {
    waiting: Arc<Waiting>,
    number: u64,
    client: IpAddr,
    signal: Arc<Signal>,
}

impl Waiting {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            state: Mutex::default(),
        }
    }

    /// Has a client wait for a Service. Where there is no room, the client that has the most questions here loses its oldest.
    pub(super) fn enter(self: &Arc<Self>, service: ServiceKey, client: IpAddr) -> Place {
        let (signal, mut state) = (Arc::new(Signal::default()), self.lock());
        state.last += 1;
        state.len += 1;
        let number = state.last;
        let of_client = state.clients.entry(client).or_default();
        let before = rank(of_client);
        of_client.insert(number, service.clone());
        let now = rank(of_client);
        state.rank(client, before, now);
        let of_service = state.services.entry(service).or_default();
        of_service.insert(number, Arc::clone(&signal));
        if state.len > self.most {
            state.let_one_go();
        }
        drop(state);
        Place {
            waiting: Arc::clone(self),
            number,
            client,
            signal,
        }
    }

    /// Has those who wait for a Service look again; `None`: all.
    pub(super) fn wake(&self, service: Option<&ServiceKey>) {
        let state = self.lock();
        let wake = |places: &BTreeMap<u64, Arc<Signal>>| {
            places
                .values()
                .for_each(|signal| signal.notify.notify_one());
        };
        match service {
            Some(service) => state.services.get(service).into_iter().for_each(wake),
            None => state.services.values().for_each(wake),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn let_one_go(&mut self) {
        let greediest = self.ranks.last().map(|(_, client)| *client);
        let oldest = greediest.and_then(|client| {
            let places = self.clients.get(&client)?;
            Some((client, *places.keys().next()?))
        });
        if let Some((client, number)) = oldest
            && let Some(signal) = self.remove(client, number)
        {
            signal.let_go.store(true, Ordering::Release);
            signal.notify.notify_one();
        }
    }

    /// Notes that a client has another rank now; none without a place.
    fn rank(&mut self, client: IpAddr, before: Option<Rank>, now: Option<Rank>) {
        if let Some(before) = before {
            self.ranks.remove(&(before, client));
        }
        self.ranks.extend(now.map(|now| (now, client)));
    }

    fn remove(&mut self, client: IpAddr, number: u64) -> Option<Arc<Signal>> {
        let of_client = self.clients.get_mut(&client)?;
        let before = rank(of_client);
        let service = of_client.remove(&number)?;
        let now = rank(of_client);
        if now.is_none() {
            self.clients.remove(&client);
        }
        self.rank(client, before, now);
        let of_service = self.services.get_mut(&service)?;
        let signal = of_service.remove(&number);
        if of_service.is_empty() {
            self.services.remove(&service);
        }
        self.len -= 1;
        signal
    }
}

impl Place {
    /// Waits until it is to look again: `true`; or is let go: `false`.
    pub(super) async fn woken(&self) -> bool {
        self.signal.notify.notified().await;
        !self.signal.let_go.load(Ordering::Acquire)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _let_go_before = self.waiting.lock().remove(self.client, self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn redis() -> ServiceKey {
        ServiceKey::new(b"default", b"redis")
    }

    /// Whether each is let go (`Some(false)`), is to look again, or waits.
    fn states(places: &[Place]) -> Vec<Option<bool>> {
        places
            .iter()
            .map(|place| place.woken().now_or_never())
            .collect()
    }

    #[test]
    fn those_who_wait_for_a_service_are_woken_by_it_and_by_no_other() {
        let waiting = Arc::new(Waiting::new(9));
        let client = IpAddr::from([10, 0, 0, 1]);
        let other = ServiceKey::new(b"default", b"other");
        let places = [redis(), redis(), other.clone()].map(|svc| waiting.enter(svc, client));
        assert_eq!(states(&places), [None, None, None]);
        waiting.wake(Some(&redis()));
        assert_eq!(states(&places), [Some(true), Some(true), None]);
        waiting.wake(None);
        assert_eq!(states(&places), [Some(true); 3]);
        drop(places);
        let state = waiting.lock();
        assert!(state.services.is_empty() && state.clients.is_empty() && state.len == 0);
    }

    #[test]
    fn where_there_is_no_room_the_client_with_the_most_questions_loses_its_oldest() {
        let waiting = Arc::new(Waiting::new(3));
        let [greedy, modest, late] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));
        let clients = [greedy, modest, greedy, late, greedy];
        let places = clients.map(|client| waiting.enter(redis(), client));
        let let_go = Some(false);
        assert_eq!(states(&places), [let_go, None, let_go, None, None]);
        assert_eq!(waiting.lock().len, 3);
        drop(places);
        assert_eq!(waiting.lock().len, 0);
    }
}
