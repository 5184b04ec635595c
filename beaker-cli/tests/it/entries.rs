//! `get`, `set`, `del` and `why`.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;

use beaker_namespace::{CodecId, Entry, Key, Namespace, Payload, StoreUrl, Stores};

use crate::support::{Bench, code, damage, text};

#[test]
fn a_value_comes_back_as_it_was_set() {
    let bench = Bench::new();
    bench.ok(&["set", "key", "value"]);
    assert_eq!(bench.ok(&["get", "key"]), "value");
    bench.ok(&["set", "key", ""]);
    assert_eq!(bench.ok(&["get", "key"]), "");
}

#[test]
fn any_bytes_come_back_from_standard_input() {
    let bench = Bench::new();
    let every: Vec<u8> = (0..=255).collect();
    fs::write(bench.path("input"), &every).unwrap();
    for args in [&["set", "key", "-"][..], &["set", "key"]] {
        let input = File::open(bench.path("input")).unwrap();
        assert!(bench.beaker(args).stdin(input).status().unwrap().success());
        assert_eq!(bench.beaker(["get", "key"]).output().unwrap().stdout, every);
        bench.ok(&["del", "key"]);
    }
}

#[test]
fn a_value_need_not_be_utf_8() {
    let bench = Bench::new();
    let args = [OsStr::new("set"), OsStr::new("key"), OsStr::from_bytes(b"\xff\xfe")];
    assert!(bench.beaker(args.map(OsString::from)).status().unwrap().success());
    assert_eq!(bench.beaker(["get", "key"]).output().unwrap().stdout, b"\xff\xfe");
}

#[test]
fn what_is_absent_or_expired_is_1_and_silent() {
    let bench = Bench::new();
    bench.ok(&["set", "--ttl", "0s", "expired", "value"]);
    for key in ["absent", "expired"] {
        let output = bench.beaker(["get", key]).output().unwrap();
        assert_eq!((code(&output), output.stdout, output.stderr), (1, vec![], vec![]), "{key}");
    }
}

#[test]
fn del_is_1_if_none_was_there() {
    let bench = Bench::new();
    bench.ok(&["set", "a", "1"]);
    bench.ok(&["set", "b", "2"]);
    bench.ok(&["del", "a", "none"]);
    let output = bench.beaker(["del", "a", "none"]).output().unwrap();
    assert_eq!((code(&output), output.stderr), (1, vec![]));
    assert_eq!(bench.ok(&["get", "b"]), "2");
}

#[test]
fn a_key_from_a_listing_can_be_pasted_back() {
    let bench = Bench::new();
    for key in ["plain", "two words", "(\"user\", 42)", "42", "\"42\"", "b\"\\xff\"", "ü\n"] {
        bench.ok(&["set", key, key]);
    }
    let listing = bench.ok(&["ls"]);
    let keys: Vec<&str> =
        listing.lines().skip(1).filter_map(|l| l.split("never  ").nth(1)).collect();
    assert_eq!(keys.len(), 7, "{listing}");
    for key in keys {
        let value = bench.ok(&["get", key]);
        bench.ok(&["del", key]);
        assert!(!value.is_empty(), "{key}");
    }
    assert_eq!(bench.ok(&["ls"]), "");
}

#[test]
fn a_key_that_is_cut_off_is_a_usage_error() {
    let bench = Bench::new();
    let output = bench.beaker(["get", "(\"user\", 42"]).output().unwrap();
    assert_eq!(code(&output), 2);
    assert_eq!(
        text(output.stderr),
        "beaker: not a key: `,` or `)` is missing at byte 11; quote a text: \"…\"\n"
    );
}

fn why(bench: &Bench, args: &[&str]) -> (i32, String) {
    let output = bench.beaker([&["why"], args].concat()).output().unwrap();
    (code(&output), text(output.stdout))
}

#[test]
fn why_tells_fresh_expired_corrupt_and_absent() {
    let bench = Bench::new();
    assert_eq!(why(&bench, &["key"]), (1, "absent: there is no entry\n".to_owned()));

    bench.ok(&["set", "key", "value"]);
    let (code, text) = why(&bench, &["key"]);
    assert_eq!(code, 0);
    assert!(text.starts_with("fresh: it never expires; made "), "{text}");
    assert!(text.ends_with("; 5 B of raw\n"), "{text}");

    bench.ok(&["set", "--ttl", "1h", "key", "value"]);
    let (code, text) = why(&bench, &["key"]);
    assert_eq!(code, 0);
    assert!(text.starts_with("fresh: until 2") && text.contains("Z; made "), "{text}");

    damage(&bench.entry_files()[0]);
    let (code, text) = why(&bench, &["key"]);
    assert_eq!(code, 1);
    assert!(text.starts_with("corrupt: ") && text.contains("takes it for absent"), "{text}");

    bench.ok(&["set", "--ttl", "0s", "key", "value"]);
    let (code, text) = why(&bench, &["key"]);
    assert_eq!(code, 1);
    assert!(text.starts_with("expired: since 2") && text.contains("next sweep"), "{text}");
}

#[test]
fn why_tells_until_when_a_result_may_be_served_stale() {
    let bench = Bench::new();
    bench.ok(&["run", "--ttl", "0s", "--stale", "1h", "--", "echo", "x"]);
    let key = "(\"run\", (\"echo\", \"x\"))";
    let (code, text) = why(&bench, &["--namespace", "run", key]);
    assert_eq!(code, 1);
    assert!(text.contains("it may be served stale until 2"), "{text}");
}

#[test]
fn why_tells_that_the_namespace_was_cleared_until_there_is_an_entry() {
    let bench = Bench::new();
    bench.ok(&["set", "key", "1"]);
    assert_eq!(
        why(&bench, &["other"]),
        (1, "absent: there is no entry\n".to_owned()),
        "the control"
    );
    bench.ok(&["clear"]);
    for key in ["key", "other"] {
        let (code, text) = why(&bench, &[key]);
        assert_eq!(code, 1);
        assert!(
            text.starts_with("absent: there is no entry; the namespace was cleared at 2"),
            "{text}"
        );
    }
    bench.ok(&["set", "key", "1"]);
    assert!(why(&bench, &["key"]).1.starts_with("fresh: "));
}

#[test]
fn why_tells_a_codec_that_is_not_there() {
    let bench = Bench::new();
    bench.ok(&["set", "key", "1"]);
    let namespace = {
        let url = StoreUrl::new("file").with_path(bench.store());
        Stores::new().open(&url, "default").unwrap()
    };
    let now = namespace.clock().now();
    let key = Key::new("key");
    for (codec, bytes) in [(99, "1"), (CodecId::JSON.as_u8(), "no json")] {
        let payload = Payload::Bytes { codec: CodecId::from_u8(codec), bytes: bytes.into() };
        namespace.set(&key, Entry::new(payload, now)).unwrap();
        let (code, text) = why(&bench, &["key"]);
        assert_eq!(code, 1);
        assert!(text.starts_with("foreign: of another type, or of a codec"), "{text}");
    }
}

#[test]
fn why_as_json_is_one_object() {
    let bench = Bench::new();
    bench.ok(&["set", "--ttl", "1h", "key", "value"]);
    let (_, text) = why(&bench, &["--json", "key"]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["state"], "fresh");
    assert_eq!(value["size_bytes"], 5);
    assert_eq!(value["expired"], false);
    let lifetime = value["expires"].as_f64().unwrap() - value["made"].as_f64().unwrap();
    assert!((lifetime - 3_600.0).abs() < 0.001, "{lifetime}");
    let (_, text) = why(&bench, &["--json", "absent"]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value, serde_json::json!({"state": "absent", "reason": "there is no entry"}));
}
