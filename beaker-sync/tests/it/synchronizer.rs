//! What holds for every kind; each test runs on the in-process and on the file synchronizer.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use beaker_sync::{ErrorKind, Synchronizer};

const SOON: Duration = Duration::from_secs(20);

/// Runs `test` on each kind that keeps somebody out.
fn each_kind(test: impl Fn(&Synchronizer)) {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    let own_name = format!("each_kind/{}", NAMES.fetch_add(1, Ordering::SeqCst));
    test(&Synchronizer::anonymous());
    test(&Synchronizer::in_process(&own_name));
    let dir = tempfile::tempdir().unwrap();
    test(&Synchronizer::file("each_kind", dir.path()).unwrap());
}

/// Whether another thread may read, and whether it may write.
fn others_may(lock: &Synchronizer) -> (bool, bool) {
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let read = lock.try_read().unwrap().is_some();
            (read, lock.try_write().unwrap().is_some())
        });
        other.join().unwrap()
    })
}

#[test]
fn syn_1_many_read_or_one_writes() {
    each_kind(|lock| {
        assert_eq!(others_may(lock), (true, true));
        let reading = lock.read().unwrap();
        assert_eq!(others_may(lock), (true, false));
        drop(reading);
        let writing = lock.write().unwrap();
        assert_eq!(others_may(lock), (false, false));
        drop(writing);
        assert_eq!(others_may(lock), (true, true));
    });
}

#[test]
fn syn_2_state_is_kept_for_each_thread_and_each_object() {
    each_kind(|lock| {
        let other = Synchronizer::anonymous();
        let _writing = other.write().unwrap();
        let _reading = lock.read().unwrap();
        assert_eq!(others_may(lock), (true, false));
        assert_eq!(others_may(&other), (false, false));
    });
}

#[test]
fn syn_3_only_the_last_guard_gives_the_lock_back_whatever_the_order() {
    each_kind(|lock| {
        let (first, second) = (lock.read().unwrap(), lock.read().unwrap());
        drop(first);
        assert_eq!(others_may(lock), (true, false));
        drop(second);
        assert_eq!(others_may(lock), (true, true));

        let (first, second) = (lock.write().unwrap(), lock.write().unwrap());
        drop(first);
        assert_eq!(others_may(lock), (false, false));
        drop(second);
        assert_eq!(others_may(lock), (true, true));
    });
}

#[test]
fn syn_4_upgrade_is_an_error_not_a_wait() {
    each_kind(|lock| {
        let reading = lock.read().unwrap();
        for attempt in [lock.write(), lock.try_write().map(Option::unwrap)] {
            assert_eq!(attempt.unwrap_err().kind(), ErrorKind::Upgrade);
        }
        assert_eq!(lock.try_write_for(SOON).unwrap_err().kind(), ErrorKind::Upgrade);
        assert_eq!(others_may(lock), (true, false));
        drop(reading);
        assert_eq!(others_may(lock), (true, true));
    });
}

#[test]
fn syn_5_downgrade_is_an_error_not_a_wait() {
    each_kind(|lock| {
        let writing = lock.write().unwrap();
        for attempt in [lock.read(), lock.try_read().map(Option::unwrap)] {
            assert_eq!(attempt.unwrap_err().kind(), ErrorKind::Downgrade);
        }
        assert_eq!(lock.try_read_for(SOON).unwrap_err().kind(), ErrorKind::Downgrade);
        assert_eq!(others_may(lock), (false, false));
        drop(writing);
        assert_eq!(others_may(lock), (true, true));
    });
}

#[test]
fn syn_8_a_try_that_fails_holds_nothing_afterwards() {
    each_kind(|lock| {
        let writing = lock.write().unwrap();
        assert_eq!(others_may(lock), (false, false));
        drop(writing);
        // The thread whose tries fail is the one that succeeds, in the other access, later.
        thread::scope(|scope| {
            let (to_thread, turn) = mpsc::channel();
            let (done, from_thread) = mpsc::channel();
            let tries = scope.spawn(move || {
                turn.recv().unwrap();
                assert!(lock.try_write().unwrap().is_none());
                assert!(lock.try_write_for(Duration::from_millis(5)).unwrap().is_none());
                drop(lock.try_read().unwrap().unwrap());
                done.send(()).unwrap();
                turn.recv().unwrap();
                drop(lock.try_write().unwrap().unwrap());
            });
            let reading = lock.read().unwrap();
            to_thread.send(()).unwrap();
            from_thread.recv().unwrap();
            assert_eq!(others_may(lock), (true, false));
            drop(reading);
            to_thread.send(()).unwrap();
            tries.join().unwrap();
        });
    });
}

#[test]
fn syn_9_a_nested_acquisition_always_succeeds() {
    each_kind(|lock| {
        let _writing = lock.try_write().unwrap().unwrap();
        assert!(lock.try_write().unwrap().is_some());
        assert!(lock.try_write_for(Duration::ZERO).unwrap().is_some());
    });
    each_kind(|lock| {
        let _reading = lock.try_read().unwrap().unwrap();
        assert!(lock.try_read().unwrap().is_some());
        assert!(lock.try_read_for(Duration::ZERO).unwrap().is_some());
    });
}

#[test]
fn syn_11_a_waiting_writer_keeps_new_readers_out_but_not_nested_ones() {
    each_kind(|lock| {
        let reading = lock.read().unwrap();
        let wrote = AtomicBool::new(false);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let _writing = lock.write().unwrap();
                wrote.store(true, Ordering::SeqCst);
            });
            // New readers pass until the writer waits, and not from then on.
            let began = Instant::now();
            while others_may(lock).0 {
                assert!(began.elapsed() < SOON, "a waiting writer never kept a reader out");
                thread::yield_now();
            }
            let nested = lock.read().unwrap();
            assert!(!wrote.load(Ordering::SeqCst));
            drop((nested, reading));
            writer.join().unwrap();
        });
        assert_eq!(others_may(lock), (true, true));
    });
}

#[test]
fn syn_11_readers_pass_again_when_the_waiting_writer_gives_up() {
    each_kind(|lock| {
        let _reading = lock.read().unwrap();
        thread::scope(|scope| {
            let writer =
                scope.spawn(|| lock.try_write_for(Duration::from_millis(200)).unwrap().is_none());
            let began = Instant::now();
            while others_may(lock).0 && !writer.is_finished() {
                assert!(began.elapsed() < SOON);
                thread::yield_now();
            }
            // It waits no longer than the writer, not until its own time is up.
            let began = Instant::now();
            let reader = scope.spawn(|| lock.try_read_for(2 * SOON).unwrap().is_some());
            assert!(reader.join().unwrap());
            assert!(began.elapsed() < SOON, "nobody woke the reader");
            assert!(writer.join().unwrap());
        });
        assert_eq!(others_may(lock), (true, false));
    });
}

#[test]
fn syn_12_a_try_to_write_keeps_no_reader_out() {
    each_kind(|lock| {
        let _reading = lock.read().unwrap();
        for _ in 0..100 {
            assert_eq!(others_may(lock), (true, false));
        }
    });
}

#[test]
fn waiting_readers_and_writers_are_let_in_when_the_lock_is_free() {
    each_kind(|lock| {
        for access in ["read", "read_for", "write", "write_for"] {
            let writing = lock.write().unwrap();
            thread::scope(|scope| {
                let (started, waiting) = mpsc::channel();
                let waiter = scope.spawn(move || {
                    started.send(()).unwrap();
                    match access {
                        "read" => lock.read().is_ok(),
                        "read_for" => lock.try_read_for(SOON).unwrap().is_some(),
                        "write" => lock.write().is_ok(),
                        _ => lock.try_write_for(SOON).unwrap().is_some(),
                    }
                });
                waiting.recv().unwrap();
                drop(writing);
                assert!(waiter.join().unwrap(), "{access}");
            });
        }
    });
}

#[test]
fn timed_waiters_give_up_when_time_is_up() {
    each_kind(|lock| {
        let _writing = lock.write().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let began = Instant::now();
                assert!(lock.try_read_for(Duration::from_millis(20)).unwrap().is_none());
                assert!(lock.try_write_for(Duration::from_millis(20)).unwrap().is_none());
                assert!(began.elapsed() >= Duration::from_millis(40));
            });
        });
    });
}

#[test]
fn readers_and_writers_in_a_crowd_keep_the_rule() {
    each_kind(|lock| {
        let (readers, writers) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for thread in 0..4 {
                let (readers, writers, start) = (&readers, &writers, &start);
                scope.spawn(move || {
                    start.wait();
                    for round in 0..300 {
                        if (thread + round) % 3 == 0 {
                            let _writing = lock.write().unwrap();
                            assert_eq!(writers.fetch_add(1, Ordering::SeqCst), 0);
                            assert_eq!(readers.load(Ordering::SeqCst), 0);
                            writers.fetch_sub(1, Ordering::SeqCst);
                        } else {
                            let _reading = lock.read().unwrap();
                            readers.fetch_add(1, Ordering::SeqCst);
                            assert_eq!(writers.load(Ordering::SeqCst), 0);
                            readers.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
    });
}

#[test]
fn d7_overlapping_readers_do_not_keep_a_writer_waiting_for_ever() {
    each_kind(|lock| {
        let (wrote, start) = (AtomicBool::new(false), Barrier::new(4));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    start.wait();
                    while !wrote.load(Ordering::SeqCst) {
                        let _reading = lock.read().unwrap();
                        thread::yield_now();
                    }
                });
            }
            start.wait();
            let writing = lock.try_write_for(SOON);
            wrote.store(true, Ordering::SeqCst);
            assert!(writing.unwrap().is_some());
        });
    });
}

#[test]
fn locks_are_shared_by_threads_and_a_creation_guard_moves_between_them() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Synchronizer>();
    shared::<beaker_sync::NameLock>();
    shared::<beaker_sync::CreationLock>();
    shared::<beaker_sync::CreationGuard>();
}

#[test]
fn syn_19_one_identifier_is_one_synchronizer_while_it_is_used() {
    let first = Synchronizer::in_process("syn_19");
    let second = Synchronizer::in_process("syn_19");
    assert!(first.is_same(&second) && first.is_same(&first.clone()));
    let outer = first.read().unwrap();
    let nested = second.read().unwrap();
    drop((outer, nested));
    assert!(!first.is_same(&Synchronizer::in_process("syn_19/other")));
    assert!(!Synchronizer::anonymous().is_same(&Synchronizer::anonymous()));
}

#[test]
fn syn_19_two_handles_of_a_file_nest_in_one_thread() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let other_name = elsewhere.path().join("link");
    std::os::unix::fs::symlink(dir.path(), &other_name).unwrap();
    let first = Synchronizer::file("x", dir.path()).unwrap();
    let second = Synchronizer::file("x", other_name).unwrap();
    assert!(first.is_same(&second));
    let outer = first.write().unwrap();
    let nested = second.write().unwrap();
    drop(outer);
    assert_eq!(others_may(&first), (false, false));
    drop(nested);
    assert_eq!(others_may(&first), (true, true));
}

#[test]
fn syn_20_kinds_with_one_identifier_are_independent() {
    let dir = tempfile::tempdir().unwrap();
    let file = Synchronizer::file("syn_20", dir.path()).unwrap();
    let process = Synchronizer::in_process("syn_20");
    let _writing = file.write().unwrap();
    assert!(process.try_read().unwrap().is_some());
    assert!(!file.is_same(&process));
}

#[test]
fn d2_one_identifier_in_two_lock_directories_is_two_locks() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Synchronizer::file("d2", one.path()).unwrap();
    let second = Synchronizer::file("d2", two.path()).unwrap();
    assert!(!first.is_same(&second));
    let _writing = first.write().unwrap();
    let _other = second.try_write().unwrap().unwrap();
    assert!(first.path().unwrap().exists() && second.path().unwrap().exists());
}

#[test]
fn syn_21_the_null_synchronizer_lets_everybody_pass() {
    let null = Synchronizer::null();
    let reading = null.try_read().unwrap().unwrap();
    let writing = null.write().unwrap();
    let timed = null.try_write_for(Duration::ZERO).unwrap().unwrap();
    assert_eq!(others_may(&null), (true, true));
    drop((reading, writing, timed));
    assert_eq!(null.path(), None);
}
