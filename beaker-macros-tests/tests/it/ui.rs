//! What does not compile says what to write instead.

/// Takes a minute the first time: it compiles a crate of its own.
///
/// The messages are ours, but for those in `tests/ui/rustc`: when a new compiler words them
/// otherwise, `TRYBUILD=overwrite cargo test -p beaker-macros-tests` takes the new words.
#[test]
fn what_cannot_be_cached_says_what_to_write() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    cases.compile_fail("tests/ui/rustc/*.rs");
}
