//! A whole session as one struct.
//
// Each field is a value of its own, so requests that change different fields do not disturb each
// other, and what an older or newer version of the program keeps beside them stays.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Session, decode, encode};
use crate::core::Open;
use crate::data::{Change, Data, is_reserved};
use crate::{Error, ErrorKind};

impl Session {
    /// The session's values as a `T` (for one whose layout has versions see
    /// [`versioned`](Self::versioned)), by the names of its fields. Fields that a session may lack
    /// need a default (`#[serde(default)]`). Values whose names begin with an underscore are not the program's:
    /// no field gets them, a `flatten`ed map neither.
    ///
    /// # Errors
    ///
    /// [`Codec`](ErrorKind::Codec) if a value is of another type, or a field without default is
    /// missing.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T, Error> {
        decode_all(self.data())
    }

    /// Reads a `T`, lets `modify` change it, and puts in what differs, field by field. `modify`
    /// runs once, under no lock.
    ///
    /// # Errors
    ///
    /// As [`typed`](Self::typed); [`Codec`](ErrorKind::Codec) if `T` is no struct with named
    /// fields, has a stored field whose name begins with an underscore, or cannot be encoded: nothing is changed
    /// then; and those of [the type](Self#errors).
    ///
    /// # Examples
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # let store = beaker_namespace::Stores::new().open(&"memory:".parse()?, "typed")?;
    /// # let sessions = beaker_session::Sessions::builder().with_namespace(store).build()?;
    /// # let session = sessions.begin([]).load()?;
    /// #[derive(Serialize, Deserialize, Default)]
    /// #[serde(default)]
    /// struct Visit {
    ///     pages: u32,
    ///     name: Option<String>,
    /// }
    ///
    /// session.modify(|visit: &mut Visit| visit.pages += 1)?;
    /// assert_eq!(session.typed::<Visit>()?.pages, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn modify<T, R>(&self, modify: impl FnOnce(&mut T) -> R) -> Result<R, Error>
    where
        T: DeserializeOwned + Serialize,
    {
        let mut typed = self.typed::<T>()?;
        let before = fields(&typed)?;
        let result = modify(&mut typed);
        let after = fields(&typed)?;
        self.change(|open| {
            put_fields(open, &before, &after);
            Ok(())
        })?;
        Ok(result)
    }
}

/// Puts in what differs between two forms of a struct.
pub(super) fn put_fields(open: &mut Open, before: &Map<String, Value>, after: &Map<String, Value>) {
    for (name, value) in after {
        if before.get(name) != Some(value) {
            open.change(name, Change::Put(value.clone()));
        }
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        open.change(name, Change::Remove);
    }
}

/// Decodes the values that are the program's.
pub(super) fn decode_all<T: DeserializeOwned>(values: Data) -> Result<T, Error> {
    decode(&Value::Object(values.into_iter().filter(|(name, _)| !is_reserved(name)).collect()))
}

pub(super) fn fields(typed: impl Serialize) -> Result<Map<String, Value>, Error> {
    let refused = |detail| Err(Error::new(ErrorKind::Codec, "encode session").with_detail(detail));
    match encode(typed)? {
        Value::Object(fields) if fields.keys().any(|name| is_reserved(name)) => {
            refused("names of fields that begin with an underscore are not the program's")
        }
        Value::Object(fields) => Ok(fields),
        _ => refused("a whole session is a struct with named fields"),
    }
}
