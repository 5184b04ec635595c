//! Runners are killed all the time, and no command of one key runs twice at once.

use std::env;
use std::fs;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Bench, finish, start, text};

const RUNNERS: usize = 8;
const KEYS: usize = 4;
const KILL_EVERY: Duration = Duration::from_millis(50);

/// Says in `log` that it overlaps if the last command of its key can still do something: if it is
/// alive, and not killed already (then a busy machine has not come to bury it).
const COMMAND: &str = r#"
if read -r other 2>/dev/null < "running-$1" && [ "$other" ]; then
    state= pending=
    { while read -r name value _; do
        case $name in
            State:) state=$value ;;
            SigPnd:|ShdPnd:) pending="$pending ${value#?????????????}" ;;
        esac
    done < "/proc/$other/status"; } 2>/dev/null
    case "$state $pending" in
        ' '*|Z*|X*|*' '[13579bdf]??*) ;;
        *) echo overlap >> log; echo "$1 $other $state $pending" >> overlaps ;;
    esac
fi
echo $$ > "running-$1"
sleep 0.005
: > "running-$1"
echo run >> log
echo "result of $1"
"#;

#[derive(Debug, Default)]
struct Seen {
    kills: usize,
    answers: usize,
    wrong: usize,
}

fn seconds() -> u64 {
    env::var("BEAKER_STORM_SECS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// A runner of the `number`-th key.
fn runner(bench: &Bench, options: &[&str], number: usize) -> (Child, String) {
    let key = (number % KEYS).to_string();
    let head = ["run", "--ttl", "30ms", "--wait", "1m"];
    let tail = ["--", "sh", "-c", COMMAND, "sh", &key];
    let mut command = bench.beaker([&head[..], options, &tail].concat());
    (start(&mut command), format!("result of {key}\n"))
}

/// Keeps [`RUNNERS`] going for `length` and kills one of them now and then.
fn storm(bench: &Bench, options: &[&str], length: Duration) -> Seen {
    let mut seen = Seen::default();
    let mut number = 0;
    let mut next = || {
        number += 1;
        runner(bench, options, number)
    };
    let mut runners: Vec<_> = (0..RUNNERS).map(|_| next()).collect();
    let began = Instant::now();
    let mut last_kill = began;
    while began.elapsed() < length {
        for slot in &mut runners {
            if slot.0.try_wait().unwrap().is_some() {
                judge(&mut seen, std::mem::replace(slot, next()));
            }
        }
        if last_kill.elapsed() >= KILL_EVERY {
            last_kill = Instant::now();
            let victim = seen.kills * 5 % RUNNERS;
            let (mut killed, _) = std::mem::replace(&mut runners[victim], next());
            killed.kill().unwrap();
            killed.wait().unwrap();
            seen.kills += 1;
        }
        // sleep: the rhythm of the storm; nothing is ordered by it.
        thread::sleep(Duration::from_millis(1));
    }
    runners.into_iter().for_each(|runner| judge(&mut seen, runner));
    seen
}

/// Waits for a runner that nobody killed: it must end, and with the whole result.
fn judge(seen: &mut Seen, (child, expected): (Child, String)) {
    let output = finish(child);
    seen.answers += 1;
    if output.status.code() != Some(0) || text(output.stdout) != expected {
        seen.wrong += 1;
    }
}

fn count(bench: &Bench, line: &str) -> usize {
    let log = fs::read_to_string(bench.path("log")).unwrap_or_default();
    log.lines().filter(|found| *found == line).count()
}

#[test]
fn storm_f1_run() {
    let bench = Bench::new();
    let seen = storm(&bench, &[], Duration::from_secs(seconds()));
    let (overlaps, runs) = (count(&bench, "overlap"), count(&bench, "run"));
    bench.ok(&["locks", "clean"]);
    bench.ok(&["gc"]);
    let left = bench.claim_files().len();
    let good = overlaps == 0 && seen.wrong == 0 && left == 0 && runs > 0 && seen.kills > 0;
    println!(
        "STORM|F1 kill -9 of runners|cli|overlaps={overlaps} runs={runs} answers={} wrong={} \
         kills={} left={left}|{}",
        seen.answers,
        seen.wrong,
        seen.kills,
        if good { "ok" } else { "FAILED" },
    );
    assert!(good, "overlaps {overlaps}, runs {runs}, left {left}, {seen:?}");
}

/// The control: without a store to claim in, the same storm overlaps.
#[test]
fn storm_control_without_a_store_overlaps() {
    let bench = Bench::new();
    storm(&bench, &["--store", "null:"], Duration::from_secs(1));
    assert!(count(&bench, "overlap") > 0);
}
