//! The same files in the hands of the real GNU dbm, through Python's `dbm.gnu`.
//
// Python 3 with that module is looked for. Where there is none the tests are skipped, and say so on
// the standard error, past the harness. On Debian: `apt-get install python3-gdbm`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use beaker_namespace::{Namespace, Scan};

use super::{DbmConfig, DbmNamespace, ErrorKind, Key, Payload, entry, quick_dir};

/// The first Python that has `dbm.gnu`.
fn python() -> Option<&'static str> {
    const CANDIDATES: [&str; 3] = ["python3", "/usr/bin/python3", "/usr/local/bin/python3"];
    let has_it = |python: &&str| {
        let mut command = Command::new(python);
        let command = command.args(["-c", "import dbm.gnu"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = CANDIDATES.into_iter().find(has_it);
    if found.is_none() {
        // Not by a macro: the harness would keep that to itself.
        let _ = writeln!(
            std::io::stdout(),
            "\nSKIPPED: no Python with `dbm.gnu` is here, so nothing was held against the real GNU \
             dbm; on Debian, `apt-get install python3-gdbm`"
        );
    }
    found
}

/// Runs `script` on `path`, which it has as `path`, and gives what it printed.
fn run(python: &str, script: &str, path: &Path) -> String {
    let script = format!("import dbm.gnu, sys\npath = sys.argv[1]\n{script}");
    let output = Command::new(python).arg("-c").arg(script).arg(path).output();
    let output = output.expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a text")
}

/// A namespace of `count` entries, with keys of several kinds and values of several lengths.
fn filled(path: &Path, count: u64) -> DbmNamespace {
    let namespace = DbmNamespace::open("n", DbmConfig::new(path)).expect("it opens");
    let entries = (0..count).map(|number| (key(number), entry(&namespace, &value(number))));
    namespace.set_many(entries.collect()).expect("they are stored");
    namespace
}

fn key(number: u64) -> Key {
    if number.is_multiple_of(2) { Key::new(&("ключ", number)) } else { Key::new(&number) }
}

fn value(number: u64) -> String {
    "v".repeat(number as usize * 7 % 900)
}

fn assert_whole(namespace: &DbmNamespace, count: u64) {
    for number in 0..count {
        let found = namespace.get(&key(number)).expect("it is read").expect("it is there");
        let Payload::Bytes { bytes, .. } = found.payload() else { panic!("no bytes") };
        assert_eq!(bytes, value(number).as_bytes(), "entry {number}");
    }
    let listed = namespace.scan(&Scan::new().limit(10_000)).expect("it is listed").entries.len();
    assert_eq!(listed as u64, count);
    assert_eq!(namespace.stats().corrupt, 0);
}

#[test]
fn what_we_wrote_the_real_one_reads() {
    let Some(python) = python() else { return };
    let dir = quick_dir();
    let path = dir.path().join("cache.dbm");
    let _namespace = filled(&path, 400);
    let script = "
with dbm.gnu.open(path, 'r') as d:
    keys = d.keys()
    rows = [d[k] for k in keys]
    print(len(keys), sum(k.startswith(b'beaker:E') for k in keys), d[b'beaker:Nn'] is not None)
    print(sum(r.count(b'v') for r in rows if r.startswith(b'BEKR')))
";
    let letters: usize = (0..400).map(|number| value(number).len()).sum();
    let said = run(python, script, &path);
    let (rows, counted) = said.split_once('\n').unwrap();
    assert_eq!(rows, "402 400 True");
    // An envelope may have a `v` of its own, in its sum or its times.
    let counted: usize = counted.trim().parse().unwrap();
    assert!((letters..letters + 400).contains(&counted), "{counted} of {letters}");
}

#[test]
fn what_the_real_one_wrote_we_read() {
    let Some(python) = python() else { return };
    let dir = quick_dir();
    let (path, copy) = (dir.path().join("cache.dbm"), dir.path().join("copy.dbm"));
    let namespace = filled(&path, 400);
    // Every row, written by the real one into a file that it made.
    let script = "
with dbm.gnu.open(path, 'r') as d, dbm.gnu.open(path.replace('cache', 'copy'), 'n') as c:
    for k in d.keys():
        c[k] = d[k]
";
    run(python, script, &path);
    let copied = DbmNamespace::open("n", DbmConfig::new(&copy)).unwrap();
    assert_whole(&copied, 400);
    // And both go on from there.
    copied.set(&key(400), entry(&copied, &value(400))).unwrap();
    assert_whole(&copied, 401);
    assert_whole(&namespace, 400);
}

#[test]
fn both_write_one_file_by_turns() {
    let Some(python) = python() else { return };
    let dir = quick_dir();
    let path = dir.path().join("cache.dbm");
    let namespace = filled(&path, 100);
    for turn in 0..5 {
        let script = "
with dbm.gnu.open(path, 'w') as d:
    for n in range(200):
        d['theirs %d' % n] = b'x' * (n * 11 % 700)
    for n in range(0, 200, 3):
        del d['theirs %d' % n]
    d.reorganize()
    d['Password'] = 'no row of ours'
    print(len([k for k in d.keys() if k.startswith(b'theirs')]))
";
        assert_eq!(run(python, script, &path), "133\n", "turn {turn}");
        assert_whole(&namespace, 100);
        namespace
            .set_many((0..100).map(|n| (key(n), entry(&namespace, &value(n)))).collect())
            .unwrap();
        assert_whole(&namespace, 100);
    }
    namespace.clear().unwrap();
    namespace.sweep().unwrap();
    let script = "
with dbm.gnu.open(path, 'r') as d:
    print(len(d), len([k for k in d.keys() if k.startswith(b'theirs')]), d['Password'].decode())
";
    assert_eq!(
        run(python, script, &path),
        "136 133 no row of ours\n",
        "the version, the name, and theirs"
    );
}

#[test]
fn a_row_that_another_program_moved_or_changed_is_no_entry() {
    let Some(python) = python() else { return };
    let dir = quick_dir();
    let path = dir.path().join("cache.dbm");
    let namespace = filled(&path, 10);
    let script = "
with dbm.gnu.open(path, 'w') as d:
    a, b, *rest = sorted(k for k in d.keys() if k.startswith(b'beaker:E'))
    d[a] = d[b]
    d[b] = d[b] + b'x'
";
    run(python, script, &path);
    let found = (0..10).filter(|&n| namespace.get(&key(n)).unwrap().is_some()).count();
    assert_eq!(found, 8);
    assert_eq!(namespace.stats().corrupt, 2);
}

/// A Python that has the file open until it is told to close it.
struct Holder {
    child: Child,
}

impl Holder {
    fn new(python: &str, path: &Path, mode: &str) -> Self {
        let script = format!(
            "import dbm.gnu, sys\nd = dbm.gnu.open(sys.argv[1], '{mode}')\n\
             print('open', flush=True)\nsys.stdin.read()\nd.close()"
        );
        let mut child = Command::new(python)
            .arg("-c")
            .arg(script)
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("it speaks");
        assert_eq!(line, "open\n");
        Self { child }
    }

    fn close(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("it ends").success());
    }
}

#[test]
fn we_wait_for_the_real_one_and_no_longer_than_we_may() {
    let Some(python) = python() else { return };
    let dir = quick_dir();
    let path = dir.path().join("cache.dbm");
    let config = DbmConfig::new(&path).lock_timeout(Duration::from_millis(50));
    let namespace = DbmNamespace::open("n", config).unwrap();
    namespace.set(&key(1), entry(&namespace, "v")).unwrap();

    let reader = Holder::new(python, &path, "r");
    assert!(namespace.get(&key(1)).unwrap().is_some(), "readers share");
    let error = namespace.set(&key(1), entry(&namespace, "w")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    reader.close();

    let writer = Holder::new(python, &path, "w");
    let error = namespace.get(&key(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("another program has it open"), "{error}");
    writer.close();
    // The control: it was the other program that kept us out.
    namespace.set(&key(1), entry(&namespace, "w")).unwrap();
    assert!(namespace.get(&key(1)).unwrap().is_some());
}

#[cfg(feature = "compat")]
#[test]
fn a_beaker_cache_of_the_real_one_is_read() {
    use beaker_backends::compat::BeakerCache;
    use beaker_namespace::compat::{EncodedPathOptions, encoded_path_in};

    let Some(python) = python() else { return };
    let dir = quick_dir();
    let options = EncodedPathOptions::new().extension(".dbm");
    let path = encoded_path_in(&dir.path().join("container_dbm"), &["n"], &options).unwrap();
    let script = "
import pickle
with dbm.gnu.open(path, 'c') as d:
    for n in range(300):
        d['key %d' % n] = pickle.dumps((1000.5 + n, None, {'n': n}))
";
    run(python, script, &path);
    let mut sum = 0;
    for record in BeakerCache::dbm(dir.path()).read("n").unwrap() {
        sum += record.entry().unwrap().value().get("n").unwrap().as_i64().unwrap();
    }
    assert_eq!(sum, 299 * 300 / 2);
}
