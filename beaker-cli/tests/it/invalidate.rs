//! Tags, `invalidate`, and what `get`, `ls`, `why`, `stats` and `run` make of it.

use std::sync::Arc;

use beaker_container::REGIONS;
use beaker_namespace::{Mark, Namespace, StoreUrl, Stores};

use crate::support::{Bench, code, text};

/// The exit code and standard output of `beaker ARGS`.
fn outcome(bench: &Bench, args: &[&str]) -> (i32, String) {
    let output = bench.beaker(args).output().unwrap();
    (code(&output), text(output.stdout))
}

fn json(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn namespace(bench: &Bench, name: &str) -> Arc<dyn Namespace> {
    let url = StoreUrl::new("file").with_path(bench.store());
    Stores::new().open(&url, name).unwrap()
}

#[test]
fn an_invalidated_tag_takes_its_entries_and_no_other() {
    let bench = Bench::new();
    bench.ok(&["set", "--tag", "layout", "--tag", "news", "page", "1"]);
    bench.ok(&["set", "--tag", "news", "feed", "2"]);
    bench.ok(&["set", "plain", "3"]);
    assert_eq!(outcome(&bench, &["get", "page"]), (0, "1".to_owned()), "the control");
    bench.ok(&["invalidate", "--tag", "layout"]);
    assert_eq!(outcome(&bench, &["get", "page"]), (1, String::new()));
    assert_eq!(bench.ok(&["get", "feed"]), "2");
    assert_eq!(bench.ok(&["get", "plain"]), "3");
    bench.ok(&["set", "--tag", "layout", "page", "4"]);
    assert_eq!(bench.ok(&["get", "page"]), "4", "made after the invalidation");
}

#[test]
fn several_tags_are_invalidated_at_once_softly_too() {
    let bench = Bench::new();
    for tag in ["a", "b", "c"] {
        bench.ok(&["set", "--tag", tag, tag, "1"]);
    }
    bench.ok(&["invalidate", "--soft", "--tag", "a", "--tag", "b"]);
    for (key, expected) in [("a", 1), ("b", 1), ("c", 0)] {
        assert_eq!(outcome(&bench, &["get", key]).0, expected, "{key}");
    }
}

#[test]
fn an_invalidation_is_one_write_however_many_entries_there_are() {
    let bench = Bench::new();
    for number in 0..20 {
        bench.ok(&["set", "--tag", "t", &format!("key{number}"), "1"]);
    }
    bench.ok(&["invalidate", "--tag", "t"]);
    assert_eq!(bench.entry_files().len(), 20, "no entry was touched");
    assert_eq!(json(&bench.ok(&["stats", "--namespace", "default", "--json"]))[0]["expired"], 20);
}

#[test]
fn ls_shows_tags_and_never_shows_what_was_invalidated_as_fresh() {
    let bench = Bench::new();
    bench.ok(&["set", "--ttl", "1h", "--tag", "x", "--tag", "y", "gone", "1"]);
    bench.ok(&["set", "kept", "1"]);
    let rows = json(&bench.ok(&["ls", "--json"]));
    assert_eq!(rows[0]["tags"], serde_json::json!(["x", "y"]));
    assert_eq!((&rows[0]["expired"], &rows[0]["invalidated"]), (&false.into(), &false.into()));
    bench.ok(&["invalidate", "--tag", "y"]);
    let rows = json(&bench.ok(&["ls", "--json"]));
    assert_eq!((&rows[0]["expired"], &rows[0]["invalidated"]), (&true.into(), &true.into()));
    assert_eq!((&rows[1]["expired"], &rows[1]["tags"]), (&false.into(), &serde_json::json!([])));
    let table = bench.ok(&["ls"]);
    let line = table.lines().find(|line| line.ends_with("  gone")).unwrap();
    assert!(line.contains("invalidated") && !line.contains(" in "), "{table}");
}

#[test]
fn why_names_the_tag_the_moment_and_what_it_allows() {
    let bench = Bench::new();
    bench.ok(&["set", "--tag", "layout", "page", "hello"]);
    bench.ok(&["invalidate", "--soft", "--tag", "layout"]);
    let (code, text) = outcome(&bench, &["why", "page"]);
    assert_eq!(code, 1);
    assert!(text.starts_with("invalidated: by the tag \"layout\" at 2"), "{text}");
    assert!(text.contains("Z; it may be served stale; made "), "{text}");
    assert!(text.ends_with("; 5 B of raw; tagged layout\n"), "{text}");

    let marked = namespace(&bench, "default").marks(&mut ["layout"].into_iter()).unwrap();
    let finding = &json(&outcome(&bench, &["why", "--json", "page"]).1)[0];
    assert_eq!(finding["state"], "invalidated");
    assert_eq!((&finding["expired"], &finding["invalidated"]), (&true.into(), &true.into()));
    assert_eq!(finding["tags"], serde_json::json!(["layout"]));
    let by = &finding["invalidated_by"];
    assert_eq!((&by["tag"], &by["soft"]), (&"layout".into(), &true.into()));
    let at = marked.expired_until().unwrap().as_secs_f64();
    assert!((by["at"].as_f64().unwrap() - at).abs() < 1e-6, "{finding}");

    bench.ok(&["invalidate", "--tag", "layout"]);
    let (_, text) = outcome(&bench, &["why", "page"]);
    assert!(text.contains("; a reader takes it for absent; made "), "{text}");
}

#[test]
fn why_asks_for_a_region_if_it_is_told_of_one() {
    let bench = Bench::new();
    bench.ok(&["set", "page", "1"]);
    assert_eq!(outcome(&bench, &["why", "--region", "short", "page"]).0, 0);
    bench.ok(&["invalidate", "--region", "short"]);
    let (code, text) = outcome(&bench, &["why", "--region", "short", "page"]);
    assert_eq!(code, 1);
    assert!(text.starts_with("invalidated: by the region \"short\" at 2"), "{text}");
    assert_eq!(outcome(&bench, &["why", "--region", "long", "page"]).0, 0);
    assert_eq!(outcome(&bench, &["why", "page"]).0, 0, "not in any region");
    // It is the mark that programs ask for.
    let mark = namespace(&bench, REGIONS).marks(&mut ["short"].into_iter()).unwrap();
    assert!(mark.gone_until().is_some());
}

#[test]
fn why_names_the_entity_tag_that_a_program_stored() {
    use beaker_namespace::{Entry, Key, Payload};

    let bench = Bench::new();
    let store = namespace(&bench, "default");
    let entry = Entry::new(Payload::raw("1"), store.clock().now()).etag(Some("W/1".to_owned()));
    store.set(&Key::new("page"), entry).unwrap();
    assert_eq!(json(&bench.ok(&["why", "--json", "page"]))[0]["etag"], "W/1");
}

const SCRIPT: &str = "echo >> count; wc -l < count";

#[test]
fn a_tagged_run_is_made_anew_after_an_invalidation() {
    let bench = Bench::new();
    let run = || text(bench.run(&["--tag", "deploy"], SCRIPT).output().unwrap().stdout);
    assert_eq!((run().trim(), run().trim()), ("1", "1"), "the second is a replay");
    bench.ok(&["--namespace", "run", "invalidate", "--tag", "deploy"]);
    assert_eq!(run().trim(), "2");
    assert_eq!(run().trim(), "2", "what was made afterwards is replayed");
    assert_eq!(bench.count(), 2);
}

#[test]
fn a_run_is_not_served_stale_after_a_hard_invalidation_and_is_after_a_soft_one() {
    let bench = Bench::new();
    let options = ["--tag", "t", "--stale", "1h"];
    let run = || text(bench.run(&options, SCRIPT).output().unwrap().stdout);
    assert_eq!(run().trim(), "1");
    bench.ok(&["--namespace", "run", "invalidate", "--soft", "--tag", "t"]);
    assert_eq!(run().trim(), "1", "served stale, and made anew behind it");
    bench.wait_until_quiet();
    assert_eq!(bench.count(), 2);
    assert_eq!(run().trim(), "2");
    bench.ok(&["--namespace", "run", "invalidate", "--tag", "t"]);
    assert_eq!(run().trim(), "3");
}

#[test]
fn an_invalidation_during_a_run_wins_over_its_result() {
    let bench = Bench::new();
    let (here, go) = (bench.gate("here"), bench.gate("go"));
    let script = "echo >> count; echo x > here; cat go > rest";
    let run = crate::support::start(&mut bench.run(&["--tag", "t"], script));
    here.wait();
    bench.ok(&["--namespace", "run", "invalidate", "--tag", "t"]);
    go.open();
    assert!(crate::support::finish(run).status.success());
    let (code, text) = outcome(
        &bench,
        &["--namespace", "run", "why", &format!("(\"run\", (\"sh\", \"-c\", \"{script}\"))")],
    );
    assert_eq!(code, 1);
    assert!(text.starts_with("invalidated: ") || text.starts_with("absent: "), "{text}");
}

#[test]
fn invalidate_needs_something_to_invalidate() {
    let bench = Bench::new();
    let long = "x".repeat(Mark::MAX_NAME_BYTES + 1);
    for args in [&["invalidate"][..], &["invalidate", "--soft"], &["invalidate", "--tag", &long]] {
        let output = bench.beaker(args).output().unwrap();
        assert_eq!(code(&output), 2, "{args:?}");
    }
    let output = bench.beaker(["set", "--tag", &long, "key", "1"]).output().unwrap();
    assert_eq!(code(&output), 2, "nobody could invalidate it");
}
