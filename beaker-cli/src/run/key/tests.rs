use std::os::unix::ffi::OsStringExt;

use clap::Parser;

use super::*;
use crate::args::{Cli, Command};

fn key_of_words<T: Into<OsString>>(words: impl IntoIterator<Item = T>) -> Key {
    let words = words.into_iter().map(Into::into);
    let line = ["beaker", "run"].into_iter().map(OsString::from).chain(words);
    match Cli::try_parse_from(line).unwrap().command {
        Command::Run(args) => key_of(&args).unwrap(),
        other => panic!("not a run: {other:?}"),
    }
}

fn shown(words: &[&str]) -> String {
    key_of_words(words).to_string()
}

#[test]
fn a_plain_command_is_a_readable_tuple() {
    assert_eq!(shown(&["--", "git", "log", "--stat"]), r#"("run", ("git", "log", "--stat"))"#);
}

#[test]
fn words_do_not_run_together() {
    assert_ne!(shown(&["--", "echo", "a b"]), shown(&["--", "echo", "a", "b"]));
    assert_ne!(shown(&["--", "ab", "c"]), shown(&["--", "a", "bc"]));
    assert_ne!(shown(&["--", "a", ""]), shown(&["--", "a"]));
}

#[test]
fn the_time_to_live_is_no_part_of_the_key() {
    assert_eq!(shown(&["--ttl", "1m", "--stale", "1h", "x"]), shown(&["--", "x"]));
}

#[test]
fn a_scope_and_an_argument_are_not_mistaken_for_each_other() {
    assert_eq!(shown(&["--scope", "x", "y"]), r#"("run", ("y",), ("scope", "x"))"#);
    assert_ne!(shown(&["--scope", "x", "y"]), shown(&["y", "scope", "x"]));
}

#[test]
fn a_variable_that_is_unset_differs_from_every_set_one() {
    assert_eq!(
        shown(&["--env", "BEAKER_TEST_UNSET", "x"]),
        r#"("run", ("x",), ("env", "BEAKER_TEST_UNSET", none))"#
    );
    assert!(shown(&["--env", "PATH", "x"]).contains(r#"("env", "PATH", some ""#));
}

#[test]
fn a_variables_value_does_not_show() {
    let path = env::var("PATH").unwrap();
    assert!(!shown(&["--env", "PATH", "x"]).contains(&path));
    assert_ne!(digest(OsStr::new("A"), OsStr::new("v")), digest(OsStr::new("B"), OsStr::new("v")));
    assert_ne!(
        digest(OsStr::new("A"), OsStr::new("Bv")),
        digest(OsStr::new("AB"), OsStr::new("v"))
    );
}

#[test]
fn a_missing_file_is_a_state_of_its_own() {
    assert_eq!(
        shown(&["--modtime", "/no/such/file", "x"]),
        r#"("run", ("x",), ("modtime", "/no/such/file", none))"#
    );
    assert!(shown(&["--modtime", "/dev/null", "x"]).contains(r#"("modtime", "/dev/null", some "#));
}

#[test]
fn bytes_that_are_not_utf_8_stay_apart() {
    let key = |byte: u8| key_of_words([OsString::from("x"), OsString::from_vec(vec![byte])]);
    assert_eq!(key(0xff).to_string(), r#"("run", ("x", b"\xff"))"#);
    assert_ne!(key(0xff), key(0xfe));
}

#[test]
fn every_key_can_be_pasted_back() {
    for count in [1, 7, 8, 15, 100, MAX_ITEMS, MAX_ITEMS + 1, 5_000] {
        let key = key_of_words((0..count).map(|number| format!("arg-\"{number}\"\n")));
        assert_eq!(Key::parse(&key.to_string()), Ok(key.clone()), "{count}");
        assert_eq!(Key::from_encoded(key.as_bytes()), Some(key), "{count}");
    }
}

#[test]
fn a_long_key_is_hashed_and_still_tells_commands_apart() {
    let long = "x".repeat(Key::MAX_BYTES);
    let key = key_of_words(["cat", &long]);
    assert!(key.to_string().starts_with(r#"("run", "cat", "sha256", ""#), "{key}");
    assert_ne!(key, key_of_words(["cat", &format!("{long}y")]));
    assert_ne!(key, key_of_words(["--scope", "s", "cat", &long]));
}
