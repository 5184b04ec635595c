//! A value that is made if it is absent.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Session;
use crate::Error;

/// The place of one value in a session; see [`Session::entry`].
#[must_use = "an entry does nothing until it is asked for its value"]
pub struct Entry<'s, T> {
    session: &'s Session,
    key: &'s str,
    value: Option<T>,
}

impl Session {
    /// The place of the value under `key`.
    ///
    /// # Errors
    ///
    /// [`Codec`](crate::ErrorKind::Codec) if the value is of another type.
    ///
    /// # Examples
    ///
    /// ```
    /// # let store = beaker_namespace::Stores::new().open(&"memory:".parse()?, "entries")?;
    /// # let sessions = beaker_session::Sessions::builder().with_namespace(store).build()?;
    /// # let session = sessions.begin([]).load()?;
    /// let cart: Vec<String> = session
    ///     .entry("cart")?
    ///     .and_modify(|cart: &mut Vec<String>| cart.push("pear".to_owned()))?
    ///     .or_insert_with(|| vec!["apple".to_owned()])?;
    /// assert_eq!(cart, ["apple"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn entry<'s, T: DeserializeOwned>(&'s self, key: &'s str) -> Result<Entry<'s, T>, Error> {
        let value = self.get(key)?;
        Ok(Entry { session: self, key, value })
    }
}

impl<T: Serialize> Entry<'_, T> {
    /// Changes the value, if there is one. `modify` runs under no lock, once.
    ///
    /// # Errors
    ///
    /// Those of [`Session::insert`].
    pub fn and_modify(mut self, modify: impl FnOnce(&mut T)) -> Result<Self, Error> {
        if let Some(value) = &mut self.value {
            modify(value);
            self.session.insert(self.key, &*value)?;
        }
        Ok(self)
    }

    /// The value, or `default`, which is put in its place.
    ///
    /// # Errors
    ///
    /// Those of [`Session::insert`].
    pub fn or_insert(self, default: T) -> Result<T, Error> {
        self.or_insert_with(|| default)
    }

    /// The value, or what `make` returns, which is put in its place.
    ///
    /// # Errors
    ///
    /// Those of [`Session::insert`].
    pub fn or_insert_with(self, make: impl FnOnce() -> T) -> Result<T, Error> {
        match self.value {
            Some(value) => Ok(value),
            None => {
                let value = make();
                self.session.insert(self.key, &value)?;
                Ok(value)
            }
        }
    }
}

/// Shows no value.
impl<T> fmt::Debug for Entry<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("occupied", &self.value.is_some()).finish_non_exhaustive()
    }
}
