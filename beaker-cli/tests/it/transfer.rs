//! `export` and `import`.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use crate::support::{Bench, code, text};

/// Another store on the same bench: SQLite, where it is compiled in.
fn other(bench: &Bench) -> String {
    let scheme = if cfg!(feature = "sqlite") { "sqlite" } else { "file" };
    format!("{scheme}:{}", bench.path("other store").display())
}

/// `beaker ARGS` on the other store.
fn on_other(bench: &Bench, args: &[&str]) -> Command {
    let mut command = bench.beaker(args);
    command.env("BEAKER_URL", other(bench));
    command
}

fn ok(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    text(output.stdout)
}

fn rows(listing: &str) -> Vec<serde_json::Value> {
    let mut rows: Vec<serde_json::Value> =
        listing.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Counted from the moment of the listing.
    rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("age")));
    rows
}

#[test]
fn what_is_exported_from_one_store_is_imported_into_another_with_times_and_tags() {
    let bench = Bench::new();
    ok(&mut on_other(&bench, &["set", "--ttl", "1h", "--tag", "a", "--tag", "b", "tagged", "1"]));
    ok(&mut on_other(&bench, &["set", "(\"user\", 42)", "2"]));
    ok(&mut on_other(&bench, &["set", "empty", ""]));
    assert_eq!(ok(&mut on_other(&bench, &["export", "file"])), "exported 3, left out 0\n");
    assert_eq!(bench.ok(&["import", "file"]), "imported 3, kept 0, left out 0\n");
    let listing = ["ls", "--json"];
    assert_eq!(rows(&bench.ok(&listing)), rows(&ok(&mut on_other(&bench, &listing))));
    assert_eq!(bench.ok(&["get", "tagged"]), "1");
    assert_eq!(bench.ok(&["get", "(\"user\", 42)"]), "2");
    assert_eq!(bench.ok(&["get", "empty"]), "");
}

#[test]
fn a_run_is_replayed_from_an_imported_store() {
    let bench = Bench::new();
    let script = "echo >> count; echo out; echo err >&2; exit 3";
    assert_eq!(code(&bench.run(&[], script).output().unwrap()), 3);
    bench.ok(&["--namespace", "run", "export", "file"]);
    ok(&mut on_other(&bench, &["--namespace", "run", "import", "file"]));
    let output = on_other(&bench, &["run", "--", "sh", "-c", script]).output().unwrap();
    assert_eq!((code(&output), text(output.stdout)), (3, "out\n".to_owned()));
    assert_eq!(bench.count(), 1);
}

#[test]
fn standard_output_and_input_are_files_too() {
    let bench = Bench::new();
    bench.ok(&["set", "key", "value"]);
    let exported = bench.beaker(["export", "-"]).output().unwrap();
    assert_eq!((code(&exported), exported.stderr.len()), (0, 0));
    fs::write(bench.path("file"), &exported.stdout).unwrap();
    let input = File::open(bench.path("file")).unwrap();
    let report = ok(on_other(&bench, &["import", "-"]).stdin(input));
    assert_eq!(report, "imported 1, kept 0, left out 0\n");
    assert_eq!(ok(&mut on_other(&bench, &["get", "key"])), "value");
}

#[test]
fn keep_leaves_what_is_there() {
    let bench = Bench::new();
    bench.ok(&["set", "a", "exported"]);
    bench.ok(&["set", "b", "exported"]);
    bench.ok(&["export", "file"]);
    bench.ok(&["set", "a", "newer"]);
    bench.ok(&["del", "b"]);
    assert_eq!(bench.ok(&["import", "--keep", "file"]), "imported 1, kept 1, left out 0\n");
    assert_eq!(
        (bench.ok(&["get", "a"]), bench.ok(&["get", "b"])),
        ("newer".into(), "exported".into())
    );
    bench.ok(&["import", "file"]);
    assert_eq!(bench.ok(&["get", "a"]), "exported");
}

#[test]
fn a_prefix_chooses_what_is_exported() {
    let bench = Bench::new();
    for key in ["user/1", "user/2", "other"] {
        bench.ok(&["set", key, ""]);
    }
    assert_eq!(bench.ok(&["export", "--prefix", "user/", "file"]), "exported 2, left out 0\n");
}

#[test]
fn what_was_invalidated_stays_so() {
    let bench = Bench::new();
    bench.ok(&["set", "--tag", "t", "key", "value"]);
    bench.ok(&["set", "--ttl", "0s", "expired", "value"]);
    // What reads goes by a clock that is up to a tick behind the one by which it was written.
    let listed = || bench.ok(&["ls"]).contains("expired");
    assert!((0..1_000).any(|_| !listed()), "it is dead within a tick");
    assert_eq!(
        bench.ok(&["export", "file"]),
        "exported 1, left out 0\n",
        "dead ones are not listed"
    );
    bench.ok(&["invalidate", "--tag", "t"]);
    bench.ok(&["clear"]);
    assert_eq!(bench.ok(&["import", "file"]), "imported 0, kept 0, left out 1\n");
    assert_eq!(bench.ok(&["export", "file"]), "exported 0, left out 0\n");
}

#[test]
fn what_was_cleared_comes_back() {
    let bench = Bench::new();
    bench.ok(&["set", "key", "value"]);
    bench.ok(&["export", "file"]);
    bench.ok(&["clear"]);
    bench.ok(&["import", "file"]);
    assert_eq!(bench.ok(&["get", "key"]), "value");
}

#[test]
fn only_the_owner_may_read_an_export() {
    let bench = Bench::new();
    bench.ok(&["export", "file"]);
    assert_eq!(fs::metadata(bench.path("file")).unwrap().permissions().mode() & 0o777, 0o600);
}

fn import(bench: &Bench, file: &str) -> Output {
    bench.beaker(["import", file]).output().unwrap()
}

#[test]
fn a_damaged_export_is_65_and_stores_nothing() {
    let bench = Bench::new();
    bench.ok(&["set", "a", "1"]);
    bench.ok(&["set", "b", "2"]);
    bench.ok(&["export", "file"]);
    bench.ok(&["clear"]);
    let whole = fs::read(bench.path("file")).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&whole[..whole.len() - 1], &whole[..40], &[], &flipped] {
        fs::write(bench.path("file"), damaged).unwrap();
        let output = import(&bench, "file");
        let stderr = text(output.stderr.clone());
        assert_eq!((code(&output), stderr.lines().count()), (65, 1), "{stderr}");
        assert!(stderr.contains("cannot read an export") && stderr.contains("again"), "{stderr}");
        assert_eq!(bench.ok(&["ls"]), "");
    }
    fs::write(bench.path("file"), &whole).unwrap();
    assert_eq!(code(&import(&bench, "file")), 0, "the control");
}

#[test]
fn a_file_that_is_not_there_is_74_and_named() {
    let bench = Bench::new();
    for args in [["import", "no/such"], ["export", "no/such"], ["import", "."]] {
        let output = bench.beaker(args).output().unwrap();
        let stderr = text(output.stderr.clone());
        assert_eq!(code(&output), 74, "{args:?}: {stderr}");
        assert!(stderr.contains(args[1]) && stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn a_reader_of_an_export_that_goes_away_is_no_error() {
    let bench = Bench::new();
    bench.ok(&["set", "key", "value"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = bench.beaker(["export", "-"]).stdout(writer).output().unwrap();
    assert_eq!((code(&output), text(output.stderr)), (141, String::new()));
}
