//! Row F7: signals that interrupt the system call of whoever waits for a lock.
//
// The handler is installed without SA_RESTART, which no safe code can do: signal-hook and the standard
// library ask the kernel to go on with the call, so with theirs nothing is ever interrupted.
#![allow(unsafe_code, reason = "such a handler can be had in no other way")]

use std::{
    fs::File,
    io,
    path::Path,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use beaker_sync::CreationLock;

use crate::child::{report, storm_time};

const WAITERS: usize = 4;

/// The time between two signals.
const PAUSE: Duration = Duration::from_millis(5);

/// Turns a hang into a failure; nothing is ordered by it.
const SOON: Duration = Duration::from_secs(30);

static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn handle(_signal: libc::c_int) {
    // An atomic addition is all that happens here, which is allowed in a handler.
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

/// Handles SIGUSR2 in this process, by interrupting what a thread waits for.
fn handle_without_restart() {
    // SAFETY: the structure is one of plain numbers, for which zeros are a value: no flags, so no
    // SA_RESTART and no SA_SIGINFO, and an empty mask. The handler has the type that goes with that,
    // and does only what a handler may do.
    let installed = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handle as extern "C" fn(libc::c_int) as libc::sighandler_t;
        libc::sigaction(libc::SIGUSR2, &action, std::ptr::null_mut())
    };
    assert_eq!(installed, 0);
}

fn this_thread() -> usize {
    usize::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap()
}

/// Sends the signal to one thread of this process; nothing if it has ended.
fn interrupt(thread: usize) {
    // SAFETY: three numbers; one that is no thread of this process is an error and no more.
    unsafe {
        libc::syscall(libc::SYS_tgkill, std::process::id(), thread, libc::SIGUSR2);
    }
}

/// Whether the thread is in flock(2).
fn waits_in_flock(thread: usize) -> bool {
    let call = std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall"));
    call.is_ok_and(|call| call.split(' ').next() == Some(&libc::SYS_flock.to_string()))
}

/// Runs `lock` in threads, waits until all are in flock(2), and interrupts each of them, every 5 ms for
/// `time`, until it has ended; then calls `let_go`. What each came to.
fn interrupted(
    time: Duration,
    lock: impl Fn() -> io::Result<()> + Sync,
    let_go: impl FnOnce(),
) -> Vec<io::Result<()>> {
    let threads: Vec<_> = (0..WAITERS).map(|_| AtomicUsize::new(0)).collect();
    thread::scope(|scope| {
        let wait = |id: &AtomicUsize| {
            id.store(this_thread(), Ordering::SeqCst);
            lock()
        };
        let waiters: Vec<_> = threads.iter().map(|id| scope.spawn(move || wait(id))).collect();
        let began = Instant::now();
        while !threads.iter().all(|id| waits_in_flock(id.load(Ordering::SeqCst))) {
            assert!(began.elapsed() < SOON, "somebody never came to wait");
            thread::yield_now();
        }
        let began = Instant::now();
        while began.elapsed() < time && !waiters.iter().all(|waiter| waiter.is_finished()) {
            threads.iter().for_each(|id| interrupt(id.load(Ordering::SeqCst)));
            // sleep: the time between two signals
            thread::sleep(PAUSE);
        }
        let_go();
        waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect()
    })
}

/// The control: without a look at whether the call was interrupted.
#[expect(clippy::disallowed_methods, reason = "the control is the lock that this crate is not")]
fn lock_once(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    file.lock()?;
    Ok(file)
}

#[test]
fn f7_signals_disturb_nobody_who_waits() {
    handle_without_restart();
    let dir = tempfile::tempdir().unwrap();
    let lock = CreationLock::at(dir.path().join("x.lock"));
    let time =
        if storm_time() >= SOON { Duration::from_secs(5) } else { Duration::from_millis(100) };
    let guard = lock.lock().unwrap();
    let before = HANDLED.load(Ordering::SeqCst);
    let wait = || lock.lock().map(drop).map_err(io::Error::other);
    let outcomes = interrupted(time, wait, || drop(guard));
    let handled = HANDLED.load(Ordering::SeqCst) - before;
    let errors = outcomes.iter().filter(|outcome| outcome.is_err()).count();

    // The control: who does not look fails with the first signal.
    let path = dir.path().join("held");
    File::create(&path).unwrap();
    let held = lock_once(&path).unwrap();
    let unretried = interrupted(SOON, || lock_once(&path).map(drop), || drop(held));
    let interrupted = |outcome: &&io::Result<()>| {
        outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted)
    };
    let control = unretried.iter().filter(interrupted).count();

    // A signal that comes while another one waits is the same one.
    let sent = time.as_millis() / PAUSE.as_millis();
    let holds = errors == 0 && control == WAITERS && u128::from(handled) > sent / 2;
    let measured = format!("waiters={WAITERS} signals={handled} errors={errors} control={control}");
    report("F7 signals without SA_RESTART", "creation", &measured, holds);
    assert!(holds, "{measured}: {outcomes:?} {unretried:?}");
}
