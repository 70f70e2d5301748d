//! A file that is read again where it changes.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;

/// What is made of a file, kept up to date.
pub(super) struct Watched<T> {
    file: Arc<File<T>>,
}

struct File<T> {
    path: String,
    read: Read<T>,
    value: RwLock<Arc<T>>,
    /// Which state of the file the value is of.
    seen: Mutex<Option<State>>,
}

/// When a file was changed, and its size.
type State = (SystemTime, u64);

/// Makes a value of the file's octets, or of why there are none, and of the value there was; `None`: that stays.
type Read<T> = Box<dyn Fn(io::Result<Vec<u8>>, &T) -> Option<T> + Send + Sync>;

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads the file, and again every so often where it has changed; zero: never again. `none`: what there is until it
    /// can be read.
    pub(super) fn new(
        path: &str,
        every: Duration,
        none: T,
        read: impl Fn(io::Result<Vec<u8>>, &T) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        let seen = state(path);
        let first = read(std::fs::read(path), &none).unwrap_or(none);
        Self::begin(path, every, (first, seen), Box::new(read))
    }

    /// The same for a file that may not be wrong now: `first` makes the first value.
    ///
    /// # Errors
    /// Those of `first`.
    pub(super) fn checked<E>(
        path: &str,
        every: Duration,
        first: impl FnOnce(io::Result<Vec<u8>>) -> Result<T, E>,
        read: impl Fn(io::Result<Vec<u8>>, &T) -> Option<T> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let seen = state(path);
        let first = first(std::fs::read(path))?;
        Ok(Self::begin(path, every, (first, seen), Box::new(read)))
    }

    fn begin(
        path: &str,
        every: Duration,
        (first, seen): (T, Option<State>),
        read: Read<T>,
    ) -> Self {
        let file = File {
            path: path.to_owned(),
            read,
            value: RwLock::new(Arc::new(first)),
            seen: Mutex::new(seen),
        };
        let watched = Self {
            file: Arc::new(file),
        };
        // Where there is no runtime, nobody asks for long.
        if !every.is_zero()
            && let Ok(runtime) = Handle::try_current()
        {
            watched.watch(every, &runtime);
        }
        watched
    }

    /// What the file says.
    pub(super) fn get(&self) -> Arc<T> {
        self.file.get()
    }

    /// Looks at the file again and again, on a thread where that may block, until this is dropped.
    fn watch(&self, every: Duration, runtime: &Handle) {
        let file = Arc::downgrade(&self.file);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(file) = file.upgrade() else {
                    return;
                };
                if tokio::task::spawn_blocking(move || file.look())
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
    }
}

impl<T> File<T> {
    fn get(&self) -> Arc<T> {
        let value = self.value.read();
        Arc::clone(&value.unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file anew where it has changed.
    fn look(&self) {
        let now = state(&self.path);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen != now {
            *seen = now;
            if let Some(value) = (self.read)(std::fs::read(&self.path), &self.get()) {
                *self.value.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
            }
        }
    }
}

/// `None` where the file is not there.
fn state(path: &str) -> Option<State> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
