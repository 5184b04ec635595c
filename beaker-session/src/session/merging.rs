//! Values to which two requests at the same time may add.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Session, decode, encode};
use crate::Error;
use crate::core::Open;
use crate::data::{Change, items, number};

impl Session {
    /// Counts the number under `key` up by `more`, or down, and gives what this request sees.
    /// Requests at the same time all count. What is absent or no whole number counts as zero; the
    /// ends of `i64` are kept.
    ///
    /// # Errors
    ///
    /// Those of [the type](Self#errors).
    pub fn add(&self, key: &str, more: i64) -> Result<i64, Error> {
        self.change(|open| {
            open.change(key, Change::Add(more));
            Ok(number(open.get(key).as_deref()))
        })
    }

    /// Puts `item` at the end of the list under `key`. Items of requests at the same time are all
    /// there.
    ///
    /// # Errors
    ///
    /// [`Codec`](crate::ErrorKind::Codec) if it cannot be encoded, and those of [the
    /// type](Self#errors).
    pub fn push(&self, key: &str, item: impl Serialize) -> Result<(), Error> {
        let pushed = vec![encode(item)?];
        self.change(|open| {
            open.change(key, Change::List { taken: Vec::new(), pushed });
            Ok(())
        })
    }

    /// Takes all items out of the list under `key`. What another request puts there meanwhile
    /// stays.
    ///
    /// # Errors
    ///
    /// [`Codec`](crate::ErrorKind::Codec) if one is of another type: all then stay. And those of
    /// [the type](Self#errors).
    pub fn drain<T: DeserializeOwned>(&self, key: &str) -> Result<Vec<T>, Error> {
        self.change(|open| {
            let taken = list(open, key);
            let decoded = taken.iter().map(decode).collect::<Result<Vec<T>, Error>>()?;
            if !taken.is_empty() {
                open.change(key, Change::List { taken, pushed: Vec::new() });
            }
            Ok(decoded)
        })
    }

    /// Adds `member` to the set under `key`, and says whether it is new there. A set is a list in
    /// which nothing is twice.
    ///
    /// # Errors
    ///
    /// [`Codec`](crate::ErrorKind::Codec) if it cannot be encoded, and those of [the
    /// type](Self#errors).
    pub fn join(&self, key: &str, member: impl Serialize) -> Result<bool, Error> {
        let member = encode(member)?;
        self.change(|open| {
            let is_new = !list(open, key).contains(&member);
            if is_new {
                open.change(key, Change::Set { left: Vec::new(), joined: vec![member] });
            }
            Ok(is_new)
        })
    }

    /// Takes `member` out of the set under `key`, and says whether it was there.
    ///
    /// # Errors
    ///
    /// [`Codec`](crate::ErrorKind::Codec) if it cannot be encoded, and those of [the
    /// type](Self#errors).
    pub fn leave(&self, key: &str, member: impl Serialize) -> Result<bool, Error> {
        let member = encode(member)?;
        self.change(|open| {
            let was_there = list(open, key).contains(&member);
            if was_there {
                open.change(key, Change::Set { left: vec![member], joined: Vec::new() });
            }
            Ok(was_there)
        })
    }
}

fn list(open: &Open, key: &str) -> Vec<Value> {
    items(open.get(key).as_deref()).to_vec()
}
