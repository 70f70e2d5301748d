//! Where API requests run: on threads of their own, so that a credential plugin or file that hangs delays no answers.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::task::AbortOnDropHandle;

/// Threads for requests to one API server; dropping them waits for nobody.
#[derive(Debug)]
pub(super) struct Workers(Option<Runtime>);

impl Workers {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("api")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    fn handle(&self) -> io::Result<&Handle> {
        let runtime = self.0.as_ref();
        let runtime = runtime.ok_or_else(|| io::Error::other("the program ends"))?;
        Ok(runtime.handle())
    }

    /// The outcome of `work`.
    ///
    /// # Errors
    /// It takes longer than `most`, or panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        most: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> io::Result<T> {
        let work = AbortOnDropHandle::new(self.handle()?.spawn(work));
        match tokio::time::timeout(most, work).await {
            Ok(outcome) => outcome.map_err(broken),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {} s", most.as_secs()),
            )),
        }
    }

    /// Begins work that may block as long as it likes, on a thread of its own.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let handle = self.handle()?.clone();
        let worker = handle.clone();
        Ok(handle.spawn_blocking(move || worker.block_on(work)))
    }
}

/// The error of work that panicked: the same words each time.
pub(super) fn broken(error: JoinError) -> io::Error {
    let Ok(panic) = error.try_into_panic() else {
        return io::Error::other("the program ends");
    };
    let words = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned());
    let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
    io::Error::other(format!("it panicked: {}", words.unwrap_or_default()))
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_hangs_or_panics_is_an_error_and_hinders_nobody() {
        let workers = Workers::start().unwrap();
        let mut let_go = Vec::new();
        for _ in 0..5 {
            let (end, held) = std::sync::mpsc::channel::<()>();
            let_go.push(end);
            drop(workers.begin(async move { held.recv() }).unwrap());
        }
        let waits = workers.run(Duration::ZERO, std::future::pending::<()>());
        assert_eq!(waits.await.unwrap_err().to_string(), "no answer within 0 s");
        let panics = workers.run(Duration::MAX, async { panic!("as told") });
        let panics: io::Result<()> = panics.await;
        assert_eq!(panics.unwrap_err().to_string(), "it panicked: as told");
        assert_eq!(workers.run(Duration::MAX, async { 1 }).await.unwrap(), 1);
        drop(workers);
        drop(let_go);
    }
}
