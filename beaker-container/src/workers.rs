//! The threads and the room for tasks that work behind callers.
//
// 1. At most `max` jobs run at a time, threads and tasks together. Threads are started when a job
//    finds none idle, and end after `IDLE` without work.
// 2. Who wants a job done takes room for it first, or hears at once that there is none, and knows
//    best what else it could do. No job waits for room.
// 3. `running` counts a job from when it is taken until it has ended, by a guard: a panic counts as
//    an end. `drain` waits for zero.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::watch;

/// How long a thread waits for work before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// How many creations may run behind their callers, if nothing else is said.
const DEFAULT_MAX: usize = 64;

/// Who makes values behind their callers: refreshes, and creations that outlast a time-out.
///
/// Threads run the synchronous creators; asynchronous ones run as tasks on the caller's runtime and
/// are only counted here. When there is no room, a creation runs in its caller, and a refresh that
/// could wait is left to a later caller.
///
/// Cloning gives the same workers. Caches that are not given their own share one set for the
/// process: [`Workers::shared`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use beaker_container::{Cache, Workers};
///
/// let workers = Workers::new(4);
/// let cache = Cache::<u64, u64>::open("memory:", "drained")?.with_workers(workers.clone());
/// assert_eq!(cache.fetch(&3).spawn(|_| Ok::<u64, ()>(9)).unwrap().value, 9);
/// // When the program ends:
/// assert_eq!(workers.drain(Duration::from_secs(5)), 0);
/// # Ok::<(), beaker_container::Error>(())
/// ```
#[derive(Clone)]
pub struct Workers(Arc<Inner>);

struct Inner {
    max: usize,
    state: Mutex<State>,
    /// A job was queued, or the workers were closed.
    work: Condvar,
    /// A job ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// Jobs that were taken by an idle thread's wake-up and not yet by the thread.
    queue: VecDeque<Job>,
    idle: usize,
    running: usize,
    panics: u64,
    closed: bool,
}

type Job = Box<dyn FnOnce() + Send>;

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers")
            .field("max", &self.0.max)
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}

impl Workers {
    /// Room for `max` jobs at a time. With zero everything runs in its caller.
    pub fn new(max: usize) -> Self {
        let state = Mutex::new(State::default());
        Self(Arc::new(Inner { max, state, work: Condvar::new(), ended: Condvar::new() }))
    }

    /// Those of the process, with room for 64 jobs.
    pub fn shared() -> Self {
        static SHARED: LazyLock<Workers> = LazyLock::new(|| Workers::new(DEFAULT_MAX));
        SHARED.clone()
    }

    /// The number of jobs that have not ended.
    pub fn running(&self) -> usize {
        self.0.state.lock().running
    }

    /// The number of jobs that ended by a panic which reached no caller.
    pub fn panics(&self) -> u64 {
        self.0.state.lock().panics
    }

    /// Takes no more jobs, waits until those that run have ended, at most for `deadline`, and says
    /// how many have not. From then on everything runs in its caller.
    ///
    /// What has not ended goes on: a thread cannot be stopped, and a task ends with its runtime.
    ///
    /// # Concurrency
    ///
    /// It blocks. Within a runtime call it through `spawn_blocking`: on a runtime of one thread
    /// the tasks it waits for could not run otherwise.
    pub fn drain(&self, deadline: Duration) -> usize {
        let until = Instant::now().checked_add(deadline);
        let mut state = self.0.state.lock();
        state.closed = true;
        self.0.work.notify_all();
        while state.running > 0 {
            match until {
                Some(until) if self.0.ended.wait_until(&mut state, until).timed_out() => break,
                Some(_) => {}
                None => self.0.ended.wait(&mut state),
            }
        }
        let left = state.running;
        drop(state);
        watch::drained(left);
        left
    }

    /// Runs `job` on a thread, in `room`.
    pub(crate) fn spawn(&self, room: Room, job: impl FnOnce() + Send + 'static) {
        let job: Job = Box::new(move || room.run(job));
        let mut state = self.0.state.lock();
        state.queue.push_back(job);
        if state.idle >= state.queue.len() {
            drop(state);
            self.0.work.notify_one();
            return;
        }
        drop(state);
        let inner = Arc::clone(&self.0);
        let started =
            thread::Builder::new().name("beaker-worker".to_owned()).spawn(move || inner.work_off());
        if started.is_err() {
            // The system gives no thread: this one serves, so that nothing is lost.
            self.0.work_off_one();
        }
    }

    /// Room for one job, given back when it is dropped; `None` if there is none.
    pub(crate) fn room(&self) -> Option<Room> {
        let mut state = self.0.state.lock();
        if state.closed || state.running >= self.0.max {
            return None;
        }
        state.running += 1;
        Some(Room(Arc::clone(&self.0)))
    }
}

impl Inner {
    /// A thread's life.
    fn work_off(&self) {
        loop {
            let mut state = self.state.lock();
            state.idle += 1;
            let mut in_time = true;
            let job = loop {
                if let Some(job) = state.queue.pop_front() {
                    break Some(job);
                }
                if state.closed || !in_time {
                    break None;
                }
                in_time = !self.work.wait_for(&mut state, IDLE).timed_out();
            };
            state.idle -= 1;
            drop(state);
            match job {
                Some(job) => job(),
                None => return,
            }
        }
    }

    fn work_off_one(&self) {
        let job = self.state.lock().queue.pop_front();
        if let Some(job) = job {
            job();
        }
    }
}

/// Room for one job.
#[derive(Debug)]
pub(crate) struct Room(Arc<Inner>);

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("max", &self.max).finish_non_exhaustive()
    }
}

impl Room {
    /// Runs `job`; a panic in it is counted and goes no further.
    fn run(self, job: impl FnOnce()) {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
            self.0.state.lock().panics += 1;
        }
    }
}

impl Room {
    /// Counts a panic that reaches nobody.
    #[cfg(feature = "tokio")]
    pub(crate) fn count_panic(&self) {
        self.0.state.lock().panics += 1;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.state.lock().running -= 1;
        self.0.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const HANG: Duration = Duration::from_secs(20);

    #[test]
    fn no_more_run_than_there_is_room_for() {
        let workers = Workers::new(2);
        let (go, wait) = channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        for _ in 0..2 {
            let wait = Arc::clone(&wait);
            let job = move || wait.lock().recv_timeout(HANG).unwrap();
            workers.spawn(workers.room().unwrap(), job);
        }
        assert!(workers.room().is_none());
        go.send(()).unwrap();
        go.send(()).unwrap();
        assert_eq!(workers.drain(HANG), 0);
    }

    #[test]
    fn a_drain_says_how_many_have_not_ended() {
        let workers = Workers::new(2);
        let (go, wait) = channel::<()>();
        workers.spawn(workers.room().unwrap(), move || wait.recv_timeout(HANG).unwrap());
        assert_eq!(workers.drain(Duration::ZERO), 1);
        assert!(workers.room().is_none(), "closed");
        go.send(()).unwrap();
        assert_eq!(workers.drain(HANG), 0);
    }

    #[test]
    fn a_panic_leaves_the_thread_and_the_room() {
        let workers = Workers::new(1);
        workers.spawn(workers.room().unwrap(), || panic!("boom"));
        let (sender, receiver) = channel();
        let began = Instant::now();
        // The room is back once the job has ended.
        while workers.running() > 0 {
            assert!(began.elapsed() < HANG);
            thread::yield_now();
        }
        workers.spawn(workers.room().unwrap(), move || sender.send(1).unwrap());
        assert_eq!(receiver.recv_timeout(HANG), Ok(1));
        assert_eq!(workers.panics(), 1);
    }

    #[test]
    fn many_jobs_one_after_the_other_all_run() {
        let workers = Workers::new(3);
        let (sender, receiver) = channel();
        for number in 0..200 {
            let sender = sender.clone();
            let room = loop {
                match workers.room() {
                    Some(room) => break room,
                    None => thread::yield_now(),
                }
            };
            workers.spawn(room, move || sender.send(number).unwrap());
        }
        let mut seen: Vec<u32> = receiver.iter().take(200).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
    }
}
