//! The proxies: each against the suite over memory and files, in compositions, and by itself.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod asynchronous;
#[cfg(all(feature = "compress", feature = "encrypt"))]
mod compositions;
#[cfg(feature = "compress")]
mod compressed;
#[cfg(feature = "encrypt")]
mod encrypted;
mod hook;
#[cfg(all(feature = "compress", feature = "encrypt"))]
mod lookups;
mod metered;
mod prefixed;
mod tiered;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use beaker_namespace::{
    Clock, Entry, Error, FileConfig, FileNamespace, Key, ManualClock, MemoryConfig,
    MemoryNamespace, Namespace, Payload, Timestamp, testkit,
};

const SECOND: Duration = Duration::from_secs(1);

/// Holds `wrap` around memory and around files against the suite. It gets the inner namespace and
/// the name that the outer one has to have.
fn conforms<N: Namespace>(proxy: &str, wrap: impl Fn(Arc<dyn Namespace>, &str) -> N) {
    conforms_over_memory(proxy, &wrap);
    let dir = tempfile::tempdir().unwrap();
    let file = testkit::conformance(&format!("{proxy} over files"), |name, clock| {
        let file = FileNamespace::open(name, FileConfig::new(dir.path()).clock(clock))?;
        Ok(wrap(Arc::new(file), name))
    });
    assert!(file.passed.len() > 60, "{file}");
}

fn conforms_over_memory<N: Namespace>(proxy: &str, wrap: impl Fn(Arc<dyn Namespace>, &str) -> N) {
    let memory = testkit::conformance(&format!("{proxy} over memory"), |name, clock| {
        Ok(wrap(MemoryNamespace::open(name, memory_of(proxy, clock))?, name))
    });
    assert!(memory.passed.len() > 60, "{memory}");
}

/// Holds prefixes in files against the suite, but for the longest key: with its prefix it is longer
/// than the file store takes.
fn conforms_in_files<N: Namespace>(
    proxy: &str,
    open: impl Fn(&str, FileNamespace) -> Result<N, Error>,
) {
    let places = Places::default();
    let wanted = |case: &str| case != "the_longest_key_works";
    let report = testkit::run_where(proxy, wanted, |name, clock| open(name, places.file(&clock)?));
    assert!(report.failed.is_empty() && report.passed.len() > 60, "{report}");
}

/// Memory that no other test has.
fn memory_of(group: &str, clock: Arc<dyn Clock>) -> MemoryConfig {
    MemoryConfig::new().group(group).clock(clock)
}

/// The clocks of the suite's cases, and a directory for each: where all namespaces of a case are in
/// one place, that place must not be the one of another case, whose clock stands elsewhere.
#[derive(Default)]
struct Places(Mutex<Vec<(Arc<dyn Clock>, tempfile::TempDir)>>);

impl Places {
    fn of(&self, clock: &Arc<dyn Clock>) -> PathBuf {
        let mut places = self.0.lock().unwrap();
        if let Some((_, dir)) = places.iter().find(|(known, _)| Arc::ptr_eq(known, clock)) {
            return dir.path().to_owned();
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        places.push((Arc::clone(clock), dir));
        path
    }

    /// The file namespace called `shared` that the case of `clock` has.
    fn file(&self, clock: &Arc<dyn Clock>) -> Result<FileNamespace, Error> {
        FileNamespace::open("shared", FileConfig::new(self.of(clock)).clock(Arc::clone(clock)))
    }
}

fn manual_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000_000_000)))
}

fn anonymous() -> Arc<MemoryNamespace> {
    MemoryNamespace::anonymous(MemoryConfig::new()).unwrap()
}

/// An entry of `value` that never expires.
fn entry(namespace: &dyn Namespace, value: impl AsRef<[u8]>) -> Entry {
    Entry::new(Payload::raw(value.as_ref().to_vec()), namespace.clock().now())
}

fn put(namespace: &dyn Namespace, key: &Key, value: impl AsRef<[u8]>) {
    namespace.set(key, entry(namespace, value)).unwrap();
}

fn bytes_in(entry: &Entry) -> Vec<u8> {
    match entry.payload() {
        Payload::Bytes { bytes, .. } => bytes.to_vec(),
        Payload::Object(_) => panic!("a live object where bytes were stored"),
    }
}

fn value(namespace: &dyn Namespace, key: &Key) -> Option<Vec<u8>> {
    namespace.get(key).unwrap().as_ref().map(bytes_in)
}

fn text(namespace: &dyn Namespace, key: &Key) -> Option<String> {
    value(namespace, key).map(|value| String::from_utf8(value).unwrap())
}

/// The keys that `namespace` lists, in order.
fn listed(namespace: &dyn Namespace) -> Vec<Key> {
    let mut scan = beaker_namespace::Scan::new().limit(3);
    let mut keys = Vec::new();
    loop {
        let page = namespace.scan(&scan).unwrap();
        keys.extend(page.entries.into_iter().map(|listed| listed.key));
        match page.next {
            Some(next) => scan = scan.after(next),
            None => break,
        }
    }
    keys.sort();
    keys
}
