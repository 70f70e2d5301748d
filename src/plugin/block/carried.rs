//! What handlers carry over from one configuration to the next: the replies that are kept.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Things = HashMap<String, Arc<dyn Any + Send + Sync>>;

/// Things by name; those of the configuration before, and those that this one has asked for.
#[derive(Default)]
pub struct Carried {
    before: Things,
    now: Mutex<Things>,
}

impl Carried {
    /// For the configuration after this one; what that does not ask for goes.
    #[must_use]
    pub fn next(&self) -> Self {
        Self {
            before: self.lock().clone(),
            now: Mutex::default(),
        }
    }

    /// The thing of that name and type; a new one where there is none.
    pub(in crate::plugin) fn get<T: Send + Sync + 'static>(
        &self,
        name: String,
        new: impl FnOnce() -> T,
    ) -> Arc<T> {
        let mut now = self.lock();
        let known = now.get(&name).or_else(|| self.before.get(&name));
        let known = known.and_then(|thing| Arc::clone(thing).downcast().ok());
        let thing = known.unwrap_or_else(|| Arc::new(new()));
        now.insert(name, Arc::clone(&thing) as Arc<dyn Any + Send + Sync>);
        thing
    }

    fn lock(&self) -> MutexGuard<'_, Things> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.lock().keys().cloned().collect();
        names.sort();
        f.debug_tuple("Carried").field(&names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_again_is_the_same_and_what_is_not_goes() {
        let first = Carried::default();
        let one = first.get("a".into(), || 1_u8);
        let second = first.next();
        assert!(Arc::ptr_eq(&one, &second.get("a".into(), || 2_u8)));
        assert_eq!(*second.get("b".into(), || 3_u8), 3);
        // Of another type it is another thing.
        assert_eq!(*second.get("a".into(), || 4_u16), 4);
        let third = first.next().next();
        assert_eq!(*third.get("a".into(), || 5_u8), 5);
    }
}
