//! What clients may take of files and memory: connections, replies that they do not accept, questions that wait for
//! upstreams. What is idle goes first, and no client has more than half.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::RandomState;
use tokio_util::sync::CancellationToken;

use super::shares::Client;

/// What one connection may hold of memory while it is idle, in octets: its task, and what the kernel keeps for it.
const OF_ONE: u64 = 16 << 10;

/// Descriptors that are left for everything else: sockets, files, upstreams.
const LEFT: u64 = 256;

/// At least so many connections, and at most: a table of more is not looked through in a moment.
const FEWEST: u64 = 64;
const MOST: u64 = 100_000;

/// Every client may have so many.
const OF_EACH: usize = 8;

/// How much there may be of replies that clients have not taken yet, in octets: some of any size, and no more than helps
/// anybody.
const LEAST_UNTAKEN: u64 = 4 << 20;
const MOST_UNTAKEN: u64 = 64 << 20;

/// What one question that waits for an upstream takes, in octets: four kilobytes of ours, and as much of the kernel's for
/// its socket, which the control group counts too.
const OF_WAITING: u64 = 8 << 10;

/// How many may wait: some always, and no more than could be answered before clients ask again.
const FEWEST_WAITING: u64 = 256;
const MOST_WAITING: u64 = 20_000;

/// What all sockets together may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Connections over TCP; an encrypted one counts for four.
    pub connections: usize,
    /// Octets of replies that clients do not take.
    pub untaken: usize,
    /// Questions that wait for upstreams.
    pub waiting: usize,
}

impl Budget {
    /// With so many descriptors and so much memory, in octets: a quarter of it for connections, an eighth each for replies
    /// and for questions that wait. The names have the other half, and what is kept of upstreams' replies.
    #[must_use]
    pub fn of(descriptors: u64, memory: u64) -> Self {
        let whole = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let by_memory = memory / 4 / OF_ONE;
        let connections = descriptors.saturating_sub(LEFT).min(by_memory);
        let untaken = memory / 8;
        let waiting = (memory / 8 / OF_WAITING).min(descriptors / 4 * 3);
        Self {
            connections: whole(connections.clamp(FEWEST, MOST)),
            untaken: whole(untaken.clamp(LEAST_UNTAKEN, MOST_UNTAKEN)),
            waiting: whole(waiting.clamp(FEWEST_WAITING, MOST_WAITING)),
        }
    }
}

/// What all sockets share.
#[derive(Clone)]
pub(super) struct Limits(Arc<Shared>);

struct Shared {
    most: usize,
    table: Mutex<Table>,
    untaken: Pool,
    waiting: Pool,
}

/// So much of something, of which no client has more than half.
struct Pool {
    most: usize,
    taken: Mutex<Taken>,
}

/// How much is taken, and how much of that by each client.
#[derive(Default)]
struct Taken {
    all: usize,
    clients: HashMap<Client, usize, RandomState>,
}

/// What is taken of a pool, until this is dropped.
pub(super) struct Held {
    limits: Limits,
    pool: fn(&Shared) -> &Pool,
    client: Client,
    amount: usize,
}

#[derive(Default)]
struct Table {
    /// What they count for.
    open: Taken,
    /// Connections that wait for a question, by the order in which they began to.
    idle: BTreeMap<u64, Idle>,
    next: u64,
}

struct Idle {
    client: Client,
    cost: usize,
    leave: CancellationToken,
}

/// A connection that counts until this is dropped.
pub(super) struct Slot {
    limits: Limits,
    client: Client,
    cost: usize,
    /// Its place among the idle ones.
    idle: Option<u64>,
    /// Cancelled where another is to have the place.
    leave: CancellationToken,
}

impl Limits {
    pub(super) fn new(budget: Budget) -> Self {
        Self(Arc::new(Shared {
            most: budget.connections,
            table: Mutex::default(),
            untaken: Pool::new(budget.untaken),
            waiting: Pool::new(budget.waiting),
        }))
    }

    /// A place for a new connection that counts for so many, where there is one, or where idle ones can go: those of the
    /// same client, where that has half of all.
    pub(super) fn admit(&self, address: IpAddr, cost: usize) -> Option<Slot> {
        let client = Client::from(address);
        let mut table = self.lock();
        let has_half = table.open.of(client) + cost > (self.0.most / 2).max(OF_EACH);
        if has_half || table.open.all + cost > self.0.most {
            table.make_room(cost, has_half.then_some(client))?;
        }
        table.open.add(client, cost);
        drop(table);
        Some(Slot {
            limits: self.clone(),
            client,
            cost,
            idle: None,
            leave: CancellationToken::new(),
        })
    }

    /// Room for so many octets that a client does not take at once; held until it has.
    pub(super) fn keep(&self, address: IpAddr, octets: usize) -> Option<Held> {
        self.hold(|shared| &shared.untaken, address, octets)
    }

    /// Room for a question that waits for an upstream; held until it is answered.
    pub(super) fn wait(&self, address: IpAddr) -> Option<Held> {
        self.hold(|shared| &shared.waiting, address, 1)
    }

    fn hold(&self, pool: fn(&Shared) -> &Pool, address: IpAddr, amount: usize) -> Option<Held> {
        let mut held = Held {
            limits: self.clone(),
            pool,
            client: Client::from(address),
            amount: 0,
        };
        held.add(amount).then_some(held)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Has those go that are idle longest, of one client or of all, until there is so much room; nothing where there are not
    /// enough.
    fn make_room(&mut self, wanted: usize, of: Option<Client>) -> Option<()> {
        let (mut leaving, mut freed) = (Vec::new(), 0);
        let fits = |idle: &Idle| of.is_none_or(|client| idle.client == client);
        for (at, idle) in self.idle.iter().filter(|(_, idle)| fits(idle)) {
            if freed >= wanted {
                break;
            }
            leaving.push(*at);
            freed += idle.cost;
        }
        if freed < wanted {
            return None;
        }
        for at in leaving {
            if let Some(idle) = self.idle.remove(&at) {
                idle.leave.cancel();
            }
        }
        Some(())
    }
}

impl Slot {
    /// Waits for a question: from here on the place may be given to another.
    pub(super) fn rest(&mut self) {
        if self.idle.is_some() {
            return;
        }
        let mut table = self.limits.lock();
        let at = table.next;
        table.next += 1;
        let idle = Idle {
            client: self.client,
            cost: self.cost,
            leave: self.leave.clone(),
        };
        table.idle.insert(at, idle);
        self.idle = Some(at);
    }

    /// Has a question.
    pub(super) fn work(&mut self) {
        if let Some(at) = self.idle.take() {
            self.limits.lock().idle.remove(&at);
        }
    }

    /// Cancelled where another is to have the place.
    pub(super) fn leave(&self) -> &CancellationToken {
        &self.leave
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.work();
        let mut table = self.limits.lock();
        table.open.remove(self.client, self.cost);
    }
}

impl Taken {
    fn of(&self, client: Client) -> usize {
        self.clients.get(&client).copied().unwrap_or_default()
    }

    fn add(&mut self, client: Client, amount: usize) {
        self.all += amount;
        *self.clients.entry(client).or_default() += amount;
    }

    fn remove(&mut self, client: Client, amount: usize) {
        self.all -= amount;
        if let Entry::Occupied(mut has) = self.clients.entry(client) {
            *has.get_mut() -= amount;
            if *has.get() == 0 {
                has.remove();
            }
        }
    }
}

impl Pool {
    fn new(most: usize) -> Self {
        Self {
            most,
            taken: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Takes so much more, where there is so much.
    pub(super) fn add(&mut self, amount: usize) -> bool {
        let pool = (self.pool)(&self.limits.0);
        let mut taken = pool.lock();
        let own = taken.of(self.client);
        if taken.all + amount > pool.most || own + amount > pool.most.div_ceil(2) {
            return false;
        }
        taken.add(self.client, amount);
        self.amount += amount;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut taken = (self.pool)(&self.limits.0).lock();
        taken.remove(self.client, self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Budget = Budget {
        connections: 0,
        untaken: 0,
        waiting: 0,
    };

    fn limits(connections: usize) -> Limits {
        Limits::new(Budget {
            connections,
            ..NOTHING
        })
    }

    /// A connection of client `n`.
    fn admit(limits: &Limits, n: u8) -> Option<Slot> {
        limits.admit(IpAddr::from([10, 0, 0, n]), 1)
    }

    #[test]
    fn the_one_that_is_idle_longest_goes_and_where_none_is_the_new_one_does() {
        let limits = limits(2);
        let (mut first, mut second) = (admit(&limits, 1).unwrap(), admit(&limits, 2).unwrap());
        assert!(admit(&limits, 3).is_none());
        second.rest();
        first.rest();
        second.work();
        second.rest();
        let third = admit(&limits, 3).unwrap();
        assert!(first.leave().is_cancelled() && !second.leave().is_cancelled());
        drop(third);
        // The first is on its way out, and still counts.
        assert!(admit(&limits, 4).is_some());
        assert!(second.leave().is_cancelled());
        drop((first, second));
        assert!(admit(&limits, 4).is_some());
    }

    #[test]
    fn a_client_has_no_more_than_half() {
        let limits = limits(20);
        let mut greedy: Vec<Slot> = (0..10).map(|_| admit(&limits, 1).unwrap()).collect();
        assert!(admit(&limits, 1).is_none());
        let mut other = admit(&limits, 2).unwrap();
        other.rest();
        greedy[3].rest();
        // Its own idle one gives way, though another's was idle before.
        let _new = admit(&limits, 1).unwrap();
        assert!(greedy[3].leave().is_cancelled() && !other.leave().is_cancelled());
    }

    #[test]
    fn descriptors_and_memory_say_how_much() {
        let budget = |connections, untaken, waiting| Budget {
            connections,
            untaken,
            waiting,
        };
        for (descriptors, memory, wanted) in [
            (1_048_576, 170 << 20, budget(2720, 22_282_240, 2720)),
            (1024, 24 << 30, budget(768, 64 << 20, 768)),
            (20_000, 24 << 30, budget(19_744, 64 << 20, 15_000)),
            (1_000_000, u64::MAX, budget(100_000, 64 << 20, 20_000)),
            (300, 1 << 20, budget(64, 4 << 20, 256)),
        ] {
            assert_eq!(Budget::of(descriptors, memory), wanted);
        }
    }

    #[test]
    fn what_waits_or_is_not_taken_has_a_limit_and_no_client_more_than_half() {
        let limits = Limits::new(Budget {
            waiting: 4,
            untaken: 1000,
            ..NOTHING
        });
        let wait = |n: u8| limits.wait([10, 0, 0, n].into());
        let (first, second) = (wait(1).unwrap(), wait(1).unwrap());
        assert!(wait(1).is_none());
        let (third, _fourth) = (wait(2).unwrap(), wait(3).unwrap());
        assert!(wait(4).is_none());
        drop((first, third));
        assert!(wait(1).is_some());
        drop(second);
        assert_eq!(limits.0.waiting.lock().clients.len(), 1);
        let keep = |n: u8, octets| limits.keep([10, 0, 0, n].into(), octets);
        let mut held = keep(1, 400).unwrap();
        assert!(held.add(100) && !held.add(1));
        let _other = keep(2, 500).unwrap();
        assert!(keep(3, 1).is_none());
        drop(held);
        assert!(keep(3, 500).is_some());
    }
}
