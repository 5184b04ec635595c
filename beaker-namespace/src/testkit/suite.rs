use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::bench::{Bench, Opener};
use super::cases;
use crate::{Capabilities, Capability, Clock, Error, Namespace};

/// One case of the suite.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// The name of the function that checks it.
    pub(super) name: &'static str,
    /// What it says of a store.
    pub(super) claim: &'static str,
    /// The capabilities without which the claim means nothing.
    pub(super) needs: &'static [Capability],
    pub(super) check: fn(&Bench<'_>),
}

/// What [`run`] found out about a store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The store, as the caller calls it.
    pub store: String,
    /// The cases that held.
    pub passed: Vec<&'static str>,
    /// The cases that were left out, and the first capability that the store lacks for each.
    pub skipped: Vec<(&'static str, Capability)>,
    /// The cases that did not hold.
    pub failed: Vec<Failure>,
}

/// A case that did not hold.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    /// The case.
    pub case: &'static str,
    /// What it claims of every store.
    pub claim: &'static str,
    /// What was seen instead.
    pub seen: String,
}

/// Runs every case that the store called `store` can be held to, and panics if one does not hold.
///
/// `open` opens the namespace of a name in the store under test, with a clock that the suite moves
/// by hand. It is called for several names, and again for a name that is open: that must give the
/// same data. What the suite writes it leaves there.
///
/// # Panics
///
/// If a case does not hold: with the store, the case, its claim and what was seen.
pub fn conformance<N: Namespace>(
    store: &str,
    open: impl Fn(&str, Arc<dyn Clock>) -> Result<N, Error>,
) -> Report {
    let report = run(store, open);
    assert!(report.failed.is_empty(), "{report}");
    report
}

/// As [`conformance`], but tells what failed instead of panicking.
///
/// The message of each panic that is caught appears on standard error nevertheless.
pub fn run<N: Namespace>(
    store: &str,
    open: impl Fn(&str, Arc<dyn Clock>) -> Result<N, Error>,
) -> Report {
    run_where(store, |_| true, open)
}

/// As [`run`], with only those cases whose names are `wanted`; for the work on one of them.
pub fn run_where<N: Namespace>(
    store: &str,
    wanted: impl Fn(&str) -> bool,
    open: impl Fn(&str, Arc<dyn Clock>) -> Result<N, Error>,
) -> Report {
    let open = |name: &str, clock| open(name, clock).map(|store| Arc::new(store) as Arc<_>);
    let mut report =
        Report { store: store.to_owned(), passed: vec![], skipped: vec![], failed: vec![] };
    let capabilities = match guarded(|| Bench::new("capabilities", &open).open("").capabilities()) {
        Ok(capabilities) => capabilities,
        Err(seen) => {
            let claim = "a namespace can be opened and cleared";
            report.failed.push(Failure { case: "open", claim, seen });
            return report;
        }
    };
    for case in cases::all().filter(|case| wanted(case.name)) {
        run_case(case, capabilities, &open, &mut report);
    }
    report
}

fn run_case(case: &Case, has: Capabilities, open: &Opener<'_>, report: &mut Report) {
    if let Some(&missing) = case.needs.iter().find(|&&needed| !has.has(needed)) {
        report.skipped.push((case.name, missing));
        return;
    }
    match guarded(|| (case.check)(&Bench::new(case.name, open))) {
        Ok(()) => report.passed.push(case.name),
        Err(seen) => {
            report.failed.push(Failure { case: case.name, claim: case.claim, seen });
        }
    }
}

/// What `work` returns, or the message it panicked with.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".into())
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, passed, skipped, failed } = self;
        let (passed_count, skipped_count) = (passed.len(), skipped.len());
        writeln!(
            f,
            "store `{store}`: {passed_count} cases hold, {skipped_count} skipped, {} failed",
            failed.len()
        )?;
        for case in passed {
            writeln!(f, "  ok      {case}")?;
        }
        for (case, capability) in skipped {
            writeln!(f, "  skipped {case}: the store lacks `{capability:?}`")?;
        }
        for Failure { case, claim, seen } in failed {
            writeln!(
                f,
                "  FAILED  store `{store}`, case `{case}`: {claim}\n          seen: {seen}"
            )?;
        }
        Ok(())
    }
}
