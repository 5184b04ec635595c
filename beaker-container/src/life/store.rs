//! The stores of a life, by the face that suits the caller.
//
// 1. On a thread that may block, the blocking faces are called: by `look.rs` and `change.rs`.
// 2. In a task, a store that answers at once is called as it is, and one that has an asynchronous face by
//    that: by `in_task.rs`. If a store that a life needs has neither, all of it goes to a thread that
//    may block.
// 3. What is decided is decided in one place for both: they differ in how they ask.

use beaker_namespace::{
    AsyncNamespace, Claim, Condition, ConditionalSet, Entry, Error, Fulfilled, Inspection, Key,
    Latency, Mark, Namespace, Page, Scan, Wait,
};

use super::Life;
use super::region::Region;

/// Where a task calls the stores.
#[cfg(feature = "tokio")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the task, which waits for nothing.
    AtOnce,
    /// In the task, by their asynchronous faces.
    InTask,
    /// On a thread that may block.
    OnThread,
}

impl<V> Life<V> {
    #[cfg(feature = "tokio")]
    pub(crate) fn place(&self) -> Place {
        let marks = self.region.as_ref().map(|region| &*region.marks);
        let all =
            |suits: fn(&dyn Namespace) -> bool| suits(&*self.namespace) && marks.is_none_or(suits);
        if all(answers_at_once) {
            Place::AtOnce
        } else if all(|store| answers_at_once(store) || store.asynchronous().is_some()) {
            Place::InTask
        } else {
            Place::OnThread
        }
    }

    pub(crate) fn store(&self) -> Store<'_> {
        Store::new(&*self.namespace)
    }
}

impl Region {
    /// Whether a task can ask for its mark without a thread that may block.
    #[cfg(feature = "tokio")]
    pub(crate) fn suits_tasks(&self) -> bool {
        answers_at_once(&*self.marks) || self.marks.asynchronous().is_some()
    }

    pub(super) fn store(&self) -> Store<'_> {
        Store::new(&*self.marks)
    }
}

fn answers_at_once(store: &dyn Namespace) -> bool {
    store.latency() == Latency::Inline
}

/// A store, for a task that waits for it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Store<'a> {
    AtOnce(&'a dyn Namespace),
    Asynchronous(&'a dyn AsyncNamespace),
}

type Result<T> = std::result::Result<T, Error>;

impl<'a> Store<'a> {
    fn new(store: &'a dyn Namespace) -> Self {
        match store.asynchronous() {
            Some(face) if !answers_at_once(store) => Self::Asynchronous(face),
            _ => Self::AtOnce(store),
        }
    }

    pub(super) async fn get(self, key: &Key) -> Result<Option<Entry>> {
        match self {
            Self::AtOnce(store) => store.get(key),
            Self::Asynchronous(store) => store.get(key).await,
        }
    }

    pub(super) async fn get_many(self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        match self {
            Self::AtOnce(store) => store.get_many(keys),
            Self::Asynchronous(store) => store.get_many(keys).await,
        }
    }

    pub(super) async fn inspect(self, key: &Key) -> Result<Inspection> {
        match self {
            Self::AtOnce(store) => store.inspect(key),
            Self::Asynchronous(store) => store.inspect(key).await,
        }
    }

    pub(super) async fn inspect_many(self, keys: &[Key]) -> Result<Vec<Inspection>> {
        match self {
            Self::AtOnce(store) => store.inspect_many(keys),
            Self::Asynchronous(store) => store.inspect_many(keys).await,
        }
    }

    pub(crate) async fn scan(self, scan: &Scan) -> Result<Page> {
        match self {
            Self::AtOnce(store) => store.scan(scan),
            Self::Asynchronous(store) => store.scan(scan).await,
        }
    }

    pub(super) async fn set(self, key: &Key, entry: Entry) -> Result<()> {
        match self {
            Self::AtOnce(store) => store.set(key, entry),
            Self::Asynchronous(store) => store.set(key, entry).await,
        }
    }

    pub(super) async fn set_many(self, entries: Vec<(Key, Entry)>) -> Result<()> {
        match self {
            Self::AtOnce(store) => store.set_many(entries),
            Self::Asynchronous(store) => store.set_many(entries).await,
        }
    }

    pub(super) async fn set_if(
        self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet> {
        match self {
            Self::AtOnce(store) => store.set_if(key, entry, condition),
            Self::Asynchronous(store) => store.set_if(key, entry, condition).await,
        }
    }

    pub(super) async fn remove(self, key: &Key) -> Result<bool> {
        match self {
            Self::AtOnce(store) => store.remove(key),
            Self::Asynchronous(store) => store.remove(key).await,
        }
    }

    pub(super) async fn remove_many(self, keys: &[Key]) -> Result<u64> {
        match self {
            Self::AtOnce(store) => store.remove_many(keys),
            Self::Asynchronous(store) => store.remove_many(keys).await,
        }
    }

    pub(super) async fn clear(self) -> Result<()> {
        match self {
            Self::AtOnce(store) => store.clear(),
            Self::Asynchronous(store) => store.clear().await,
        }
    }

    pub(super) async fn claim(self, key: &Key, wait: Wait) -> Result<Option<Claim>> {
        match self {
            Self::AtOnce(store) => store.claim(key, wait),
            Self::Asynchronous(store) => store.claim(key, wait).await,
        }
    }

    pub(super) async fn fulfil(self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled> {
        match self {
            Self::AtOnce(store) => store.fulfil(key, entry, claim),
            Self::Asynchronous(store) => store.fulfil(key, entry, claim).await,
        }
    }

    pub(super) async fn mark(self, name: &str, mark: Mark) -> Result<Mark> {
        match self {
            Self::AtOnce(store) => store.mark(name, mark),
            Self::Asynchronous(store) => store.mark(name, mark).await,
        }
    }

    pub(super) async fn marks<S: AsRef<str> + Sync>(self, names: &[S]) -> Result<Mark> {
        match self {
            Self::AtOnce(store) => store.marks(&mut names.iter().map(S::as_ref)),
            Self::Asynchronous(store) => {
                let names: Vec<&str> = names.iter().map(S::as_ref).collect();
                store.marks(&names).await
            }
        }
    }
}
