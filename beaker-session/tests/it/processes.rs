//! Several processes on one store: this test binary, run again.
//
// The long forms have `storm` in their names and print a row for `cargo xtask storm`.

#[allow(dead_code, reason = "the tests that it was written for kill forked processes too")]
#[path = "../../../beaker-backends/tests/forked/fork.rs"]
mod fork;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use beaker_namespace::Stores;
use beaker_session::{
    AccessPolicy, Entropy, ErrorKind, MergePolicy, SessionId, Sessions, SystemEntropy,
};

use self::fork::{Side, end_after, fork};
use crate::browser::Browser;

const ROLE: &str = "BEAKER_SESSION_CHILD_ROLE";
const DIR: &str = "BEAKER_SESSION_CHILD_DIR";
const COOKIE: &str = "BEAKER_SESSION_CHILD_COOKIE";

/// What a child's word begins with; its test harness writes to the same pipe.
const MARK: &str = "child says ";

const PROCESSES: usize = 4;
const REQUESTS: usize = 50;

/// What plays the roles of this binary's children.
#[test]
fn plays_a_child() {
    let Ok(role) = env::var(ROLE) else { return };
    let dir = PathBuf::from(env::var_os(DIR).unwrap());
    match role.as_str() {
        "merging" => take_requests(&site(&dir, MergePolicy::ThreeWayPerKey)),
        "overwriting" => take_requests(&site(&dir, MergePolicy::LastWriterWins)),
        "forker" => fork_and_draw(&dir),
        other => panic!("there is no role {other}"),
    }
}

fn site(dir: &Path, merge: MergePolicy) -> Sessions {
    beaker_backends::install();
    let url = format!("sqlite://{}/s.db", dir.display()).parse().unwrap();
    let store = Stores::new().open(&url, "sessions").unwrap();
    let builder = Sessions::builder().with_namespace(store).with_access(AccessPolicy::Never);
    builder.with_merge(merge).build().unwrap()
}

/// Rounds `ROUND FIRST LAST` on the standard input: the requests of these numbers, all at once.
fn take_requests(sessions: &Sessions) {
    let browser = Browser::with(&env::var(COOKIE).unwrap());
    println!("{MARK}ready");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let numbers: Vec<usize> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        let [round, first, last] = numbers[..] else { panic!("{line}") };
        thread::scope(|scope| {
            for number in first..last {
                let browser = &browser;
                scope.spawn(move || one_request(sessions, browser, round, number));
            }
        });
        println!("{MARK}done");
    }
}

/// Counts, and sets a field of its own. One that is told of a conflict is made again.
fn one_request(sessions: &Sessions, browser: &Browser, round: usize, number: usize) {
    loop {
        let request = browser.begin(sessions);
        let session = request.load().unwrap();
        session.add("clicks", 1).unwrap();
        session.insert(&format!("field{number}"), round).unwrap();
        match request.commit() {
            Ok(_) => return,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
}

struct Role {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Role {
    fn start(role: &str, dir: &Path, cookie: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["processes::plays_a_child", "--exact", "--nocapture", "--test-threads=1"])
            .envs([(ROLE, role), (COOKIE, cookie)])
            .env(DIR, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        Self { child, to, from }
    }

    /// Waits until the child says `word`; its end is no word.
    fn hears(&mut self, word: &str) {
        let mut line = String::new();
        while self.from.read_line(&mut line).unwrap() > 0 {
            if line.split_once(MARK).is_some_and(|(_, said)| said.trim() == word) {
                return;
            }
            line.clear();
        }
        panic!("the child ended before it said {word}");
    }

    fn ends_well(self) {
        let Self { mut child, to, mut from } = self;
        drop(to);
        // Its harness complains if nobody listens.
        std::io::copy(&mut from, &mut std::io::sink()).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

/// What 50 requests in 4 processes came to, so many times.
#[derive(Debug, Default)]
struct Found {
    rounds: usize,
    lost_clicks: u64,
    lost_fields: usize,
}

impl Found {
    fn lost(&self) -> u64 {
        self.lost_clicks + self.lost_fields as u64
    }
}

fn rounds(role: &str, may_go_on: impl Fn(usize) -> bool) -> Found {
    let dir = tempfile::tempdir().unwrap();
    let sessions = site(dir.path(), MergePolicy::ThreeWayPerKey);
    let mut browser = Browser::new();
    browser.visit(&sessions, |session| session.insert("clicks", 0)).unwrap();
    let start = |_| Role::start(role, dir.path(), &browser.header());
    let mut roles: Vec<Role> = (0..PROCESSES).map(start).collect();
    roles.iter_mut().for_each(|role| role.hears("ready"));
    let mut found = Found::default();
    while may_go_on(found.rounds) {
        found.rounds += 1;
        let before = clicks(&sessions, &browser);
        for (at, role) in roles.iter_mut().enumerate() {
            let of = |at: usize| REQUESTS * at / PROCESSES;
            writeln!(role.to, "{} {} {}", found.rounds, of(at), of(at + 1)).unwrap();
        }
        roles.iter_mut().for_each(|role| role.hears("done"));
        let session = browser.begin(&sessions).load().unwrap();
        let is_lost = |number: &usize| {
            session.get::<usize>(&format!("field{number}")).unwrap() != Some(found.rounds)
        };
        found.lost_fields += (0..REQUESTS).filter(is_lost).count();
        found.lost_clicks += before + REQUESTS as u64 - clicks(&sessions, &browser);
    }
    roles.into_iter().for_each(Role::ends_well);
    found
}

fn clicks(sessions: &Sessions, browser: &Browser) -> u64 {
    browser.sees(sessions, "clicks").and_then(|clicks| clicks.as_u64()).unwrap()
}

#[test]
fn f49_four_processes_lose_no_update_of_one_session() {
    let found = rounds("merging", |rounds| rounds < 2);
    assert_eq!((found.rounds, found.lost()), (2, 0), "{found:?}");
}

/// The long form: a hundred rounds, or as many as there is time for.
#[test]
fn f49_storm() {
    let end = Instant::now() + seconds();
    let found = rounds("merging", |rounds| rounds < 100 && (rounds == 0 || Instant::now() < end));
    let control = rounds("overwriting", |rounds| rounds < 3);
    let measured = format!(
        "requests={} processes={PROCESSES} rounds={} lost={} control={}",
        REQUESTS * found.rounds,
        found.rounds,
        found.lost(),
        control.lost(),
    );
    report("F49 one session, many processes", "sqlite", &measured);
    assert_eq!(found.lost(), 0, "{found:?}");
    assert!(control.lost() > 0, "the control loses some: {control:?}");
}

/// A process is forked, and both draw ids.
fn fork_and_draw(dir: &Path) {
    let draw = |file: &str| {
        let ids = (0..1_000).map(|_| random_id().expose_text() + "\n");
        fs::write(dir.join(file), ids.collect::<String>()).unwrap();
    };
    // What was drawn before the fork would be kept by a generator in both.
    draw("before");
    match fork() {
        Side::Child => end_after(|| draw("child")),
        Side::Parent(forked) => {
            draw("parent");
            forked.ends_well();
        }
    }
}

fn random_id() -> SessionId {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes).unwrap();
    SessionId::from_bytes(bytes)
}

#[test]
fn f54_a_fork_draws_no_id_twice() {
    let dir = tempfile::tempdir().unwrap();
    Role::start("forker", dir.path(), "").ends_well();
    let mut seen = HashSet::new();
    for file in ["before", "child", "parent"] {
        for id in fs::read_to_string(dir.path().join(file)).unwrap().lines() {
            assert!(seen.insert(id.to_owned()));
        }
    }
    assert_eq!(seen.len(), 3_000);
}

/// The long form: ten million, for which there must be time and memory.
#[test]
fn f54_storm() {
    let count = if seconds() >= Duration::from_secs(20) { 10_000_000 } else { 100_000 };
    let mut seen = HashSet::with_capacity(count);
    let distinct = (0..count).filter(|_| seen.insert(*random_id().as_bytes())).count();
    report("F54 ids", "system", &format!("drawn={count} twice={}", count - distinct));
    assert_eq!(distinct, count);
}

/// The long form: a million `Cookie` headers made of anything, for which there must be time.
#[test]
fn f58_storm() {
    let count = if seconds() >= Duration::from_secs(20) { 1_000_000 } else { 10_000 };
    let found = crate::attacks::headers::read_any(count);
    report("F58 headers", "memory", &format!("read={count} sessions={found} panics=0"));
    assert!(found > count / 20, "{found}");
}

/// The long form: 100,000 visitors without a session leave no record, and no memory either.
#[test]
fn f62_storm() {
    let site = crate::site::Site::new();
    let visit = || {
        let mut bot = Browser::new();
        bot.visit(&site.sessions, |session| session.get::<String>("user")).unwrap();
        assert!(bot.is_empty());
    };
    (0..1_000).for_each(|_| visit());
    let before = resident_kib();
    let count = if seconds() >= Duration::from_secs(2) { 100_000 } else { 10_000 };
    let operations = site.operations(|| (0..count).for_each(|_| visit()));
    let grown = resident_kib().saturating_sub(before);
    let measured = format!(
        "requests={count} operations={operations} records={} grown_kib={grown}",
        site.entries()
    );
    report("F62 visitors without a session", "memory", &measured);
    assert_eq!((operations, site.entries()), (0, 0));
    // A hundred bytes for each would be more. Outside of the gate other tests run beside this one.
    assert!(grown < 4 << 10 || seconds().is_zero(), "{grown} KiB");
}

/// Memory of this process that is there; 0 where the system does not tell.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

/// How long a storm may take.
fn seconds() -> Duration {
    let seconds = env::var("BEAKER_STORM_SECS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or(0.0))
}

fn report(row: &str, store: &str, measured: &str) {
    println!("STORM|{row}|{store}|{measured}|ok");
}
