use std::time::{Duration, Instant};

/// What is left where there is no end: more than anybody waits, and little enough to be added to any moment.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The end of the time that a call has for all that it waits for: its turn among the threads, the lock among
/// the processes, and GNU dbm's own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    /// `timeout` from now; never, if that is more than can be counted.
    pub(super) fn after(timeout: Duration) -> Self {
        Self(Instant::now().checked_add(timeout))
    }

    /// How long the call may still wait.
    pub(super) fn left(self) -> Duration {
        self.0.map_or(FOR_EVER, |end| end.saturating_duration_since(Instant::now()))
    }
}
