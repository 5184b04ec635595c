//! What a replay takes, from the start of the process to its end; and a process that does nothing, the
//! floor of it.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by a panic")]

use std::path::Path;
use std::process::{Command, Stdio};

use criterion::{Criterion, criterion_group, criterion_main};

/// The stores that are measured: scheme, and feature that has it.
const STORES: [(&str, bool); 2] = [("file", true), ("sqlite", cfg!(feature = "sqlite"))];

/// `beaker run` of a command that writes `bytes` bytes, on a store of its own in `dir`.
fn replay(dir: &Path, scheme: &str, bytes: usize) -> Command {
    let url = format!("{scheme}:{}", dir.join(scheme).display());
    let script = format!("head -c {bytes} /dev/zero");
    let mut command = Command::new(env!("CARGO_BIN_EXE_beaker"));
    command.env("BEAKER_URL", url).args(["run", "--ttl", "1h", "--", "sh", "-c", &script]);
    command
}

/// Runs it to its end; it must succeed, and write as much as it is to.
fn run(command: &mut Command, bytes: usize) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success() && output.stdout.len() == bytes, "{output:?}");
}

fn replays(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let mut group = c.benchmark_group("replay");
    group.bench_function("floor: /bin/true", |b| b.iter(|| run(&mut Command::new("true"), 0)));
    for (scheme, _) in STORES.into_iter().filter(|&(_, is_there)| is_there) {
        for (name, bytes) in [("3 KB", 3_000), ("900 KB", 900_000)] {
            let mut command = replay(dir.path(), scheme, bytes);
            // The first run is the one that is kept.
            run(&mut command, bytes);
            group.bench_function(format!("{scheme}, {name}"), |b| {
                b.iter(|| run(&mut command, bytes));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, replays);
criterion_main!(benches);
