//! A file that is read again where it changes.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

/// What is made of a file, kept up to date from the first time that it is asked for.
pub(super) struct Watched<T> {
    /// How often the file is looked at; zero: never again.
    every: Duration,
    file: Arc<File<T>>,
    watching: OnceLock<()>,
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

/// Makes a value of the file's octets, or of why there are none; `None`: the one there was stays.
type Read<T> = Box<dyn Fn(io::Result<Vec<u8>>) -> Option<T> + Send + Sync>;

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads the file; `none`: what there is until it has been read.
    pub(super) fn new(
        path: &str,
        every: Duration,
        none: T,
        read: impl Fn(io::Result<Vec<u8>>) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        let file = File {
            path: path.to_owned(),
            read: Box::new(read),
            value: RwLock::new(Arc::new(none)),
            seen: Mutex::new(state(path)),
        };
        file.read_again();
        Self {
            every,
            file: Arc::new(file),
            watching: OnceLock::new(),
        }
    }

    /// What the file says.
    pub(super) fn get(&self) -> Arc<T> {
        self.watching.get_or_init(|| self.watch());
        let value = self.file.value.read();
        Arc::clone(&value.unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the file again and again, on a thread where that may block, until this is dropped.
    fn watch(&self) {
        if self.every.is_zero() {
            return;
        }
        let (every, file) = (self.every, Arc::downgrade(&self.file));
        tokio::spawn(async move {
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
    /// Reads the file anew where it has changed.
    fn look(&self) {
        let now = state(&self.path);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen != now {
            *seen = now;
            self.read_again();
        }
    }

    fn read_again(&self) {
        if let Some(value) = (self.read)(std::fs::read(&self.path)) {
            *self.value.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
        }
    }
}

/// `None` where the file is not there.
fn state(path: &str) -> Option<State> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
