//! The connections to one database that nobody uses now.
//
// 1. Who works has a connection of its own, and counts as long as it has. The one that was used last is
//    taken first, because its cache is warm.
// 2. Who must be sure that this process has the database not open at all (to open another file in its
//    place, or to set it aside) keeps newcomers out, waits until nobody works, and closes the rest. All
//    waits for it are bounded: by what it does, and by the work of those that it waits for.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rusqlite::Connection;

/// Connections that are kept when nobody uses them.
const MAX_IDLE: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
#[allow(clippy::vec_box, reason = "a connection is large, and is moved twice for each read")]
struct State {
    idle: Vec<Box<Connection>>,
    /// How many work.
    used: usize,
    /// Whether nobody may begin to.
    closed: bool,
}

impl Pool {
    /// Runs `work` on a connection that nobody uses meanwhile; `connect` makes one if all are used.
    pub(super) fn with<T>(
        &self,
        connect: impl FnOnce() -> rusqlite::Result<Connection>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let mut state = self.open_state();
        let idle = state.idle.pop();
        state.used += 1;
        drop(state);
        let mut lent = Lent { pool: self, connection: idle };
        let connection = match &mut lent.connection {
            Some(connection) => connection,
            none => none.insert(Box::new(connect()?)),
        };
        work(connection)
    }

    /// Adds a connection that nobody uses.
    pub(super) fn add(&self, connection: Box<Connection>) {
        // A transaction that could not be rolled back ends with its connection.
        if connection.is_autocommit() {
            let mut state = self.state.lock();
            // What was opened before the database was closed may be of another file.
            if state.idle.len() < MAX_IDLE && !state.closed {
                state.idle.push(connection);
            }
        }
    }

    /// Closes all connections, and runs `work` while there is none; `None` if somebody works for longer
    /// than `timeout`, or another thread does this at the moment, whose end is waited for.
    pub(super) fn while_closed<T>(&self, timeout: Duration, work: impl FnOnce() -> T) -> Option<T> {
        let until = Instant::now() + timeout;
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            drop(self.open_state());
            return None;
        }
        state.closed = true;
        let _closed = Closed(self);
        while state.used > 0 {
            if self.changed.wait_until(&mut state, until).timed_out() && state.used > 0 {
                drop(state);
                return None;
            }
        }
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
        Some(work())
    }

    /// All that are idle.
    #[allow(clippy::vec_box, reason = "they lie in boxes already")]
    pub(super) fn drain(&self) -> Vec<Box<Connection>> {
        std::mem::take(&mut self.state.lock().idle)
    }

    /// The state, once it is not closed.
    fn open_state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        while state.closed {
            self.changed.wait(&mut state);
        }
        state
    }
}

/// A connection in use; dropped, it goes back to the pool.
struct Lent<'a> {
    pool: &'a Pool,
    connection: Option<Box<Connection>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // As in `add`; and it is closed before it counts no longer.
        let connection = self.connection.take().filter(|connection| connection.is_autocommit());
        let mut state = self.pool.state.lock();
        if let Some(connection) = connection.filter(|_| state.idle.len() < MAX_IDLE) {
            state.idle.push(connection);
        }
        state.used -= 1;
        if state.closed {
            self.pool.changed.notify_all();
        }
    }
}

/// Lets everybody in again, however it ends.
struct Closed<'a>(&'a Pool);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.state.lock().closed = false;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn connect() -> rusqlite::Result<Connection> {
        Connection::open_in_memory()
    }

    #[test]
    fn while_it_is_closed_there_is_no_connection_and_nobody_gets_one() {
        let pool = Pool::default();
        pool.with(connect, |_| Ok(())).unwrap();
        assert_eq!(pool.state.lock().idle.len(), 1);
        let (came, comes) = mpsc::channel();
        let come = || pool.with(connect, |_| Ok(came.send(()))).unwrap();
        thread::scope(|scope| {
            pool.while_closed(LONG, || {
                assert_eq!(pool.state.lock().idle.len(), 0);
                scope.spawn(come);
                let early = comes.recv_timeout(Duration::from_millis(50));
                assert!(early.is_err(), "somebody works");
            })
            .expect("nobody works");
            comes.recv_timeout(LONG).expect("it is open again");
        });
    }

    #[test]
    fn who_closes_waits_for_those_who_work_and_no_longer_than_it_may() {
        let pool = Pool::default();
        thread::scope(|scope| {
            let (begun, begins) = mpsc::channel();
            let (end, ends) = mpsc::channel::<()>();
            let pool = &pool;
            scope.spawn(move || {
                pool.with(connect, |_| {
                    begun.send(()).unwrap();
                    ends.recv().unwrap();
                    Ok(())
                })
            });
            begins.recv().unwrap();
            assert!(pool.while_closed(Duration::from_millis(20), || ()).is_none());
            pool.with(connect, |_| Ok(())).expect("others go on after that");
            end.send(()).unwrap();
            assert!(pool.while_closed(LONG, || ()).is_some());
        });
    }

    #[test]
    fn work_that_panics_counts_no_longer() {
        let pool = Pool::default();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.with(connect, |_| -> rusqlite::Result<()> { panic!("as a visitor might") })
        }));
        assert!(panicked.is_err());
        assert!(pool.while_closed(Duration::ZERO, || ()).is_some());
    }
}
