//! Of identical questions at the same time, the upstreams are asked only one: the others wait for its reply.
//!
//! So a question that comes back to this server through an upstream is not asked again and again: it waits for the
//! first one, and ends with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ahash::RandomState;
use tokio::sync::watch;

use super::peer::Way;
use crate::message::question::{Edns, Query, Question};
use crate::message::reply::Failure;

/// The upstream's message, or why there is none.
pub(super) type Outcome = Result<Vec<u8>, Failure>;

/// What a reply depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    question: Question,
    /// RD, CD, AD.
    flags: [bool; 3],
    edns: Option<Edns>,
    options: Vec<u8>,
    way: Way,
}

/// The questions under way.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Key, watch::Receiver<Option<Outcome>>, RandomState>>);

/// Somebody's question under way; it ends where this is dropped.
struct Flight<'a> {
    flights: &'a Flights,
    key: Key,
    tell: watch::Sender<Option<Outcome>>,
}

impl Flights {
    /// The outcome of `ask`, or of another's that is under way for the same question.
    pub(super) async fn once<F: Future<Output = Outcome>>(
        &self,
        query: &Query,
        way: Way,
        ask: impl Fn() -> F,
    ) -> Outcome {
        let key = Key {
            question: query.question.clone(),
            flags: [
                query.recursion_desired,
                query.checking_disabled,
                query.authentic_data,
            ],
            edns: query.edns,
            options: query.options.clone(),
            way,
        };
        loop {
            let mut told = match self.begin(&key) {
                Ok(flight) => {
                    let outcome = ask().await;
                    flight.tell.send_replace(Some(outcome.clone()));
                    return outcome;
                }
                Err(told) => told,
            };
            if let Ok(outcome) = told.wait_for(Option::is_some).await
                && let Some(outcome) = &*outcome
            {
                return outcome.clone();
            }
            // The one who asked has gone without a reply: another has to ask.
        }
    }

    /// A flight of one's own, or the outcome of the one there is.
    fn begin(&self, key: &Key) -> Result<Flight<'_>, watch::Receiver<Option<Outcome>>> {
        let mut flights = self.lock();
        if let Some(told) = flights.get(key) {
            return Err(told.clone());
        }
        let (tell, told) = watch::channel(None);
        flights.insert(key.clone(), told);
        Ok(Flight {
            flights: self,
            key: key.clone(),
            tell,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<Option<Outcome>>, RandomState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}
