//! Side by side with a program that uses Python's Beaker 1.14.1: one redis or memcached, one browser.
//
// The servers are real ones, started by the test on a socket of their own, with nothing kept on the
// disk. A redis comes from PyPI, as Beaker does; memcached is the one of the machine. Where one is
// not to be had its part is skipped, and the tests say so on the standard output, past the harness.

mod memcached;
mod process;
mod redis;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use beaker_namespace::{Clock, Latency, ManualClock, SystemClock, Timestamp};
use beaker_session::compat::memcached::{BMEMCACHED_FLAGS, FLAGS};
use beaker_session::compat::{
    BeakerCookie, BeakerData, BeakerId, BeakerStore, Change, PayloadCodec, TextStore,
};
use beaker_session::{AccessPolicy, Error, Sessions};
use serde_json::{Value, json};

use self::memcached::MemcachedTexts;
use self::process::{Process, found};
use self::redis::RedisTexts;
use super::layouts::Layout;
use super::python::{
    Beaker, Browser, configured, login, logout, read, redis_server, request, server_packages, skip,
    user,
};

const TIMEOUT: Duration = Duration::from_secs(600);

/// A value as a server has it.
#[derive(Debug)]
struct Kept {
    value: Vec<u8>,
    /// Of memcached.
    flags: u32,
    /// How long it still has it; `None` is for ever.
    left: Option<Duration>,
}

/// A server that both programs have their sessions in.
struct Server {
    layout: Layout,
    process: Process,
    packages: &'static Path,
}

/// The servers that are to be had here, each started.
fn servers() -> impl Iterator<Item = Server> {
    let start =
        |packages| [Server::redis(packages), Server::memcached(packages)].into_iter().flatten();
    server_packages().into_iter().flat_map(start)
}

impl Server {
    fn redis(packages: &'static Path) -> Option<Self> {
        let process = Process::start(&redis_server(packages), |socket| {
            let socket = socket.display().to_string();
            ["--port", "0", "--save", "", "--unixsocket", &socket].map(str::to_owned).to_vec()
        });
        Some(Self { layout: Layout::Redis, process, packages })
    }

    fn memcached(packages: &'static Path) -> Option<Self> {
        let Some(program) = found("memcached") else {
            skip(
                "nothing was held against a real memcached: there is none here; on Debian, \
                 `apt-get install memcached`",
            );
            return None;
        };
        let process = Process::start(&program, |socket| {
            let socket = socket.display().to_string();
            // As root it runs as the user whom it is told.
            ["-u", "root", "-t", "1", "-s", &socket].map(str::to_owned).to_vec()
        });
        Some(Self { layout: Layout::Memcached, process, packages })
    }

    fn texts(&self, timeout: Option<Duration>) -> Arc<dyn TextStore> {
        let socket = self.process.socket();
        match self.layout {
            Layout::Redis => Arc::new(RedisTexts { socket, timeout }),
            Layout::Memcached => Arc::new(MemcachedTexts { socket, flags: FLAGS }),
        }
    }

    fn kept(&self, id: &BeakerId) -> Option<Kept> {
        let socket = self.process.socket();
        match self.layout {
            Layout::Redis => RedisTexts { socket, timeout: None }.kept(id),
            Layout::Memcached => MemcachedTexts { socket, flags: FLAGS }.kept(id),
        }
    }

    /// One configuration for both programs, all of texts.
    fn options(&self, timeout: Option<Duration>) -> Value {
        let socket = self.process.socket().display().to_string();
        let mut options = match self.layout {
            Layout::Redis => json!({"type": "ext:redis", "url": format!("unix://{socket}")}),
            Layout::Memcached => json!({
                "type": "ext:memcached", "url": format!("unix:{socket}"),
                "lock_dir": self.process.dir().join("locks").display().to_string(),
            }),
        };
        for (name, value) in [("key", "sid"), ("secret", "s3cret"), ("data_serializer", "json")] {
            options[name] = value.into();
        }
        if let Some(timeout) = timeout {
            options["timeout"] = timeout.as_secs().to_string().into();
        }
        options
    }

    fn beaker(&self) -> Beaker {
        let options = self.options(Some(TIMEOUT));
        Beaker::start_with(self.packages, options).expect("it is installed")
    }

    fn ours(&self, timeout: Option<Duration>) -> Sessions {
        configured(&read(&self.options(timeout)).with_texts(self.texts(timeout)))
    }

    /// Ours at another time, where a look is no use.
    fn ours_at(&self, now: Timestamp) -> Sessions {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now));
        let texts = self.texts(Some(TIMEOUT));
        let store = BeakerStore::new(texts, PayloadCodec::new()).timeout(Some(TIMEOUT));
        let cookie = BeakerCookie::new("sid").and_then(|cookie| cookie.secret("s3cret"));
        let ours = Sessions::builder()
            .as_beaker(cookie.expect("a cookie"), store.clock(Arc::clone(&clock)))
            .expect("good settings");
        let ours = ours.with_access(AccessPolicy::Never).with_idle(Some(TIMEOUT)).with_clock(clock);
        ours.build().expect("they are built")
    }

    /// Holds what the server has of a session, written after `began`, to what Beaker writes, and
    /// gives the data.
    fn holds_as_beaker_does(
        &self,
        id: &BeakerId,
        timeout: Option<Duration>,
        began: Instant,
    ) -> BeakerData {
        let Kept { value, flags, left } = self.kept(id).expect("it is under Beaker's key");
        let text = self.layout.decode(&value).expect("a value of Beaker's");
        assert_eq!(self.layout.encode(&text), value, "{:?}", self.layout);
        assert_eq!(flags, self.layout.flags(), "{:?}", self.layout);
        let ttl = self.layout.time_to_live(timeout);
        assert_eq!(left.is_some(), ttl.is_some(), "{:?}", self.layout);
        if let (Some(ttl), Some(left)) = (ttl, left) {
            // The server counts whole milliseconds.
            let passed = began.elapsed() + Duration::from_millis(1);
            assert!(ttl.saturating_sub(passed) <= left && left <= ttl, "{left:?} of {ttl:?}");
        }
        PayloadCodec::new().decode(&text).expect("a session")
    }
}

// SES-22, SES-57.
#[test]
fn both_programs_share_logins_counts_and_logouts_by_a_real_server() {
    for server in servers() {
        let (mut beaker, ours) = (server.beaker(), server.ours(Some(TIMEOUT)));
        let browser = &mut Browser::default();
        beaker.login(browser, "ada");
        assert_eq!(user(&ours, browser).as_deref(), Some("ada"), "{:?}", server.layout);
        for visits in [1, 3, 5] {
            let seen = beaker.request(browser, json!({"do": "visit"}));
            assert_eq!(seen, json!({"user": "ada", "visits": visits}));
            let counted = request(&ours, browser, |session| session.add("visits", 1));
            assert_eq!(counted.expect("it is counted"), visits + 1);
        }
        let (id, stolen) = (browser.id(), browser.clone());
        logout(&ours, browser);
        assert_eq!(browser.header(), "");
        assert!(server.kept(&id).is_none(), "{:?}", server.layout);
        assert_eq!(beaker.seen(&mut stolen.clone()), json!({}));

        let browser = &mut Browser::default();
        login(&ours, browser, "grace");
        assert_eq!(beaker.seen(browser), json!({"user": "grace"}), "{:?}", server.layout);
        beaker.request(browser, json!({"do": "logout"}));
        assert_eq!(user(&ours, browser), None);
    }
}

#[test]
fn a_renewal_in_either_program_is_followed_by_the_other_by_a_real_server() {
    for server in servers() {
        let (mut beaker, ours) = (server.beaker(), server.ours(Some(TIMEOUT)));
        let browser = &mut Browser::default();
        beaker.login(browser, "ada");
        let old = browser.clone();
        request(&ours, browser, |session| session.renew().expect("it is renewed"));
        assert_ne!(browser.header(), old.header());
        assert_eq!(beaker.seen(browser)["user"], "ada", "{:?}", server.layout);
        assert_eq!(beaker.seen(&mut old.clone()), json!({}));
        assert_eq!(user(&ours, &mut old.clone()), None);

        beaker.request(browser, json!({"do": "renew"}));
        assert_eq!(user(&ours, browser).as_deref(), Some("ada"), "{:?}", server.layout);
    }
}

// SES-22, SES-27, EXT-3, EXT-6, EXT-7.
#[test]
fn both_programs_give_a_real_server_the_same_keys_forms_flags_and_times_to_live() {
    // Memcached would take a number beyond thirty days for a date.
    let long = Duration::from_secs(60 * 86_400);
    for server in servers() {
        let mut beaker = server.beaker();
        for timeout in [None, Some(TIMEOUT), Some(long)] {
            beaker.options = server.options(timeout);
            let ours = server.ours(timeout);
            let browser = &mut Browser::default();

            let began = Instant::now();
            beaker.login(browser, "ada");
            let data = server.holds_as_beaker_does(&browser.id(), timeout, began);
            assert_eq!(data.get("user"), Some(&"ada".into()), "{:?}", server.layout);

            let began = Instant::now();
            request(&ours, browser, |session| session.insert("theme", "dark").expect("it is in"));
            let data = server.holds_as_beaker_does(&browser.id(), timeout, began);
            assert_eq!(data.get("theme"), Some(&"dark".into()), "{:?}", server.layout);
        }
    }
}

// SES-31.
#[test]
fn a_time_out_ends_a_session_of_either_program_in_the_other_by_a_real_server() {
    let (before, after) = (Duration::from_secs(500), Duration::from_secs(700));
    for server in servers() {
        let mut beaker = server.beaker();
        let now = SystemClock.now();

        let browser = &mut Browser::default();
        beaker.login(browser, "ada");
        let at = |passed| server.ours_at(now.saturating_add(passed));
        assert_eq!(user(&at(before), &mut browser.clone()).as_deref(), Some("ada"));
        assert_eq!(user(&at(after), &mut browser.clone()), None, "{:?}", server.layout);

        for (passed, seen) in [(before, json!({"user": "grace"})), (after, json!({}))] {
            let browser = &mut Browser::default();
            login(&server.ours_at(now.saturating_sub(passed)), browser, "grace");
            assert_eq!(beaker.seen(browser), seen, "{:?}", server.layout);
        }
    }
}

#[test]
fn a_request_of_pythons_during_ours_loses_nothing_on_a_real_server() {
    for server in servers() {
        let (mut beaker, ours) = (server.beaker(), server.ours(Some(TIMEOUT)));
        let browser = &mut Browser::default();
        beaker.login(browser, "ada");
        let header = browser.header();
        let lazy = ours.begin([header.as_bytes()]);
        let session = lazy.load().expect("it loads");
        session.insert("theme", "dark").expect("it is put in");
        beaker.request(browser, json!({"do": "visit"}));
        let _ = lazy.commit().expect("it is stored");
        assert_eq!(ours.counts().conflicts, 1, "{:?}", server.layout);
        let all = json!({"user": "ada", "visits": 1, "theme": "dark"});
        assert_eq!(beaker.seen(browser), all, "{:?}", server.layout);
    }
}

/// Has Python count a visit while a change that puts a theme in is decided, and gives the visits
/// that were found each time.
fn change_beside_a_visit(
    texts: &dyn TextStore,
    beaker: &mut Beaker,
    browser: &mut Browser,
    change: impl Fn(BeakerData) -> Change,
) -> Vec<Value> {
    let mut found = Vec::new();
    let id = browser.id();
    let updated = texts.update(&id, &mut |text| {
        let data = PayloadCodec::new().decode(&text?.expect("it is there"))?;
        found.push(data.get("visits").cloned().unwrap_or_default());
        if found.len() == 1 {
            beaker.request(browser, json!({"do": "visit"}));
        }
        Ok(change(data))
    });
    updated.expect("it is changed");
    found
}

fn with_a_theme(mut data: BeakerData) -> Change {
    data.insert("theme", "dark".into());
    Change::Replace(PayloadCodec::new().encode(&data).expect("a text"))
}

#[test]
fn what_python_writes_between_our_reading_and_our_writing_begins_a_change_again() {
    for server in servers() {
        let (mut beaker, texts) = (server.beaker(), server.texts(Some(TIMEOUT)));
        let browser = &mut Browser::default();
        beaker.login(browser, "ada");
        let found = change_beside_a_visit(&texts, &mut beaker, browser, with_a_theme);
        assert_eq!(found, [0, 1], "{:?}", server.layout);
        assert_eq!(beaker.seen(browser), json!({"user": "ada", "visits": 1, "theme": "dark"}));

        let found = change_beside_a_visit(&texts, &mut beaker, browser, |_| Change::Remove);
        assert_eq!(found, [1, 2], "{:?}", server.layout);
        assert!(server.kept(&browser.id()).is_none());
    }
}

/// A client that takes what it decides for good, whatever is there by then.
#[derive(Debug)]
struct Blind(Arc<dyn TextStore>);

impl TextStore for Blind {
    fn latency(&self) -> Latency {
        self.0.latency()
    }

    fn read(&self, id: &BeakerId) -> Result<Option<String>, Error> {
        self.0.read(id)
    }

    fn update(
        &self,
        id: &BeakerId,
        decide: &mut dyn FnMut(Result<Option<String>, Error>) -> Result<Change, Error>,
    ) -> Result<(), Error> {
        let change = decide(self.read(id))?;
        self.0.update(id, &mut |_| Ok(change.clone()))
    }
}

// The control.
#[test]
fn without_a_look_at_what_is_there_by_then_pythons_visit_is_lost_on_a_real_server() {
    for server in servers() {
        let (mut beaker, texts) = (server.beaker(), Blind(server.texts(Some(TIMEOUT))));
        let browser = &mut Browser::default();
        beaker.login(browser, "ada");
        let found = change_beside_a_visit(&texts, &mut beaker, browser, with_a_theme);
        assert_eq!(found, [0], "{:?}", server.layout);
        assert_eq!(beaker.seen(browser)["visits"], 0, "{:?}", server.layout);
    }
}

#[test]
fn no_count_is_lost_among_threads_on_a_real_server() {
    for server in servers() {
        let ours = server.ours(Some(TIMEOUT));
        let browser = &mut Browser::default();
        login(&ours, browser, "ada");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (ours, mut browser) = (&ours, browser.clone());
                scope.spawn(move || {
                    for _ in 0..10 {
                        request(ours, &mut browser, |session| session.add("visits", 1))
                            .expect("it is counted");
                    }
                });
            }
        });
        assert_eq!(server.beaker().seen(browser)["visits"], 40, "{:?}", server.layout);
    }
}

// EXT-3.
#[test]
fn a_python_that_has_the_other_library_for_memcached_shares_its_sessions() {
    for server in servers().filter(|server| server.layout == Layout::Memcached) {
        let socket = server.process.socket();
        let mut options = server.options(Some(TIMEOUT));
        options["memcache_module"] = "bmemcached".into();
        options["url"] = socket.display().to_string().into();
        options["encrypt_key"] = "encrypt key".into();
        options["validate_key"] = "validate key".into();
        let ours = |flags| {
            let texts = MemcachedTexts { socket: socket.clone(), flags };
            configured(&read(&options).with_texts(texts))
        };
        let mut beaker =
            Beaker::start_with(server.packages, options.clone()).expect("it is installed");

        let (browser, shared) = (&mut Browser::default(), ours(BMEMCACHED_FLAGS));
        login(&shared, browser, "ada");
        let seen = beaker.request(browser, json!({"do": "visit"}));
        assert_eq!(seen, json!({"user": "ada", "visits": 1}));
        // Python has packed it.
        assert_eq!(server.kept(&browser.id()).expect("it is there").flags, 8);
        let visits = request(&shared, browser, |session| session.add("visits", 1));
        assert_eq!(visits.expect("it is counted"), 2);
        assert_eq!(beaker.seen(browser), json!({"user": "ada", "visits": 2}));

        // The control: a text of one library is none for the other.
        let browser = &mut Browser::default();
        login(&ours(FLAGS), browser, "grace");
        assert_eq!(beaker.seen(browser), json!({}));
    }
}

#[cfg(feature = "testkit")]
#[test]
fn beakers_sessions_on_a_real_server_are_kept_as_every_store_must_keep_them() {
    for server in servers() {
        let name = format!("Beaker's on a real {:?}", server.layout);
        super::suite::conformance(&name, server.texts(None), &PayloadCodec::new());
    }
}
