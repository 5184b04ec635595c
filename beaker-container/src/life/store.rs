//! The stores of a life, by the face that suits the caller.
//
// 1. On a thread that may block, the blocking face is called.
// 2. In a task, a store that answers at once is called as it is, and one that has an asynchronous face by
//    that. If a store that a life needs has neither, the life goes to a thread that may block, with
//    all of its stores.
// 3. So a call of a store is written once, as an async function, whose futures are never pending by
//    the blocking face.

use beaker_namespace::{
    AsyncNamespace, Claim, Condition, ConditionalSet, Entry, Error, Fulfilled, Inspection, Key,
    Latency, Mark, Namespace, Wait,
};

use super::Life;
use super::region::Region;

/// Which face of the stores to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// On a thread that may block, or where the stores answer at once.
    Blocking,
    /// In a task.
    #[cfg_attr(not(feature = "tokio"), expect(dead_code, reason = "there are no tasks"))]
    Asynchronous,
}

/// Where a task calls the stores.
#[cfg(feature = "tokio")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    InTask(Face),
    OnThread,
}

#[cfg(feature = "tokio")]
impl Place {
    /// Whether the stores answer at once.
    pub(crate) fn is_at_once(self) -> bool {
        self == Self::InTask(Face::Blocking)
    }
}

impl<V> Life<V> {
    #[cfg(feature = "tokio")]
    pub(crate) fn place(&self) -> Place {
        let marks = self.region.as_ref().map(|region| &*region.marks);
        let all =
            |suits: fn(&dyn Namespace) -> bool| suits(&*self.namespace) && marks.is_none_or(suits);
        if all(answers_at_once) {
            Place::InTask(Face::Blocking)
        } else if all(|store| answers_at_once(store) || store.asynchronous().is_some()) {
            Place::InTask(Face::Asynchronous)
        } else {
            Place::OnThread
        }
    }

    pub(super) fn store(&self, face: Face) -> Store<'_> {
        Store::new(&*self.namespace, face)
    }
}

impl Region {
    pub(super) fn store(&self, face: Face) -> Store<'_> {
        Store::new(&*self.marks, face)
    }
}

fn answers_at_once(store: &dyn Namespace) -> bool {
    store.latency() == Latency::Inline
}

/// A store, and how to call it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Store<'a> {
    Blocking(&'a dyn Namespace),
    Asynchronous(&'a dyn AsyncNamespace),
}

type Result<T> = std::result::Result<T, Error>;

impl<'a> Store<'a> {
    fn new(store: &'a dyn Namespace, face: Face) -> Self {
        match face {
            Face::Asynchronous if !answers_at_once(store) => {
                store.asynchronous().map_or(Self::Blocking(store), Self::Asynchronous)
            }
            Face::Asynchronous | Face::Blocking => Self::Blocking(store),
        }
    }

    /// Shows the entry to `serve`, which says whether it serves its caller.
    pub(super) async fn read_with(
        self,
        key: &Key,
        serve: &mut (dyn FnMut(&Entry) -> bool + Send),
    ) -> Result<()> {
        match self {
            Self::Blocking(store) => store.read_with(key, serve),
            Self::Asynchronous(store) => {
                if let Some(entry) = store.get(key).await? {
                    serve(&entry);
                }
                Ok(())
            }
        }
    }

    pub(super) async fn get_many(self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        match self {
            Self::Blocking(store) => store.get_many(keys),
            Self::Asynchronous(store) => store.get_many(keys).await,
        }
    }

    pub(super) async fn inspect(self, key: &Key) -> Result<Inspection> {
        match self {
            Self::Blocking(store) => store.inspect(key),
            Self::Asynchronous(store) => store.inspect(key).await,
        }
    }

    pub(super) async fn set(self, key: &Key, entry: Entry) -> Result<()> {
        match self {
            Self::Blocking(store) => store.set(key, entry),
            Self::Asynchronous(store) => store.set(key, entry).await,
        }
    }

    pub(super) async fn set_if(
        self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet> {
        match self {
            Self::Blocking(store) => store.set_if(key, entry, condition),
            Self::Asynchronous(store) => store.set_if(key, entry, condition).await,
        }
    }

    pub(super) async fn remove(self, key: &Key) -> Result<bool> {
        match self {
            Self::Blocking(store) => store.remove(key),
            Self::Asynchronous(store) => store.remove(key).await,
        }
    }

    pub(super) async fn remove_many(self, keys: &[Key]) -> Result<u64> {
        match self {
            Self::Blocking(store) => store.remove_many(keys),
            Self::Asynchronous(store) => store.remove_many(keys).await,
        }
    }

    pub(super) async fn clear(self) -> Result<()> {
        match self {
            Self::Blocking(store) => store.clear(),
            Self::Asynchronous(store) => store.clear().await,
        }
    }

    pub(super) async fn claim(self, key: &Key, wait: Wait) -> Result<Option<Claim>> {
        match self {
            Self::Blocking(store) => store.claim(key, wait),
            Self::Asynchronous(store) => store.claim(key, wait).await,
        }
    }

    pub(super) async fn fulfil(self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled> {
        match self {
            Self::Blocking(store) => store.fulfil(key, entry, claim),
            Self::Asynchronous(store) => store.fulfil(key, entry, claim).await,
        }
    }

    pub(super) async fn mark(self, name: &str, mark: Mark) -> Result<Mark> {
        match self {
            Self::Blocking(store) => store.mark(name, mark),
            Self::Asynchronous(store) => store.mark(name, mark).await,
        }
    }

    pub(super) async fn marks<S: AsRef<str> + Sync>(self, names: &[S]) -> Result<Mark> {
        match self {
            Self::Blocking(store) => store.marks(&mut names.iter().map(S::as_ref)),
            Self::Asynchronous(store) => {
                let names: Vec<&str> = names.iter().map(S::as_ref).collect();
                store.marks(&names).await
            }
        }
    }
}
