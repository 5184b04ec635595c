use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use parking_lot::Mutex;

use crate::forward_namespace;
use crate::{
    AsyncNamespace, BoxFuture, Claim, Condition, ConditionalSet, Entry, Error, Fulfilled,
    Inspection, Key, Latency, Lookup, Mark, Namespace, Page, Scan, Swept, Wait,
};

/// A namespace with an asynchronous face, over one that need not have any: as if a network lay between.
///
/// Each future of it is pending twice: before its call is carried out, and again with the answer on its
/// way. So who drops a future after each number of polls in turn sees both that it was not done and that
/// it was done and not heard of. A future wakes its task by itself, unless the store is on
/// [`hold`](Self::hold).
///
/// It says [`Latency::Blocking`]. It counts the calls of either face, and panics at blocking ones if it is told
/// to [refuse](Self::refuse_blocking) them.
///
/// # Panics
///
/// Its blocking methods panic while it refuses them.
///
/// # Examples
///
/// ```
/// use beaker_namespace::testkit::{AsyncStore, BlockOn};
/// use beaker_namespace::{Key, Namespace, NullNamespace};
///
/// let store = AsyncStore::new(NullNamespace::new("n"));
/// store.refuse_blocking();
/// let store = BlockOn::new(store);
/// assert!(store.get(&Key::new("k"))?.is_none());
/// let calls = (store.inner().blocking_calls(), store.inner().asynchronous_calls());
/// assert_eq!(calls, (0, 1));
/// # Ok::<(), beaker_namespace::Error>(())
/// ```
pub struct AsyncStore<N> {
    inner: N,
    gate: Gate,
    refuses: AtomicBool,
    blocking: AtomicU64,
    asynchronous: AtomicU64,
}

impl<N> AsyncStore<N> {
    /// A namespace that does what `inner` does.
    pub fn new(inner: N) -> Self {
        Self {
            inner,
            gate: Gate::default(),
            refuses: AtomicBool::new(false),
            blocking: AtomicU64::new(0),
            asynchronous: AtomicU64::new(0),
        }
    }

    /// Makes blocking calls panic from now on.
    pub fn refuse_blocking(&self) {
        self.refuses.store(true, Ordering::SeqCst);
    }

    /// Carries blocking calls out again.
    pub fn allow_blocking(&self) {
        self.refuses.store(false, Ordering::SeqCst);
    }

    /// How many blocking calls there were, refused ones too.
    pub fn blocking_calls(&self) -> u64 {
        self.blocking.load(Ordering::SeqCst)
    }

    /// How many futures were polled.
    pub fn asynchronous_calls(&self) -> u64 {
        self.asynchronous.load(Ordering::SeqCst)
    }

    /// Keeps futures pending wherever they are, until [`release`](Self::release).
    pub fn hold(&self) {
        self.gate.state.lock().held = true;
    }

    /// Lets futures go on, and wakes their tasks.
    pub fn release(&self) {
        let wakers = {
            let mut state = self.gate.state.lock();
            state.held = false;
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The namespace inside.
    pub const fn inner(&self) -> &N {
        &self.inner
    }

    /// The namespace inside, for a blocking call.
    fn block(&self, method: &str) -> &N {
        self.blocking.fetch_add(1, Ordering::SeqCst);
        let refuses = self.refuses.load(Ordering::SeqCst);
        assert!(!refuses, "`{method}` was called by its blocking face, which this test refuses");
        &self.inner
    }
}

impl<N: Send + Sync> AsyncStore<N> {
    /// Carries `call` out between two pauses.
    fn later<'a, T: Send + 'a>(
        &'a self,
        call: impl FnOnce(&'a N) -> Result<T, Error> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, Error>> {
        Box::pin(async move {
            self.asynchronous.fetch_add(1, Ordering::SeqCst);
            self.gate.pause().await;
            let answer = call(&self.inner);
            self.gate.pause().await;
            answer
        })
    }
}

impl<N: fmt::Debug> fmt::Debug for AsyncStore<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncStore")
            .field("inner", &self.inner)
            .field("blocking_calls", &self.blocking_calls())
            .field("asynchronous_calls", &self.asynchronous_calls())
            .finish_non_exhaustive()
    }
}

/// Where futures wait.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
}

#[derive(Debug, Default)]
struct GateState {
    held: bool,
    wakers: Vec<Waker>,
}

impl Gate {
    fn pause(&self) -> Pause<'_> {
        Pause { gate: self, was_polled: false }
    }
}

/// Pending once, and as long as the gate is held.
struct Pause<'a> {
    gate: &'a Gate,
    was_polled: bool,
}

impl Future for Pause<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.gate.state.lock();
        if state.held {
            if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                state.wakers.push(context.waker().clone());
            }
        } else if self.was_polled {
            return Poll::Ready(());
        } else {
            context.waker().wake_by_ref();
        }
        drop(state);
        self.was_polled = true;
        Poll::Pending
    }
}

impl<N: Namespace> Namespace for AsyncStore<N> {
    forward_namespace!(
        self => self.inner;
        id, scope, capabilities, clock, stats, on_departure,
    );

    fn latency(&self) -> Latency {
        Latency::Blocking
    }

    fn asynchronous(&self) -> Option<&dyn AsyncNamespace> {
        Some(self)
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        self.block("get").get(key)
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        self.block("set").set(key, entry)
    }

    fn remove(&self, key: &Key) -> Result<bool, Error> {
        self.block("remove").remove(key)
    }

    fn clear(&self) -> Result<(), Error> {
        self.block("clear").clear()
    }

    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        self.block("claim").claim(key, wait)
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        self.block("fulfil").fulfil(key, entry, claim)
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        self.block("set_if").set_if(key, entry, condition)
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        self.block("scan").scan(scan)
    }

    fn remove_tag(&self, tag: &str) -> Result<u64, Error> {
        self.block("remove_tag").remove_tag(tag)
    }

    fn mark(&self, name: &str, mark: Mark) -> Result<Mark, Error> {
        self.block("mark").mark(name, mark)
    }

    fn marks(&self, names: &mut dyn Iterator<Item = &str>) -> Result<Mark, Error> {
        self.block("marks").marks(names)
    }

    fn sweep(&self) -> Result<Swept, Error> {
        self.block("sweep").sweep()
    }

    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        self.block("inspect").inspect(key)
    }

    fn look_up(&self, key: &Key) -> Result<Lookup, Error> {
        self.block("look_up").look_up(key)
    }

    fn read_with(&self, key: &Key, serve: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Error> {
        self.block("read_with").read_with(key, serve)
    }

    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        self.block("get_many").get_many(keys)
    }

    fn inspect_many(&self, keys: &[Key]) -> Result<Vec<Inspection>, Error> {
        self.block("inspect_many").inspect_many(keys)
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        self.block("set_many").set_many(entries)
    }

    fn remove_many(&self, keys: &[Key]) -> Result<u64, Error> {
        self.block("remove_many").remove_many(keys)
    }
}

impl<N: Namespace> AsyncNamespace for AsyncStore<N> {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry>, Error>> {
        self.later(|inner| inner.get(key))
    }

    fn set<'a>(&'a self, key: &'a Key, entry: Entry) -> BoxFuture<'a, Result<(), Error>> {
        self.later(|inner| inner.set(key, entry))
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool, Error>> {
        self.later(|inner| inner.remove(key))
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.later(N::clear)
    }

    /// Asks again at each poll until `wait` is over.
    fn claim<'a>(
        &'a self,
        key: &'a Key,
        wait: Wait,
    ) -> BoxFuture<'a, Result<Option<Claim>, Error>> {
        let is_over = move |began: Instant| match wait {
            Wait::Never => true,
            Wait::AtMost(limit) => began.elapsed() >= limit,
            Wait::Forever => false,
        };
        Box::pin(async move {
            let began = Instant::now();
            loop {
                let over = is_over(began);
                let claim = self.later(|inner| inner.claim(key, Wait::Never)).await?;
                if claim.is_some() || over {
                    return Ok(claim);
                }
            }
        })
    }

    fn fulfil<'a>(
        &'a self,
        key: &'a Key,
        entry: Entry,
        claim: Claim,
    ) -> BoxFuture<'a, Result<Fulfilled, Error>> {
        self.later(|inner| inner.fulfil(key, entry, claim))
    }

    fn set_if<'a>(
        &'a self,
        key: &'a Key,
        entry: Entry,
        condition: Condition,
    ) -> BoxFuture<'a, Result<ConditionalSet, Error>> {
        self.later(move |inner| inner.set_if(key, entry, condition))
    }

    fn scan<'a>(&'a self, scan: &'a Scan) -> BoxFuture<'a, Result<Page, Error>> {
        self.later(|inner| inner.scan(scan))
    }

    fn remove_tag<'a>(&'a self, tag: &'a str) -> BoxFuture<'a, Result<u64, Error>> {
        self.later(|inner| inner.remove_tag(tag))
    }

    fn mark<'a>(&'a self, name: &'a str, mark: Mark) -> BoxFuture<'a, Result<Mark, Error>> {
        self.later(move |inner| inner.mark(name, mark))
    }

    fn marks<'a>(&'a self, names: &'a [&'a str]) -> BoxFuture<'a, Result<Mark, Error>> {
        self.later(|inner| inner.marks(&mut names.iter().copied()))
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Swept, Error>> {
        self.later(N::sweep)
    }

    fn inspect<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Inspection, Error>> {
        self.later(|inner| inner.inspect(key))
    }

    fn look_up<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Lookup, Error>> {
        self.later(|inner| inner.look_up(key))
    }

    fn get_many<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Entry>>, Error>> {
        self.later(|inner| inner.get_many(keys))
    }

    fn inspect_many<'a>(
        &'a self,
        keys: &'a [Key],
    ) -> BoxFuture<'a, Result<Vec<Inspection>, Error>> {
        self.later(|inner| inner.inspect_many(keys))
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> BoxFuture<'_, Result<(), Error>> {
        self.later(|inner| inner.set_many(entries))
    }

    fn remove_many<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<u64, Error>> {
        self.later(|inner| inner.remove_many(keys))
    }
}
