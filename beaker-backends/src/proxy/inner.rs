//! The calls of the namespace inside a proxy, by the face that suits the caller.
//
// What a proxy does in more than one call is written once, as async functions over these; by the
// blocking face they wait for nothing. What it does in one call is written for each face: the call
// differs, and what is done to its arguments and its answer is shared.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use beaker_namespace::{
    AsyncNamespace, BoxFuture, Capabilities, Claim, Condition, ConditionalSet, Entry, Error,
    Fulfilled, Inspection, Key, Lookup, Mark, Namespace, Page, Scan, Swept, Wait,
};

/// What an asynchronous call promises.
pub(super) type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// The namespace inside, by one of its faces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inner<'a> {
    namespace: &'a dyn Namespace,
    /// The face by which it is called; without one, the blocking one is.
    face: Option<&'a dyn AsyncNamespace>,
}

/// What came of calls by the blocking face.
pub(super) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("the blocking face blocks"),
    }
}

impl<'a> Inner<'a> {
    pub(super) fn blocking(namespace: &'a dyn Namespace) -> Self {
        Self { namespace, face: None }
    }

    /// By the asynchronous face, if there is one.
    pub(super) fn in_task(namespace: &'a dyn Namespace) -> Self {
        Self { namespace, face: namespace.asynchronous() }
    }

    pub(super) fn is_blocking(self) -> bool {
        self.face.is_none()
    }

    pub(super) fn capabilities(self) -> Capabilities {
        self.namespace.capabilities()
    }

    pub(super) async fn marks(self, names: &[impl AsRef<str> + Sync]) -> Result<Mark, Error> {
        let mut names = names.iter().map(AsRef::as_ref);
        match self.face {
            Some(face) => face.marks(&names.collect::<Vec<_>>()).await,
            None => self.namespace.marks(&mut names),
        }
    }
}

macro_rules! calls {
    ($($call:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        impl Inner<'_> {$(
            pub(super) async fn $call(self, $($argument: $type),*) -> Result<$answer, Error> {
                match self.face {
                    Some(face) => face.$call($($argument),*).await,
                    None => self.namespace.$call($($argument),*),
                }
            }
        )+}
    };
}

calls! {
    get(key: &Key) -> Option<Entry>;
    set(key: &Key, entry: Entry) -> ();
    remove(key: &Key) -> bool;
    clear() -> ();
    claim(key: &Key, wait: Wait) -> Option<Claim>;
    fulfil(key: &Key, entry: Entry, claim: Claim) -> Fulfilled;
    set_if(key: &Key, entry: Entry, condition: Condition) -> ConditionalSet;
    scan(scan: &Scan) -> Page;
    remove_tag(tag: &str) -> u64;
    mark(name: &str, mark: Mark) -> Mark;
    sweep() -> Swept;
    inspect(key: &Key) -> Inspection;
    look_up(key: &Key) -> Lookup;
    get_many(keys: &[Key]) -> Vec<Option<Entry>>;
    inspect_many(keys: &[Key]) -> Vec<Inspection>;
    set_many(entries: Vec<(Key, Entry)>) -> ();
    remove_many(keys: &[Key]) -> u64;
}

/// Writes the named methods of [`AsyncNamespace`] that hand the call on, to an [`Inner`].
macro_rules! forward_in_task {
    ($this:ident => $inner:expr; $($method:ident),+ $(,)?) => {
        $(forward_in_task!(@$method $this $inner);)+
    };
    (@remove $this:ident $inner:expr) => {
        fn remove<'a>(&'a $this, key: &'a beaker_namespace::Key) -> $crate::proxy::inner::Answer<'a, bool> {
            Box::pin($inner.remove(key))
        }
    };
    (@clear $this:ident $inner:expr) => {
        fn clear(&$this) -> $crate::proxy::inner::Answer<'_, ()> {
            Box::pin($inner.clear())
        }
    };
    (@claim $this:ident $inner:expr) => {
        fn claim<'a>(
            &'a $this,
            key: &'a beaker_namespace::Key,
            wait: beaker_namespace::Wait,
        ) -> $crate::proxy::inner::Answer<'a, Option<beaker_namespace::Claim>> {
            Box::pin($inner.claim(key, wait))
        }
    };
    (@scan $this:ident $inner:expr) => {
        fn scan<'a>(&'a $this, scan: &'a beaker_namespace::Scan) -> $crate::proxy::inner::Answer<'a, beaker_namespace::Page> {
            Box::pin($inner.scan(scan))
        }
    };
    (@remove_tag $this:ident $inner:expr) => {
        fn remove_tag<'a>(&'a $this, tag: &'a str) -> $crate::proxy::inner::Answer<'a, u64> {
            Box::pin($inner.remove_tag(tag))
        }
    };
    (@mark $this:ident $inner:expr) => {
        fn mark<'a>(&'a $this, name: &'a str, mark: beaker_namespace::Mark) -> $crate::proxy::inner::Answer<'a, beaker_namespace::Mark> {
            Box::pin($inner.mark(name, mark))
        }
    };
    (@marks $this:ident $inner:expr) => {
        fn marks<'a>(&'a $this, names: &'a [&'a str]) -> $crate::proxy::inner::Answer<'a, beaker_namespace::Mark> {
            Box::pin($inner.marks(names))
        }
    };
    (@sweep $this:ident $inner:expr) => {
        fn sweep(&$this) -> $crate::proxy::inner::Answer<'_, beaker_namespace::Swept> {
            Box::pin($inner.sweep())
        }
    };
    (@inspect $this:ident $inner:expr) => {
        fn inspect<'a>(&'a $this, key: &'a beaker_namespace::Key) -> $crate::proxy::inner::Answer<'a, beaker_namespace::Inspection> {
            Box::pin($inner.inspect(key))
        }
    };
    (@inspect_many $this:ident $inner:expr) => {
        fn inspect_many<'a>(
            &'a $this,
            keys: &'a [beaker_namespace::Key],
        ) -> $crate::proxy::inner::Answer<'a, Vec<beaker_namespace::Inspection>> {
            Box::pin($inner.inspect_many(keys))
        }
    };
    (@remove_many $this:ident $inner:expr) => {
        fn remove_many<'a>(&'a $this, keys: &'a [beaker_namespace::Key]) -> $crate::proxy::inner::Answer<'a, u64> {
            Box::pin($inner.remove_many(keys))
        }
    };
}
