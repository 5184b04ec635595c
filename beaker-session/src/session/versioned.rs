//! A whole session as one struct whose layout changes from one version of the program to the next.
//
// 1. The number of the layout is a value of the session, written with the first change that is made
//    through its type. So a visit that changes nothing stores nothing, whatever the session's layout.
// 2. What was never numbered, and has values, is of version 0. What has none is of the newest.
// 3. An older program meets a newer layout while both run: it reads what it knows, changes field by
//    field, and leaves the number.
// 4. Of two requests that migrate a session the first to save does. What the other's migration made of
//    what it had loaded is dropped for what is there then; what it changed besides is merged.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Session;
use super::typed::{decode_all, fields};
use crate::Error;
use crate::data::{Change, Data, LAYOUT};

/// What a program keeps in its sessions, as one struct whose layout has a version.
///
/// With the feature `derive`, `#[derive(SessionData)]` writes both from attributes, which say what was
/// renamed, converted or dropped before which version. By hand it is this:
///
/// # Examples
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// use beaker_session::{Data, SessionData};
///
/// # let store = beaker_namespace::Stores::new().open(&"memory:".parse()?, "versioned")?;
/// # let sessions = beaker_session::Sessions::builder().with_namespace(store).build()?;
/// # let session = sessions.begin([]).load()?;
/// #[derive(Serialize, Deserialize, Default)]
/// #[serde(default)]
/// struct Visit {
///     /// Until version 1 it was called `hits`.
///     pages: u32,
/// }
///
/// impl SessionData for Visit {
///     const VERSION: u32 = 1;
///
///     fn migrate(from: u32, values: &mut Data) {
///         if from == 0
///             && let Some(hits) = values.remove("hits")
///         {
///             values.insert("pages".to_owned(), hits);
///         }
///     }
/// }
///
/// session.insert("hits", 41)?; // by an older version of the program
/// assert_eq!(session.versioned::<Visit>()?.pages, 41);
/// session.modify_versioned(|visit: &mut Visit| visit.pages += 1)?;
/// assert_eq!((session.get::<u32>("pages")?, session.contains("hits")), (Some(42), false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait SessionData: DeserializeOwned + Serialize {
    /// The version of this layout, from 1.
    const VERSION: u32;

    /// Changes `values` from the layout of version `from` to that of the next one. 0 is that of sessions
    /// which were stored before there was a number. Called for each version in turn, under no lock, with
    /// the values of one session; those whose names begin with an underscore are not the program's.
    fn migrate(from: u32, values: &mut Data);
}

impl Session {
    /// As [`typed`](Self::typed), of a session of any earlier layout. Changes nothing.
    ///
    /// # Errors
    ///
    /// As [`typed`](Self::typed), after the migration.
    pub fn versioned<T: SessionData>(&self) -> Result<T, Error> {
        decode_all(migrated::<T>(self.data()).0)
    }

    /// As [`modify`](Self::modify), of a session of any earlier layout: the first change brings it to
    /// this one. What another request, of an older version of the program, changes meanwhile under a name
    /// that is no longer used stays under that name.
    ///
    /// # Errors
    ///
    /// As [`modify`](Self::modify), after the migration.
    pub fn modify_versioned<T: SessionData, R>(
        &self,
        modify: impl FnOnce(&mut T) -> R,
    ) -> Result<R, Error> {
        let stored = self.data();
        let (mut migrated, version) = migrated::<T>(stored.clone());
        let mut typed: T = decode_all(migrated.clone())?;
        let before = fields(&typed)?;
        let result = modify(&mut typed);
        let after = fields(&typed)?;
        if before == after {
            return Ok(result);
        }
        migrated.insert(LAYOUT.to_owned(), version.into());
        self.change(|open| {
            for name in stored.keys().filter(|name| !migrated.contains_key(*name)) {
                open.change(name, Change::Migrate(None));
            }
            for (name, value) in &migrated {
                if stored.get(name) != Some(value) {
                    open.change(name, Change::Migrate(Some(value.clone())));
                }
            }
            for name in before.keys().filter(|name| !after.contains_key(*name)) {
                open.change(name, Change::Remove);
            }
            for (name, value) in after {
                if before.get(&name) != Some(&value) {
                    open.change(&name, Change::Put(value));
                }
            }
            Ok(())
        })?;
        Ok(result)
    }
}

/// The values in the layout of `T`, and the number of the layout that they have then.
fn migrated<T: SessionData>(mut values: Data) -> (Data, u32) {
    let stored = values.get(LAYOUT).and_then(|version| u32::try_from(version.as_u64()?).ok());
    let is_new = values.keys().all(|name| name.starts_with('_'));
    let stored = stored.unwrap_or(if is_new { T::VERSION } else { 0 });
    (stored..T::VERSION).for_each(|from| T::migrate(from, &mut values));
    (values, stored.max(T::VERSION))
}
