//! Everything but `run`.

mod completions;
mod entries;
mod housekeeping;
mod listing;
mod locks;
mod transfer;
mod why;

use beaker_namespace::Key;

use crate::args::{Command, StoreArgs};
use crate::exit::{Failure, Outcome, USAGE};
use crate::run::{self, Mode};
use crate::store::{DEFAULT_NAMESPACE, RUN_NAMESPACE, Store};

/// Does what the command line says.
pub(crate) fn dispatch(command: &Command, store: &StoreArgs, mode: Mode) -> Outcome {
    match command {
        Command::Run(args) => run::run(args, store, mode),
        Command::Get(args) => entries::get(args, store),
        Command::Set(args) => entries::set(args, store),
        Command::Del(args) => entries::del(args, store),
        Command::Invalidate(args) => entries::invalidate(args, store),
        Command::Ls(args) => listing::ls(args, store),
        Command::Why(args) => why::why(args, store),
        Command::Stats(args) => housekeeping::stats(args, store),
        Command::Clear => housekeeping::clear(store),
        Command::Gc => housekeeping::gc(store),
        Command::Export(args) => transfer::export(args, store),
        Command::Import(args) => transfer::import(args, store),
        Command::Locks(args) => locks::locks(args, store),
        Command::Completions { shell } => completions::print(*shell),
    }
}

/// The namespace that the command line names, opened.
fn open(args: &StoreArgs) -> Result<std::sync::Arc<dyn beaker_namespace::Namespace>, Failure> {
    let name = args.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
    Ok(Store::from_args(args)?.open(name)?)
}

/// The namespace that the command line names, or those that this command uses.
fn names(args: &StoreArgs) -> Vec<&str> {
    match args.namespace.as_deref() {
        Some(name) => vec![name],
        None => vec![DEFAULT_NAMESPACE, RUN_NAMESPACE],
    }
}

/// Reads a key as `ls` prints it, or any text that does not look like such a key.
fn parse_key(text: &str) -> Result<Key, Failure> {
    let structural = |c: char| c.is_ascii_digit() || "(\"-".contains(c);
    match Key::parse(text) {
        Ok(key) => Ok(key),
        Err(_) if !text.starts_with(structural) && !text.starts_with("b\"") => Ok(Key::new(text)),
        Err(error) => Err(Failure::new(USAGE, format!("{error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_needs_no_quotes_unless_it_looks_like_another_key() {
        let text = |text: &str| parse_key(text).unwrap().as_text().map(str::to_owned);
        assert_eq!(text("greeting").as_deref(), Some("greeting"));
        assert_eq!(text("two words").as_deref(), Some("two words"));
        assert_eq!(text("").as_deref(), Some(""));
        assert_eq!(text("\"42\"").as_deref(), Some("42"));
        assert_eq!(text("42"), None);
    }

    #[test]
    fn a_broken_key_is_not_taken_for_a_text() {
        for broken in ["(\"run\"", "\"open", "10am", "b\"x"] {
            assert_eq!(parse_key(broken).unwrap_err().code(), USAGE, "{broken}");
        }
    }
}
