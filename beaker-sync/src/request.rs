use std::{
    thread,
    time::{Duration, Instant},
};

/// The first pause of a polled wait.
const FIRST_PAUSE: Duration = Duration::from_micros(50);

/// The longest pause of a polled wait; it bounds how late a freed lock is noticed.
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// Who else may hold the lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Others that share: a reader.
    Shared,
    /// Nobody: a writer.
    Exclusive,
}

/// How long an acquisition may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait {
    /// Take it now or give up.
    Never,
    /// Give up at this moment of the monotonic clock.
    Until(Instant),
    /// Wait for as long as it takes.
    Forever,
}

impl Wait {
    /// A wait of at most `timeout`; zero does not wait, and a time too far away to count is for ever.
    pub(crate) fn at_most(timeout: Duration) -> Self {
        if timeout.is_zero() {
            return Self::Never;
        }
        Instant::now().checked_add(timeout).map_or(Self::Forever, Self::Until)
    }
}

/// The growing pauses between two looks at a lock that cannot be waited for with a time limit.
#[derive(Debug)]
pub(crate) struct Backoff {
    deadline: Instant,
    pause: Duration,
}

impl Backoff {
    /// Starts with the shortest pause and ends at `deadline`.
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline, pause: FIRST_PAUSE }
    }

    /// Sleeps for the next pause, or returns `false` at once when the deadline has passed.
    pub(crate) fn pause(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        thread::sleep(self.pause.min(left));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_does_not_wait() {
        assert!(matches!(Wait::at_most(Duration::ZERO), Wait::Never));
    }

    #[test]
    fn a_time_beyond_the_clock_is_for_ever() {
        assert!(matches!(Wait::at_most(Duration::MAX), Wait::Forever));
    }

    #[test]
    fn pauses_grow_to_the_longest_and_stop_at_the_deadline() {
        let mut backoff = Backoff::until(Instant::now() + Duration::from_millis(20));
        let mut pauses = 0;
        while backoff.pause() {
            pauses += 1;
            assert!(backoff.pause <= LONGEST_PAUSE);
        }
        assert!((1..=30).contains(&pauses), "{pauses} pauses in 20 ms");
        assert!(Instant::now() >= backoff.deadline);
    }
}
