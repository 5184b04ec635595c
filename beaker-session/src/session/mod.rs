//! A loaded session.

mod csrf;
mod entry;
mod flash;
mod life;
mod merging;
mod site;
mod typed;
mod versioned;
mod waiting;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::entry::Entry;
pub use self::flash::Flash;
pub use self::site::{Site, SitePolicy, site_of};
pub use self::versioned::SessionData;
#[cfg(feature = "tokio")]
pub(crate) use self::waiting::Wait;
pub use self::waiting::Waited;
use crate::core::Open;
use crate::data::{Change, Data};
use crate::lazy::{Goal, LazySession};
use crate::record::Stored;
use crate::store::ready;
use crate::{Error, ErrorKind, SessionId};

/// A request's session, loaded: its values can be read and changed without waiting for anything.
/// Cheap to clone; clones are one session.
///
/// Changes are kept with the request, and stored at its end in one write. There each value is
/// merged by itself into what other requests have stored meanwhile; see
/// [`MergePolicy`](crate::MergePolicy). A new session in which nothing is left by then (no value, and
/// nothing [said](Self::set_subject) of it) is not stored, and gets no cookie. Names that begin with an underscore are kept for this
/// crate and for bridges.
///
/// # Errors
///
/// What changes the session gives [`AlreadyCommitted`](ErrorKind::AlreadyCommitted) once the
/// response's header has gone, [`Ended`](ErrorKind::Ended) when the session was ended by this
/// request or was found to be ended by another, and [`Unavailable`](ErrorKind::Unavailable) in a
/// session that could not be loaded.
#[derive(Clone)]
pub struct Session(LazySession);

impl Session {
    pub(crate) fn new(lazy: LazySession) -> Self {
        Self(lazy)
    }

    pub(crate) fn lazy(&self) -> &LazySession {
        &self.0
    }

    fn read<R>(&self, read: impl FnOnce(Option<&Open>) -> R) -> R {
        read(self.0.core().open())
    }

    fn change<R>(&self, change: impl FnOnce(&mut Open) -> Result<R, Error>) -> Result<R, Error> {
        let mut core = self.0.core();
        change(core.open_mut()?)
    }

    /// The value under `key`.
    ///
    /// # Errors
    ///
    /// [`Codec`](ErrorKind::Codec) if it is of another type.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.read(|open| {
            open.and_then(|open| open.get(key)).map(|value| decode(&value)).transpose()
        })
    }

    /// Whether there is a value under `key`.
    pub fn contains(&self, key: &str) -> bool {
        self.read(|open| open.is_some_and(|open| open.get(key).is_some()))
    }

    /// Puts `value` under `key`. The same value as before is no change.
    ///
    /// # Errors
    ///
    /// [`Codec`](ErrorKind::Codec) if it cannot be encoded, and those of [the type](Self#errors).
    pub fn insert(&self, key: &str, value: impl Serialize) -> Result<(), Error> {
        let value = encode(value)?;
        self.change(|open| {
            if open.get(key).as_deref() != Some(&value) {
                open.change(key, Change::Put(value));
            }
            Ok(())
        })
    }

    /// Takes the value under `key` out.
    ///
    /// # Errors
    ///
    /// [`Codec`](ErrorKind::Codec) if it is of another type: it then stays. And those of
    /// [the type](Self#errors).
    pub fn remove<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.change(|open| {
            let value = open.get(key).map(|value| decode(&value)).transpose()?;
            if value.is_some() {
                open.change(key, Change::Remove);
            }
            Ok(value)
        })
    }

    /// Takes all values out. A stored session stays; to end it, see [`delete`](Self::delete).
    ///
    /// # Errors
    ///
    /// Those of [the type](Self#errors).
    pub fn clear(&self) -> Result<(), Error> {
        self.change(|open| {
            open.clear();
            Ok(())
        })
    }

    /// The names of all values, in order.
    pub fn keys(&self) -> Vec<String> {
        self.data().into_keys().collect()
    }

    /// A copy of all values.
    pub fn data(&self) -> Data {
        self.read(|open| open.map(|open| open.values().to_data()).unwrap_or_default())
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.data().is_empty()
    }

    /// Drops what was changed since the session was loaded or last saved.
    ///
    /// # Errors
    ///
    /// Those of [the type](Self#errors).
    pub fn revert(&self) -> Result<(), Error> {
        self.change(|open| {
            open.revert();
            Ok(())
        })
    }

    /// Stores what was changed now, instead of at the end of the request. The cookie goes with the
    /// response.
    ///
    /// It blocks where the store does; in a task use [`save_async`](Self::save_async).
    ///
    /// # Errors
    ///
    /// [`Ended`](ErrorKind::Ended) if another request has ended the session,
    /// [`Conflict`](ErrorKind::Conflict) under the policy for that,
    /// [`Corrupt`](ErrorKind::Corrupt) if its record cannot be read back any more (see
    /// [`CorruptPolicy`](crate::CorruptPolicy)), [`Entropy`](ErrorKind::Entropy) if a new id cannot be drawn,
    /// [`TooLarge`](ErrorKind::TooLarge), [`Unavailable`](ErrorKind::Unavailable). After the last
    /// four the changes are kept, and can be saved again. Where nothing was changed and only this use is to be
    /// noted, a store that cannot be reached is no error: [`check`](Self::check) asks it.
    pub fn save(&self) -> Result<(), Error> {
        self.0.drive(Goal::Save)
    }

    /// Lets other requests of this session go on before this one has ended, under
    /// [`MergePolicy::Lock`](crate::MergePolicy::Lock): for a handler that has what it needs, and takes long. What they
    /// are to see [save](Self::save) first. What this request changes from now on is merged into what they store. Under
    /// another policy, and a second time, nothing happens.
    pub fn unlock(&self) {
        self.0.core().unlock();
    }

    /// The same session apart from this request: for a background task, a streaming body or a
    /// websocket, which go on when the response's header has gone. It begins with what is stored,
    /// has no cookie, and is saved by [`save`](Self::save). When the session ends it can be
    /// [told](Self::wait_ended_for).
    ///
    /// # Errors
    ///
    /// [`Ended`](ErrorKind::Ended) if there is no stored session: save it first.
    pub fn detach(&self) -> Result<Self, Error> {
        let loaded = self.loaded().ok_or_else(|| {
            Error::new(ErrorKind::Ended, "detach session")
                .with_detail("there is no stored session; save it first")
        })?;
        let mut open = Open::known(self.origin(), loaded.id, loaded.base);
        open.epoch = loaded.epoch;
        Ok(self.0.sessions().detached(open))
    }

    /// Asks the store whether the session is still there: to be called now and then by what goes on
    /// for long with a [detached](Self::detach) one, such as a websocket, so that a logout or a
    /// revocation ends it too, in whatever process it was made. Costs one read; the use is not
    /// noted, and what the session holds stays as it was loaded. What can wait for the end needs not ask:
    /// [`wait_ended_for`](Self::wait_ended_for).
    ///
    /// It blocks where the store does; in a task use [`check_async`](Self::check_async).
    ///
    /// # Errors
    ///
    /// [`Ended`](ErrorKind::Ended) if it was ended, was renewed to another id, has expired, or was
    /// never stored; and those of the store, which say nothing of the session. A session that is
    /// kept in its cookie is only known to have expired, unless there is a store
    /// [for more](crate::Builder::with_epochs).
    pub fn check(&self) -> Result<(), Error> {
        ready(self.0.sessions().blocking().check(self))
    }

    /// What was loaded or stored last; `None` if there is nothing.
    pub(crate) fn loaded(&self) -> Option<Loaded> {
        self.read(|open| {
            let open = open.filter(|open| !open.ended)?;
            Some(Loaded { id: open.id?, base: open.base.clone()?, epoch: open.epoch })
        })
    }
}

/// What is known of a session that is stored.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) id: SessionId,
    pub(crate) base: Stored,
    pub(crate) epoch: Option<u64>,
}

pub(crate) fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    // The decoder's own text would show a part of the value.
    T::deserialize(value).map_err(|_unshown| {
        Error::new(ErrorKind::Codec, "read session value")
            .with_detail(format!("it is not a `{}`", std::any::type_name::<T>()))
    })
}

pub(crate) fn encode(value: impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::Codec, "encode session value").with_source(error))
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Session").field(&*self.0.core()).finish()
    }
}
