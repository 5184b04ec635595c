//! The command line.

pub(crate) mod quick;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use beaker_namespace::Mark;
use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::duration::{self, Ttl};
use crate::size;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    absent: there is no such entry, or it has expired
  2    the command line is wrong
  65   stored bytes cannot be read back, or are too large
  69   the store is unavailable
  73   the store is full
  74   standard input or output, or the file of an export, failed
  75   waited for too long; try again
  77   access was denied
  78   the store's URL or directory is wrong
  141  the reader of the output went away
`run` ends with the code of the command; see `beaker run --help`.";

const RUN_HELP: &str = "\
Examples:
  beaker run --ttl 1h -- git log --stat
  beaker run --ttl 10m --stale 1h --cwd -- make status
  beaker run --env AWS_PROFILE --discard-failures -- aws s3 ls
  beaker run --modtime Cargo.lock --ttl forever -- cargo tree
  beaker run --ttl 1h --warm -- slow-report
  beaker run --ttl 1d --tag deploy -- slow-report

The arguments are the key of the result, with what --scope, --cwd, --env and --modtime add. The \
command's standard input is passed to it and is no part of the key, so a replay does not read it. \
Standard output and standard error are captured through pipes and passed on as they come; a run is \
over when the command has ended and both are closed.

Only one process of this host runs a command at a time; the others wait and replay its result. The \
command shares beaker's process group, so Ctrl-C and Ctrl-Z reach it. HUP, INT, QUIT and TERM sent \
to beaker alone are passed on to it. A run that was interrupted is not kept. If the store cannot \
be used, the command runs all the same.

Exit codes:
  0-255  the command's own
  2      the command line is wrong
  75     another process was running the command for longer than --wait
  124    the command ran longer than --timeout
  125    beaker itself failed
  126    the command cannot be executed
  127    the command was not found
  128+n  signal n ended the command";

/// Runs a slow command once and replays it; keeps values in a store for scripts.
#[derive(Debug, Parser)]
#[command(name = "beaker", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// The store, such as sqlite:///var/cache/app.sqlite or file:///var/cache/app [default:
    /// beaker/beaker.sqlite in the user's cache directory]
    #[arg(long, global = true, value_name = "URL", env = "BEAKER_URL", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// The namespace in the store [default: run for `run`, else default]
    #[arg(long, short, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a command once and replays its output and exit code from then on
    Run(RunArgs),
    /// Writes the value under KEY to standard output
    #[command(after_help = "Examples:\n  beaker get greeting\n  beaker get '(\"user\", 42)'")]
    Get(KeyArgs),
    /// Stores a value under KEY
    #[command(after_help = "\
Examples:\n  beaker set greeting hello\n  beaker set --ttl 10m page < page.html\n  \
date | beaker set now -\n  beaker set --tag layout --tag news page < page.html")]
    Set(SetArgs),
    /// Removes entries; exits with 1 if none was there
    #[command(after_help = "Examples:\n  beaker del greeting page")]
    Del(DelArgs),
    /// Takes all entries that carry a tag for removed, or for expired
    #[command(after_help = "\
Examples:\n  beaker invalidate --tag layout\n  beaker invalidate --namespace run --tag deploy --soft\n  \
beaker invalidate --region short\n\n\
It is one write, however many entries there are: what began before it is not used any more, whoever \
stores it and when. The entries themselves go when they expire or are replaced.")]
    Invalidate(InvalidateArgs),
    /// Lists entries: size, age, expiry and key
    #[command(after_help = "\
Examples:\n  beaker ls\n  beaker ls user/\n  beaker ls --namespace run '(\"run\", (\"git\",))'\n  \
beaker ls --json | jq -r 'select(.expired).key'\n\n\
Keys are printed so that they can be pasted back. Expired and invalidated entries are listed until \
they are dropped. In JSON, `expired` is true of both.")]
    Ls(ListArgs),
    /// Says what is under KEY and why it would or would not be used
    #[command(after_help = "\
Examples:\n  beaker why greeting\n  beaker why --namespace run '(\"run\", (\"date\",))'\n  \
beaker why --region short greeting\n\n\
Exits with 0 if the entry is fresh, else with 1.")]
    Why(WhyArgs),
    /// Counts entries and bytes
    #[command(after_help = "\
Examples:\n  beaker stats\n  beaker stats --namespace run --json\n\n\
Without --namespace, of `default` and `run`.")]
    Stats(JsonArgs),
    /// Removes all entries of the namespace
    #[command(after_help = "Examples:\n  beaker clear\n  beaker clear --namespace run")]
    Clear,
    /// Drops what is out of date, damaged or left over by killed processes
    #[command(
        after_help = "Examples:\n  beaker gc\n\nWithout --namespace, of `default` and `run`."
    )]
    Gc,
    /// Writes the entries of the namespace to a file, for `import`
    #[command(after_help = "\
Examples:\n  beaker export cache.beaker\n  beaker export --prefix user/ users.beaker\n  \
beaker export - | ssh web2 beaker import -\n\n\
Values, times, tags and codecs are kept. What is expired or invalidated is left out. The file is \
replaced when the export is whole, and only its owner may read it.")]
    Export(ExportArgs),
    /// Stores the entries of a file that `export` wrote
    #[command(after_help = "\
Examples:\n  beaker import cache.beaker\n  beaker import --keep cache.beaker\n  \
beaker --store sqlite:///var/cache/app.sqlite import cache.beaker\n\n\
Entries keep their times, so none lives longer than it would have. What has expired or was \
invalidated since is left out; what `clear` or `del` removed comes back. A file that was cut off or \
changed is refused with 65, and nothing of it is stored; of standard input, what came before the \
damage is.")]
    Import(ImportArgs),
    /// Shows what is being created now, and what killed creators left
    #[command(after_help = "\
Examples:\n  beaker locks\n  beaker locks clean\n\nOf all namespaces of the store.")]
    Locks(LocksArgs),
    /// Prints a completion script for a shell
    #[command(after_help = "\
Examples:\n  beaker completions bash > ~/.local/share/bash-completion/completions/beaker")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArgs {
    /// How long a result is fresh: 90s, 10m, 1h30m, or `forever`
    #[arg(long, value_name = "DUR", default_value = "1h", value_parser = duration::parse_ttl)]
    pub(crate) ttl: Ttl,
    /// Serves a result expired for less than DUR at once, while one background run makes it anew
    #[arg(long, value_name = "DUR", value_parser = duration::parse)]
    pub(crate) stale: Option<Duration>,
    /// Keeps results apart from those of other scopes
    #[arg(long, value_name = "TEXT")]
    pub(crate) scope: Option<OsString>,
    /// Makes the working directory part of the key
    #[arg(long)]
    pub(crate) cwd: bool,
    /// Makes the value of this environment variable part of the key, hashed; repeatable
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    pub(crate) env: Vec<OsString>,
    /// Makes the modification time of this file part of the key; repeatable
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub(crate) modtime: Vec<PathBuf>,
    /// Gives the result this tag, for `beaker invalidate --namespace run`; repeatable
    #[arg(long, value_name = "TAG", action = ArgAction::Append, value_parser = parse_tag)]
    pub(crate) tag: Vec<String>,
    /// Does not keep the result of a command that fails; who waited for it runs it anew
    #[arg(long)]
    pub(crate) discard_failures: bool,
    /// Runs the command even if there is a fresh result, and replaces that
    #[arg(long)]
    pub(crate) force: bool,
    /// Starts the run in the background and returns at once, without output
    #[arg(long)]
    pub(crate) warm: bool,
    /// Kills the command after DUR and exits with 124; it then runs in a process group of its own,
    /// away from the terminal's input
    #[arg(long, value_name = "DUR", value_parser = duration::parse)]
    pub(crate) timeout: Option<Duration>,
    /// Waits at most DUR for another process that is running the command [default: no limit]
    #[arg(long, value_name = "DUR", value_parser = duration::parse)]
    pub(crate) wait: Option<Duration>,
    /// Passes output larger than this through without keeping it
    #[arg(long, value_name = "BYTES", default_value = "64MiB", value_parser = size::parse)]
    pub(crate) max_output: u64,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// A text, or a key as `beaker ls` prints it
    pub(crate) key: String,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// A text, or a key as `beaker ls` prints it
    pub(crate) key: String,
    /// The value; without it, or with `-`, standard input to its end
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: Option<OsString>,
    /// How long the value is fresh: 90s, 10m, 1h30m, or `forever`
    #[arg(long, value_name = "DUR", default_value = "forever", value_parser = duration::parse_ttl)]
    pub(crate) ttl: Ttl,
    /// Gives the entry this tag, for `beaker invalidate`; repeatable
    #[arg(long, value_name = "TAG", action = ArgAction::Append, value_parser = parse_tag)]
    pub(crate) tag: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DelArgs {
    /// Texts, or keys as `beaker ls` prints them
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct InvalidateArgs {
    /// The entries of the namespace that carry this tag; repeatable
    #[arg(long, value_name = "TAG", action = ArgAction::Append, value_parser = parse_tag)]
    #[arg(required_unless_present = "region")]
    pub(crate) tag: Vec<String>,
    /// What programs keep in this region of the store, in any namespace; repeatable
    #[arg(long, value_name = "NAME", action = ArgAction::Append, value_parser = parse_tag)]
    pub(crate) region: Vec<String>,
    /// Takes them for expired: they may be served stale where that is allowed
    #[arg(long)]
    pub(crate) soft: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only keys that begin with this text, or with the parts of this tuple
    pub(crate) prefix: Option<String>,
    /// One JSON object a line, times in seconds
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// A text, or a key as `beaker ls` prints it
    pub(crate) key: String,
    /// For a reader in this region, which may have been invalidated
    #[arg(long, value_name = "NAME", value_parser = parse_tag)]
    pub(crate) region: Option<String>,
    /// One JSON object, times in seconds
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JsonArgs {
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Only keys that begin with this text, or with the parts of this tuple
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<String>,
    /// The file to write, or `-` for standard output
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Leaves the keys that have an entry as they are
    #[arg(long)]
    pub(crate) keep: bool,
    /// The file to read, or `-` for standard input
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct LocksArgs {
    #[command(subcommand)]
    pub(crate) action: Option<LocksAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LocksAction {
    /// Removes what killed creators left, and nothing that is held
    Clean,
}

/// Reads a tag or the name of a region, as a store can mark it.
fn parse_tag(text: &str) -> Result<String, String> {
    match Mark::check_name(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(_) => Err(format!("write at most {} bytes", Mark::MAX_NAME_BYTES)),
    }
}
