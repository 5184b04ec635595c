//! For tests: the suite that holds a session store to [`SessionStore`], and a store that fails on
//! demand.
//!
//! # Examples
//!
//! ```
//! use beaker_namespace::{MemoryConfig, MemoryNamespace};
//! use beaker_session::{NamespaceStore, testkit};
//!
//! let report = testkit::conformance("memory", |clock| {
//!     let memory = MemoryConfig::new().clock(clock);
//!     NamespaceStore::new(MemoryNamespace::anonymous(memory).expect("memory opens"))
//! });
//! println!("{report}");
//! ```

mod cases;
mod failing;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Clock, ManualClock, Timestamp};

pub use self::failing::{Failing, Failure};
use crate::entropy::SystemEntropy;
use crate::record::{Record, Stored};
use crate::store::{Created, Loaded, SessionStore};
use crate::{Data, Error, RecordKey, SessionId};

/// One claim about every store.
struct Case {
    name: &'static str,
    check: fn(&Bench<'_>),
}

/// What [`run`] found out about a store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The store, as the caller calls it.
    pub store: String,
    /// The cases that held.
    pub passed: Vec<&'static str>,
    /// The cases that did not hold, and what was seen.
    pub failed: Vec<(&'static str, String)>,
}

/// The store under test and its clock.
struct Bench<'a> {
    store: &'a dyn SessionStore,
    clock: &'a ManualClock,
}

impl Bench<'_> {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A key that nobody has used.
    fn key(&self) -> RecordKey {
        SessionId::random(&SystemEntropy).expect("the system gives random bytes").hashed()
    }

    /// A session with one value, which lives an hour after its last use.
    fn record(&self, value: &str) -> Arc<Record> {
        let data = Data::from([("value".to_owned(), value.into())]);
        let hour = Some(Duration::from_secs(3_600));
        Arc::new(Record::new(self.now()).with_limits(hour, None).with_data(data))
    }

    /// Stores it under a new key.
    fn stored(&self, value: &str) -> (RecordKey, Stored) {
        let key = self.key();
        let created = self.store.create(&key, &self.record(value)).expect("create");
        assert!(matches!(created, Created::Created(_)), "{created:?}");
        (key, self.present(&key))
    }

    fn present(&self, key: &RecordKey) -> Stored {
        match self.store.load(key).expect("load") {
            Loaded::Present(stored) => stored,
            other => panic!("the session is not there: {other:?}"),
        }
    }

    fn is_absent(&self, key: &RecordKey) -> bool {
        matches!(self.store.load(key).expect("load"), Loaded::Absent)
    }
}

fn value(stored: &Stored) -> &str {
    stored.record.get("value").and_then(serde_json::Value::as_str).expect("a text")
}

/// Runs every case against the store that `open` makes, and panics if one does not hold.
///
/// `open` is given a clock that the suite moves by hand. What the suite writes it leaves there.
///
/// # Panics
///
/// If a case does not hold, with what was seen; if the store cannot be opened.
pub fn conformance<S: SessionStore>(
    name: &str,
    open: impl FnOnce(Arc<dyn Clock>) -> Result<S, Error>,
) -> Report {
    let report = run(name, open);
    assert!(report.failed.is_empty(), "{report}");
    report
}

/// As [`conformance`], but tells what failed. The messages of the panics that are caught are on
/// standard error nevertheless.
///
/// # Panics
///
/// If the store cannot be opened.
pub fn run<S: SessionStore>(
    name: &str,
    open: impl FnOnce(Arc<dyn Clock>) -> Result<S, Error>,
) -> Report {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
    let store = open(Arc::clone(&clock) as _).expect("the store opens");
    let mut report = Report { store: name.to_owned(), passed: Vec::new(), failed: Vec::new() };
    for case in cases::all() {
        let bench = Bench { store: &store, clock: &clock };
        match catch_unwind(AssertUnwindSafe(|| (case.check)(&bench))) {
            Ok(()) => report.passed.push(case.name),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text =
                    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                report.failed.push((case.name, text.unwrap_or_default()));
            }
        }
    }
    report
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, passed, failed } = self;
        write!(f, "{store}: {} cases hold, {} do not", passed.len(), failed.len())?;
        failed.iter().try_for_each(|(case, seen)| write!(f, "\n- {case}: {seen}"))
    }
}
