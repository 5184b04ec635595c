//! The command line: words in, [`Command`] out.

use crate::ci::Step;
use crate::error::{Error, Result};
use crate::report::Gaps;

/// What the person asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Test { args: Vec<String>, gaps: Gaps },
    Ci { steps: Vec<Step>, gaps: Gaps },
    Alone,
    Crates,
    Doc,
    Bench { packages: Vec<String>, args: Vec<String> },
    Compare(Vec<String>),
    Storm { seconds: u32 },
    Loom { preemptions: u32 },
    Miri,
    Fuzz { seconds: u32, targets: Vec<String> },
    Demo(Vec<String>),
    Install(Vec<String>),
}

impl Command {
    /// What it makes of gaps.
    pub(crate) fn gaps(&self) -> Gaps {
        match self {
            Self::Test { gaps, .. } | Self::Ci { gaps, .. } => *gaps,
            _ => Gaps::Tell,
        }
    }
}

/// Name, arguments and effect of each command, in the order of the help.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("demo", "[-- ARGS]", "a site to click at, http://127.0.0.1:8080; `demo -- --help` tells more"),
    ("install", "[ARGS]", "the `beaker` command, to start soonest; ARGS go to cargo install"),
    (
        "test",
        "[--no-gaps] [ARGS]",
        "all tests with every feature, and the doc tests; `-- ARGS` go to each test program, others to cargo test; \
         with --no-gaps one that could not be run here fails",
    ),
    (
        "ci",
        "[--no-gaps] [STEP]... [--from STEP] [--skip STEP]...",
        "every gate, or the named ones; with --no-gaps what could not be verified here fails in the end",
    ),
    ("alone", "", "all tests of the stores and proxies, with one feature at a time"),
    ("crates", "", "all tests of each crate on its own, with its default features"),
    ("doc", "", "the documentation, warnings denied"),
    ("bench", "[CRATE]... [-- ARGS]", "the benchmarks of each crate; ARGS go to criterion"),
    ("compare", "[ARGS]", "the same work on other caches, in one run"),
    ("storm", "[--seconds N]", "processes killed at random, N seconds a row (default 30)"),
    (
        "loom",
        "[--preemptions N]",
        "the lock and flight models: loom at N preemptions (default 2), then shuttle at random",
    ),
    ("miri", "", "the lock that has unsafe code and the flights under Miri, where nightly has it"),
    ("fuzz", "[TARGET]... [--seconds N]", "the fuzz targets, N seconds each (default 30)"),
    ("help", "", "this text"),
];

/// The commands whose words go to another program, which has a help of its own.
const PASS_WORDS_ON: &[&str] = &["test", "install", "compare", "bench", "demo"];

/// Reads the words after `cargo xtask`.
///
/// # Errors
///
/// An unknown word is a usage error that lists the words known.
pub(crate) fn parse(args: &[String]) -> Result<Command> {
    let Some((name, rest)) = args.split_first() else {
        return Err(Error::usage(format!("no command given\n\n{}", help())));
    };
    let rest = rest.to_vec();
    if !PASS_WORDS_ON.contains(&name.as_str()) && rest.iter().any(|word| is_help(word)) {
        return Ok(Command::Help);
    }
    match name.as_str() {
        "help" => Ok(Command::Help),
        flag if is_help(flag) => Ok(Command::Help),
        "test" => test(rest),
        "install" => Ok(Command::Install(rest)),
        "compare" => Ok(Command::Compare(rest)),
        "ci" => ci(rest),
        "bench" => Ok(bench(rest)),
        "alone" => no_more(rest).map(|()| Command::Alone),
        "crates" => no_more(rest).map(|()| Command::Crates),
        "doc" => no_more(rest).map(|()| Command::Doc),
        "miri" => no_more(rest).map(|()| Command::Miri),
        "storm" => storm(rest),
        "loom" => loom(rest),
        "fuzz" => fuzz(rest),
        "demo" => Ok(Command::Demo(demo(rest))),
        _ => Err(Error::usage(format!("unknown command `{name}`; one of: {}", names()))),
    }
}

/// The help text: a line a command, then the steps of `ci`.
pub(crate) fn help() -> String {
    let mut text = String::from("usage: cargo xtask COMMAND\n\n");
    for (name, args, what) in COMMANDS {
        let call = format!("{name} {args}");
        text.push_str(&format!("  {}\n        {what}\n", call.trim_end()));
    }
    text.push_str("\nsteps of ci, in order:\n");
    for step in Step::ALL {
        text.push_str(&format!("  {:<9} {}\n", step.name(), step.what()));
    }
    text
}

fn is_help(word: &str) -> bool {
    word == "--help" || word == "-h"
}

fn names() -> String {
    let names: Vec<&str> = COMMANDS.iter().map(|(name, ..)| *name).collect();
    names.join(", ")
}

fn test(mut args: Vec<String>) -> Result<Command> {
    let gaps = gaps(&mut args);
    if gaps == Gaps::Refuse && args.first().is_some_and(|word| word != "--") {
        return Err(Error::usage("--no-gaps: what `cargo test` itself says is not looked through"));
    }
    Ok(Command::Test { args, gaps })
}

fn ci(mut words: Vec<String>) -> Result<Command> {
    let gaps = gaps(&mut words);
    steps(words).map(|steps| Command::Ci { steps, gaps })
}

/// Takes `--no-gaps` out of `words`, but for those behind `--`, which are for other programs.
fn gaps(words: &mut Vec<String>) -> Gaps {
    let ours = words.iter().position(|word| word == "--").unwrap_or(words.len());
    match words[..ours].iter().position(|word| word == "--no-gaps") {
        Some(at) => {
            words.remove(at);
            Gaps::Refuse
        }
        None => Gaps::Tell,
    }
}

fn steps(mut words: Vec<String>) -> Result<Vec<Step>> {
    let from = option(&mut words, "--from")?.map(|name| step(&name)).transpose()?;
    let mut skipped = Vec::new();
    while let Some(name) = option(&mut words, "--skip")? {
        skipped.push(step(&name)?);
    }
    let named = words.iter().map(|word| step(word)).collect::<Result<Vec<_>>>()?;
    let wanted = |candidate: &Step| {
        (named.is_empty() || named.contains(candidate))
            && from.is_none_or(|first| *candidate >= first)
            && !skipped.contains(candidate)
    };
    let steps: Vec<Step> = Step::ALL.into_iter().filter(wanted).collect();
    if steps.is_empty() {
        return Err(Error::usage("no step is left to run"));
    }
    Ok(steps)
}

fn step(name: &str) -> Result<Step> {
    let found = Step::ALL.into_iter().find(|step| step.name() == name);
    found.ok_or_else(|| {
        let known = Step::ALL.map(Step::name).join(", ");
        Error::usage(format!("unknown step `{name}`; one of: {known}"))
    })
}

fn bench(words: Vec<String>) -> Command {
    let mut parts = words.splitn(2, |word| word == "--");
    let mut part = || parts.next().map(<[String]>::to_vec).unwrap_or_default();
    Command::Bench { packages: part(), args: part() }
}

/// The words for the demo itself, whether or not they stand behind `--`.
fn demo(mut words: Vec<String>) -> Vec<String> {
    if words.first().is_some_and(|word| word == "--") {
        words.remove(0);
    }
    words
}

fn storm(mut words: Vec<String>) -> Result<Command> {
    let seconds = number(&mut words, "--seconds", 30)?;
    no_more(words).map(|()| Command::Storm { seconds })
}

fn loom(mut words: Vec<String>) -> Result<Command> {
    let preemptions = number(&mut words, "--preemptions", 2)?;
    no_more(words).map(|()| Command::Loom { preemptions })
}

fn fuzz(mut words: Vec<String>) -> Result<Command> {
    let seconds = number(&mut words, "--seconds", 30)?;
    if let Some(flag) = words.iter().find(|word| word.starts_with('-')) {
        return Err(Error::usage(format!("unknown option `{flag}`")));
    }
    Ok(Command::Fuzz { seconds, targets: words })
}

fn number(words: &mut Vec<String>, name: &str, default: u32) -> Result<u32> {
    let Some(text) = option(words, name)? else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Error::usage(format!("{name} takes a number above 0, not `{text}`")))
}

/// Takes `name VALUE` or `name=VALUE` out of `words`; the first one if it stands there more often.
fn option(words: &mut Vec<String>, name: &str) -> Result<Option<String>> {
    let joined = format!("{name}=");
    let Some(at) = words.iter().position(|word| word == name || word.starts_with(&joined)) else {
        return Ok(None);
    };
    let word = words.remove(at);
    if let Some(value) = word.strip_prefix(&joined) {
        return Ok(Some(value.to_owned()));
    }
    if at == words.len() {
        return Err(Error::usage(format!("{name} needs a value")));
    }
    Ok(Some(words.remove(at)))
}

fn no_more(words: Vec<String>) -> Result<()> {
    match words.first() {
        None => Ok(()),
        Some(word) => Err(Error::usage(format!("unexpected `{word}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    fn usage_error(line: &str) -> String {
        let error = parsed(line).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn every_command_of_the_help_is_known() {
        for (name, ..) in COMMANDS {
            assert!(parsed(name).is_ok(), "{name}");
            assert!(help().contains(&format!("\n  {name}")), "{name}");
        }
    }

    #[test]
    fn an_unknown_command_lists_the_known_ones() {
        let error = usage_error("tset");
        assert!(
            error.starts_with("unknown command `tset`; one of: demo, install, test"),
            "{error}"
        );
    }

    #[test]
    fn no_command_shows_the_help() {
        assert!(usage_error("").contains("usage: cargo xtask COMMAND"));
    }

    #[test]
    fn help_asked_of_a_command_is_the_help_unless_another_program_has_its_own() {
        for line in ["storm --help", "ci -h", "fuzz parse --help", "miri --help", "--help"] {
            assert_eq!(parsed(line).unwrap(), Command::Help, "{line}");
        }
        let words = ["--", "--help"].map(str::to_owned).to_vec();
        assert_eq!(
            parsed("test -- --help").unwrap(),
            Command::Test { args: words, gaps: Gaps::Tell }
        );
        assert_eq!(parsed("compare --help").unwrap(), Command::Compare(vec!["--help".to_owned()]));
    }

    #[test]
    fn ci_without_steps_runs_all_in_order() {
        let all = Command::Ci { steps: Step::ALL.to_vec(), gaps: Gaps::Tell };
        assert_eq!(parsed("ci").unwrap(), all);
    }

    #[test]
    fn named_steps_run_in_the_order_of_ci() {
        let two = Command::Ci { steps: vec![Step::Fmt, Step::Lint], gaps: Gaps::Tell };
        assert_eq!(parsed("ci lint fmt").unwrap(), two);
    }

    #[test]
    fn gaps_are_refused_where_that_is_asked_for() {
        let two = Command::Ci { steps: vec![Step::Fmt, Step::Lint], gaps: Gaps::Refuse };
        assert_eq!(parsed("ci lint --no-gaps fmt").unwrap(), two);
        let test = |args: &[&str], gaps| {
            let args = args.iter().map(|&word| word.to_owned()).collect();
            Command::Test { args, gaps }
        };
        assert_eq!(parsed("test --no-gaps").unwrap(), test(&[], Gaps::Refuse));
        assert_eq!(
            parsed("test -- x --no-gaps").unwrap(),
            test(&["--", "x", "--no-gaps"], Gaps::Tell),
            "a word for the test programs"
        );
        let error = usage_error("test --no-gaps --lib");
        assert!(error.contains("is not looked through"), "{error}");
    }

    #[test]
    fn from_and_skip_cut_the_list() {
        let Command::Ci { steps, .. } = parsed("ci --from loom --skip=storm").unwrap() else {
            panic!("not ci");
        };
        assert_eq!(steps, [Step::Loom, Step::Miri]);
        assert_eq!(usage_error("ci loom --skip loom"), "no step is left to run");
    }

    #[test]
    fn an_unknown_step_lists_the_known_ones() {
        let error = usage_error("ci fmt lnit");
        assert!(error.starts_with("unknown step `lnit`; one of: fmt, lint"), "{error}");
        assert!(usage_error("ci --from x").starts_with("unknown step `x`"));
    }

    #[test]
    fn numbers_are_read_and_checked() {
        assert_eq!(parsed("storm --seconds 3").unwrap(), Command::Storm { seconds: 3 });
        assert_eq!(parsed("storm").unwrap(), Command::Storm { seconds: 30 });
        assert_eq!(parsed("loom --preemptions=3").unwrap(), Command::Loom { preemptions: 3 });
        assert_eq!(usage_error("storm --seconds"), "--seconds needs a value");
        assert_eq!(
            usage_error("loom --preemptions 0"),
            "--preemptions takes a number above 0, not `0`"
        );
    }

    #[test]
    fn bench_splits_crates_from_the_arguments_of_criterion() {
        let bench = Command::Bench { packages: vec!["a".into()], args: vec!["--quick".into()] };
        assert_eq!(parsed("bench a -- --quick").unwrap(), bench);
    }

    #[test]
    fn words_for_the_demo_may_stand_behind_dashes() {
        let demo = Command::Demo(vec!["--port".into(), "0".into()]);
        assert_eq!(parsed("demo -- --port 0").unwrap(), demo);
        assert_eq!(parsed("demo --port 0").unwrap(), demo);
    }

    #[test]
    fn words_that_mean_nothing_are_refused() {
        assert_eq!(usage_error("doc x"), "unexpected `x`");
        assert_eq!(usage_error("fuzz --fast"), "unknown option `--fast`");
    }
}
