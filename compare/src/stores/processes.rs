//! Several processes on one store: this program, started again.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::ours::{self, Store};
use super::raw;
use super::subject::{Contestant, Outcome, Subject, VALUE_BYTES};
use crate::args::Args;
use crate::load::{BenchKey, Rng};
use crate::measure::{Rounds, quantile};
use crate::report::{Report, Table};

/// The first argument of a process that is a child.
const CHILD: &str = "--child";

const PROCESSES: u64 = 8;

const ENTRIES: usize = 1_000;

/// Of 100 operations.
const READS: usize = 90;

const SQLITE: &str = "ours, sqlite";
const RAW: &str = "raw rusqlite, busy_timeout";
const FILE: &str = "ours, file";

/// A store that is shared: its name, how a child opens it, and where it is.
struct Shared {
    name: &'static str,
    kind: &'static str,
    place: String,
}

/// What is measured of each; times in milliseconds.
const FIGURES: [&str; 7] =
    ["operations/s", "read p50", "read p99", "read worst", "write p50", "write p99", "write worst"];

pub(super) fn run(args: &Args, report: &mut Report) -> Result<(), Box<dyn Error>> {
    report.heading(&format!("stores: {PROCESSES} processes, {READS} % hits and the rest sets"));
    let millis = args.size(3_000, 250);
    report.note(&format!(
        "{ENTRIES} entries of {VALUE_BYTES} bytes; {millis} ms a round; operations of all processes \
         a second, and milliseconds: median (min) over the rounds."
    ));
    let dir = tempfile::tempdir()?;
    let shared = shared(dir.path())?;
    let rounds = args.rounds.div_ceil(3);
    let mut samples: [Vec<(String, Vec<f64>)>; FIGURES.len()] = Default::default();
    for column in &mut samples {
        *column = shared.iter().map(|store| (store.name.to_owned(), Vec::new())).collect();
    }
    for _ in 0..rounds {
        for (index, store) in shared.iter().enumerate() {
            for (column, figure) in samples.iter_mut().zip(store.round(millis)?) {
                column[index].1.push(figure);
            }
        }
    }
    let rounds = samples.map(Rounds::from_samples);
    let names: Vec<&str> = std::iter::once("store").chain(FIGURES).collect();
    let mut table = Table::new(&names);
    for store in &shared {
        let cells = rounds.iter().map(|rounds| rounds.cell(store.name));
        table.row(std::iter::once(store.name.to_owned()).chain(cells));
    }
    report.table(&table);
    judge(&rounds, report);
    Ok(())
}

fn judge(rounds: &[Rounds; FIGURES.len()], report: &mut Report) {
    let [speed, .., worst] = rounds;
    let beside = |rounds: &Rounds| format!("{RAW}: {:.0}", rounds.median(RAW));
    let name = format!("stores: {PROCESSES} processes, {SQLITE}");
    report.at_least(&name, speed.median(SQLITE), 50_000.0, " operations/s", &beside(speed));
    let name = format!("{name}, worst write");
    report.at_most(&name, worst.median(SQLITE), 150.0, " ms", &beside(worst));
}

/// Makes and loads them.
fn shared(dir: &Path) -> Outcome<Vec<Shared>> {
    let all = vec![
        Shared { name: RAW, kind: "raw", place: dir.join("raw.db").display().to_string() },
        Shared { name: SQLITE, kind: "ours", place: format!("sqlite://{}/ours.db", dir.display()) },
        Shared { name: FILE, kind: "ours", place: format!("file://{}/files", dir.display()) },
    ];
    for store in &all {
        let none = [0; 3];
        // Closed again before a child opens it.
        let _loaded = match store.kind {
            "raw" => {
                let raw = raw::Sqlite::open(Path::new(&store.place), "NORMAL")?;
                Contestant::loaded(store.name, store.name, none, ENTRIES, raw)?
            }
            _ => {
                let ours = Store(ours::open(&store.place)?);
                Contestant::loaded(store.name, store.name, none, ENTRIES, ours)?
            }
        };
    }
    Ok(all)
}

impl Shared {
    /// Starts the children, lets all go at once, and says [`FIGURES`].
    fn round(&self, millis: usize) -> Outcome<[f64; FIGURES.len()]> {
        let start = |seed| Running::start(self, millis, seed);
        let mut children = (0..PROCESSES).map(start).collect::<Outcome<Vec<_>>>()?;
        for child in &mut children {
            child.line()?;
        }
        for child in &mut children {
            child.go()?;
        }
        let (mut speed, mut reads, mut writes) = (0.0, Vec::new(), Vec::new());
        for child in &mut children {
            let seconds: f64 = child.line()?.parse()?;
            let (read, written) = (child.numbers()?, child.numbers()?);
            speed += (read.len() + written.len()) as f64 / seconds;
            reads.extend(read);
            writes.extend(written);
        }
        let [a, b, c] = spread(&reads);
        let [d, e, f] = spread(&writes);
        Ok([speed, a, b, c, d, e, f])
    }
}

fn spread(millis: &[f64]) -> [f64; 3] {
    [0.5, 0.99, 1.0].map(|part| quantile(millis, part))
}

/// A child at work. It is stopped if it is dropped before its end.
struct Running {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Running {
    fn start(store: &Shared, millis: usize, seed: u64) -> Outcome<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([CHILD, store.kind, &store.place])
            .args([millis.to_string(), seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let answers = process.stdout.take().ok_or("no standard output")?;
        Ok(Self { process, answers: BufReader::new(answers) })
    }

    fn go(&mut self) -> Outcome<()> {
        let mut asks = self.process.stdin.take().ok_or("no standard input")?;
        Ok(writeln!(asks, "go")?)
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("a child ended: {}", self.process.wait()?).into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn numbers(&mut self) -> Outcome<Vec<f64>> {
        let line = self.line()?;
        Ok(line.split_whitespace().map(f64::from_str).collect::<Result<_, _>>()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After its end there is nothing to stop.
        let _stopped = self.process.kill();
        let _status = self.process.wait();
    }
}

/// The work of a child, if this process is one.
pub(crate) fn child(mut arguments: impl Iterator<Item = String>) -> Option<ExitCode> {
    if arguments.next()? != CHILD {
        return None;
    }
    let arguments: Vec<String> = arguments.collect();
    Some(match work(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: a child: {error}");
            ExitCode::FAILURE
        }
    })
}

fn work(arguments: &[String]) -> Outcome<()> {
    let [kind, place, millis, seed] = arguments else {
        return Err("wrong arguments".into());
    };
    let job = (Duration::from_millis(millis.parse()?), seed.parse()?);
    match kind.as_str() {
        "raw" => operate(raw::Sqlite::open(Path::new(place), "NORMAL")?, job),
        _ => operate(Store(ours::open(place)?), job),
    }
}

/// Says that it is ready, waits for a line, works, and prints the seconds that it took, then the
/// milliseconds of each read, then of each write.
fn operate<S: Subject>(mut subject: S, (limit, seed): (Duration, u64)) -> Outcome<()> {
    let keys: Vec<S::Key> =
        (0..ENTRIES).map(|number| subject.key(String::of_rank(number))).collect();
    let value = subject.value(vec![b'v'; VALUE_BYTES]);
    let mut rng = Rng::new(seed);
    subject.get(&keys[0])?;
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    let began = Instant::now();
    while began.elapsed() < limit {
        let key = &keys[rng.below(ENTRIES)];
        let reading = rng.below(100) < READS;
        let start = Instant::now();
        if reading {
            subject.get(key)?.ok_or("a present key was not found")?;
        } else {
            subject.set(key, value.clone())?;
        }
        let took = start.elapsed().as_secs_f64() * 1e3;
        if reading { reads.push(took) } else { writes.push(took) }
    }
    println!("{}", began.elapsed().as_secs_f64());
    for took in [reads, writes] {
        println!("{}", took.iter().map(|each| format!("{each:.4} ")).collect::<String>());
    }
    Ok(())
}
