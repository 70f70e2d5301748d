//! Who asks what: the names, the clients and the denied names that come most, always counted, in memory that stays the same.
//!
//! Each thread counts for itself; the counts are put together when somebody reads them.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use foldhash::fast::RandomState;

pub use super::sketch::Counted;
use super::sketch::{Sketch, merged};

/// Places of each list, over all threads: what has more than about a five-hundredth of all questions is there.
const PLACES: usize = 4096;

/// Threads that count for themselves; where there are more, some share.
const MOST_PARTS: usize = 16;

/// Octets of a name, without the root's (RFC 1035 section 2.3.4); with its length it has a place of a round size.
const NAME: usize = 254;

/// Octets of an address, those of IPv4 mapped into IPv6.
const ADDRESS: usize = 16;

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Names, as they stand in a question without the root's octet, in lower case.
    Name,
    /// Clients, as IPv6 addresses.
    Client,
    /// Names that were denied (NXDOMAIN), as the other names.
    Negative,
}

/// All lists.
#[derive(Debug)]
pub struct Top {
    hasher: RandomState,
    parts: Box<[Mutex<Part>]>,
    /// When it began, in microseconds since 1970.
    begins: OnceLock<i64>,
}

/// What some threads have counted.
#[derive(Debug)]
struct Part {
    names: Sketch,
    clients: Sketch,
    negatives: Sketch,
}

impl Part {
    fn new(places: usize) -> Self {
        Self {
            names: Sketch::new(places, NAME),
            clients: Sketch::new(places, ADDRESS),
            negatives: Sketch::new(places, NAME),
        }
    }
}

impl Default for Top {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(threads.next_power_of_two().min(MOST_PARTS))
    }
}

/// The number of this thread, among all that have counted.
fn thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    OWN.with(|own| *own)
}

impl Top {
    /// What lists take, in octets.
    pub const OCTETS: usize = 2 * Sketch::octets(PLACES, NAME) + Sketch::octets(PLACES, ADDRESS);

    /// `parts`: a power of two, at most [`MOST_PARTS`].
    fn new(parts: usize) -> Self {
        let part = || Mutex::new(Part::new(PLACES / parts));
        Self {
            hasher: RandomState::default(),
            parts: std::iter::repeat_with(part).take(parts).collect(),
            begins: OnceLock::new(),
        }
    }

    /// When it began: `now`, where nobody has said so before. Microseconds since 1970.
    pub fn begins(&self, now: i64) -> i64 {
        *self.begins.get_or_init(|| now)
    }

    /// Counts a question: its name as it is written, without the root's octet, in lower case.
    pub fn count(&self, name: &[u8], client: IpAddr, is_denied: bool) {
        let address = match client {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let (of_name, of_client) = (self.hash(name), self.hash(&address));
        let part = &mut *self.lock(thread() & (self.parts.len() - 1));
        part.names.count(of_name, name);
        part.clients.count(of_client, &address);
        if is_denied {
            part.negatives.count(of_name, name);
        }
    }

    fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    fn lock(&self, part: usize) -> MutexGuard<'_, Part> {
        let part = &self.parts[part];
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A list, what came most often first.
    #[must_use]
    pub fn list(&self, by: By) -> Vec<Counted> {
        let parts = 0..self.parts.len();
        let copies = parts.map(|part| {
            let part = self.lock(part);
            match by {
                By::Name => part.names.clone(),
                By::Client => part.clients.clone(),
                By::Negative => part.negatives.clone(),
            }
        });
        merged(&copies.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIS: &[u8] = b"\x05redis\x04test";
    const WEB: &[u8] = b"\x03web\x04test";

    fn said(top: &Top, by: By) -> Vec<(Vec<u8>, u64, u64)> {
        let list = top.list(by).into_iter();
        let own = |key: &[u8]| {
            key.iter()
                .copied()
                .take_while(|octet| *octet != 0)
                .collect()
        };
        list.map(|one| (own(&one.key), one.count, one.over))
            .collect()
    }

    #[test]
    fn names_clients_and_denials_of_all_threads_are_put_together() {
        let top = Top::new(4);
        let client = |last| IpAddr::from([10, 0, 0, last]);
        std::thread::scope(|scope| {
            for last in 1..=3 {
                let top = &top;
                scope.spawn(move || {
                    top.count(REDIS, client(last), false);
                    (1..last).for_each(|_| top.count(WEB, client(3), true));
                });
            }
        });
        let (redis, web) = (REDIS.to_vec(), WEB.to_vec());
        assert_eq!(said(&top, By::Name), [(web.clone(), 3, 0), (redis, 3, 0)]);
        assert_eq!(said(&top, By::Negative), [(web, 3, 0)]);
        let clients = top.list(By::Client);
        let mapped = |last| {
            let IpAddr::V4(ip) = client(last) else {
                unreachable!("it is IPv4")
            };
            Box::from(ip.to_ipv6_mapped().octets())
        };
        let clients: Vec<(Box<[u8]>, u64)> = clients
            .into_iter()
            .map(|one| (one.key, one.count))
            .collect();
        assert_eq!(clients, [(mapped(3), 4), (mapped(1), 1), (mapped(2), 1)]);
    }

    #[test]
    fn it_takes_no_memory_while_it_counts_and_no_more_than_is_said() {
        let mut top = None;
        let made = allocation_counter::measure(|| top = Some(Top::new(MOST_PARTS)));
        let most = Top::OCTETS as u64;
        assert!(
            (most..most + 16_384).contains(&made.bytes_current.unsigned_abs()),
            "{made:?}"
        );
        let top = top.unwrap();
        let counting = allocation_counter::measure(|| {
            for number in 0_u32..100_000 {
                let [.., high, low] = number.to_be_bytes();
                let name = [2, high, low, 4, b't', b'e', b's', b't'];
                top.count(&name, IpAddr::from(number.to_be_bytes()), true);
            }
        });
        assert_eq!(counting.count_total, 0);
    }
}
