//! Row F18: at the instant when a value expires, thousands of tasks in several processes ask for it.
//! One of them makes the new one, and all others get the old one at once.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use beaker_container::{Cache, Got, Source, Stale};
use beaker_namespace::Timestamp;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use crate::children::{HANG, Me, Other, Store, storm_time, times_count};
use crate::log::{Creations, Log};

const PROCESSES: usize = 4;
const TASKS: usize = 1_000;
/// How many more times each process asks, one after the other, before the new value is there.
const CALM_READS: usize = 100;
/// What a stale read may take on a quiet machine. It is judged where a read's time is its own: the
/// herd's four thousand are in each other's way.
const STALE_GOAL_MS: f64 = 5.0;
/// From the moment when a value is stored to its expiry: the processes find out the instant in it.
const SHORT: Duration = Duration::from_millis(60);
const HOUR: Duration = Duration::from_secs(3600);
const FEWEST_ROUNDS: u32 = 2;
const MOST_ROUNDS: u32 = 50;
const OLD: u32 = 0;
const NEW: u32 = 1;

fn cache(store: Store, dir: &Path) -> Cache<String, u32> {
    Cache::new(store.open(dir)).with_ttl(HOUR).with_stale(Stale::WhileRefreshing { max_age: HOUR })
}

fn key(round: u32) -> String {
    format!("round {round}")
}

// ---- one process of the herd ----

/// What a task tells.
enum Told {
    /// It creates.
    Creates,
    /// What it got, and how long that took from the moment when it asked.
    Got(Got<u32>, Duration),
}

/// Not a test by itself: what the child processes run.
#[test]
fn child_herd() {
    let Some(me) = Me::as_child() else { return };
    let store = Store::parse(&me.words);
    let cache = cache(store, &me.dir);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let log = Arc::new(Log::open(&me.dir));
    while let Some(round) = Me::hears() {
        let key = key(round.parse().unwrap());
        let gates = [Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0))];
        let herd = gather(&runtime, &cache, &log, &key, &gates);
        Me::tell("ready");
        Me::await_line("stored");
        if store == Store::Own {
            cache.insert_with_ttl(&key, OLD, SHORT).unwrap();
        }
        let entry = cache.namespace().get(&cache.key_of(&key)).unwrap().unwrap();
        let late = sleep_until(entry.expires());
        let [start, finish] = gates;
        start.add_permits(TASKS);
        let (creating, answers) = answers_at_once(&herd);
        Me::tell(&late.as_micros().to_string());
        tell_all(answers);
        Me::await_line("once more");
        tell_all((0..CALM_READS).map(|_| calm_read(&runtime, &cache, &key)));
        Me::await_line("finish");
        finish.add_permits(TASKS);
        for _ in 0..creating {
            let made = herd.recv_timeout(HANG).unwrap();
            assert!(matches!(made, Told::Got(Got { value: NEW, source: Source::Created, .. }, _)));
        }
        Me::tell("done");
    }
}

/// Starts the tasks. Each asks when the first gate lets it; whoever creates ends when the second
/// does.
fn gather(
    runtime: &Runtime,
    cache: &Cache<String, u32>,
    log: &Arc<Log>,
    key: &str,
    [start, finish]: &[Arc<Semaphore>; 2],
) -> Receiver<Told> {
    let (tell, herd) = channel();
    for _ in 0..TASKS {
        let (cache, key, log) = (cache.clone(), key.to_owned(), Arc::clone(log));
        let (start, finish, tell) = (Arc::clone(start), Arc::clone(finish), tell.clone());
        runtime.spawn(async move {
            start.acquire().await.unwrap().forget();
            let asked = Instant::now();
            let create = |_| async {
                let _creating = log.creating(&key);
                tell.send(Told::Creates).unwrap();
                finish.acquire().await.unwrap().forget();
                Ok::<_, Infallible>(NEW)
            };
            let got = cache.fetch(&key).try_create_async(create).await.unwrap();
            tell.send(Told::Got(got, asked.elapsed())).unwrap();
        });
    }
    herd
}

/// Sleeps until the clock says `instant`, and says how much later it is.
fn sleep_until(instant: Timestamp) -> Duration {
    let instant = UNIX_EPOCH + Duration::from_micros(instant.as_micros().unsigned_abs());
    // sleep: the herd comes at an instant, not before.
    std::thread::sleep(instant.duration_since(SystemTime::now()).unwrap_or_default());
    SystemTime::now().duration_since(instant).unwrap_or_default()
}

/// How many tasks create, and what all others got while they do.
fn answers_at_once(herd: &Receiver<Told>) -> (usize, Vec<Answer>) {
    let (mut creating, mut answers) = (0, Vec::new());
    while creating + answers.len() < TASKS {
        match herd.recv_timeout(HANG / 2).expect("somebody waits") {
            Told::Creates => creating += 1,
            Told::Got(got, took) => answers.push(Answer::of(&got, took)),
        }
    }
    (creating, answers)
}

fn tell_all(answers: impl IntoIterator<Item = Answer>) {
    let words: Vec<String> = answers.into_iter().map(Answer::to_word).collect();
    Me::tell(&words.join(" "));
}

/// Asks for the value once the herd is served, while it is still made anew.
fn calm_read(runtime: &Runtime, cache: &Cache<String, u32>, key: &str) -> Answer {
    let asked = Instant::now();
    let create = |_| async { Ok::<_, Infallible>(NEW) };
    let got = runtime.block_on(cache.fetch(key).try_create_async(create)).unwrap();
    let answer = Answer::of(&got, asked.elapsed());
    if answer.kind == Answer::STALE { Answer { kind: Answer::CALM, ..answer } } else { answer }
}

// ---- the herd ----

/// What one task got while another one created.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Answer {
    kind: char,
    took: Duration,
}

impl Answer {
    /// The old value, in the herd: its time is mostly that of the others' reads.
    const STALE: char = 'S';
    /// The old value, after the herd.
    const CALM: char = 'C';
    /// The old value, not yet expired by the clock of reads, which is late by up to a tick.
    const FRESH: char = 'F';
    const WRONG: char = 'W';

    fn of(got: &Got<u32>, took: Duration) -> Self {
        let kind = match (got.value, got.source) {
            (OLD, Source::Stale) => Self::STALE,
            (OLD, Source::Fresh) => Self::FRESH,
            _ => Self::WRONG,
        };
        Self { kind, took }
    }

    fn to_word(self) -> String {
        format!("{}{}", self.kind, self.took.as_micros())
    }

    fn parse(word: &str) -> Self {
        let (kind, time) = word.split_at(1);
        Self { kind: kind.chars().next().unwrap(), took: micros(time) }
    }
}

fn micros(word: &str) -> Duration {
    Duration::from_micros(word.parse().unwrap())
}

/// What the rounds showed.
#[derive(Debug, Default)]
struct Report {
    /// How many creations each expiry had.
    per_expiry: Vec<usize>,
    answers: Vec<Answer>,
    latest: Duration,
}

impl Report {
    fn count(&self, kind: char) -> usize {
        self.answers.iter().filter(|answer| answer.kind == kind).count()
    }

    /// The time of which all but one in a hundred reads took less.
    fn p99_ms(&self, kind: char) -> f64 {
        let of_kind = self.answers.iter().filter(|answer| answer.kind == kind);
        let mut times: Vec<Duration> = of_kind.map(|answer| answer.took).collect();
        times.sort_unstable();
        let time = times.get(times.len() * 99 / 100).or(times.last());
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }

    /// Whatever is wrong, in a word; `ok` if nothing is.
    fn verdict(&self) -> &'static str {
        let asked = self.per_expiry.len() * PROCESSES * (TASKS + CALM_READS);
        match self {
            report if report.per_expiry.iter().any(|&creations| creations != 1) => "HERD",
            report if report.count(Answer::WRONG) > 0 => "WRONG VALUE",
            report if report.answers.len() + report.per_expiry.len() != asked => "UNANSWERED",
            report if report.count(Answer::STALE) == 0 => "NOBODY SERVED STALE",
            report if times_count() && report.p99_ms(Answer::CALM) > STALE_GOAL_MS => "SLOW",
            _ => "ok",
        }
    }

    fn take(&mut self, line: &str) {
        self.answers.extend(line.split(' ').map(Answer::parse));
    }

    fn print(&self) {
        println!(
            "STORM|F18 herd on expiry|file|expiries={} creations={} stale={} fresh={} wrong={} \
             stale_p99_ms={:.2} herd_p99_ms={:.0} latest_start_ms={:.1}|{}",
            self.per_expiry.len(),
            self.per_expiry.iter().sum::<usize>(),
            self.count(Answer::STALE) + self.count(Answer::CALM),
            self.count(Answer::FRESH),
            self.count(Answer::WRONG),
            self.p99_ms(Answer::CALM),
            self.p99_ms(Answer::STALE),
            self.latest.as_secs_f64() * 1e3,
            self.verdict()
        );
    }
}

fn run(store: Store, time: Duration) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(store, dir.path());
    let start = || Other::start("herd::child_herd", dir.path(), store.word());
    let mut others: Vec<Other> = (0..PROCESSES).map(|_| start()).collect();
    let mut report = Report::default();
    let end = Instant::now() + time;
    let mut rounds = 0;
    while rounds < MOST_ROUNDS && (rounds < FEWEST_ROUNDS || Instant::now() < end) {
        others.iter_mut().for_each(|other| other.say(&rounds.to_string()));
        others.iter().for_each(|other| other.await_line("ready"));
        cache.insert_with_ttl(&key(rounds), OLD, SHORT).unwrap();
        others.iter_mut().for_each(|other| other.say("stored"));
        for other in &others {
            report.latest = report.latest.max(micros(&other.tells()));
            report.take(&other.tells());
        }
        others.iter_mut().for_each(|other| other.say("once more"));
        others.iter().for_each(|other| report.take(&other.tells()));
        others.iter_mut().for_each(|other| other.say("finish"));
        others.iter().for_each(|other| other.await_line("done"));
        rounds += 1;
    }
    others.into_iter().for_each(Other::end);
    let creations = Creations::read(dir.path());
    report.per_expiry = (0..rounds).map(|round| creations.count(&key(round))).collect();
    report
}

#[test]
fn storm_f18_a_herd_on_expiry_makes_one_creation_among_processes() {
    let report = run(Store::Shared, storm_time());
    report.print();
    assert_eq!(report.verdict(), "ok", "{:?}", report.per_expiry);
}

#[test]
fn the_check_catches_a_herd_that_creates_in_each_process() {
    let report = run(Store::Own, Duration::ZERO);
    println!("control: {:?} creations for an expiry", report.per_expiry);
    assert_eq!(report.verdict(), "HERD", "the check has no teeth");
    assert!(report.per_expiry.iter().all(|&creations| creations == PROCESSES));
}
