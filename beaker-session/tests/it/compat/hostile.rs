//! Records that are damaged, too large, or made to do harm.

use std::fs;

use beaker_namespace::base64::{STANDARD, b64encode};
use beaker_session::ErrorKind;
use beaker_session::compat::{
    BeakerData, BeakerId, Encryption, FileSessions, PayloadCodec, PayloadLimits, Serializer, dbm,
    memcached, redis,
};
use serde_json::Value;

fn data_of(text: String) -> BeakerData {
    [("x".to_owned(), Value::String(text))].into_iter().collect()
}

// What takes 4 KB in a cookie may be megabytes inside.
#[test]
fn what_inflates_beyond_its_limit_is_refused() {
    let large = PayloadCodec::new().limits(PayloadLimits::new().max_inflated_bytes(4 << 20));
    let bomb = large.encode(&data_of("a".repeat(2 << 20))).unwrap();
    assert!(bomb.len() < 4064, "{}", bomb.len());
    let error = PayloadCodec::new().decode(&bomb).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("PayloadLimits::max_inflated_bytes"), "{error}");
    // The control: with room for it, it is read.
    assert_eq!(large.decode(&bomb).unwrap(), data_of("a".repeat(2 << 20)));
}

#[test]
fn the_limits_hold_to_the_byte() {
    // `{"x": "aaa"}` has 9 characters beside the text.
    let limits = PayloadLimits::new().max_inflated_bytes(109);
    let codec = PayloadCodec::new().limits(limits);
    let (fits, too_large) = (data_of("a".repeat(100)), data_of("a".repeat(101)));
    let text = codec.encode(&fits).unwrap();
    assert_eq!(codec.decode(&text).unwrap(), fits);
    assert_eq!(codec.encode(&too_large).unwrap_err().kind(), ErrorKind::TooLarge);
    let text = PayloadCodec::new().encode(&too_large).unwrap();
    assert_eq!(codec.decode(&text).unwrap_err().kind(), ErrorKind::TooLarge);

    let codec = PayloadCodec::new().limits(PayloadLimits::new().max_text_bytes(text.len()));
    assert!(codec.decode(&text).is_ok());
    let codec = PayloadCodec::new().limits(PayloadLimits::new().max_text_bytes(text.len() - 1));
    assert_eq!(codec.decode(&text).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(codec.encode(&too_large).unwrap_err().kind(), ErrorKind::TooLarge);
}

// D22.
#[test]
fn a_pickle_that_would_run_something_is_refused_and_nothing_is_run() {
    let codec = PayloadCodec::new().serializer(Serializer::PickleReadOnly);
    for pickle in [
        &b"cos\nsystem\n(S'true'\ntR."[..],
        b"\x80\x02}U\x01xcbuiltins\neval\nU\x011\x85Rs.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    ] {
        let error = codec.decode(&b64encode(pickle, &STANDARD)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Codec | ErrorKind::Corrupt), "{error}");
        // In the place of a text it is refused as well.
        assert!(redis::decode(pickle, PayloadLimits::new()).is_err());
    }
    // The control: plain data is read, and only if asked for.
    let plain = b64encode(b"\x80\x02}U\x01xK\x01s.", &STANDARD);
    assert_eq!(codec.decode(&plain).unwrap().get("x"), Some(&1.into()));
    assert_eq!(PayloadCodec::new().decode(&plain).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_pickled_session_that_json_could_not_hold_is_refused() {
    let codec = PayloadCodec::new().serializer(Serializer::PickleReadOnly);
    let read = |pickle: &[u8]| codec.decode(&b64encode(pickle, &STANDARD)).unwrap_err().kind();
    for pickle in [
        &b"\x80\x04}U\x01xC\x01as."[..],
        b"\x80\x04}U\x01x\x8fs.",
        b"\x80\x04}U\x01x\x8a\x09\0\0\0\0\0\0\0\0\x01s.",
        b"\x80\x04}U\x01xG\x7f\xf8\0\0\0\0\0\0s.",
        b"\x80\x04}K\x01K\x01s.",
    ] {
        assert_eq!(read(pickle), ErrorKind::Codec, "{pickle:?}");
    }
    assert_eq!(read(b"\x80\x04]."), ErrorKind::Corrupt);
    assert_eq!(read(b"\x80\x04"), ErrorKind::Corrupt);
}

// A pickle that refers to one list again and again.
#[test]
fn references_in_a_pickled_session_do_not_multiply() {
    let list = [&b"](K\x01"[..], &b"2".repeat(999), b"e\x94"].concat();
    let pickle = [b"\x80\x04}U\x01x](", &list[..], &b"h\0".repeat(1_000), b"es."].concat();
    let codec = PayloadCodec::new().serializer(Serializer::PickleReadOnly);
    let error = codec.decode(&b64encode(pickle, &STANDARD)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

fn sessions() -> (tempfile::TempDir, FileSessions, BeakerId) {
    let root = tempfile::tempdir().expect("a directory");
    let (sessions, id) = (FileSessions::new(root.path()), BeakerId::from_bytes([7; 16]));
    sessions.write(&id, "x").expect("it is written");
    (root, sessions, id)
}

// D18.
#[test]
fn a_file_that_is_cut_short_or_something_else_is_corrupt_until_it_is_written_again() {
    let (_root, sessions, id) = sessions();
    let path = sessions.path(&id).unwrap();
    let whole = fs::read(&path).unwrap();
    for bytes in [&b""[..], &whole[..whole.len() - 1], b"K\x01.", b"}C\x07sessionK\x01s."] {
        fs::write(&path, bytes).unwrap();
        let found = sessions.read(&id);
        if bytes.starts_with(b"}") {
            // A dictionary without a session, as Beaker sees it too.
            assert_eq!(found.unwrap(), None);
        } else {
            assert_eq!(found.unwrap_err().kind(), ErrorKind::Corrupt, "{bytes:?}");
        }
    }
    fs::write(&path, b"}X\x07\0\0\0sessionK\x01s.").unwrap();
    assert_eq!(sessions.read(&id).unwrap_err().kind(), ErrorKind::Corrupt);
    // Removing and writing do not look at what was there.
    sessions.write(&id, "y").unwrap();
    assert_eq!(sessions.read(&id).unwrap().as_deref(), Some("y"));
}

#[test]
fn a_file_beyond_the_limit_is_not_read_into_memory() {
    let (_root, sessions, id) = sessions();
    // A terabyte that takes no space.
    let file = fs::File::options().write(true).open(sessions.path(&id).unwrap()).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(sessions.read(&id).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[cfg(unix)]
#[test]
fn a_link_or_a_directory_in_a_files_place_is_not_followed() {
    let (root, sessions, id) = sessions();
    let path = sessions.path(&id).unwrap();
    let elsewhere = root.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    let error = sessions.read(&id).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    // The error shows the directory, and not the id that is the file's name.
    assert!(error.to_string().contains("container_file/0/07"), "{error}");
    assert!(!error.to_string().contains(id.expose_text()), "{error}");
    // Writing replaces the link, and leaves what it led to.
    sessions.write(&id, "y").unwrap();
    assert_eq!(sessions.read(&id).unwrap().as_deref(), Some("y"));
    let target = fs::read(&elsewhere).unwrap();
    assert_eq!(redis_text(&target), "x");

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(sessions.read(&id).unwrap_err().kind(), ErrorKind::Config);
}

/// The text in a file, by its place: behind `session` and the instruction before it.
fn redis_text(file: &[u8]) -> String {
    let tail = &file[file.len() - 4..];
    String::from_utf8(tail[..1].to_vec()).expect("a text")
}

#[cfg(unix)]
#[test]
fn a_failing_disk_is_no_empty_session() {
    let root = tempfile::tempdir().unwrap();
    let sessions = FileSessions::new(root.path());
    let id = BeakerId::from_bytes([7; 16]);
    // A link to itself cannot be followed, by root neither.
    std::os::unix::fs::symlink("container_file", root.path().join("container_file")).unwrap();
    assert_eq!(sessions.read(&id).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(sessions.write(&id, "x").unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn values_of_caches_and_dbm_files_are_bounded() {
    let limits = PayloadLimits::new().max_text_bytes(100);
    for len in [100, 2_000] {
        let text = "a".repeat(len);
        let found = [
            redis::decode(&redis::encode(&text), limits),
            memcached::decode(&memcached::encode(&text), memcached::FLAGS, limits),
            dbm::decode(&redis::encode(&text), limits),
        ];
        for found in found {
            match len {
                100 => assert_eq!(found.unwrap(), text),
                _ => assert_eq!(found.unwrap_err().kind(), ErrorKind::TooLarge),
            }
        }
    }
    let error = dbm::decode_dumb(b"", &vec![0; 2_000], limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn a_dumb_dbm_gives_its_session_or_says_why_not() {
    let limits = PayloadLimits::new();
    let value = redis::encode("x");
    let index = format!("'other', (0, 1)\n'session', (0, {})\n", value.len());
    let found = dbm::decode_dumb(index.as_bytes(), &value, limits).unwrap();
    assert_eq!(found.as_deref(), Some("x"));
    assert_eq!(dbm::decode_dumb(b"'other', (0, 1)\n", &value, limits).unwrap(), None);
    for index in ["x", "'session', (0, 1)", "'session', (5, 18446744073709551615)"] {
        let error = dbm::decode_dumb(index.as_bytes(), &value, limits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{index}");
    }
}

// SES-18: where there are keys, nothing is ever written or read in the clear.
#[test]
fn with_keys_nothing_is_in_the_clear() {
    let sealed = PayloadCodec::new().encryption(Encryption::new("e", "v").unwrap());
    let plain = PayloadCodec::new();
    let text = sealed.encode(&data_of("hunter2".to_owned())).unwrap();
    assert!(plain.decode(&text).is_err());
    let open = plain.encode(&data_of("hunter2".to_owned())).unwrap();
    assert_eq!(sealed.decode(&open).unwrap_err().kind(), ErrorKind::Corrupt);
    let other = PayloadCodec::new().encryption(Encryption::new("f", "v").unwrap());
    assert_eq!(other.decode(&text).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn debug_shows_neither_keys_nor_values() {
    let encryption = Encryption::new("hunter2", "hunter2").unwrap();
    let codec = PayloadCodec::new().encryption(encryption);
    let data = data_of("hunter2".to_owned());
    let shown = format!("{codec:?} {data:?}");
    assert!(shown.contains("BeakerData(1 values)"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
