//! Futures that are kept and not polled any more.

use std::thread;

use beaker_container::ErrorKind;

use super::{Remote, in_time};
use crate::tasks::{SOON, one_thread, poll_once};

#[test]
fn a_call_that_is_kept_at_any_place_holds_nobody_up_for_ever() {
    let runtime = one_thread();
    for polls in 0..200 {
        let ended = runtime.block_on(in_time(async {
            let remote = Remote::new();
            let mut kept = Box::pin(remote.cache.get_or_create_async(&1, || async {
                tokio::task::yield_now().await;
                1
            }));
            for _ in 0..polls {
                if poll_once(kept.as_mut()).is_ready() {
                    return true;
                }
            }
            let impatient = remote.cache.clone().with_wait(SOON);
            let asked = impatient.get_or_create_async(&1, || async { 2 });
            let from_task = asked.await.map_err(|error| error.kind());
            assert!(matches!(from_task, Ok(1 | 2) | Err(ErrorKind::Timeout)), "{from_task:?}");
            remote.store.allow_blocking();
            let asked = thread::spawn(move || impatient.get_or_create(&1, || 3));
            let from_thread = asked.join().unwrap().map_err(|error| error.kind());
            assert!(matches!(from_thread, Ok(1..=3) | Err(ErrorKind::Timeout)), "{from_thread:?}");
            // It goes on where it was.
            remote.store.refuse_blocking();
            assert!(kept.await.is_ok());
            false
        }));
        if ended {
            return;
        }
    }
    panic!("it does not end");
}
