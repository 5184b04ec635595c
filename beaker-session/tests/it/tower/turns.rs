//! `MergePolicy::Lock`: requests of one session that come at the same time have it one after the other.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use beaker_session::{ErrorKind, LazySession, MergePolicy, SessionLayer};
use http::{Request, Response};
use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};

use super::{Answer, answer, ask, insert, of, request};
use crate::served::{PATIENCE, Site, begin, until};

fn both() -> [Site; 2] {
    Site::both_with(|builder| builder.with_merge(MergePolicy::lock()))
}

fn both_that_wait(wait: Duration) -> [Site; 2] {
    Site::both_with(|builder| builder.with_merge(MergePolicy::Lock { wait }))
}

/// What happens, in its order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().push(what.into());
    }

    fn has(&self, what: &str) -> bool {
        self.0.lock().iter().any(|noted| noted == what)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

/// What a handler waits for when it has its session.
type Wait = Option<oneshot::Receiver<()>>;

/// A handler that notes when it has its session, in which it counts, and when it has done.
async fn work(lazy: LazySession, name: &'static str, log: Log, wait: Wait) -> Answer {
    let session = lazy.load_async().await.unwrap();
    let turn = session.get::<u32>("turn").unwrap().unwrap_or(0) + 1;
    log.note(format!("{name} has turn {turn}"));
    if let Some(wait) = wait {
        timeout(PATIENCE, wait).await.unwrap().unwrap();
    }
    session.insert("turn", turn).unwrap();
    log.note(format!("{name} has done"));
    answer(200)
}

/// A request on its way, with a handler of its own.
fn send<F>(
    site: &Site,
    cookie: &str,
    handler: impl FnOnce(LazySession) -> F + Send + 'static,
) -> JoinHandle<Answer>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let handler = Mutex::new(Some(handler));
    let service = service_fn(move |request: Request<()>| {
        let handler = handler.lock().take().unwrap();
        let answer = handler(of(&request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let service = SessionLayer::new(site.sessions.clone()).layer(service);
    let asking = service.oneshot(request(cookie));
    tokio::spawn(async move {
        let Ok(answer) = timeout(PATIENCE, asking).await.unwrap();
        answer
    })
}

/// A request that works until it is released.
fn send_first(site: &Site, cookie: &str, log: &Log) -> (JoinHandle<Answer>, oneshot::Sender<()>) {
    let ((release, released), log) = (oneshot::channel(), log.clone());
    let sent = send(site, cookie, move |lazy| work(lazy, "first", log, Some(released)));
    (sent, release)
}

fn send_second(site: &Site, cookie: &str, log: &Log) -> JoinHandle<Answer> {
    let log = log.clone();
    send(site, cookie, move |lazy| work(lazy, "second", log, None))
}

/// A request is at work when a second one comes, which waits or gets to work beside it. Gives what happened.
async fn two_at_once(site: &Site) -> Vec<String> {
    let (cookie, log) = (site.visitor("name", "Ada"), Log::default());
    let (first, release) = send_first(site, &cookie, &log);
    until(|| log.has("first has turn 1")).await;
    let second = send_second(site, &cookie, &log);
    until(|| site.sessions.counts().lock_waits == 1 || log.has("second has done")).await;
    release.send(()).unwrap();
    assert_eq!(first.await.unwrap().status(), 200);
    assert_eq!(second.await.unwrap().status(), 200);
    assert_eq!(site.sessions.locked(), 0);
    log.take()
}

#[tokio::test]
async fn requests_of_one_session_are_at_work_one_after_the_other() {
    for site in both() {
        let expected =
            ["first has turn 1", "first has done", "second has turn 2", "second has done"];
        assert_eq!(two_at_once(&site).await, expected);
        assert_eq!(site.sessions.counts().conflicts, 0);
    }
}

#[tokio::test]
async fn control_without_the_policy_they_are_at_work_at_the_same_time() {
    for site in Site::both() {
        let expected =
            ["first has turn 1", "second has turn 1", "second has done", "first has done"];
        assert_eq!(two_at_once(&site).await, expected);
        assert_eq!(site.sessions.counts().conflicts, 1);
    }
}

#[tokio::test]
async fn others_and_who_does_not_look_into_the_session_wait_for_nobody() {
    for site in both() {
        let (cookie, other) = (site.visitor("name", "Ada"), site.visitor("name", "Bob"));
        let log = Log::default();
        let (first, release) = send_first(&site, &cookie, &log);
        until(|| log.has("first has turn 1")).await;
        assert_eq!(insert(&site, &other, "name", "Eve").await.status(), 200);
        assert_eq!(ask(&site, &cookie, |_lazy| async { answer(200) }).await.status(), 200);
        assert_eq!((site.sessions.locked(), site.sessions.counts().lock_waits), (1, 0));
        release.send(()).unwrap();
        first.await.unwrap();
    }
}

/// A client that goes, and a handler that panics.
#[tokio::test]
async fn a_request_that_ends_otherwise_leaves_the_session_to_the_next() {
    for panics in [false, true] {
        for site in both() {
            let (cookie, log) = (site.visitor("name", "Ada"), Log::default());
            let (first, release) = send_first(&site, &cookie, &log);
            until(|| log.has("first has turn 1")).await;
            let second = send_second(&site, &cookie, &log);
            until(|| site.sessions.counts().lock_waits == 1).await;
            // A handler whose wait fails panics.
            if panics {
                drop(release)
            } else {
                first.abort()
            }
            assert_eq!(first.await.unwrap_err().is_panic(), panics);
            assert_eq!(second.await.unwrap().status(), 200);
            let expected = ["first has turn 1", "second has turn 1", "second has done"];
            assert_eq!(
                (log.take(), site.sessions.locked()),
                (expected.map(str::to_owned).into(), 0)
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_goes_while_it_waits_leaves_no_place_in_the_queue() {
    for site in both() {
        let (cookie, log) = (site.visitor("name", "Ada"), Log::default());
        let (first, release) = send_first(&site, &cookie, &log);
        until(|| log.has("first has turn 1")).await;
        let gone = send(&site, &cookie, |lazy| async move {
            lazy.load_async().await.unwrap();
            pending().await
        });
        until(|| site.sessions.counts().lock_waits == 1).await;
        let second = send_second(&site, &cookie, &log);
        until(|| site.sessions.counts().lock_waits == 2).await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        release.send(()).unwrap();
        first.await.unwrap();
        second.await.unwrap();
        assert_eq!(log.take().last().unwrap(), "second has done");
        assert_eq!(site.sessions.locked(), 0);
    }
}

/// A handler that gives its load up holds up neither itself nor others.
#[tokio::test]
async fn a_load_that_is_given_up_while_it_waits_is_over() {
    for site in both() {
        let (cookie, log) = (site.visitor("name", "Ada"), Log::default());
        let (first, release) = send_first(&site, &cookie, &log);
        until(|| log.has("first has turn 1")).await;
        let gave_up = ask(&site, &cookie, |lazy| async move {
            begin(lazy.load_async()).await;
            answer(202)
        });
        assert_eq!(gave_up.await.status(), 202);
        assert_eq!(site.sessions.locked(), 1, "the first one's");
        release.send(()).unwrap();
        first.await.unwrap();
        assert_eq!(site.sessions.locked(), 0);
    }
}

#[tokio::test]
async fn two_loads_of_one_request_at_a_time_wait_for_others_and_not_for_each_other() {
    for site in both() {
        let (cookie, log) = (site.visitor("name", "Ada"), Log::default());
        let (first, release) = send_first(&site, &cookie, &log);
        until(|| log.has("first has turn 1")).await;
        let second = send(&site, &cookie, |lazy| async move {
            let (one, other) = tokio::join!(lazy.load_async(), lazy.load_async());
            assert_eq!(
                [one, other].map(|session| session.unwrap().get("turn").unwrap()),
                [Some(1); 2]
            );
            answer(200)
        });
        until(|| site.sessions.counts().lock_waits == 1).await;
        release.send(()).unwrap();
        first.await.unwrap();
        assert_eq!(second.await.unwrap().status(), 200);
        assert_eq!((site.sessions.counts().lock_waits, site.sessions.locked()), (1, 0));
    }
}

#[tokio::test]
async fn a_handler_that_asks_its_own_site_is_told_so_in_time() {
    for site in both_that_wait(Duration::from_millis(20)) {
        let cookie = site.visitor("name", "Ada");
        let asked = ask(&site, &cookie, |lazy| {
            let (site, cookie) = (&site, cookie.clone());
            async move {
                let session = lazy.load_async().await.unwrap();
                let inner = ask(site, &cookie, |lazy| async move {
                    let error = lazy.load_async().await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Busy);
                    answer(503)
                });
                assert_eq!(inner.await.status(), 503);
                session.insert("name", "Eve").unwrap();
                answer(200)
            }
        });
        assert_eq!(asked.await.status(), 200);
        assert_eq!(site.text(&cookie, "name").as_deref(), Some("Eve"));
        let counts = site.sessions.counts();
        assert_eq!((counts.lock_waits, counts.lock_timeouts), (1, 1));
        assert_eq!((counts.outages, site.sessions.locked()), (0, 0));
    }
}

/// The header has gone, so the next request may come.
#[tokio::test]
async fn a_body_that_is_still_to_be_sent_keeps_no_lock() {
    #[derive(Default)]
    struct Body(Option<LazySession>);

    for site in both() {
        let cookie = site.visitor("name", "Ada");
        let service = service_fn(|request: Request<()>| async move {
            let lazy = of(&request);
            lazy.load_async().await.unwrap().insert("name", "Eve").unwrap();
            Ok::<_, Infallible>(Response::new(Body(Some(lazy))))
        });
        let service = SessionLayer::new(site.sessions.clone()).layer(service);
        let Ok(answered) = timeout(PATIENCE, service.oneshot(request(&cookie))).await.unwrap();
        assert!(answered.body().0.as_ref().unwrap().is_loaded());
        assert_eq!(site.sessions.locked(), 0);
        assert_eq!(insert(&site, &cookie, "other", "Bob").await.status(), 200);
    }
}

/// A commit that was begun runs to its end, and has the session until then.
#[tokio::test]
async fn a_client_that_goes_during_its_commit_keeps_the_session_until_it_is_saved() {
    let [_, site] = both();
    let (cookie, log) = (site.visitor("name", "Ada"), Log::default());
    let mut held = site.store.hold("update");
    let (first, release) = send_first(&site, &cookie, &log);
    release.send(()).unwrap();
    held.reached().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let second = send_second(&site, &cookie, &log);
    until(|| site.sessions.counts().lock_waits == 1).await;
    assert!(!log.has("second has turn 1"));
    held.release();
    second.await.unwrap();
    let (turn, counts) = (site.stored(&cookie).unwrap()["turn"].clone(), site.sessions.counts());
    assert_eq!((turn, counts.conflicts, site.sessions.locked()), (2.into(), 0, 0));
}

/// On a runtime without timers, and with one thread for what blocks: who waits needs neither.
#[test]
fn requests_that_wait_block_no_thread_and_need_no_timer() {
    let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        for site in both() {
            let cookie = site.visitor("name", "Ada");
            let first = site.sessions.begin([cookie.as_bytes()]);
            let session = first.load_async().await.unwrap();
            let others: Vec<_> = (0..8)
                .map(|_| {
                    let lazy = site.sessions.begin([cookie.as_bytes()]);
                    tokio::spawn(async move {
                        // As two extractors of a handler do.
                        let (one, other) = tokio::join!(lazy.load_async(), lazy.load_async());
                        let (session, _other) = (one.unwrap(), other.unwrap());
                        session.add("turns", 1).unwrap();
                        lazy.commit_async().await.unwrap();
                    })
                })
                .collect();
            until(|| site.sessions.counts().lock_waits == 8).await;
            session.add("turns", 1).unwrap();
            first.commit_async().await.unwrap();
            for other in others {
                other.await.unwrap();
            }
            assert_eq!(site.stored(&cookie).unwrap()["turns"], 9);
            let counts = site.sessions.counts();
            assert_eq!((counts.conflicts, site.sessions.locked()), (0, 0));
        }
    });
}

/// What there is of `future` after one poll.
async fn poll_once<F: Future>(future: &mut Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// A handler that looks no longer after the load which waits for its turn.
#[tokio::test]
async fn a_load_that_waits_and_is_not_polled_holds_up_no_logout_and_no_commit() {
    for site in both() {
        let cookie = site.visitor("name", "Ada");
        let first = site.sessions.begin([cookie.as_bytes()]);
        let _session = first.load_async().await.unwrap();
        let begin = || site.sessions.begin([cookie.as_bytes()]);

        let request = begin();
        let mut load = pin!(request.load_async());
        assert!(poll_once(&mut load).await.is_none());
        let committed = timeout(PATIENCE / 4, request.commit_async()).await.unwrap().unwrap();
        assert_eq!(committed.set_cookies().len(), 0);

        let logout = begin();
        let mut other = pin!(logout.load_async());
        assert!(poll_once(&mut other).await.is_none());
        timeout(PATIENCE / 4, logout.delete_async()).await.unwrap().unwrap();
        let removal = timeout(PATIENCE / 4, logout.commit_async()).await.unwrap().unwrap();
        assert!(removal.set_cookies().next().unwrap().contains("Max-Age=0"));

        // It has ended, and each load is told how its request has.
        first.commit_async().await.unwrap();
        let late = timeout(PATIENCE / 4, load).await.unwrap().unwrap_err();
        assert_eq!(late.kind(), ErrorKind::AlreadyCommitted);
        let logged_out = timeout(PATIENCE / 4, other).await.unwrap().unwrap();
        assert!(logged_out.keys().is_empty());
        assert_eq!((site.stored(&cookie), site.sessions.locked()), (None, 0));
    }
}

#[tokio::test]
async fn a_load_beside_one_that_is_not_polled_waits_no_longer_than_for_others() {
    for site in both_that_wait(Duration::from_millis(5)) {
        let cookie = site.visitor("name", "Ada");
        let first = site.sessions.begin([cookie.as_bytes()]);
        let _session = first.load_async().await.unwrap();
        let request = site.sessions.begin([cookie.as_bytes()]);
        let mut load = Box::pin(request.load_async());
        assert!(poll_once(&mut load.as_mut()).await.is_none());
        let beside = timeout(PATIENCE / 4, request.load_async()).await.unwrap();
        assert_eq!(beside.unwrap_err().kind(), ErrorKind::Busy);
        first.commit_async().await.unwrap();
        drop(load);
        let loaded = timeout(PATIENCE / 4, request.load_async()).await.unwrap().unwrap();
        assert_eq!(loaded.get::<String>("name").unwrap().as_deref(), Some("Ada"));
    }
}

#[tokio::test]
async fn loads_of_one_request_wait_at_the_same_time_and_not_one_after_the_other() {
    let wait = Duration::from_millis(400);
    let [site, _] = both_that_wait(wait);
    let cookie = site.visitor("name", "Ada");
    let first = site.sessions.begin([cookie.as_bytes()]);
    let _session = first.load_async().await.unwrap();
    let (request, began) = (site.sessions.begin([cookie.as_bytes()]), Instant::now());
    let (one, other) = tokio::join!(request.load_async(), request.load_async());
    let took = began.elapsed();
    assert_eq!([one, other].map(|load| load.unwrap_err().kind()), [ErrorKind::Busy; 2]);
    assert!((wait..2 * wait).contains(&took), "{took:?}");
}

/// Also while a logout fails beside a load that waits: what the load has asked for is not asked for any more.
#[tokio::test]
async fn a_load_outlives_a_logout_that_fails_beside_it() {
    for site in both() {
        let cookie = site.visitor("name", "Ada");
        let first = site.sessions.begin([cookie.as_bytes()]);
        let _session = first.load_async().await.unwrap();
        let request = site.sessions.begin([cookie.as_bytes()]);
        let mut load = pin!(request.load_async());
        assert!(poll_once(&mut load).await.is_none());
        site.store.fail(["load"]);
        let failed = timeout(PATIENCE / 4, request.delete_async()).await.unwrap();
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unavailable);
        site.store.fail([]);
        first.commit_async().await.unwrap();
        let session = timeout(PATIENCE / 4, load).await.unwrap().unwrap();
        assert_eq!(session.get::<String>("name").unwrap().as_deref(), Some("Ada"));
        request.commit_async().await.unwrap();
        assert_eq!(site.sessions.locked(), 0);
    }
}

/// In memory, where nobody needs a runtime.
#[test]
fn loads_that_wait_need_no_runtime() {
    let [site, _] = both();
    let cookie = site.visitor("name", "Ada");
    let first = site.sessions.begin([cookie.as_bytes()]);
    let _session = first.load().unwrap();
    let request = site.sessions.begin([cookie.as_bytes()]);
    let both = [request.load_async(), request.load_async()];
    let mut both = both.map(Box::pin);
    let mut context = Context::from_waker(Waker::noop());
    for load in &mut both {
        assert!(load.as_mut().poll(&mut context).is_pending());
    }
    first.commit().unwrap();
    for load in &mut both {
        let Poll::Ready(Ok(session)) = load.as_mut().poll(&mut context) else {
            panic!("it is its turn");
        };
        assert_eq!(session.get::<String>("name").unwrap().as_deref(), Some("Ada"));
    }
}

/// In memory too, where a load that takes turns is no single step.
#[test]
fn a_logout_beside_a_load_of_its_request_does_not_come_between_that_and_its_answer() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    for site in both() {
        let cookie = site.visitor("name", "Ada");
        let request = site.sessions.begin([cookie.as_bytes()]);
        let mut held = site.store.hold("load");
        let (ended, has_ended) = channel();
        thread::scope(|scope| {
            let load = scope.spawn(|| request.load().map(drop));
            runtime.block_on(held.reached());
            let logout = scope.spawn(|| {
                let deleted = request.delete();
                ended.send(()).unwrap();
                deleted
            });
            // It waits for the load; else it would have ended by then.
            let early = has_ended.recv_timeout(Duration::from_millis(20));
            held.release();
            load.join().unwrap().unwrap();
            logout.join().unwrap().unwrap();
            assert!(early.is_err());
        });
        request.commit().unwrap();
        assert_eq!((site.stored(&cookie), site.sessions.locked()), (None, 0));
    }
}
