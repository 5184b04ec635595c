//! `ls`, `stats`, `clear` and `gc`.

use std::io;
use std::process::Stdio;

use crate::support::{Bench, code, damage, finish, text};

#[test]
fn ls_aligns_its_columns() {
    let bench = Bench::new();
    bench.ok(&["set", "a", "1"]);
    bench.ok(&["set", "--ttl", "400d", "b", &"x".repeat(2_000)]);
    let listing = bench.ok(&["ls"]);
    let lines: Vec<&str> = listing.lines().collect();
    assert_eq!(lines.len(), 3, "{listing}");
    let column = lines[0].find("KEY").unwrap();
    assert_eq!((&lines[1][column..], &lines[2][column..]), ("a", "b"), "{listing}");
    assert!(lines[1].contains("  1 B  ") && lines[1].contains("never"), "{listing}");
    assert!(lines[2].contains("2.0 KiB") && lines[2].contains("in 399d23h"), "{listing}");
}

#[test]
fn ls_takes_the_beginning_of_a_text_or_of_a_tuple() {
    let bench = Bench::new();
    for key in ["user/1", "user/2", "other", "(\"user\", 1)", "(\"other\", 1)"] {
        bench.ok(&["set", key, ""]);
    }
    let keys = |prefix: &str| {
        let listing = bench.ok(&["ls", prefix]);
        let last = |line: &str| line.split("never  ").nth(1).map(str::to_owned);
        listing.lines().filter_map(last).collect::<Vec<_>>()
    };
    assert_eq!(keys("user/"), ["user/1", "user/2"]);
    assert_eq!(keys("(\"user\",)"), ["(\"user\", 1)"]);
    assert_eq!(keys("nothing"), [""; 0]);
}

#[test]
fn ls_as_json_is_one_object_a_line() {
    let bench = Bench::new();
    bench.ok(&["set", "b", "22"]);
    bench.ok(&["set", "--ttl", "1h", "a", "1"]);
    let rows: Vec<serde_json::Value> = bench
        .ok(&["ls", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0]["key"], &rows[1]["key"]), (&"a".into(), &"b".into()));
    assert_eq!((&rows[0]["size_bytes"], &rows[1]["size_bytes"]), (&1.into(), &2.into()));
    assert!(rows[0]["expires"].is_f64() && rows[1]["expires"].is_null());
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    let bench = Bench::new();
    bench.ok(&["set", "key", &"x".repeat(100)]);
    for args in [&["ls"][..], &["get", "key"], &["--help"], &["completions", "bash"]] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut command = bench.beaker(args);
        let output = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = finish(output);
        assert_eq!((code(&output), text(output.stderr)), (141, String::new()), "{args:?}");
    }
}

#[test]
fn stats_count_entries_and_bytes() {
    let bench = Bench::new();
    bench.ok(&["set", "a", "12345"]);
    bench.ok(&["set", "b", "67890"]);
    bench.ok(&["run", "--", "echo", "x"]);
    let stats = bench.ok(&["stats"]);
    assert!(stats.contains("      2        0  10 B  default\n"), "{stats}");
    let json = bench.ok(&["stats", "--namespace", "default", "--json"]);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json).unwrap(),
        serde_json::json!({"namespace": "default", "entries": 2, "expired": 0, "size_bytes": 10})
    );
}

#[test]
fn clear_empties_the_namespace_and_no_other() {
    let bench = Bench::new();
    bench.ok(&["set", "a", "1"]);
    bench.ok(&["run", "--", "echo", "x"]);
    bench.ok(&["clear"]);
    assert_eq!(bench.ok(&["ls"]), "");
    assert_eq!(bench.ok(&["ls", "--namespace", "run", "--json"]).lines().count(), 1);
    bench.ok(&["clear", "--namespace", "run"]);
    assert!(bench.entry_files().is_empty());
}

#[test]
fn gc_drops_what_is_expired_or_damaged() {
    let bench = Bench::new();
    bench.ok(&["set", "damaged", "1"]);
    damage(&bench.entry_files()[0]);
    bench.ok(&["set", "fresh", "1"]);
    bench.ok(&["set", "--ttl", "0s", "expired", "1"]);
    assert_eq!(
        bench.ok(&["gc"]),
        "default: dropped 1 expired, 1 corrupt, 0 left over\n\
         run: dropped 0 expired, 0 corrupt, 0 left over\n"
    );
    assert_eq!(bench.entry_files().len(), 1);
    assert_eq!(bench.ok(&["get", "fresh"]), "1");
}

#[test]
fn gc_drops_what_was_invalidated_and_never_expires() {
    let bench = Bench::new();
    bench.ok(&["set", "--tag", "red", "gone", "1"]);
    bench.ok(&["set", "--tag", "blue", "fresh", "1"]);
    bench.ok(&["invalidate", "--tag", "red"]);
    bench.ok(&["set", "--tag", "red", "anew", "1"]);
    let line = |counts: &str| {
        format!("default: dropped {counts}\nrun: dropped 0 expired, 0 corrupt, 0 left over\n")
    };
    assert_eq!(bench.ok(&["gc"]), line("0 expired, 1 invalidated, 0 corrupt, 0 left over"));
    assert_eq!(bench.entry_files().len(), 2);
    assert_eq!((bench.ok(&["get", "fresh"]), bench.ok(&["get", "anew"])), ("1".into(), "1".into()));
    assert_eq!(bench.ok(&["gc"]), line("0 expired, 0 corrupt, 0 left over"));
}
