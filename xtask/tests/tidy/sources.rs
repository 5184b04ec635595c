//! Rules for the Rust sources, and words that must not be in any file.

use crate::tree::{self, File};

/// The most code lines of a file; blank lines, comments and tests do not count.
const CODE_LINES: usize = 500;

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The lines before the file's own test module.
fn without_tests(text: &str) -> &str {
    match text.find("#[cfg(test)]\nmod ") {
        Some(at) => &text[..at],
        None => text,
    }
}

fn code_lines(text: &str) -> usize {
    let lines = without_tests(text).lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

/// The line numbers of `#[allow(…)]` and `#[expect(…)]` that give no reason.
fn allows_without_reason(text: &str) -> Vec<usize> {
    let starts = |line: &str| {
        let line = line.trim_start();
        line.starts_with('#') && (line.contains("allow(") || line.contains("expect("))
    };
    let lines: Vec<&str> = text.lines().collect();
    let without = |at: &usize| {
        let end = lines[*at..].iter().position(|line| line.trim_end().ends_with(")]"));
        let attribute = &lines[*at..=*at + end.unwrap_or(0)];
        starts(lines[*at]) && !attribute.iter().any(|line| line.contains("reason = "))
    };
    (0..lines.len()).filter(without).map(|at| at + 1).collect()
}

/// The line numbers that sleep without saying why (`// sleep: …` on the line or just above).
fn unexplained_sleeps(text: &str) -> Vec<usize> {
    // In two parts, so that this file does not find itself.
    let sleep = concat!("thread::", "sleep");
    let why = "// sleep:";
    let mut found = Vec::new();
    let mut before = "";
    for (at, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        // An import counts too: it would hide the calls.
        if code.contains(sleep) && !line.contains(why) && !before.contains(why) {
            found.push(at + 1);
        }
        before = line;
    }
    found
}

/// The words of one machine or of how the text came about, which mean nothing to a reader.
fn foreign_words(text: &str) -> Vec<usize> {
    let workplace = concat!("/wo", "rk");
    let others = [concat!("../sha", "red"), concat!("/tmp/br", "ief"), concat!("/tmp/is", "sue")];
    let foreign =
        |line: &str| others.iter().any(|word| line.contains(word)) || names(line, workplace);
    text.lines().enumerate().filter(|(_, line)| foreign(line)).map(|(at, _)| at + 1).collect()
}

/// Whether `line` has the absolute path `folder`, not a longer name or a deeper folder.
fn names(line: &str, folder: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || "_-.~".contains(c);
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + folder.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// SQLite's entries are kept after they were read, so whoever changes them must note it. Those of `change.rs`
/// do; those of `schema.rs` are there before anybody reads.
const MAY_CHANGE_ENTRIES: [&str; 2] = ["change.rs", "schema.rs"];

/// The line numbers of SQL that changes the table of entries.
fn changes_of_entries(text: &str) -> Vec<usize> {
    let changes = |line: &str| {
        let line = line.to_lowercase();
        ["into entries", "delete from entries", "update entries"]
            .iter()
            .any(|verb| line.contains(verb))
    };
    let lines = without_tests(text).lines().enumerate();
    lines.filter(|(_, line)| changes(line)).map(|(at, _)| at + 1).collect()
}

fn check(rule: &str, files: impl IntoIterator<Item = File>, lines: fn(&str) -> Vec<usize>) {
    let mut findings = Vec::new();
    for file in files {
        findings.extend(lines(&file.text).iter().map(|line| format!("{}:{line}", file.path)));
    }
    tree::none(rule, &findings);
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let files = tree::files_ending(".rs").into_iter().filter(|file| !is_test_file(&file.path));
    let long = files.filter_map(|file| {
        let lines = code_lines(&file.text);
        (lines > CODE_LINES).then(|| format!("{}: {lines}", file.path))
    });
    tree::none("files above 500 lines of code", &long.collect::<Vec<_>>());
}

#[test]
fn only_code_before_the_tests_is_counted() {
    let text = "//! Doc.\n\nfn a() {} // yes\n// no\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
    assert_eq!(code_lines(text), 1);
    assert!(is_test_file("beaker-sync/tests/it/main.rs"));
    assert!(!is_test_file("beaker-sync/src/testkit.rs"));
}

#[test]
fn every_allow_and_expect_has_a_reason() {
    check("attributes without a reason", tree::files_ending(".rs"), allows_without_reason);
}

#[test]
fn an_allow_without_a_reason_is_found() {
    let one = concat!("#", "[allow(dead_code)]\nfn a() {}\n");
    let two = concat!("    #", "![expect(\n    dead_code,\n    reason = \"why\"\n)]\n");
    assert_eq!(allows_without_reason(one), [1]);
    assert_eq!(allows_without_reason(two), []);
    assert_eq!(allows_without_reason("let a = b.expect(\"why\");\n"), []);
}

#[test]
fn no_test_sleeps_without_saying_why() {
    let mut files = tree::files_ending(".rs");
    files.retain(|file| is_test_file(&file.path) || file.text != without_tests(&file.text));
    for file in files.iter_mut().filter(|file| !is_test_file(&file.path)) {
        // What lies before the test module is not a test; its lines stay, so that numbers are right.
        let before = without_tests(&file.text).matches('\n').count();
        let tests = &file.text[without_tests(&file.text).len()..];
        file.text = "\n".repeat(before) + tests;
    }
    check("sleeps without `// sleep: why`", files, unexplained_sleeps);
}

#[test]
fn a_sleep_without_a_why_is_found() {
    let bare = concat!("use std::thread::", "sleep;\nthread::", "sleep(x);\n");
    let explained = concat!("// sleep: the kernel's tick is the subject.\nthread::", "sleep(x);\n");
    assert_eq!(unexplained_sleeps(bare), [1, 2]);
    assert_eq!(unexplained_sleeps(explained), []);
}

#[test]
fn the_tree_speaks_of_the_project_alone() {
    check("words of one machine", tree::files(), foreign_words);
}

#[test]
fn a_path_of_one_machine_is_found() {
    let absolute = concat!("see /wo", "rk/main\n");
    let beside = concat!("ok\nsee ../sha", "red/x\n");
    let harmless = concat!("a/wo", "rker ~/wo", "rk src/wo", "rk /wo", "rkspace\n");
    assert_eq!(foreign_words(absolute), [1]);
    assert_eq!(foreign_words(beside), [2]);
    assert_eq!(foreign_words(harmless), []);
}

#[test]
fn only_who_notes_it_changes_the_entries_of_sqlite() {
    let mut files = tree::files_ending(".rs");
    files.retain(|file| {
        let own = file.path.strip_prefix("beaker-backends/src/sqlite/");
        own.is_some_and(|name| !MAY_CHANGE_ENTRIES.contains(&name))
    });
    assert!(files.len() > 10, "the folder has another name now");
    check("changes of entries that nobody notes", files, changes_of_entries);
}

#[test]
fn a_change_of_entries_is_found() {
    let text = "let a = \"Delete from entries\";\n// reads from entries\nUPDATE entries SET\n";
    assert_eq!(changes_of_entries(text), [1, 3]);
}
