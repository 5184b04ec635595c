//! Records that are not as they were stored.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use beaker_backends::proxy::{Encrypted, KeyRing};
use beaker_namespace::testkit::AsyncStore;
use beaker_namespace::{MemoryConfig, MemoryNamespace, Namespace, Payload, Scan, Stores};
use beaker_session::{
    Builder, CorruptPolicy, Data, Error, ErrorKind, LazySession, Origin, RecordKey, Rescued,
    Sessions,
};
use tempfile::TempDir;

use super::{Answer, answer, ask, set_cookie};
use crate::served::{Site, pair};
use crate::site::flip_all;

/// Stores whose records a test can damage.
const ON_DISK: [&str; 2] = ["file", "sqlite"];

/// Sessions in the store of `scheme` below `dir`, as an earlier one there has left them.
fn on_disk(scheme: &str, dir: &Path, settings: impl FnOnce(Builder) -> Builder) -> Site {
    beaker_backends::install();
    let url = format!("{scheme}://{}/store", dir.display());
    let namespace = Stores::new().open(&url.parse().unwrap(), "sessions").unwrap();
    Site::new(namespace, None, settings)
}

/// A site and what its only visitor's browser sends, whose record has one bit on the disk that is not as
/// it was written.
fn damaged(scheme: &str, settings: impl FnOnce(Builder) -> Builder) -> (Site, String, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let cookie = on_disk(scheme, dir.path(), |builder| builder).visitor("name", "Ada");
    let mut flipped = 0;
    for file in files(dir.path()) {
        let mut bytes = fs::read(&file).unwrap();
        if let Some(at) = bytes.windows(3).position(|word| word == b"Ada") {
            bytes[at] ^= 1;
            fs::write(file, bytes).unwrap();
            flipped += 1;
        }
    }
    assert_eq!(flipped, 1, "{scheme}");
    (on_disk(scheme, dir.path(), settings), cookie, dir)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(below).collect()
}

/// Says where the session comes from, and stores one of this name.
async fn log_in(lazy: LazySession, name: &str) -> Answer {
    let session = lazy.load_async().await.unwrap();
    session.insert("name", name).unwrap();
    let mut answer = answer(200);
    *answer.body_mut() = format!("{:?}", session.origin());
    answer
}

/// Says where the session comes from.
async fn origin(lazy: LazySession) -> Answer {
    let mut answer = answer(200);
    *answer.body_mut() = format!("{:?}", lazy.load_async().await.unwrap().origin());
    answer
}

/// 15, F59
#[tokio::test]
async fn a_flipped_bit_is_a_new_session_that_is_counted_and_no_error() {
    for scheme in ON_DISK {
        let (site, cookie, _dir) = damaged(scheme, |builder| builder);
        let first = ask(&site, &cookie, |lazy| log_in(lazy, "Eve")).await;
        assert_eq!((first.status().as_u16(), first.body().as_str()), (200, "Corrupt"), "{scheme}");
        let fresh = pair(&set_cookie(&first).unwrap());
        assert_ne!(fresh, cookie);
        assert_eq!(site.text(&fresh, "name").as_deref(), Some("Eve"));
        assert_eq!((site.sessions.counts().corrupt, site.sessions.counts().outages), (1, 0));
        // Who comes with the old cookie meets it until a sweep drops it.
        for (origin, met) in [("Corrupt", 2), ("Unknown", 2)] {
            let again = ask(&site, &cookie, |lazy| log_in(lazy, "Eve")).await;
            assert_eq!((again.status().as_u16(), again.body().as_str()), (200, origin), "{scheme}");
            assert_eq!(site.sessions.counts().corrupt, met);
            site.sessions.sweep().unwrap();
        }
    }
}

#[tokio::test]
async fn under_the_policy_fail_a_flipped_bit_is_a_typed_failure() {
    for scheme in ON_DISK {
        let (site, cookie, _dir) =
            damaged(scheme, |builder| builder.with_corrupt(CorruptPolicy::Fail));
        let failed = ask(&site, &cookie, |lazy| async move {
            let error = lazy.load_async().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            answer(418)
        })
        .await;
        assert_eq!((failed.status().as_u16(), set_cookie(&failed)), (418, None), "{scheme}");
        assert_eq!(site.sessions.counts().corrupt, 1);
    }
}

/// 15: a good record in the place of another is as damaged as one with a flipped bit.
#[tokio::test]
async fn records_that_changed_places_are_damaged_and_nobody_sees_another_s() {
    let dir = tempfile::tempdir().unwrap();
    let site = on_disk("file", dir.path(), |builder| builder);
    let visitors = ["Ada", "Bob"].map(|name| (name, site.visitor("name", name)));
    let record_of = |name: &str| {
        let has = |bytes: Vec<u8>| bytes.windows(3).any(|word| word == name.as_bytes());
        files(dir.path()).into_iter().find(|file| has(fs::read(file).unwrap())).unwrap()
    };
    let [one, two] = ["Ada", "Bob"].map(record_of);
    let aside = dir.path().join("aside");
    for (from, to) in [(&one, &aside), (&two, &one), (&aside, &two)] {
        fs::rename(from, to).unwrap();
    }
    for (name, cookie) in &visitors {
        let seen = ask(&site, cookie, |lazy| async move {
            let session = lazy.load_async().await.unwrap();
            assert_eq!((session.origin(), session.is_empty()), (Origin::Corrupt, true), "{name}");
            answer(200)
        })
        .await;
        assert_eq!(seen.status(), 200);
    }
    assert_eq!(site.sessions.counts().corrupt, 2);
}

/// A store that is encrypted, by each face, and the memory that it is in.
fn encrypted() -> [(Arc<dyn Namespace>, Arc<MemoryNamespace>); 2] {
    let keys = || KeyRing::new(1, &[7; 32]).unwrap();
    let memory = || MemoryNamespace::anonymous(MemoryConfig::new()).unwrap();
    let [one, two] = [memory(), memory()];
    let blocking: Arc<dyn Namespace> = Arc::new(Encrypted::new(Arc::clone(&one), keys()));
    let in_task = Encrypted::new(AsyncStore::new(Arc::clone(&two)), keys());
    [(blocking, one), (Arc::new(in_task), two)]
}

#[tokio::test]
async fn what_does_not_decrypt_is_damaged_each_time_it_is_met() {
    for (namespace, memory) in encrypted() {
        let site = Site::new(namespace, None, |builder| builder);
        let cookie = site.visitor("name", "Ada");
        assert_eq!(ask(&site, &cookie, |lazy| log_in(lazy, "Ada")).await.body(), "Known");
        flip_all(&memory);
        for met in 1..=2 {
            let answer = ask(&site, &cookie, |lazy| log_in(lazy, "Eve")).await;
            assert_eq!((answer.status().as_u16(), answer.body().as_str()), (200, "Corrupt"));
            assert_ne!(pair(&set_cookie(&answer).unwrap()), cookie);
            assert_eq!(site.sessions.counts().corrupt, met);
        }
    }
}

/// What may be done with a damaged record, each time.
fn policies() -> [CorruptPolicy; 3] {
    let rescue = |_: &RecordKey, _: &Error| {
        Rescued::Values(Data::from([("name".to_owned(), "copy".into())]))
    };
    [CorruptPolicy::Fresh, CorruptPolicy::Fail, CorruptPolicy::custom(rescue)]
}

/// A site with a visitor, whose record does not decrypt.
fn with_damage(policy: &CorruptPolicy) -> [(Site, String, Arc<MemoryNamespace>); 2] {
    encrypted().map(|(namespace, memory)| {
        let site = Site::new(namespace, None, |builder| builder.with_corrupt(policy.clone()));
        let cookie = site.visitor("name", "Ada");
        flip_all(&memory);
        (site, cookie, memory)
    })
}

fn entries(memory: &MemoryNamespace) -> usize {
    memory.scan(&Scan::new()).unwrap().entries.len()
}

/// Neither a record nor a cookie is left of it, but for a minute that it has ended: another request may have
/// read it before.
fn is_logged_out(site: &Site, memory: &MemoryNamespace, left: &Answer) {
    assert_eq!(left.status(), 200);
    let removal = set_cookie(left).unwrap();
    assert!(removal.starts_with("id=;") && removal.contains("Max-Age=0"), "{removal}");
    let listed = memory.scan(&Scan::new()).unwrap().entries;
    let [mark] = &listed[..] else { panic!("{listed:?}") };
    let minute = memory.clock().now().saturating_add(Duration::from_secs(60));
    assert!(memory.get(&mark.key).unwrap().unwrap().dies() <= minute);
    assert_eq!(site.sessions.counts().ended, 1);
}

#[tokio::test]
async fn a_logout_ends_a_damaged_session_whatever_the_policy() {
    for (site, cookie, memory) in policies().iter().flat_map(with_damage) {
        let left = ask(&site, &cookie, |lazy| async move {
            lazy.delete_async().await.unwrap();
            answer(200)
        })
        .await;
        is_logged_out(&site, &memory, &left);
        let again = ask(&site, &cookie, |lazy| log_in(lazy, "Eve")).await;
        assert_eq!((again.body().as_str(), site.sessions.counts().corrupt), ("Unknown", 1));
    }
}

#[tokio::test]
async fn a_damaged_session_that_was_loaded_is_ended_too() {
    let [fresh, _fail, custom] = policies();
    for (site, cookie, memory) in [fresh, custom].iter().flat_map(with_damage) {
        let left = ask(&site, &cookie, |lazy| async move {
            let session = lazy.load_async().await.unwrap();
            assert_eq!(session.origin(), Origin::Corrupt);
            session.delete().unwrap();
            answer(200)
        })
        .await;
        is_logged_out(&site, &memory, &left);
    }
}

#[tokio::test]
async fn after_a_load_that_failed_a_logout_still_ends_the_damaged_session() {
    for (site, cookie, memory) in with_damage(&CorruptPolicy::Fail) {
        let left = ask(&site, &cookie, |lazy| async move {
            assert_eq!(lazy.load_async().await.unwrap_err().kind(), ErrorKind::Corrupt);
            lazy.delete_async().await.unwrap();
            answer(200)
        })
        .await;
        is_logged_out(&site, &memory, &left);
    }
}

#[tokio::test]
async fn what_was_rescued_is_not_rescued_again_after_a_logout() {
    let [_fresh, _fail, custom] = policies();
    for (site, cookie, memory) in with_damage(&custom) {
        let rescued = ask(&site, &cookie, |lazy| async move {
            let session = lazy.load_async().await.unwrap();
            assert_eq!(session.get::<String>("name").unwrap().as_deref(), Some("copy"));
            session.insert("seen", true).unwrap();
            answer(200)
        })
        .await;
        let new = pair(&set_cookie(&rescued).unwrap());
        assert_eq!((site.text(&new, "name").as_deref(), entries(&memory)), (Some("copy"), 2));
        assert_eq!(ask(&site, &cookie, origin).await.body(), "Renewed", "it took its place");
        ask(&site, &new, |lazy| async move {
            lazy.delete_async().await.unwrap();
            answer(200)
        })
        .await;
        let again = ask(&site, &cookie, origin).await;
        assert_eq!((again.body().as_str(), site.sessions.counts().corrupt), ("Renewed", 1));
    }
}

/// A request that rescues what is damaged, as far as its handler has done its work.
async fn rescues(site: &Site, cookie: &str) -> LazySession {
    let lazy = site.sessions.begin([cookie.as_bytes()]);
    let session = lazy.load_async().await.unwrap();
    assert_eq!(session.get::<String>("name").unwrap().as_deref(), Some("copy"), "control");
    session.insert("seen", true).unwrap();
    lazy
}

/// The stores themselves, one order each; `model/rescue.rs` plays all orders.
#[tokio::test]
async fn of_two_rescues_one_is_stored_and_a_logout_beside_one_wins_on_a_disk_too() {
    let [_fresh, _fail, custom] = policies();
    for scheme in ON_DISK {
        let (site, cookie, _dir) = damaged(scheme, |builder| builder.with_corrupt(custom.clone()));
        let (one, two) = (rescues(&site, &cookie).await, rescues(&site, &cookie).await);
        let sent = one.commit_async().await.unwrap();
        let new = pair(sent.set_cookies().next().unwrap());
        assert_eq!(two.commit_async().await.unwrap().set_cookies().len(), 0, "{scheme}");
        assert_eq!(site.text(&new, "name").as_deref(), Some("copy"), "{scheme}");

        let (site, cookie, _dir) = damaged(scheme, |builder| builder.with_corrupt(custom.clone()));
        let (late, logout) = (rescues(&site, &cookie).await, rescues(&site, &cookie).await);
        logout.delete_async().await.unwrap();
        logout.commit_async().await.unwrap();
        assert_eq!(late.commit_async().await.unwrap().set_cookies().len(), 0, "{scheme}");
        assert_eq!((site.sessions.counts().created, site.sessions.counts().refused), (0, 1));
    }
}

#[tokio::test]
async fn a_damaged_session_is_no_device_and_hides_no_other() {
    for (namespace, memory) in encrypted() {
        let sessions = Sessions::builder().with_namespace(namespace).build().unwrap();
        let log_in = || async {
            let lazy = sessions.begin([]);
            let session = lazy.load_async().await.unwrap();
            session.insert("name", "Ada").unwrap();
            session.set_subject("ada", None).unwrap();
            lazy.commit_async().await.unwrap();
        };
        log_in().await;
        let list = memory.scan(&Scan::new()).unwrap().entries;
        log_in().await;
        assert_eq!(sessions.devices_async("ada").await.unwrap().len(), 2);
        let (later, _earlier): (Vec<_>, Vec<_>) = memory
            .scan(&Scan::new())
            .unwrap()
            .entries
            .into_iter()
            .partition(|now| list.iter().all(|then| then.key != now.key));
        let [new] = &later[..] else { panic!("{later:?}") };
        let entry = memory.get(&new.key).unwrap().unwrap();
        memory.set(&new.key, entry.with_payload(Payload::raw("no record"))).unwrap();
        assert_eq!(sessions.devices_async("ada").await.unwrap().len(), 1);
    }
}
