//! The registry of names in more threads than loom can search through, in random schedules by shuttle.
//!
//! `RUSTFLAGS="--cfg beaker_shuttle" cargo test -p beaker-sync --test shuttle --release`.
//! `BEAKER_SHUTTLE_SCHEDULES` is the number of schedules for each claim, 10,000 by default.

#![cfg(beaker_shuttle)]
#![allow(clippy::unwrap_used, reason = "an unwrap in a test is an assertion")]

/// The code that ships, on the locks below.
#[allow(dead_code, unreachable_pub, reason = "the crate has other uses for it")]
#[path = "../src/registry.rs"]
mod registry;

/// What it is made of: shuttle's, with the face of ours.
mod primitive {
    pub(crate) use shuttle::sync::Arc;
    use shuttle::sync::MutexGuard;

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

use std::env;

use registry::{Registered, Registry};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

type Names = Registry<String, ()>;

/// Runs `model` in random schedules.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let asked = env::var("BEAKER_SHUTTLE_SCHEDULES").ok();
    let schedules = asked.map_or(10_000, |text| text.parse().expect("a number of schedules"));
    shuttle::check_random(model, schedules);
}

fn in_four_threads(work: impl Fn(usize) + Send + Sync + 'static) {
    let work = Arc::new(work);
    let spawn = |number| {
        let work = Arc::clone(&work);
        thread::spawn(move || work(number))
    };
    let threads: Vec<_> = (0..4).map(spawn).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn get(names: &Arc<Names>, name: &str) -> Registered<String, ()> {
    Registry::get_or_insert_with(names, name, || ())
}

#[test]
fn f20_four_threads_that_look_up_clone_and_drop_share_one_value_and_leave_none() {
    check(|| {
        let names = Arc::new(Names::new());
        let all = Arc::clone(&names);
        in_four_threads(move |number| {
            let name = ["a", "b"][number / 3];
            let found = get(&all, name);
            let other = if number == 0 { found.clone() } else { get(&all, name) };
            assert!(found.is_same(&other), "two values of one name are in use");
            drop(found);
            assert!(other.is_same(&get(&all, name)), "two values of one name are in use");
        });
        assert_eq!(names.len(), 0, "names left over");
    });
}

/// What the count under the lock prevents: here somebody decides outside of it that nobody uses the name.
#[test]
#[should_panic(expected = "two values of one name are in use")]
fn f20_control_a_registry_that_decides_outside_of_its_lock_is_caught() {
    check(|| {
        let entry = Arc::new(Mutex::new(None::<Arc<()>>));
        let look_up = |entry: &Mutex<Option<Arc<()>>>| {
            Arc::clone(entry.lock().unwrap().get_or_insert_with(|| Arc::new(())))
        };
        in_four_threads(move |_| {
            let (found, again) = (look_up(&entry), look_up(&entry));
            assert!(Arc::ptr_eq(&found, &again), "two values of one name are in use");
            drop(again);
            let last =
                entry.lock().unwrap().as_ref().is_some_and(|own| Arc::strong_count(own) == 2);
            drop(found);
            if last {
                *entry.lock().unwrap() = None;
            }
        });
    });
}
