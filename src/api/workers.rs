//! Where API requests run: on threads of their own, so that a credential plugin or file that hangs delays no answers.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
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

    /// The outcome of `work`.
    ///
    /// # Errors
    /// It takes longer than `most`, or panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        most: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> io::Result<T> {
        let Some(runtime) = &self.0 else {
            return Err(io::Error::other("the program ends"));
        };
        let work = AbortOnDropHandle::new(runtime.spawn(work));
        match tokio::time::timeout(most, work).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(error)) => Err(io::Error::other(error)),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {} s", most.as_secs()),
            )),
        }
    }
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
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let hangs = workers.run(Duration::ZERO, async move { held.recv() });
        assert_eq!(hangs.await.unwrap_err().to_string(), "no answer within 0 s");
        let panics = workers.run(Duration::MAX, async { panic!("as told") });
        let panics: io::Result<()> = panics.await;
        assert!(panics.unwrap_err().to_string().contains("as told"));
        assert_eq!(workers.run(Duration::MAX, async { 1 }).await.unwrap(), 1);
        drop(workers);
        drop(let_go);
    }
}
