//! The command line: words in, [`Command`] out.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;

pub(crate) const HELP: &str = "\
usage: cargo xtask demo [--port N] [--dir DIR] [--store URL] [--drain-ms N]
                        [--no-exit] [--insecure-cookie]

A site to click at: http://127.0.0.1:8080

  --port N      the port on 127.0.0.1 (default 8080; 0 takes a free one)
  --dir DIR     where the state is kept across restarts (default target/demo)
  --store URL   where sessions and cached values are, such as redb:///tmp/demo.redb or memory:
                (default: BEAKER_URL, else demo.sqlite in DIR)
  --drain-ms N  how long requests that are under way are waited for when it is asked to stop
                (default 10000; 0 leaves them at once)
  --no-exit     takes the page's button away that stops the server abruptly, as `kill -9` does
  --insecure-cookie
                a cookie without Secure, for browsers that keep none over plain http (Safari)
  --help        this text
";

/// What the person asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Serve(Options),
}

/// How the site is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) port: u16,
    pub(crate) dir: PathBuf,
    /// `None` is SQLite in `dir`.
    pub(crate) store: Option<String>,
    /// How long requests that are under way are waited for at the end.
    pub(crate) drain: Duration,
    pub(crate) exit: Exit,
    pub(crate) cookie: Cookie,
}

/// How the cookie is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    Secure,
    Insecure,
}

/// Whether the page may stop the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Refused,
    Allowed,
}

/// Reads the words after the program's name; `from_environment` is the store if none is named.
///
/// # Errors
///
/// An unknown word and a wrong value are usage errors that say what is right.
pub(crate) fn parse(words: &[String], from_environment: Option<String>) -> Result<Command, Error> {
    let mut options = Options {
        port: 8080,
        dir: "target/demo".into(),
        store: None,
        drain: Duration::from_secs(10),
        exit: Exit::Allowed,
        cookie: Cookie::Secure,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, joined) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let mut value = || {
            let value = joined.clone().or_else(|| words.next().cloned());
            value.ok_or_else(|| Error::usage(format!("{name} needs a value\n\n{HELP}")))
        };
        match name {
            "--help" | "-h" => return Ok(Command::Help),
            "--port" => options.port = port(&value()?)?,
            "--dir" => options.dir = value()?.into(),
            "--store" => options.store = Some(value()?),
            "--drain-ms" => options.drain = millis(name, &value()?)?,
            "--no-exit" if joined.is_none() => options.exit = Exit::Refused,
            "--insecure-cookie" if joined.is_none() => options.cookie = Cookie::Insecure,
            _ => return Err(Error::usage(format!("unknown option `{word}`\n\n{HELP}"))),
        }
    }
    let named = from_environment.filter(|url| !url.is_empty());
    options.store = options.store.or(named);
    Ok(Command::Serve(options))
}

fn port(text: &str) -> Result<u16, Error> {
    text.parse().map_err(|_| Error::usage(format!("--port takes 0 to 65535, not `{text}`")))
}

fn millis(name: &str, text: &str) -> Result<Duration, Error> {
    let millis = text.parse::<u32>().map(|millis| Duration::from_millis(millis.into()));
    millis.map_err(|_| Error::usage(format!("{name} takes a number of milliseconds, not `{text}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(line: &str, environment: Option<&str>) -> Options {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&words, environment.map(str::to_owned)).unwrap() {
            Command::Serve(options) => options,
            Command::Help => panic!("help"),
        }
    }

    fn refused(line: &str) -> String {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let error = parse(&words, None).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn no_words_serve_at_8080_with_all_that_the_page_can_show() {
        let options = served("", None);
        assert_eq!((options.port, options.exit), (8080, Exit::Allowed));
        assert_eq!(options.drain, Duration::from_secs(10));
        assert_eq!(options.cookie, Cookie::Secure);
        assert_eq!((options.dir, options.store), (PathBuf::from("target/demo"), None));
    }

    #[test]
    fn a_value_may_be_joined_or_follow() {
        let options = served(
            "--port=0 --dir /d --store memory: --drain-ms 5 --no-exit --insecure-cookie",
            None,
        );
        assert_eq!((options.port, options.exit), (0, Exit::Refused));
        assert_eq!(options.drain, Duration::from_millis(5));
        assert_eq!(options.cookie, Cookie::Insecure);
        assert_eq!((options.dir, options.store), (PathBuf::from("/d"), Some("memory:".to_owned())));
    }

    #[test]
    fn the_named_store_goes_before_that_of_the_environment() {
        assert_eq!(served("", Some("file:/a")).store.as_deref(), Some("file:/a"));
        assert_eq!(served("--store redb:/b", Some("file:/a")).store.as_deref(), Some("redb:/b"));
        assert_eq!(served("", Some("")).store, None);
    }

    #[test]
    fn a_wrong_word_is_named() {
        assert!(refused("--prot 1").starts_with("unknown option `--prot`"));
        assert!(refused("--no-exit=yes").starts_with("unknown option `--no-exit=yes`"));
        let error = "--drain-ms takes a number of milliseconds, not `1s`";
        assert_eq!(refused("--drain-ms 1s"), error);
        assert!(refused("--dir").starts_with("--dir needs a value"));
        assert_eq!(refused("--port 65536"), "--port takes 0 to 65535, not `65536`");
    }
}
