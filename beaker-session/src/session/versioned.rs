//! A whole session as one struct whose layout changes from one version of the program to the next.
//
// 1. The number of the layout is a value of the session, written with the first change that is made
//    through its type. So a visit that changes nothing stores nothing, whatever the session's layout.
// 2. What was never numbered, and has values, is of version 0. What has none is of the newest.
// 3. An older program meets a newer layout while both run: it reads what it knows, changes field by
//    field, and leaves the number.
// 4. A request that migrates keeps the migration itself, and what it changed besides. Where another request was
//    quicker, what that one left is migrated when it is saved, unless it is migrated already; and then
//    changed. So of two that migrate the first to save does, and what an older version of the program
//    changed between the load and the save is not lost.
// 5. A migration is a function of the program. It is called under no lock: when the values are read, and again where a
//    save meets what another request has stored. What it made is kept for whoever looks next.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Session;
use super::typed::{decode_all, fields, put_fields};
use crate::Error;
use crate::data::{Data, Migration};

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
    /// the values of one session, without those whose names begin with an underscore, which are not the
    /// program's. It depends on the values alone: each read calls it, and so does a save that meets what another
    /// request has stored meanwhile. A panic is its caller's, and nothing is stored then.
    fn migrate(from: u32, values: &mut Data);
}

impl Session {
    /// As [`typed`](Self::typed), of a session of any earlier layout. Changes nothing.
    ///
    /// # Errors
    ///
    /// As [`typed`](Self::typed), after the migration.
    pub fn versioned<T: SessionData>(&self) -> Result<T, Error> {
        decode_all(migration::<T>(self.data()).made().to_data())
    }

    /// As [`modify`](Self::modify), of a session of any earlier layout: the first change brings it to
    /// this one. What another request, of an older version of the program, stores meanwhile is migrated when
    /// this one is saved, and then changed as `modify` did. Once a session has the newer layout, what
    /// an older version changes under a name that is no longer used stays under that name.
    ///
    /// # Errors
    ///
    /// As [`modify`](Self::modify), after the migration.
    pub fn modify_versioned<T: SessionData, R>(
        &self,
        modify: impl FnOnce(&mut T) -> R,
    ) -> Result<R, Error> {
        let mut migration = migration::<T>(self.data());
        let mut typed: T = decode_all(migration.made().to_data())?;
        let before = fields(&typed)?;
        let result = modify(&mut typed);
        let after = fields(&typed)?;
        if before == after {
            return Ok(result);
        }
        let change = |migration: &Migration| {
            self.change(|open| {
                let is_migrated = open.migrate(migration);
                if is_migrated {
                    put_fields(open, &before, &after);
                }
                Ok(is_migrated)
            })
        };
        // Another handle of this request may have changed a value meanwhile.
        while !change(&migration)? {
            migration = self::migration::<T>(self.data());
        }
        Ok(result)
    }
}

fn migration<T: SessionData>(values: Data) -> Migration {
    Migration::new(T::VERSION, T::migrate, values)
}
