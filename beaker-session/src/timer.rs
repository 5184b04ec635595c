//! Bounded waits of tasks.
//
// By a timer of our own: the caller's runtime may have been built without one, which tokio answers with a panic, and
// there may be none. It is one thread, started by the first wait that needs it.

use std::future::{Future, pending};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use crate::{Error, ErrorKind};

static OWN: LazyLock<Option<Handle>> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_time().build().ok()?;
    let handle = runtime.handle().clone();
    let drive = move || runtime.block_on(pending::<()>());
    thread::Builder::new().name("beaker-session-timer".to_owned()).spawn(drive).ok()?;
    Some(handle)
});

/// The output of `future`, or `None` if `wait` passes first. A wait of zero polls once.
pub(crate) async fn within<F: Future>(
    wait: Duration,
    future: F,
) -> Result<Option<F::Output>, Error> {
    let own = OWN.as_ref().ok_or_else(|| {
        Error::new(ErrorKind::Unavailable, "bound a wait")
            .with_detail("the system gave no thread for the timer; free resources")
    })?;
    let timed = {
        let _entered = own.enter();
        tokio::time::timeout(wait, future)
    };
    Ok(timed.await.ok())
}
