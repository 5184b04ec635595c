//! How the site stops when the system asks it to: what is under way is answered first.

use std::future::Future;
use std::io;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::watch;

use crate::error::Error;

/// Whether the system has asked to stop: by Ctrl-C, or as a service manager does.
#[derive(Debug, Clone)]
pub(crate) struct Asked(watch::Receiver<bool>);

impl Asked {
    /// From now on these signals no longer end the process at once; a second one does.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let (tell, asked) = watch::channel(false);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for (number, _signal) in signals.forever().enumerate() {
                if number > 0 {
                    std::process::exit(1);
                }
                let _nobody_waits = tell.send(true);
            }
        })?;
        Ok(Self(asked))
    }

    pub(crate) async fn wait(mut self) {
        // An error is the end of the thread, which has asked nothing.
        if self.0.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until it is asked, and then at most `limit` for `served`, which ends with the last answer.
    ///
    /// # Errors
    ///
    /// That of `served`, or if requests take too long.
    pub(crate) async fn drain<F>(self, served: F, limit: Duration) -> Result<(), Error>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let serving = tokio::spawn(served);
        self.wait().await;
        println!("Stopping: requests that are under way are answered first.");
        match tokio::time::timeout(limit, serving).await {
            Ok(Ok(served)) => {
                served.map_err(|error| Error::failed(format!("cannot serve: {error}")))
            }
            Ok(Err(error)) => Err(Error::failed(format!("cannot serve: {error}"))),
            Err(_late) => {
                Err(Error::failed(format!("requests took longer than {limit:?} and were left")))
            }
        }
    }
}
