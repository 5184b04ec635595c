//! Beaker's sessions in dbm files, read and written.

use std::fs;
use std::path::Path;
use std::time::Duration;

use beaker_session::ErrorKind;
use beaker_session::compat::{
    BeakerId, Change, DbmFormat, DbmSessions, PayloadLimits, TextStore, dbm,
};

use super::stores::{bytes, check, id, restore};
use super::{Tally, text, vectors};

const FORMATS: [DbmFormat; 2] = [DbmFormat::Gnu, DbmFormat::Dumb];

fn some_id() -> BeakerId {
    BeakerId::from_bytes([7; 16])
}

fn write(sessions: &DbmSessions, id: &BeakerId, text: &str) -> Result<(), beaker_session::Error> {
    sessions.update(id, &mut |_| Ok(Change::Replace(text.to_owned())))
}

fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

// SES-22, SES-23, WIRE-1, WIRE-4.
#[test]
fn every_file_that_beaker_left_is_read_and_written() {
    let mut tally = Tally::default();
    for vector in vectors!("dbm_sessions") {
        let root = restore(&vector);
        let (sessions, id) = (DbmSessions::new(root.path()), id(&vector));
        assert!(sessions.lock_path(&id).exists(), "{}: Beaker's own lock file", vector["id"]);
        let found = sessions.read(&id).unwrap().expect("it is there");
        check(&vector, &found);

        // Written, its value is the one that Beaker wrote, in the same kind of file.
        let before = files(root.path());
        write(&sessions, &id, "a").unwrap();
        assert_eq!(sessions.read(&id).unwrap().as_deref(), Some("a"));
        write(&sessions, &id, &found).unwrap();
        assert_eq!(files(root.path()), before, "{}", vector["id"]);
        let value = bytes(&vector["detail"], "dbm_value_b64");
        let path = sessions.path(&id).unwrap();
        let written = match text(&vector["input"]["storage"], "backend") {
            "dbm.gnu" => {
                let file = gdbm_native::OpenOptions::new().open(&path).unwrap();
                file.get::<_, Vec<u8>>(dbm::KEY).unwrap().unwrap()
            }
            backend => {
                assert_eq!(backend, "dbm.dumb");
                let with = |suffix: &str| fs::read(format!("{}{suffix}", path.display())).unwrap();
                let pairs =
                    beaker_namespace::compat::read_dumb_dbm(&with(".dir"), &with(".dat").into());
                let pairs = pairs.unwrap();
                assert_eq!(pairs.len(), 1);
                pairs[0].1.to_vec()
            }
        };
        assert_eq!(written, value, "{}", vector["id"]);
        check(&vector, &sessions.read(&id).unwrap().expect("it is there"));
        tally.count(text(&vector["input"]["storage"], "backend"));

        sessions.update(&id, &mut |_| Ok(Change::Remove)).unwrap();
        assert_eq!(sessions.read(&id).unwrap(), None);
        let left = files(&root.path().join("container_dbm"));
        assert_eq!(left, [""; 0], "{}", vector["id"]);
    }
    tally.assert_is(&[("dbm.dumb", 5), ("dbm.gnu", 3)]);
}

#[cfg(feature = "testkit")]
#[test]
fn the_store_of_beakers_dbm_files_keeps_sessions_as_every_store_must() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let texts = DbmSessions::new(dir.path()).format(format);
        let codec = beaker_session::compat::PayloadCodec::new();
        super::suite::conformance(&format!("{format:?} of Beaker"), texts, &codec);
    }
}

// SES-23, WIRE-1.
#[test]
fn the_lock_of_a_dbm_file_keeps_readers_and_writers_out() {
    for vector in vectors!("dbm_sessions") {
        let root = restore(&vector);
        let sessions = DbmSessions::new(root.path()).lock_timeout(Duration::ZERO);
        let id = id(&vector);
        let lock = root.path().join(vector["input"]["storage"]["lock_files"][0].as_str().unwrap());
        assert_eq!(sessions.lock_path(&id), lock, "{}", vector["id"]);
        let holder = beaker_sync::CreationLock::at(&lock).lock().unwrap();
        assert_eq!(sessions.read(&id).unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(write(&sessions, &id, "x").unwrap_err().kind(), ErrorKind::Unavailable);
        drop(holder);
        // The control: it was the lock that kept us out.
        assert!(sessions.read(&id).unwrap().is_some());
        write(&sessions, &id, "x").unwrap();
        assert!(lock.exists());
    }
}

#[test]
fn an_id_that_somebody_guessed_leaves_no_lock_file() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(DbmSessions::new(root.path()).read(&some_id()).unwrap(), None);
    assert_eq!(files(root.path()), [""; 0]);
}

// A program may be killed in the middle of its write. What is in the file of the values before the
// index is in its place is all that such a program leaves.
#[test]
fn a_write_never_touches_what_the_index_tells_of() {
    let root = tempfile::tempdir().unwrap();
    let sessions = DbmSessions::new(root.path()).format(DbmFormat::Dumb);
    let id = some_id();
    let path = sessions.path(&id).unwrap();
    let at = |suffix: &str| format!("{}{suffix}", path.display());
    let text = |length: usize, letter: char| letter.to_string().repeat(length);
    let limits = PayloadLimits::new();
    let mut longest = 0;
    write(&sessions, &id, &text(10, 'a')).unwrap();
    for (length, letter) in (1..40).map(|n| (n * 37 % 1700, char::from(b'a' + n as u8 % 26))) {
        let old_index = fs::read(at(".dir")).unwrap();
        let old = sessions.read(&id).unwrap().unwrap();
        write(&sessions, &id, &text(length, letter)).unwrap();
        assert_eq!(sessions.read(&id).unwrap(), Some(text(length, letter)));
        // The old index over the new values: as if the write had ended before the last step.
        let values = fs::read(at(".dat")).unwrap();
        assert_eq!(dbm::decode_dumb(&old_index, &values, limits).unwrap(), Some(old));
        longest = longest.max(values.len());
    }
    // And its file does not grow for ever.
    assert!(longest < 3 * 2048, "{longest} bytes");
}

// Nor where the index is larger than we read one: Python reads it.
#[test]
fn a_write_touches_no_value_of_an_index_that_is_too_large_for_us() {
    let root = tempfile::tempdir().unwrap();
    let sessions = DbmSessions::new(root.path()).format(DbmFormat::Dumb);
    let (id, path) = (some_id(), sessions.path(&some_id()).unwrap());
    let at = |suffix: &str| format!("{}{suffix}", path.display());
    write(&sessions, &id, "Python's").unwrap();
    let mut index = fs::read_to_string(at(".dir")).unwrap();
    (0..300).for_each(|key| index += &format!("'key {key}', (0, 1)\n"));
    fs::write(at(".dir"), &index).unwrap();
    let old = fs::read(at(".dat")).unwrap();
    assert_eq!(sessions.read(&id).unwrap_err().kind(), ErrorKind::TooLarge, "control");
    write(&sessions, &id, "ours").unwrap();
    assert_eq!(sessions.read(&id).unwrap().as_deref(), Some("ours"));
    let values = fs::read(at(".dat")).unwrap();
    assert!(values.starts_with(&old) && values.len() > old.len());
}

#[test]
fn no_update_is_lost_among_threads_in_dbm_files() {
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        let sessions = DbmSessions::new(root.path()).format(format);
        let id = some_id();
        let add_one = |found: Result<Option<String>, beaker_session::Error>| {
            let number: u32 = found?.map_or(0, |text| text.parse().unwrap_or_default());
            Ok(Change::Replace((number + 1).to_string()))
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..25).for_each(|_| sessions.update(&id, &mut { add_one }).unwrap())
                });
            }
        });
        assert_eq!(sessions.read(&id).unwrap().as_deref(), Some("100"), "{format:?}");
    }
}

#[test]
fn what_is_no_dbm_file_is_corrupt_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let sessions = DbmSessions::new(root.path());
    let path = sessions.path(&some_id()).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    for junk in [&b"not a dbm file at all, but long enough to be one"[..], &[0; 4096]] {
        fs::write(&path, junk).unwrap();
        let error = sessions.read(&some_id()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(!error.to_string().contains("0707"), "a path is an id: {error}");
        assert_eq!(fs::read(&path).unwrap(), junk);
    }
    // An empty one is what Python makes of an id that it does not know.
    fs::write(&path, b"").unwrap();
    assert_eq!(sessions.read(&some_id()).unwrap(), None);
    fs::remove_file(&path).unwrap();
    for index in ["junk", "'session', (0, 99999999999999999999)", "'session', (5, 1)"] {
        fs::write(format!("{}.dir", path.display()), index).unwrap();
        let error = sessions.read(&some_id()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{index}: {error}");
    }
}

// D17.
#[cfg(unix)]
#[test]
fn dbm_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        let sessions = DbmSessions::new(root.path()).format(format);
        write(&sessions, &some_id(), "x").unwrap();
        let folder = sessions.path(&some_id()).unwrap().parent().unwrap().to_owned();
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?} {:?}", format, entry.file_name());
        }
    }
}

#[test]
fn a_session_near_the_limit_is_read_however_often_it_was_written() {
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        let sessions = DbmSessions::new(root.path()).format(format);
        let text = |letter: &str| letter.repeat(500 << 10);
        for letter in ["a", "b", "c", "d"] {
            write(&sessions, &some_id(), &text(letter)).unwrap();
            let found = sessions.read(&some_id()).unwrap();
            assert!(found == Some(text(letter)), "{format:?} {letter}");
        }
        // The control: beyond the limit it is refused.
        write(&sessions, &some_id(), &"e".repeat(520 << 10)).unwrap();
        let error = sessions.read(&some_id()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{format:?}");
    }
}

// Attack 19.
#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_a_dbm_file_is_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("target");
    for (format, suffix) in
        [(DbmFormat::Gnu, ""), (DbmFormat::Dumb, ".dir"), (DbmFormat::Dumb, ".dat")]
    {
        let sessions = DbmSessions::new(root.path().join(suffix)).format(format);
        write(&sessions, &some_id(), "a").unwrap();
        let path = format!("{}{suffix}", sessions.path(&some_id()).unwrap().display());
        fs::remove_file(&path).unwrap();
        fs::write(&target, b"mine").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let error = sessions.read(&some_id()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{suffix}: {error}");
        assert_eq!(write(&sessions, &some_id(), "b").unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(fs::read(&target).unwrap(), b"mine", "{suffix}");
    }
}
