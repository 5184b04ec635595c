//! Where Beaker keeps sessions: files, dbm files, redis, memcached.

use std::fs;
use std::path::Path;
use std::time::Duration;

use beaker_namespace::base64::{STANDARD, b64decode};
use beaker_session::ErrorKind;
use beaker_session::compat::{
    BeakerId, Change, FileSessions, PayloadCodec, PayloadLimits, backend_timeout, dbm, memcached,
    redis,
};
use gdbm_native::OpenOptions;
use serde_json::{Value, json};

use super::{Tally, codec, data, has_tag, moment, text, user_values, vectors};

pub(super) fn bytes(value: &Value, name: &str) -> Vec<u8> {
    b64decode(text(value, name), &STANDARD).expect("base64")
}

/// The id: one that Beaker made, or one that the program chose.
pub(super) fn id(vector: &Value) -> BeakerId {
    let id = text(&vector["input"], "id");
    match BeakerId::parse(id) {
        Ok(id) => id,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Rejected);
            BeakerId::custom(id).expect("Beaker takes it")
        }
    }
}

/// The directory that Beaker left, with its lock files.
pub(super) fn restore(vector: &Value) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    let write = |path: &Value, bytes: Vec<u8>| {
        let path = root.path().join(path.as_str().expect("a path"));
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    };
    let storage = &vector["input"]["storage"];
    for file in storage["files"].as_array().expect("a list") {
        write(&file["path"], bytes(file, "data_b64"));
    }
    for lock in storage["lock_files"].as_array().unwrap_or(&Vec::new()) {
        write(lock, Vec::new());
    }
    root
}

/// The file that Beaker wrote, or the first of several.
fn stored_file(vector: &Value) -> &Value {
    &vector["input"]["storage"]["files"][0]
}

/// Whether the text holds what Beaker stored; and 31, 32.
pub(super) fn check(vector: &Value, text: &str) {
    let (input, expect) = (&vector["input"], &vector["expect"]);
    assert_eq!(text, super::text(&vector["detail"], "value_text"), "{}", vector["id"]);
    let mut found = codec(&input["options"]).decode(text).expect("it is readable");
    assert_eq!(found, data(&expect["stored"]), "{}", vector["id"]);
    assert_eq!(found.accessed(), Some(moment(&expect["last_accessed"])));
    assert_eq!(found.created(), Some(moment(&input["saved_at"])));
    let timeout = input["options"]["timeout"].as_u64().map(Duration::from_secs);
    assert!(!found.is_expired(moment(&input["loaded_at"]), timeout));
    let before = found.touch(moment(&input["loaded_at"]));
    assert_eq!(before, Some(moment(&expect["last_accessed"])));
    assert_eq!(found, data(&expect["loaded"]), "{}", vector["id"]);
    assert_eq!(user_values(&found), expect["user_data"]);
}

// SES-1, SES-12 to SES-15, SES-22 to SES-25, SES-29, SES-31, SES-32, WIRE-1 to WIRE-3, WIRE-5.
#[test]
fn every_file_is_read_and_written_as_beaker_does() {
    let mut tally = Tally::default();
    for vector in vectors!("file_sessions") {
        let root = restore(&vector);
        let (sessions, id) = (FileSessions::new(root.path()), id(&vector));
        let path = root.path().join(text(stored_file(&vector), "path"));
        assert_eq!(sessions.path(&id).unwrap(), path, "{}", vector["id"]);
        let stored = sessions.read(&id).unwrap().expect("it is there");
        check(&vector, &stored);

        // Written anew it is the same file, and nothing else is there.
        fs::remove_dir_all(root.path().join("container_file")).unwrap();
        sessions.write(&id, &stored).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes(stored_file(&vector), "data_b64"));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        tally.count(if has_tag(&vector, "custom-id") {
            "ids of its own"
        } else {
            "ids of Beaker's"
        });
    }
    tally.assert_is(&[("ids of Beaker's", 14), ("ids of its own", 4)]);
}

// SES-23, WIRE-1.
#[test]
fn the_lock_of_a_file_is_the_one_that_beaker_takes() {
    for vector in vectors!("file_sessions") {
        let root = restore(&vector);
        let (sessions, id) =
            (FileSessions::new(root.path()).lock_timeout(Duration::ZERO), id(&vector));
        let lock = root.path().join(vector["input"]["storage"]["lock_files"][0].as_str().unwrap());
        assert_eq!(sessions.lock_path(&id), lock, "{}", vector["id"]);
        let holder = beaker_sync::CreationLock::at(&lock).lock().unwrap();
        let error = sessions.write(&id, "x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", vector["id"]);
        assert_eq!(sessions.remove(&id).unwrap_err().kind(), ErrorKind::Unavailable);
        // Readers need no lock, since files are replaced as a whole.
        assert!(sessions.read(&id).unwrap().is_some());
        drop(holder);
        // The control: it was the lock that kept us out. The file stays, for Beaker's sake.
        assert!(sessions.remove(&id).unwrap());
        assert!(lock.exists());
    }
}

#[test]
fn every_session_that_beaker_pickled_is_read_as_data() {
    let mut tally = Tally::default();
    for vector in vectors!("pickle_sessions") {
        let root = restore(&vector);
        let stored = FileSessions::new(root.path()).read(&id(&vector)).unwrap();
        let stored = stored.expect("it is there");
        assert_eq!(stored, text(&vector["detail"], "value_text"), "{}", vector["id"]);
        let codec = codec(&vector["input"]["options"]);
        let Some(expected) = plain(&vector["expect"]["stored_typed"]) else {
            // Protocol 2 has no bytes, so Python pickles a call that makes them.
            let error = codec.decode(&stored).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Codec, "{}", vector["id"]);
            tally.count("with bytes and large numbers, refused");
            continue;
        };
        let found = codec.decode(&stored);
        let found = found.unwrap_or_else(|error| panic!("{}: {error}", vector["id"]));
        assert_eq!(found, data(&expected), "{}", vector["id"]);
        // And not written.
        assert_eq!(codec.encode(&found).unwrap_err().kind(), ErrorKind::Config);
        tally.count("read");
    }
    tally.assert_is(&[("read", 7), ("with bytes and large numbers, refused", 1)]);
}

/// The JSON for the vector's typed notation; `None` for what JSON does not have.
fn plain(typed: &Value) -> Option<Value> {
    let v = &typed["v"];
    Some(match typed["py"].as_str().expect("a type") {
        "none" => Value::Null,
        "list" | "tuple" => {
            let items = v.as_array().expect("a list").iter();
            Value::Array(items.map(plain).collect::<Option<_>>()?)
        }
        "dict" => {
            let pairs = v.as_object().expect("pairs").iter();
            let pair = |(key, value): (&String, &Value)| Some((key.clone(), plain(value)?));
            Value::Object(pairs.map(pair).collect::<Option<_>>()?)
        }
        "bool" | "int" | "float" | "str" => v.clone(),
        "bytes" | "bigint" => return None,
        other => panic!("unknown type {other}"),
    })
}

// SES-22, SES-23, WIRE-4.
#[test]
fn every_dbm_file_is_read() {
    let mut tally = Tally::default();
    for vector in vectors!("dbm_sessions") {
        let root = restore(&vector);
        let path = root.path().join(dbm::path(&id(&vector)).unwrap());
        let with = |suffix: &str| format!("{}{suffix}", path.display());
        let backend = text(&vector["input"]["storage"], "backend").to_owned();
        let found = if backend == "dbm.dumb" {
            let (index, values) =
                (fs::read(with(".dir")).unwrap(), fs::read(with(".dat")).unwrap());
            dbm::decode_dumb(&index, &values, PayloadLimits::new()).unwrap().expect("it is there")
        } else {
            let file = OpenOptions::new().open(&path).unwrap();
            let value: Option<Vec<u8>> = file.get(dbm::KEY).unwrap();
            assert_eq!(value.as_ref(), Some(&bytes(&vector["detail"], "dbm_value_b64")));
            dbm::decode(&value.unwrap(), PayloadLimits::new()).unwrap()
        };
        check(&vector, &found);
        tally.count(&backend);
    }
    tally.assert_is(&[("dbm.dumb", 5), ("dbm.gnu", 3)]);
}

// SES-22, SES-27, EXT-6, EXT-7.
#[test]
fn every_key_and_value_of_redis_is_beakers() {
    let vectors = vectors!("redis_sessions");
    for vector in &vectors {
        let storage = &vector["input"]["storage"];
        assert_eq!(redis::key(&id(vector)), text(storage, "key"), "{}", vector["id"]);
        assert_eq!(redis::key(&id(vector)).as_bytes(), bytes(storage, "key_b64"));
        let value = bytes(storage, "value_b64");
        let found = redis::decode(&value, PayloadLimits::new()).unwrap();
        assert_eq!(redis::encode(&found), value, "{}", vector["id"]);
        check(vector, &found);
        let timeout = vector["input"]["options"]["timeout"].as_u64().map(Duration::from_secs);
        let ttl = backend_timeout(timeout).map(|ttl| ttl.as_secs());
        assert_eq!(storage["ttl_seconds"].as_u64(), ttl, "{}", vector["id"]);
    }
    assert_eq!(vectors.len(), 12);
}

// SES-22, EXT-3.
#[test]
fn every_key_and_value_of_memcached_is_beakers() {
    let vectors = vectors!("memcached_sessions");
    for vector in &vectors {
        let storage = &vector["input"]["storage"];
        assert_eq!(memcached::key(&id(vector)), text(storage, "key"), "{}", vector["id"]);
        assert_eq!(storage["flags"].as_u64(), Some(memcached::FLAGS.into()));
        let value = bytes(storage, "value_b64");
        let found = memcached::decode(&value, memcached::FLAGS, PayloadLimits::new()).unwrap();
        assert_eq!(memcached::encode(&found), value, "{}", vector["id"]);
        check(vector, &found);
    }
    assert_eq!(vectors.len(), 8);
}

/// What `bmemcached` stored with the flag of what is packed, when Beaker saved a session by it.
const PACKED: &str = "eJwFwVsXQjAAAOAf1EPjuD70EGZSLuGEvTXWcWeW0n5930f93ewgiL7t+Z4w08ajDHbryR9yH4wY++nYWUGYhgZVIo87AzWPMVJF\
HCklrNU8IhlfKnjg7GdVswU3W6CsFgX33ZVUpFvErBdcdx0i1izvebPaaPpossNI0plhuxWK6+DEzeerDpBy8+DAtQugrGzLN00NJOFdNMFrsiW1\
DRg4/QF0rzsh";

#[test]
fn what_pythons_other_library_packed_for_memcached_is_read_within_the_limits() {
    let value = b64decode(PACKED, &STANDARD).unwrap();
    let limits = PayloadLimits::new();
    let text = memcached::decode(&value, 8, limits).unwrap();
    let data = PayloadCodec::new().decode(&text).unwrap();
    let expected = json!({
        "user": "ada", "visits": 7, "theme": "dark", "basket": [17, 4, "a book"],
    });
    assert_eq!(user_values(&data), expected);

    // The text is longer than what it is packed into.
    assert!(value.len() < text.len());
    let exact = limits.max_text_bytes(text.len());
    assert_eq!(memcached::decode(&value, 8, exact).unwrap(), text);
    let refused =
        |value: &[u8], flags, limits| memcached::decode(value, flags, limits).unwrap_err().kind();
    assert_eq!(refused(&value, 8, limits.max_text_bytes(text.len() - 1)), ErrorKind::TooLarge);
    assert_eq!(refused(&value[..value.len() - 1], 8, limits), ErrorKind::Corrupt);
    assert_eq!(refused(&value, memcached::BMEMCACHED_FLAGS, limits), ErrorKind::Corrupt);
    // A pickle and two kinds of numbers, also packed.
    for flags in [1, 2, 4, 9] {
        assert_eq!(refused(text.as_bytes(), flags, limits), ErrorKind::Corrupt, "{flags}");
    }
}

// EXT-3: long ids and spaces, as Beaker treats keys.
#[test]
fn a_key_of_memcached_has_no_spaces_and_is_not_too_long() {
    let key = |id: &str| memcached::key(&BeakerId::custom(id).unwrap());
    assert_eq!(key("a b"), "a\u{c2}\u{b7}b_session");
    assert_eq!(key(&"a".repeat(242)).len(), 250);
    assert_eq!(key(&"a".repeat(243)).len(), 40);
}

// SES-27.
#[test]
fn a_store_keeps_a_record_two_minutes_longer_even_for_a_time_out_of_zero() {
    assert_eq!(backend_timeout(None), None);
    assert_eq!(backend_timeout(Some(Duration::ZERO)), Some(Duration::from_secs(120)));
    assert_eq!(backend_timeout(Some(Duration::MAX)), Some(Duration::MAX));
}

// SES-24.
#[test]
fn no_id_leaves_the_directory_or_names_something_else_in_it() {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data");
    let sessions = FileSessions::new(&data_dir);
    for bad in ["", ".", "..", "../..", "x/", "../", "a\0b", "a\nb", "/", "...", &"x".repeat(4096)]
    {
        assert_eq!(BeakerId::parse(bad).unwrap_err().kind(), ErrorKind::Rejected, "{bad:?}");
        assert_eq!(BeakerId::custom(bad).unwrap_err().kind(), ErrorKind::Rejected, "{bad:?}");
    }
    for odd in ["..evil", "../x", "a/b", "/etc/passwd", "é", "..%2f..", "C:\\x", "-rf"] {
        assert_eq!(BeakerId::parse(odd).unwrap_err().kind(), ErrorKind::Rejected, "{odd}");
        let id = BeakerId::custom(odd).unwrap();
        let path = sessions.path(&id).unwrap();
        let below = path.strip_prefix(data_dir.join("container_file")).unwrap();
        assert!(below.iter().all(|part| part != ".."), "{}", path.display());
        assert_eq!(sessions.read(&id).unwrap(), None);
    }
    // Asking made nothing.
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    // The control: a good id makes its file, below the directory only.
    sessions.write(&BeakerId::custom("..evil").unwrap(), "x").unwrap();
    assert!(data_dir.join("container_file/e/ev/evil.cache").exists());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn beakers_ids_are_random_uuids_and_their_bytes_come_back() {
    let id = BeakerId::random(&beaker_session::SystemEntropy).unwrap();
    let text = id.expose_text();
    assert_eq!((text.len(), &text[12..13]), (32, "4"));
    assert!(matches!(&text[16..17], "8" | "9" | "a" | "b"), "{text}");
    assert_eq!(BeakerId::from_bytes(id.to_bytes().unwrap()), id);
    assert_eq!(BeakerId::parse(text).unwrap(), id);
    assert_eq!(BeakerId::custom("mine").unwrap().to_bytes(), None);
    assert!(!format!("{id:?}").contains(text));
    for bad in [&text[1..], &text.to_uppercase(), &format!("{text} "), &text.replace('4', "g")] {
        assert_eq!(BeakerId::parse(bad).unwrap_err().kind(), ErrorKind::Rejected, "{bad}");
    }
}

fn some_id() -> BeakerId {
    BeakerId::from_bytes([7; 16])
}

#[test]
fn an_update_is_decided_by_what_is_there() {
    let root = tempfile::tempdir().unwrap();
    let (sessions, id) = (FileSessions::new(root.path()), some_id());
    let step = |expected: Option<&str>, change: Change| {
        sessions.update(&id, |found| Ok((change, found.as_deref() == expected))).unwrap()
    };
    assert!(step(None, Change::Keep));
    assert_eq!(sessions.read(&id).unwrap(), None);
    assert!(step(None, Change::Replace("one".to_owned())));
    assert!(step(Some("one"), Change::Keep));
    assert!(step(Some("one"), Change::Replace("two".to_owned())));
    assert!(step(Some("two"), Change::Remove));
    assert!(step(None, Change::Remove));
    assert!(!sessions.remove(&id).unwrap());
}

#[test]
fn an_update_that_fails_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (sessions, id) = (FileSessions::new(root.path()), some_id());
    sessions.write(&id, "one").unwrap();
    let failed: Result<(), _> =
        sessions.update(&id, |_| Err(beaker_session::Error::new(ErrorKind::Ended, "save session")));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Ended);
    assert_eq!(sessions.read(&id).unwrap().as_deref(), Some("one"));
}

// D55: what is read under the lock is what is there.
#[test]
fn no_update_is_lost_among_threads() {
    let root = tempfile::tempdir().unwrap();
    let (sessions, id) = (FileSessions::new(root.path()), some_id());
    let add = || {
        for _ in 0..25 {
            let add_one = |found: Option<String>| {
                let number: u32 = found.map_or(0, |text| text.parse().unwrap_or_default());
                Ok((Change::Replace((number + 1).to_string()), ()))
            };
            sessions.update(&id, add_one).unwrap();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(add);
        }
    });
    assert_eq!(sessions.read(&id).unwrap().as_deref(), Some("100"));
}

#[test]
fn directories_of_their_own_are_used() {
    let root = tempfile::tempdir().unwrap();
    let sessions = FileSessions::new("/nowhere")
        .directory(root.path().join("files"))
        .lock_directory(root.path().join("locks"));
    sessions.write(&some_id(), "x").unwrap();
    assert!(sessions.path(&some_id()).unwrap().starts_with(root.path().join("files")));
    assert!(sessions.lock_path(&some_id()).starts_with(root.path().join("locks")));
}

// D17.
#[cfg(unix)]
#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let root = tempfile::tempdir().unwrap();
    let sessions = FileSessions::new(root.path());
    sessions.write(&some_id(), "x").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&sessions.path(&some_id()).unwrap()), 0o600);
    assert_eq!(mode(&sessions.lock_path(&some_id())) & 0o111, 0);
}
