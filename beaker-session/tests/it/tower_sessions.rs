//! Our stores behind tower-sessions.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::testkit::AsyncStore;
use beaker_namespace::{
    Clock, ManualClock, MemoryConfig, MemoryNamespace, Namespace, Stores, Timestamp,
};
use beaker_session::tower_sessions::NamespaceSessions;
use beaker_session::{SessionId, Sessions};
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response};
use tempfile::TempDir;
use time::OffsetDateTime;
use tower::{Layer, ServiceExt, service_fn};
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::Error as StoreError;
use tower_sessions::{ExpiredDeletion, Session, SessionManagerLayer, SessionStore};

/// A moment that both clocks of a test can show.
const START: i64 = 1_800_000_000;

struct Place {
    clock: Arc<ManualClock>,
    namespace: Arc<dyn Namespace>,
    store: NamespaceSessions,
    _dir: TempDir,
}

#[derive(Clone, Copy)]
enum Kind {
    Memory,
    Disk,
    Asynchronous,
}

/// A store that does not block, one that does, and one that a task can wait for and that refuses to block.
fn places() -> [Place; 3] {
    [Kind::Memory, Kind::Disk, Kind::Asynchronous].map(|kind| {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(START * 1_000_000)));
        let shown = Arc::clone(&clock) as Arc<dyn Clock>;
        let config = MemoryConfig::new().clock(Arc::clone(&shown));
        let memory = MemoryNamespace::anonymous(config).unwrap();
        let namespace: Arc<dyn Namespace> = match kind {
            Kind::Disk => opened(&dir, stores().with_clock(shown)),
            Kind::Asynchronous => {
                let store = AsyncStore::new(memory);
                store.refuse_blocking();
                Arc::new(store)
            }
            Kind::Memory => memory,
        };
        let store = NamespaceSessions::new(Arc::clone(&namespace)).unwrap();
        Place { clock, namespace, store, _dir: dir }
    })
}

/// They know the schemes that are installed when they are made.
fn stores() -> Stores {
    beaker_backends::install();
    Stores::new()
}

fn opened(dir: &TempDir, stores: Stores) -> Arc<dyn Namespace> {
    let url = format!("sqlite://{}/s.db", dir.path().display());
    stores.open(&url.parse().unwrap(), "tower").unwrap()
}

fn date(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(START + seconds).unwrap()
}

fn record(name: &str, seconds: i64) -> Record {
    let data = [("name".to_owned(), name.into())].into();
    Record { id: Id::default(), data, expiry_date: date(seconds) }
}

#[tokio::test]
async fn what_is_created_is_loaded_until_it_expires_and_no_longer() {
    for place in places() {
        let mut ada = record("Ada", 60);
        place.store.create(&mut ada).await.unwrap();
        assert_eq!(place.store.load(&ada.id).await.unwrap(), Some(ada.clone()));
        place.clock.advance(Duration::from_micros(59_999_999));
        assert_eq!(place.store.load(&ada.id).await.unwrap(), Some(ada.clone()));
        place.clock.advance(Duration::from_micros(1));
        assert_eq!(place.store.load(&ada.id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_taken_id_is_replaced_by_another_and_the_session_under_it_stays() {
    for place in places() {
        let mut ada = record("Ada", 60);
        place.store.create(&mut ada).await.unwrap();
        let mut eve = Record { id: ada.id, ..record("Eve", 60) };
        place.store.create(&mut eve).await.unwrap();
        assert_ne!(eve.id, ada.id);
        assert_eq!(place.store.load(&ada.id).await.unwrap(), Some(ada));
        assert_eq!(place.store.load(&eve.id).await.unwrap(), Some(eve));
    }
}

#[tokio::test]
async fn a_save_replaces_what_is_there() {
    for place in places() {
        let mut ada = record("Ada", 60);
        place.store.create(&mut ada).await.unwrap();
        let longer = Record { expiry_date: date(90), ..ada.clone() };
        place.store.save(&longer).await.unwrap();
        place.clock.advance(Duration::from_secs(75));
        assert_eq!(place.store.load(&ada.id).await.unwrap(), Some(longer));
    }
}

#[tokio::test]
async fn a_save_brings_back_no_session_that_was_deleted_or_never_was() {
    for place in places() {
        let mut ada = record("Ada", 60);
        place.store.create(&mut ada).await.unwrap();
        place.store.delete(&ada.id).await.unwrap();
        for gone in [ada, record("Eve", 60)] {
            let refused = place.store.save(&gone).await.unwrap_err();
            let StoreError::Backend(text) = refused else { panic!("{refused}") };
            assert_eq!(text, "cannot save session: the session was ended meanwhile");
            assert_eq!(place.store.load(&gone.id).await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn a_delete_deletes_and_may_be_repeated() {
    for place in places() {
        let mut ada = record("Ada", 60);
        place.store.create(&mut ada).await.unwrap();
        place.store.delete(&ada.id).await.unwrap();
        assert_eq!(place.store.load(&ada.id).await.unwrap(), None);
        place.store.delete(&ada.id).await.unwrap();
    }
}

#[tokio::test]
async fn what_expired_goes_and_what_lives_stays() {
    for place in places() {
        let (mut ada, mut eve) = (record("Ada", 60), record("Eve", 3_600));
        place.store.create(&mut ada).await.unwrap();
        place.store.create(&mut eve).await.unwrap();
        place.clock.advance(Duration::from_secs(600));
        place.store.delete_expired().await.unwrap();
        assert_eq!(place.store.load(&ada.id).await.unwrap(), None);
        assert_eq!(place.store.load(&eve.id).await.unwrap(), Some(eve));
        // Ada's was not only hidden: with the clock set back it is not there either.
        place.clock.set(Timestamp::from_micros(START * 1_000_000));
        assert_eq!(place.store.load(&ada.id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn dates_at_the_end_of_time_are_kept_as_the_nearest() {
    for place in places() {
        let last = time::PrimitiveDateTime::MAX.assume_utc();
        let mut ada = Record { expiry_date: last, ..record("Ada", 0) };
        place.store.create(&mut ada).await.unwrap();
        let loaded = place.store.load(&ada.id).await.unwrap().unwrap();
        assert_eq!(loaded.expiry_date.year(), 9999);
    }
}

#[tokio::test]
async fn our_own_sessions_read_what_tower_sessions_has_stored() {
    for place in places() {
        let mut ada = record("Ada", 60);
        place.store.create(&mut ada).await.unwrap();
        let ours = Sessions::builder().with_namespace(Arc::clone(&place.namespace));
        let ours = ours.build().unwrap();
        let id = SessionId::parse(&ada.id.to_string()).unwrap();
        let session = ours.get_by_id_async(id).await.unwrap().unwrap();
        assert_eq!(session.get::<String>("name").unwrap().as_deref(), Some("Ada"));
    }
}

type Asked = Pin<Box<dyn Future<Output = Response<String>> + Send>>;

/// A site of tower-sessions: `/log-in`, `/log-out`, `/` for the name, and `/slow`, which is
/// overtaken by a log-out.
fn ask(store: &NamespaceSessions, path: &str, cookie: &str) -> Asked {
    let overtaking = (store.clone(), cookie.to_owned());
    let service = service_fn(move |request: Request<()>| {
        let (store, cookie) = overtaking.clone();
        async move {
            let session = request.extensions().get::<Session>().unwrap().clone();
            let mut body = String::new();
            match request.uri().path() {
                "/log-in" => {
                    session.insert("name", "Ada").await.unwrap();
                    session.cycle_id().await.unwrap();
                }
                "/log-out" => session.flush().await.unwrap(),
                "/slow" => {
                    session.insert("name", "Eve").await.unwrap();
                    drop(ask(&store, "/log-out", &cookie).await);
                }
                _ => body = session.get("name").await.unwrap().unwrap_or_default(),
            }
            Ok::<_, Infallible>(Response::new(body))
        }
    });
    let service = SessionManagerLayer::new(store.clone()).with_secure(false).layer(service);
    let request = Request::builder().uri(path).header(COOKIE, cookie).body(()).unwrap();
    Box::pin(async move {
        let Ok(response) = service.oneshot(request).await;
        response
    })
}

fn cookie_of(response: &Response<String>) -> String {
    let set = response.headers()[SET_COOKIE].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

/// With the system's clock, since their layer reads no other.
fn on_sqlite() -> (NamespaceSessions, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let namespace = opened(&dir, stores());
    (NamespaceSessions::new(namespace).unwrap(), dir)
}

#[tokio::test]
async fn a_visitor_of_their_layer_logs_in_is_known_and_logs_out() {
    let (store, _dir) = on_sqlite();
    let cookie = cookie_of(&ask(&store, "/log-in", "").await);
    assert_eq!(ask(&store, "/", &cookie).await.body(), "Ada");
    let again = cookie_of(&ask(&store, "/log-in", &cookie).await);
    assert_ne!(again, cookie);
    assert_eq!(ask(&store, "/", &cookie).await.body(), "");
    assert_eq!(ask(&store, "/", &again).await.body(), "Ada");
    ask(&store, "/log-out", &again).await;
    assert_eq!(ask(&store, "/", &again).await.body(), "");
}

#[tokio::test]
async fn a_slow_request_of_their_layer_does_not_undo_a_log_out() {
    let (store, _dir) = on_sqlite();
    let cookie = cookie_of(&ask(&store, "/log-in", "").await);
    let slow = ask(&store, "/slow", &cookie).await;
    assert_eq!(slow.status(), 500);
    assert_eq!(ask(&store, "/", &cookie).await.body(), "");
}
