//! A touch notes a use of whatever record is there. What another request has saved meanwhile stays:
//! whoever touches it has not seen it.

use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{
    Clock, FileConfig, FileNamespace, ManualClock, MemoryConfig, MemoryNamespace, Namespace,
    Timestamp,
};
use beaker_session::{AccessPolicy, Sessions};

use crate::browser::Browser;
use crate::site::HOUR;

const MINUTE: Duration = Duration::from_secs(60);

/// Runs `test` on sessions in memory, and on ones that are kept as bytes; a read is noted each minute.
fn on_each_store(test: impl Fn(&str, &Sessions, &ManualClock)) {
    let dir = tempfile::tempdir().unwrap();
    for kept in ["memory", "file"] {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let namespace: Arc<dyn Namespace> = match kept {
            "memory" => MemoryNamespace::anonymous(MemoryConfig::new().clock(shared)).unwrap(),
            _ => {
                let config = FileConfig::new(dir.path()).clock(shared);
                Arc::new(FileNamespace::open("sessions", config).unwrap())
            }
        };
        let sessions = Sessions::builder()
            .with_namespace(namespace)
            .with_clock(clock.clone())
            .with_idle(Some(HOUR))
            .with_access(AccessPolicy::AtMostEvery(MINUTE))
            .build()
            .unwrap();
        test(kept, &sessions, &clock);
    }
}

fn logged_in(sessions: &Sessions) -> Browser {
    let mut browser = Browser::new();
    browser.visit(sessions, |session| session.insert("user", "ada")).unwrap();
    browser
}

#[test]
fn what_is_saved_between_a_load_and_its_touch_is_not_lost() {
    on_each_store(|kept, sessions, clock| {
        let browser = logged_in(sessions);
        clock.advance(MINUTE);
        let [one, other] = [(); 2].map(|()| browser.begin(sessions));
        let (reads, writes) = (one.load().unwrap(), other.load().unwrap());
        writes.insert("cart", "pear").unwrap();
        let _headers = other.commit().unwrap();
        reads.save().unwrap();
        assert_eq!(sessions.counts().touched, 1, "{kept}");
        reads.insert("seen", "page").unwrap();
        let _headers = one.commit().unwrap();
        let sees = |key: &str| browser.sees(sessions, key);
        assert_eq!(
            (sees("cart"), sees("seen")),
            (Some("pear".into()), Some("page".into())),
            "{kept}"
        );
        assert_eq!(sessions.counts().merges, 1, "{kept}");
    });
}

#[test]
fn a_touch_of_what_was_loaded_makes_no_conflict() {
    on_each_store(|kept, sessions, clock| {
        let browser = logged_in(sessions);
        clock.advance(MINUTE);
        let request = browser.begin(sessions);
        let session = request.load().unwrap();
        session.save().unwrap();
        session.insert("seen", "page").unwrap();
        let _headers = request.commit().unwrap();
        assert_eq!((sessions.counts().touched, sessions.counts().conflicts), (1, 0), "{kept}");
        assert_eq!(browser.sees(sessions, "seen"), Some("page".into()), "{kept}");
    });
}

#[test]
fn an_idle_time_that_is_set_between_a_load_and_its_touch_holds() {
    on_each_store(|kept, sessions, clock| {
        let browser = logged_in(sessions);
        clock.advance(MINUTE);
        let [one, other] = [(); 2].map(|()| browser.begin(sessions));
        let (reads, limits) = (one.load().unwrap(), other.load().unwrap());
        limits.set_limits(Some(2 * MINUTE), None).unwrap();
        let _headers = other.commit().unwrap();
        reads.save().unwrap();
        reads.insert("seen", "page").unwrap();
        let _headers = one.commit().unwrap();
        let end = Some(clock.now().saturating_add(2 * MINUTE));
        assert_eq!(browser.begin(sessions).load().unwrap().expires(), end, "{kept}");
        clock.advance(2 * MINUTE);
        assert_eq!(browser.sees(sessions, "user"), None, "{kept}");
    });
}
