use std::fmt;

use parking_lot::Mutex;

use crate::forward_namespace;
use crate::{
    Claim, Condition, ConditionalSet, Entry, Error, ErrorKind, Fulfilled, Inspection, Key, Lookup,
    Mark, Namespace, Page, Scan, Swept, Wait,
};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The operation is not done, and fails with this kind.
    Fail(ErrorKind),
    /// The operation is done and fails nevertheless, as if the answer was lost. Of an operation on
    /// many keys the first half is done. A claim that was taken is dropped.
    Tear(ErrorKind),
    /// The operation is not done, and panics.
    Panic,
}

/// A namespace whose n-th operation goes wrong.
///
/// Every call of a method that can fail is an operation, a call for many keys too.
///
/// # Panics
///
/// Its methods panic where [`Fault::Panic`] is armed.
///
/// # Examples
///
/// ```
/// use beaker_namespace::testkit::{Fault, FaultStore};
/// use beaker_namespace::{Entry, ErrorKind, Key, Namespace, Payload, Stores};
///
/// let store = FaultStore::new(Stores::new().open(&"null:".parse()?, "n")?);
/// store.arm(2, Fault::Fail(ErrorKind::Unavailable));
/// assert!(store.get(&Key::new("k")).is_ok());
/// assert!(store.get(&Key::new("k")).is_err());
/// assert!(store.get(&Key::new("k")).is_ok());
/// assert_eq!((store.operations(), store.injected()), (3, 1));
/// # Ok::<(), beaker_namespace::Error>(())
/// ```
pub struct FaultStore<N> {
    inner: N,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    /// The number of the operation that goes wrong, and how.
    armed: Option<(u64, Fault)>,
    operations: u64,
    claims: u64,
    injected: u64,
}

impl<N> FaultStore<N> {
    /// A namespace that does what `inner` does, until a fault is armed.
    pub fn new(inner: N) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    /// Makes the `nth` operation from now go wrong, once; the next one is the first.
    pub fn arm(&self, nth: u64, fault: Fault) {
        let mut plan = self.plan.lock();
        plan.armed = Some((plan.operations.saturating_add(nth.max(1)), fault));
    }

    /// Lets everything go well again.
    pub fn disarm(&self) {
        self.plan.lock().armed = None;
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.plan.lock().operations
    }

    /// How many claims were asked for, the one that waits now too.
    pub fn claims(&self) -> u64 {
        self.plan.lock().claims
    }

    /// How many operations went wrong.
    pub fn injected(&self) -> u64 {
        self.plan.lock().injected
    }

    /// The namespace inside.
    pub const fn inner(&self) -> &N {
        &self.inner
    }

    /// Counts an operation and does `whole`, or what the fault makes of it: `torn` is as much as a
    /// torn operation does.
    fn operation<T>(
        &self,
        whole: impl FnOnce(&N) -> Result<T, Error>,
        torn: Option<&dyn Fn(&N)>,
    ) -> Result<T, Error> {
        let injected = |kind| Err(Error::new(kind, "do what a test makes go wrong"));
        match self.next_fault() {
            None => whole(&self.inner),
            Some(Fault::Fail(kind)) => injected(kind),
            Some(Fault::Tear(kind)) => {
                match torn {
                    Some(torn) => torn(&self.inner),
                    None => drop(whole(&self.inner)),
                }
                injected(kind)
            }
            Some(Fault::Panic) => panic!("a test makes this operation panic"),
        }
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut plan = self.plan.lock();
        plan.operations += 1;
        let (_, fault) = plan.armed.filter(|(number, _)| *number == plan.operations)?;
        plan.armed = None;
        plan.injected += 1;
        Some(fault)
    }
}

impl<N: fmt::Debug> fmt::Debug for FaultStore<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore")
            .field("inner", &self.inner)
            .field("plan", &*self.plan.lock())
            .finish()
    }
}

impl<N: Namespace> Namespace for FaultStore<N> {
    forward_namespace!(
        self => self.inner;
        id, scope, capabilities, latency, clock, stats, on_departure,
    );

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        self.operation(|inner| inner.get(key), None)
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        self.operation(|inner| inner.set(key, entry), None)
    }

    fn remove(&self, key: &Key) -> Result<bool, Error> {
        self.operation(|inner| inner.remove(key), None)
    }

    fn clear(&self) -> Result<(), Error> {
        self.operation(N::clear, None)
    }

    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        self.plan.lock().claims += 1;
        self.operation(|inner| inner.claim(key, wait), None)
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        self.operation(|inner| inner.fulfil(key, entry, claim), None)
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        self.operation(|inner| inner.set_if(key, entry, condition), None)
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        self.operation(|inner| inner.scan(scan), None)
    }

    fn remove_tag(&self, tag: &str) -> Result<u64, Error> {
        self.operation(|inner| inner.remove_tag(tag), None)
    }

    fn mark(&self, name: &str, mark: Mark) -> Result<Mark, Error> {
        self.operation(|inner| inner.mark(name, mark), None)
    }

    fn marks(&self, names: &mut dyn Iterator<Item = &str>) -> Result<Mark, Error> {
        self.operation(|inner| inner.marks(names), None)
    }

    fn sweep(&self) -> Result<Swept, Error> {
        self.operation(N::sweep, None)
    }

    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        self.operation(|inner| inner.inspect(key), None)
    }

    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        self.operation(|inner| inner.look_up(key), None)
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        self.operation(|inner| inner.get_many(keys), None)
    }

    fn inspect_many(&self, keys: &[Key]) -> Result<Vec<Inspection>, Error> {
        self.operation(|inner| inner.inspect_many(keys), None)
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        let half = entries[..entries.len() / 2].to_vec();
        let torn = move |inner: &N| drop(inner.set_many(half.clone()));
        self.operation(|inner| inner.set_many(entries), Some(&torn))
    }

    fn remove_many(&self, keys: &[Key]) -> Result<u64, Error> {
        let torn = |inner: &N| drop(inner.remove_many(&keys[..keys.len() / 2]));
        self.operation(|inner| inner.remove_many(keys), Some(&torn))
    }
}

/// The most operations that one piece of work may have.
const MOST_OPERATIONS: u64 = 100_000;

/// Does `work` again and again: the first time its first operation goes wrong, the second time its
/// second, and so on, until it is done without a fault. Returns how many operations it had.
///
/// `open` gives a namespace in its starting state for each time. `work` checks by itself that the
/// fault did no harm; it finds out by [`FaultStore::injected`] whether it has happened.
///
/// # Panics
///
/// If `work` panics, or has more than 100,000 operations.
///
/// # Examples
///
/// ```
/// use beaker_namespace::testkit::{Fault, for_each_operation};
/// use beaker_namespace::{ErrorKind, Key, Namespace, NullNamespace};
///
/// let operations = for_each_operation(
///     Fault::Fail(ErrorKind::Full),
///     || NullNamespace::new("n"),
///     |store| {
///         let done = store.remove(&Key::new("a")).and_then(|_| store.clear());
///         assert_eq!(done.is_err(), store.injected() == 1);
///     },
/// );
/// assert_eq!(operations, 2);
/// ```
pub fn for_each_operation<N: Namespace>(
    fault: Fault,
    open: impl Fn() -> N,
    work: impl Fn(&FaultStore<N>),
) -> u64 {
    for nth in 1..=MOST_OPERATIONS {
        let store = FaultStore::new(open());
        store.arm(nth, fault);
        work(&store);
        if store.injected() == 0 {
            return nth - 1;
        }
    }
    panic!("the work has more than {MOST_OPERATIONS} operations")
}
