//! A store with an asynchronous face: a task that loads or saves calls it by nothing else.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use beaker_namespace::testkit::AsyncStore;
use beaker_namespace::{ManualClock, MemoryConfig, MemoryNamespace, Timestamp};
use beaker_session::{AccessPolicy, ErrorKind, LazySession, Sessions};
use tokio::runtime::Builder;

use crate::browser::Browser;

const HANG: Duration = Duration::from_secs(20);

type Store = AsyncStore<Arc<MemoryNamespace>>;

/// A site on a store that panics at a blocking call.
fn site() -> (Sessions, Arc<Store>) {
    let memory = MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let store = Arc::new(AsyncStore::new(memory));
    store.refuse_blocking();
    let sessions = Sessions::builder()
        .with_namespace(store.clone())
        .with_access(AccessPolicy::Never)
        .build()
        .unwrap();
    (sessions, store)
}

/// The store wakes its tasks by itself, so that polling on is enough.
fn without_runtime<F: Future>(future: F) -> F::Output {
    let (mut future, began) = (pin!(future), Instant::now());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
        assert!(began.elapsed() < HANG, "it hangs");
        thread::yield_now();
    }
}

fn one_thread<F: Future>(future: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(HANG, future).await.expect("it hangs") })
}

async fn visit(sessions: &Sessions, browser: &mut Browser, user: &str) {
    let request = browser.begin(sessions);
    request.load_async().await.unwrap().insert("user", user).unwrap();
    let outgoing = request.commit_async().await.unwrap();
    browser.receive(&outgoing);
}

async fn user(request: &LazySession) -> Option<String> {
    request.load_async().await.unwrap().get("user").unwrap()
}

async fn life_of_a_session() {
    let (sessions, store) = site();
    let mut browser = Browser::new();
    visit(&sessions, &mut browser, "ada").await;
    assert_eq!(user(&browser.begin(&sessions)).await.as_deref(), Some("ada"));
    let request = browser.begin(&sessions);
    let session = request.load_async().await.unwrap();
    session.insert("user", "eve").unwrap();
    session.renew().unwrap();
    session.save_async().await.unwrap();
    browser.receive(&request.commit_async().await.unwrap());
    assert_eq!(user(&browser.begin(&sessions)).await.as_deref(), Some("eve"));
    let request = browser.begin(&sessions);
    request.load_async().await.unwrap().delete().unwrap();
    request.commit_async().await.unwrap();
    assert_eq!(user(&browser.begin(&sessions)).await, None);
    assert_eq!(store.blocking_calls(), 0);
    assert!(store.asynchronous_calls() > 4);
}

#[test]
fn a_session_lives_by_the_asynchronous_face_alone() {
    one_thread(life_of_a_session());
    without_runtime(life_of_a_session());
}

#[test]
fn a_commit_that_has_begun_runs_to_its_end_in_a_runtime() {
    one_thread(async {
        for polls in 0..12 {
            let (sessions, store) = site();
            let mut browser = Browser::new();
            visit(&sessions, &mut browser, "ada").await;
            // A renewal takes several calls, and leaves nothing under the old id.
            let request = browser.begin(&sessions);
            request.load_async().await.unwrap().renew().unwrap();
            let mut committing = Box::pin(request.commit_async());
            for _ in 0..polls {
                let polled =
                    poll_fn(|context| Poll::Ready(committing.as_mut().poll(context).is_ready()));
                if polled.await {
                    break;
                }
            }
            drop(committing);
            drop(request);
            until_quiet(&store).await;
            let expected = if polls == 0 { Some("ada") } else { None };
            assert_eq!(user(&browser.begin(&sessions)).await.as_deref(), expected, "{polls} polls");
        }
    });
}

#[test]
fn a_load_that_is_dropped_can_be_begun_again() {
    for polls in 0..12 {
        let (sessions, _store) = site();
        let mut browser = Browser::new();
        without_runtime(visit(&sessions, &mut browser, "ada"));
        let request = browser.begin(&sessions);
        let mut loading = Box::pin(request.load_async());
        for _ in 0..polls {
            if loading.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                break;
            }
        }
        drop(loading);
        assert_eq!(without_runtime(user(&request)).as_deref(), Some("ada"), "{polls} polls");
    }
}

#[test]
fn a_thread_waits_for_a_task_that_saves_and_both_changes_are_kept() {
    one_thread(async {
        let (sessions, store) = site();
        let mut browser = Browser::new();
        visit(&sessions, &mut browser, "ada").await;
        let request = browser.begin(&sessions);
        let session = request.load_async().await.unwrap();
        session.insert("user", "eve").unwrap();
        store.hold();
        let saving = tokio::spawn({
            let session = session.clone();
            async move { session.save_async().await }
        });
        let calls = store.asynchronous_calls();
        while store.asynchronous_calls() == calls {
            tokio::task::yield_now().await;
        }
        store.allow_blocking();
        session.insert("city", "London").unwrap();
        let by_thread = thread::spawn(move || session.save());
        thread::yield_now();
        assert_eq!(store.blocking_calls(), 0, "the task is on the way");
        store.release();
        saving.await.unwrap().unwrap();
        tokio::task::spawn_blocking(|| by_thread.join().unwrap().unwrap()).await.unwrap();
        store.refuse_blocking();
        let again = browser.begin(&sessions).load_async().await.unwrap();
        let found: [Option<String>; 2] = [again.get("user").unwrap(), again.get("city").unwrap()];
        assert_eq!(found, [Some("eve".to_owned()), Some("London".to_owned())]);
    });
}

/// Logs in from so many browsers.
async fn log_in(sessions: &Sessions, user: &str, browsers: usize) -> Vec<Browser> {
    let mut all = Vec::new();
    for number in 0..browsers {
        let mut browser = Browser::new();
        let request = browser.begin(sessions);
        let session = request.load_async().await.unwrap();
        session.insert("user", user).unwrap();
        session.set_subject(user, Some(&number.to_string())).unwrap();
        browser.receive(&request.commit_async().await.unwrap());
        all.push(browser);
    }
    all
}

async fn labels(sessions: &Sessions, user: &str) -> Vec<String> {
    let devices = sessions.devices_async(user).await.unwrap();
    let mut labels: Vec<_> = devices.into_iter().filter_map(|device| device.label).collect();
    labels.sort();
    labels
}

async fn lists_and_revocations() {
    let (sessions, store) = site();
    let browsers = log_in(&sessions, "ada", 4).await;
    let eve = log_in(&sessions, "eve", 1).await;
    assert_eq!(labels(&sessions, "ada").await, ["0", "1", "2", "3"]);

    let devices = sessions.devices_async("ada").await.unwrap();
    let first = devices.iter().find(|device| device.label.as_deref() == Some("0")).unwrap();
    sessions.revoke_async(first.key).await.unwrap();
    assert_eq!(user(&browsers[0].begin(&sessions)).await, None);

    let own = browsers[1].begin(&sessions).load_async().await.unwrap();
    let id = own.id().unwrap();
    let known = sessions.get_by_id_async(id).await.unwrap().unwrap();
    assert_eq!(known.get::<String>("user").unwrap().as_deref(), Some("ada"));
    assert_eq!(sessions.revoke_others_async(&own).await.unwrap(), 2);
    assert_eq!(labels(&sessions, "ada").await, ["1"]);

    assert_eq!(sessions.revoke_all_async("ada").await.unwrap(), 1);
    assert_eq!(labels(&sessions, "ada").await, Vec::<String>::new());
    assert!(sessions.get_by_id_async(id).await.unwrap().is_none());
    assert_eq!(user(&eve[0].begin(&sessions)).await.as_deref(), Some("eve"), "others stay");
    assert_eq!(store.blocking_calls(), 0);
}

#[test]
fn lists_and_revocations_go_by_the_asynchronous_face_alone() {
    one_thread(lists_and_revocations());
    without_runtime(lists_and_revocations());
}

#[test]
fn a_sweep_goes_by_the_asynchronous_face_alone() {
    let sweep = async || {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
        let config = MemoryConfig::new().clock(Arc::clone(&clock) as _);
        let store = AsyncStore::new(MemoryNamespace::anonymous(config).unwrap());
        store.refuse_blocking();
        let idle = Some(Duration::from_secs(60));
        let builder = Sessions::builder().with_namespace(Arc::new(store)).with_idle(idle);
        let sessions = builder.build().unwrap();
        visit(&sessions, &mut Browser::new(), "ada").await;
        assert_eq!(sessions.sweep_async().await.unwrap(), 0);
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(sessions.sweep_async().await.unwrap(), 1);
    };
    one_thread(sweep());
    without_runtime(sweep());
}

#[test]
fn a_revocation_that_has_begun_runs_to_its_end_in_a_runtime() {
    one_thread(async {
        for polls in 0..3 {
            let (sessions, store) = site();
            let browsers = log_in(&sessions, "ada", 3).await;
            let mut revoking = Box::pin(sessions.revoke_all_async("ada"));
            for _ in 0..polls {
                let polled =
                    poll_fn(|context| Poll::Ready(revoking.as_mut().poll(context).is_ready()));
                assert!(!polled.await, "there is more to do");
            }
            drop(revoking);
            until_quiet(&store).await;
            let expected = if polls == 0 { Some("ada") } else { None };
            for browser in browsers {
                assert_eq!(user(&browser.begin(&sessions)).await.as_deref(), expected, "{polls}");
            }
        }
    });
}

/// A site on a disk, whose store blocks, and a browser that is logged in.
fn blocking() -> (Sessions, Browser, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let files = beaker_namespace::FileConfig::new(dir.path());
    let files = beaker_namespace::FileNamespace::open("sessions", files).unwrap();
    let sessions = Sessions::builder().with_namespace(Arc::new(files)).build().unwrap();
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.insert("user", "ada")).unwrap();
    (sessions, browser, dir)
}

/// F65: a store that only blocks has nobody to call it there.
#[test]
fn without_a_runtime_a_store_that_blocks_is_refused_and_the_session_stays() {
    let (sessions, browser, _dir) = blocking();
    let request = browser.begin(&sessions);
    let error = without_runtime(request.load_async()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("runtime"), "{error}");
    // The same request goes on where one may block.
    let session = request.load().unwrap();
    session.insert("user", "eve").unwrap();
    let error = without_runtime(request.commit_async()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert_eq!(browser.sees(&sessions, "user"), Some("ada".into()), "nothing was half done");
}

/// F65: the runtime ends while a call waits for one of its threads: the call is made, or refused.
#[test]
fn a_runtime_that_ends_meanwhile_hangs_nobody() {
    let (sessions, browser, _dir) = blocking();
    let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let (go_on, held) = std::sync::mpsc::channel::<()>();
    // Its only thread for that is taken.
    runtime.spawn_blocking(move || held.recv());
    let (early, late) = (browser.begin(&sessions), browser.begin(&sessions));
    let mut load = Box::pin(early.load_async());
    let handle = runtime.handle().clone();
    {
        let _inside = runtime.enter();
        let polled = load.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    runtime.shutdown_background();
    drop(go_on);
    match without_runtime(load) {
        Ok(session) => assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ada")),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
    }

    // Who comes later is told, and can go on where one may block.
    let _inside = handle.enter();
    let error = without_runtime(late.load_async()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("the runtime has ended"), "{error}");
    assert_eq!(late.load().unwrap().get::<String>("user").unwrap().as_deref(), Some("ada"));
}

/// Waits until nobody calls the store any more.
async fn until_quiet(store: &Store) {
    let mut seen = None;
    while seen != Some(store.asynchronous_calls()) {
        seen = Some(store.asynchronous_calls());
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

/// The contract of a session store, kept by the asynchronous face.
#[cfg(feature = "testkit")]
mod contract {
    use beaker_namespace::{Latency, Timestamp};
    use beaker_session::{
        Answer, Created, Deleted, DeletedIf, Error, Loaded, Member, NamespaceStore, Op, Record,
        RecordKey, Renamed, Renaming, SessionStore, Touched, Updated, Version, testkit,
    };

    use super::*;

    /// All but a sweep by the asynchronous face.
    #[derive(Debug)]
    struct ByAsking(NamespaceStore);

    macro_rules! asked {
        ($store:expr, $op:expr, $answer:path) => {
            match without_runtime($store.0.asynchronous().unwrap().ask(&$op)) {
                $answer(answer) => Ok(answer),
                Answer::Failed(error) => Err(error),
                other => panic!("{other:?}"),
            }
        };
    }

    impl SessionStore for ByAsking {
        fn latency(&self) -> Latency {
            self.0.latency()
        }

        fn create(&self, key: &RecordKey, record: &Arc<Record>) -> Result<Created, Error> {
            let op = Op::Create { key: *key, record: record.clone() };
            asked!(self, op, Answer::Created)
        }

        fn load(&self, key: &RecordKey) -> Result<Loaded, Error> {
            asked!(self, Op::Load(*key), Answer::Loaded)
        }

        fn update(
            &self,
            key: &RecordKey,
            expected: Version,
            record: &Arc<Record>,
        ) -> Result<Updated, Error> {
            let op = Op::Update { key: *key, expected, record: record.clone() };
            asked!(self, op, Answer::Updated)
        }

        fn touch(&self, key: &RecordKey, accessed: Timestamp) -> Result<Touched, Error> {
            asked!(self, Op::Touch { key: *key, accessed }, Answer::Touched)
        }

        fn delete(&self, key: &RecordKey) -> Result<Deleted, Error> {
            asked!(self, Op::Delete(*key), Answer::Deleted)
        }

        fn rename(&self, renaming: &Renaming<'_>) -> Result<Renamed, Error> {
            let Renaming { from, expected, to, record, grace } = *renaming;
            let record = record.clone();
            let op = Op::Rename { from: *from, expected, to: *to, record, grace };
            asked!(self, op, Answer::Renamed)
        }

        fn enroll(&self, subject: &str, member: &Member) -> Result<(), Error> {
            let op = Op::Enroll { subject: subject.to_owned(), member: member.clone() };
            match without_runtime(self.0.asynchronous().unwrap().ask(&op)) {
                Answer::Enrolled => Ok(()),
                other => panic!("{other:?}"),
            }
        }

        fn delete_if(&self, key: &RecordKey, expected: Version) -> Result<DeletedIf, Error> {
            asked!(self, Op::DeleteIf { key: *key, expected }, Answer::DeletedIf)
        }

        fn members(&self, subject: &str) -> Result<Vec<Member>, Error> {
            asked!(self, Op::Members(subject.to_owned()), Answer::Members)
        }

        fn epoch(&self, subject: &str) -> Result<u64, Error> {
            asked!(self, Op::Epoch(subject.to_owned()), Answer::Epoch)
        }

        fn raise_epoch(&self, subject: &str) -> Result<u64, Error> {
            asked!(self, Op::RaiseEpoch(subject.to_owned()), Answer::Epoch)
        }

        fn sweep(&self) -> Result<u64, Error> {
            asked!(self, Op::Sweep, Answer::Swept)
        }
    }

    #[test]
    fn the_asynchronous_face_keeps_sessions() {
        testkit::conformance("memory, asynchronous", |clock| {
            let memory = MemoryNamespace::anonymous(MemoryConfig::new().clock(clock)).unwrap();
            NamespaceStore::new(Arc::new(AsyncStore::new(memory))).map(ByAsking)
        });
    }

    #[test]
    fn a_store_has_the_face_if_its_namespace_has_it() {
        let memory = || MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
        let plain = NamespaceStore::new(memory()).unwrap();
        assert!(plain.asynchronous().is_none());
        let wrapped = Arc::new(NamespaceStore::new(Arc::new(AsyncStore::new(memory()))).unwrap());
        assert!(SessionStore::asynchronous(&wrapped).is_some());
    }
}
