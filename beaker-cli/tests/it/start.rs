//! What the command needs before it can start.

use std::env;
use std::fs;

/// Whether the command has `text` in it, as it has the names of the libraries that it needs.
fn has(text: &str) -> bool {
    let command = fs::read(env!("CARGO_BIN_EXE_beaker")).unwrap();
    command.windows(text.len()).any(|part| part == text.as_bytes())
}

#[cfg(feature = "sqlite")]
#[test]
fn no_library_is_needed_for_a_part_of_sqlite_that_nobody_uses() {
    assert!(has("SQLite format 3"), "the control");
    // As `.cargo/config.toml` has it; a build elsewhere takes SQLite as it comes.
    if env::var("LIBSQLITE3_FLAGS").is_ok_and(|flags| flags.contains("-USQLITE_ENABLE_FTS5")) {
        assert!(!has("fts5"));
        // Other stores need it.
        if !cfg!(any(feature = "dbm", feature = "redb", feature = "sled")) {
            assert!(!has("libm.so"));
        }
    }
}

#[test]
fn the_library_that_walks_a_stack_is_in_the_command_where_it_can_be() {
    if option_env!("BEAKER_UNWINDER") == Some("own") {
        assert!(!has("libgcc_s.so"));
    }
}
