//! The command line.

use std::path::PathBuf;

pub(crate) const HELP: &str = "\
The same work on Beaker and on its peers, in one run.

usage: cargo xtask compare [PART…] [OPTION…]

parts (all, if none is named):
  memory   hits in memory: 100,000 entries, a hot set of 1,000, text keys; 1, 2 and 8 threads
  miss     creation of 10,000 absent keys, each once, with a creator that does nothing
  stall    what one slow creator does to the users of other keys
  file     the file store at 50,000 entries, beside diskcache and Python's Beaker
  stores   our stores beside the engines below them, alone and with 8 processes
  tasks    asynchronous callers: hits, 1,000 tasks on one absent key, 10,000 absent keys; and
           functions with cached results
  hits     hit ratios on synthetic requests and on traces
  sessions requests with a session, in process, beside the session layers of axum and actix-web
  races    what is left of a session when requests meet and stores fail, beside the same

options:
  --quick          a smoke test: every part, small, in less than 20 seconds
  --rounds N       rounds of each measurement (default: 9; 3 with --quick)
  --threads A,B    thread counts (default: 1,2,8)
  --only WORD      of the memory part, the tables whose name contains WORD; of the stores part,
                   sqlite, redb, dbm, sled, file, diskcache or processes
  --traces DIR     also replay *.lis.zst (ARC's format) and *.u32.zst in DIR
  --markdown       tables as Markdown
  --check          exit with 1 if a target is missed
";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Memory,
    Miss,
    Stall,
    File,
    Stores,
    Tasks,
    Hits,
    Sessions,
    Races,
}

const PARTS: [(&str, Part); 9] = [
    ("memory", Part::Memory),
    ("miss", Part::Miss),
    ("stall", Part::Stall),
    ("file", Part::File),
    ("stores", Part::Stores),
    ("tasks", Part::Tasks),
    ("hits", Part::Hits),
    ("sessions", Part::Sessions),
    ("races", Part::Races),
];

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) parts: Vec<Part>,
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) threads: Vec<usize>,
    pub(crate) only: Option<String>,
    pub(crate) traces: Option<PathBuf>,
    pub(crate) markdown: bool,
    pub(crate) check: bool,
}

impl Args {
    /// `None` if help was asked for.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut words = words;
        let mut args = Self::defaults();
        let mut rounds = None;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--help" | "-h" | "help" => return Ok(None),
                "--quick" => args.quick = true,
                "--markdown" => args.markdown = true,
                "--check" => args.check = true,
                "--rounds" => rounds = Some(number(&value()?)?.max(1)),
                "--threads" => {
                    args.threads = value()?.split(',').map(number).collect::<Result<_, _>>()?;
                }
                "--only" => args.only = Some(value()?),
                "--traces" => args.traces = Some(PathBuf::from(value()?)),
                "all" => args.parts.extend(PARTS.map(|(_, part)| part)),
                name => args.parts.push(part(name)?),
            }
        }
        if args.parts.is_empty() {
            args.parts = PARTS.map(|(_, part)| part).to_vec();
        }
        args.rounds = rounds.unwrap_or(if args.quick { 3 } else { 9 });
        Ok(Some(args))
    }

    fn defaults() -> Self {
        Self {
            parts: Vec::new(),
            quick: false,
            rounds: 0,
            threads: vec![1, 2, 8],
            only: None,
            traces: None,
            markdown: false,
            check: false,
        }
    }

    /// Whether the part of a part that is called `name` is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|word| name.contains(word))
    }

    /// `full`, or `quick` in a smoke test.
    pub(crate) fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}

fn part(name: &str) -> Result<Part, String> {
    let known = PARTS.iter().find(|(known, _)| *known == name);
    known.map(|(_, part)| *part).ok_or(format!("there is no part or option `{name}`"))
}

fn number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{text}` is not a positive number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Args>, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn no_part_means_all() {
        let args = parse("--quick").unwrap().unwrap();
        assert_eq!(args.parts.len(), PARTS.len());
        assert_eq!(args.rounds, 3);
        assert_eq!(args.threads, [1, 2, 8]);
    }

    #[test]
    fn rounds_hold_whether_they_come_before_quick_or_after() {
        assert_eq!(parse("--rounds 5 --quick memory").unwrap().unwrap().rounds, 5);
        assert_eq!(parse("memory --quick --rounds 5").unwrap().unwrap().rounds, 5);
    }

    #[test]
    fn what_is_unknown_is_named() {
        assert_eq!(parse("memroy").unwrap_err(), "there is no part or option `memroy`");
        assert_eq!(parse("--threads 1,x").unwrap_err(), "`x` is not a positive number");
        assert_eq!(parse("--rounds").unwrap_err(), "--rounds wants a value");
    }
}
