//! Reads the command line of `run` without clap, which takes longer than all the rest of a replay.
//
// Only what is plain is read: a known option once, with a value that is right, up to the command. For
// anything else (`--help`, a mistake, an abbreviation to come) the answer is `None`, and clap reads
// the line from its beginning and says what is wrong. What is read here, clap reads alike: a test
// holds the two against each other.

use std::env;
use std::ffi::{OsStr, OsString};

use super::{RunArgs, StoreArgs};
use crate::duration::{self, Ttl};
use crate::size;

/// What clap has as the defaults of `run`.
const DEFAULT_TTL: &str = "1h";
const DEFAULT_MAX_OUTPUT: u64 = 64 << 20;

/// The arguments of `run` in `words`, which begin after that word.
pub(crate) fn parse(words: &[OsString]) -> Option<(StoreArgs, RunArgs)> {
    let mut quick = Quick { words, seen: Vec::new() };
    let mut store = StoreArgs { store: None, namespace: None };
    let mut run = RunArgs {
        ttl: duration::parse_ttl(DEFAULT_TTL).unwrap_or(Ttl(None)),
        stale: None,
        scope: None,
        cwd: false,
        env: Vec::new(),
        modtime: Vec::new(),
        tag: Vec::new(),
        discard_failures: false,
        force: false,
        warm: false,
        timeout: None,
        wait: None,
        max_output: DEFAULT_MAX_OUTPUT,
        command: Vec::new(),
    };
    while let Some((name, value)) = quick.option()? {
        quick.set(&mut store, &mut run, name, value)?;
    }
    if store.store.is_none() {
        store.store = env::var_os("BEAKER_URL").map(OsString::into_string).transpose().ok()?;
    }
    run.command = quick.words.to_vec();
    (!run.command.is_empty()).then_some((store, run))
}

struct Quick<'a> {
    words: &'a [OsString],
    seen: Vec<&'a str>,
}

impl<'a> Quick<'a> {
    /// The next option and the value after its `=`; `Some(None)` at the command.
    fn option(&mut self) -> Option<Option<(&'a str, Option<&'a str>)>> {
        let (word, rest) = self.words.split_first()?;
        if word == "--" {
            self.words = rest;
            return Some(None);
        }
        if !word.as_encoded_bytes().starts_with(b"-") {
            // A `--` among the words of a command that stands alone is clap's to judge.
            return (!rest.iter().any(|word| word == "--")).then_some(None);
        }
        self.words = rest;
        let option = word.to_str()?.strip_prefix("--")?;
        Some(Some(match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        }))
    }

    fn set(
        &mut self,
        store: &mut StoreArgs,
        run: &mut RunArgs,
        name: &'a str,
        value: Option<&'a str>,
    ) -> Option<()> {
        if !matches!(name, "env" | "modtime" | "tag") {
            self.once(name)?;
        }
        match name {
            "ttl" => run.ttl = duration::parse_ttl(self.text(value)?).ok()?,
            "stale" => run.stale = Some(duration::parse(self.text(value)?).ok()?),
            "timeout" => run.timeout = Some(duration::parse(self.text(value)?).ok()?),
            "wait" => run.wait = Some(duration::parse(self.text(value)?).ok()?),
            "max-output" => run.max_output = size::parse(self.text(value)?).ok()?,
            "scope" => run.scope = Some(self.word(value)?.to_owned()),
            "env" => run.env.push(self.word(value)?.to_owned()),
            "modtime" => run.modtime.push(self.word(value)?.into()),
            "tag" => run.tag.push(super::parse_tag(self.text(value)?).ok()?),
            "store" => store.store = Some(self.text(value)?.to_owned()),
            "namespace" => store.namespace = Some(self.text(value)?.to_owned()),
            _ if value.is_some() => return None,
            "cwd" => run.cwd = true,
            "discard-failures" => run.discard_failures = true,
            "force" => run.force = true,
            "warm" => run.warm = true,
            _ => return None,
        }
        Some(())
    }

    fn once(&mut self, name: &'a str) -> Option<()> {
        let is_new = !self.seen.contains(&name);
        self.seen.push(name);
        is_new.then_some(())
    }

    /// The value after the `=`, or else the next word. What is empty or looks like an option is none.
    fn word(&mut self, after_equals: Option<&'a str>) -> Option<&'a OsStr> {
        let value = match after_equals {
            Some(value) => OsStr::new(value),
            None => {
                let (next, rest) = self.words.split_first()?;
                self.words = rest;
                next
            }
        };
        let first = value.as_encoded_bytes().first()?;
        (*first != b'-').then_some(value)
    }

    fn text(&mut self, after_equals: Option<&'a str>) -> Option<&'a str> {
        self.word(after_equals)?.to_str()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use clap::Parser;

    use super::super::{Cli, Command};
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn by_clap(words: &[OsString]) -> Option<String> {
        let start = ["beaker", "run"].map(OsString::from);
        let cli = Cli::try_parse_from(start.iter().chain(words)).ok()?;
        match cli.command {
            Command::Run(run) => Some(format!("{:?} {run:?}", cli.store)),
            other => panic!("not a run: {other:?}"),
        }
    }

    fn quickly(words: &[OsString]) -> Option<String> {
        parse(words).map(|(store, run)| format!("{store:?} {run:?}"))
    }

    #[test]
    fn what_is_plain_is_read_as_clap_reads_it() {
        for line in [
            "",
            "-- x",
            "x",
            "x -y --ttl",
            "--ttl 5m -- x -- y",
            "--ttl=5m --stale=1h x",
            "--ttl forever --scope a=b --cwd --env A --env B --modtime f --modtime=g -- x",
            "--tag a --tag=b --tag a -- x",
            "--discard-failures --force --warm --timeout 5s --wait 1m --max-output 1KiB -- x",
            "--store file:/x --namespace n -- x --store y",
            "--scope=a -- -x",
        ] {
            let words = words(line);
            assert!(quickly(&words).is_some(), "{line}");
            assert_eq!(quickly(&words), by_clap(&words), "{line}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_read_too() {
        let byte = || OsString::from_vec(vec![0xff]);
        let words = [OsString::from("--scope"), byte(), OsString::from("--"), byte()];
        assert!(quickly(&words).is_some());
        assert_eq!(quickly(&words), by_clap(&words));
    }

    #[test]
    fn anything_else_is_left_to_clap() {
        for line in [
            "--",
            "--help",
            "-h",
            "--tt 1h -- x",
            "--ttl",
            "--ttl soon -- x",
            "--ttl -1 -- x",
            "--ttl 1h --ttl 2h -- x",
            "--cwd=yes -- x",
            "--cwd --cwd x",
            "-n n x",
            "x -- y",
            "--scope= x",
            "--max-output lots x",
        ] {
            assert_eq!(quickly(&words(line)), None, "{line}");
        }
    }
}
