//! What is told to a subscriber.

use std::fmt::{self, Write as _};
use std::sync::{Arc, LazyLock, Mutex};

use beaker_namespace::ErrorKind as Store;
use beaker_namespace::testkit::Fault;
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::browser::Browser;
use crate::site::{Site, ring, secret};

/// Writes everything down that is told in this thread.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Fields(&mut self.0.lock().unwrap()));
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Fields(&mut self.0.lock().unwrap()));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut log = self.0.lock().unwrap();
        let level: &Level = event.metadata().level();
        write!(log, "\n{level} {}", event.metadata().target()).unwrap();
        event.record(&mut Fields(&mut log));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Log {
    /// Runs `work` with this log listening in its thread.
    ///
    /// `tracing` remembers for each place in the code whether anybody listens. While there is one
    /// listener only, it asks that of the thread that comes to the place first, which may be another
    /// test's. So a second one is there from the start, and is never let go.
    fn keep(&self, work: impl FnOnce()) {
        static LISTENING: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Log::default()));
        LazyLock::force(&LISTENING);
        tracing::subscriber::with_default(self.clone(), work);
    }
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

/// 16, F61: a session's whole life, with all that can go wrong, at every level.
#[test]
fn what_goes_wrong_is_told_and_no_id_key_or_value_is() {
    let log = Log::default();
    let mut secrets = vec![secret(1).expose_text().to_string(), "hunter2".to_owned()];
    log.keep(|| {
        let site = Site::with(|builder| builder.with_keys(ring(1)));
        let mut browser = Browser::new();
        browser.visit(&site.sessions, |session| session.insert("word", "hunter2")).unwrap();
        secrets.push(browser.header()["__Host-id=".len()..].to_owned());
        secrets.push(secrets[2][..22].to_owned());

        let [one, two] = [browser.begin(&site.sessions), browser.begin(&site.sessions)];
        one.load().unwrap().add("clicks", 1).unwrap();
        two.load().unwrap().add("clicks", 1).unwrap();
        let (_one, _two) = (one.commit().unwrap(), two.commit().unwrap());

        site.store.arm(1, Fault::Fail(Store::Unavailable));
        browser.begin(&site.sessions).load().unwrap_err();
        let late = browser.begin(&site.sessions);
        late.load().unwrap().insert("word", "hunter2 again").unwrap();
        browser.visit(&site.sessions, |session| session.delete()).unwrap();
        let _late = late.commit().unwrap();
        let forged = Browser::with(&format!("__Host-id={}x", secrets[2]));
        forged.begin(&site.sessions).load().unwrap();
    });
    let log = log.0.lock().unwrap().clone();
    for told in [
        "DEBUG beaker_session message=another request changed the session",
        "WARN beaker_session message=cannot load session: the session store is unavailable kind=Unavailable",
        "DEBUG beaker_session message=the session was ended meanwhile, its changes are not stored",
        "DEBUG beaker_session message=a cookie was refused",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    for secret in secrets {
        assert!(!log.contains(&secret), "{log}");
    }
}
