//! Namespaces that hand most of their calls on to another.

/// Writes the named methods of [`Namespace`](crate::Namespace) that hand the call on.
///
/// For a namespace around another: inside its `impl Namespace`, say what `self` is called, what is
/// inside, and which methods go there as they are (`..` for all); write the others by hand. A method that is in
/// neither has the trait's default, if it has one: it is then made of those that are written.
///
/// `in_memory` and `asynchronous` give out what is inside itself, to be called past the namespace around
/// it: leave `in_memory` out where a read or a write is more than handed on, and `asynchronous` where any
/// call is.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use beaker_namespace::{
///     Entry, Error, Key, MemoryConfig, MemoryNamespace, Namespace, Payload, forward_namespace,
/// };
///
/// #[derive(Debug)]
/// struct CountingReads<N> {
///     inner: N,
///     reads: AtomicU64,
/// }
///
/// impl<N: Namespace> Namespace for CountingReads<N> {
///     forward_namespace!(
///         self => self.inner;
///         id, scope, capabilities, latency, clock, stats, set, remove, clear, claim, fulfil,
///     );
///
///     fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
///         self.reads.fetch_add(1, Ordering::Relaxed);
///         self.inner.get(key)
///     }
/// }
///
/// let inner = MemoryNamespace::anonymous(MemoryConfig::new())?;
/// let counting = CountingReads { inner, reads: AtomicU64::new(0) };
/// counting.set(&Key::new("a"), Entry::new(Payload::raw(&b"1"[..]), counting.clock().now()))?;
/// counting.get_many(&[Key::new("a"), Key::new("b")])?;
/// assert_eq!(counting.reads.into_inner(), 2, "the default asks for each");
/// # Ok::<(), beaker_namespace::Error>(())
/// ```
#[macro_export]
macro_rules! forward_namespace {
    ($this:ident => $inner:expr; ..) => {
        $crate::forward_namespace!(
            $this => $inner;
            id, scope, capabilities, latency, clock, get, set, remove, clear, claim, fulfil, stats,
            set_if, scan, remove_tag, mark, marks, sweep, inspect, look_up, read_with, in_memory, asynchronous,
            get_many, inspect_many, set_many, remove_many, on_departure,
        );
    };
    ($this:ident => $inner:expr; $($method:ident),+ $(,)?) => {
        $($crate::forward_namespace!(@$method $this $inner);)+
    };
    (@id $this:ident $inner:expr) => {
        fn id(&$this) -> &$crate::NamespaceId {
            $crate::Namespace::id(&$inner)
        }
    };
    (@scope $this:ident $inner:expr) => {
        fn scope(&$this) -> $crate::Scope {
            $crate::Namespace::scope(&$inner)
        }
    };
    (@capabilities $this:ident $inner:expr) => {
        fn capabilities(&$this) -> $crate::Capabilities {
            $crate::Namespace::capabilities(&$inner)
        }
    };
    (@latency $this:ident $inner:expr) => {
        fn latency(&$this) -> $crate::Latency {
            $crate::Namespace::latency(&$inner)
        }
    };
    (@clock $this:ident $inner:expr) => {
        fn clock(&$this) -> &::std::sync::Arc<dyn $crate::Clock> {
            $crate::Namespace::clock(&$inner)
        }
    };
    (@get $this:ident $inner:expr) => {
        fn get(&$this, key: &$crate::Key) -> Result<Option<$crate::Entry>, $crate::Error> {
            $crate::Namespace::get(&$inner, key)
        }
    };
    (@set $this:ident $inner:expr) => {
        fn set(&$this, key: &$crate::Key, entry: $crate::Entry) -> Result<(), $crate::Error> {
            $crate::Namespace::set(&$inner, key, entry)
        }
    };
    (@remove $this:ident $inner:expr) => {
        fn remove(&$this, key: &$crate::Key) -> Result<bool, $crate::Error> {
            $crate::Namespace::remove(&$inner, key)
        }
    };
    (@clear $this:ident $inner:expr) => {
        fn clear(&$this) -> Result<(), $crate::Error> {
            $crate::Namespace::clear(&$inner)
        }
    };
    (@claim $this:ident $inner:expr) => {
        fn claim(
            &$this,
            key: &$crate::Key,
            wait: $crate::Wait,
        ) -> Result<Option<$crate::Claim>, $crate::Error> {
            $crate::Namespace::claim(&$inner, key, wait)
        }
    };
    (@fulfil $this:ident $inner:expr) => {
        fn fulfil(
            &$this,
            key: &$crate::Key,
            entry: $crate::Entry,
            claim: $crate::Claim,
        ) -> Result<$crate::Fulfilled, $crate::Error> {
            $crate::Namespace::fulfil(&$inner, key, entry, claim)
        }
    };
    (@stats $this:ident $inner:expr) => {
        fn stats(&$this) -> $crate::Stats {
            $crate::Namespace::stats(&$inner)
        }
    };
    (@set_if $this:ident $inner:expr) => {
        fn set_if(
            &$this,
            key: &$crate::Key,
            entry: $crate::Entry,
            condition: $crate::Condition,
        ) -> Result<$crate::ConditionalSet, $crate::Error> {
            $crate::Namespace::set_if(&$inner, key, entry, condition)
        }
    };
    (@scan $this:ident $inner:expr) => {
        fn scan(&$this, scan: &$crate::Scan) -> Result<$crate::Page, $crate::Error> {
            $crate::Namespace::scan(&$inner, scan)
        }
    };
    (@remove_tag $this:ident $inner:expr) => {
        fn remove_tag(&$this, tag: &str) -> Result<u64, $crate::Error> {
            $crate::Namespace::remove_tag(&$inner, tag)
        }
    };
    (@mark $this:ident $inner:expr) => {
        fn mark(&$this, name: &str, mark: $crate::Mark) -> Result<$crate::Mark, $crate::Error> {
            $crate::Namespace::mark(&$inner, name, mark)
        }
    };
    (@marks $this:ident $inner:expr) => {
        fn marks(
            &$this,
            names: &mut dyn Iterator<Item = &str>,
        ) -> Result<$crate::Mark, $crate::Error> {
            $crate::Namespace::marks(&$inner, names)
        }
    };
    (@sweep $this:ident $inner:expr) => {
        fn sweep(&$this) -> Result<$crate::Swept, $crate::Error> {
            $crate::Namespace::sweep(&$inner)
        }
    };
    (@inspect $this:ident $inner:expr) => {
        fn inspect(&$this, key: &$crate::Key) -> Result<$crate::Inspection, $crate::Error> {
            $crate::Namespace::inspect(&$inner, key)
        }
    };
    (@look_up $this:ident $inner:expr) => {
        fn look_up(&$this, key: &$crate::Key) -> Result<$crate::Lookup, $crate::Error> {
            $crate::Namespace::look_up(&$inner, key)
        }
    };
    (@read_with $this:ident $inner:expr) => {
        fn read_with(
            &$this,
            key: &$crate::Key,
            serve: &mut dyn FnMut(&$crate::Entry) -> bool,
        ) -> Result<(), $crate::Error> {
            $crate::Namespace::read_with(&$inner, key, serve)
        }
    };
    (@in_memory $this:ident $inner:expr) => {
        fn in_memory(&$this) -> Option<::std::sync::Arc<$crate::MemoryNamespace>> {
            $crate::Namespace::in_memory(&$inner)
        }
    };
    (@asynchronous $this:ident $inner:expr) => {
        fn asynchronous(&$this) -> Option<&dyn $crate::AsyncNamespace> {
            $crate::Namespace::asynchronous(&$inner)
        }
    };
    (@get_many $this:ident $inner:expr) => {
        fn get_many(
            &$this,
            keys: &[$crate::Key],
        ) -> Result<Vec<Option<$crate::Entry>>, $crate::Error> {
            $crate::Namespace::get_many(&$inner, keys)
        }
    };
    (@inspect_many $this:ident $inner:expr) => {
        fn inspect_many(
            &$this,
            keys: &[$crate::Key],
        ) -> Result<Vec<$crate::Inspection>, $crate::Error> {
            $crate::Namespace::inspect_many(&$inner, keys)
        }
    };
    (@set_many $this:ident $inner:expr) => {
        fn set_many(
            &$this,
            entries: Vec<($crate::Key, $crate::Entry)>,
        ) -> Result<(), $crate::Error> {
            $crate::Namespace::set_many(&$inner, entries)
        }
    };
    (@remove_many $this:ident $inner:expr) => {
        fn remove_many(&$this, keys: &[$crate::Key]) -> Result<u64, $crate::Error> {
            $crate::Namespace::remove_many(&$inner, keys)
        }
    };
    (@on_departure $this:ident $inner:expr) => {
        fn on_departure(&$this, listener: &::std::sync::Arc<$crate::OnDeparture>) -> bool {
            $crate::Namespace::on_departure(&$inner, listener)
        }
    };
}
