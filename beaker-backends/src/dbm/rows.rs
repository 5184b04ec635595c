use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::path::Path;

use beaker_namespace::Error;
use bytes::Bytes;
use gdbm_native::Gdbm;

use super::error::Fault;
use crate::kv::{Reader, Visit, Writer};

const READ: &str = "read from the store";

/// What all our keys begin with. Other programs may have keys of theirs in the file, which are not
/// touched; only [`Rows::each`] comes over them.
const OURS: &[u8] = b"beaker:";

/// The fewest keys that a walk takes out of the file at once, and how many times more it takes at
/// each further turn.
const FIRST_TURN: usize = 1_024;
const GROWTH: usize = 8;

/// Rows to be put or, where there is no value, to be deleted; by their keys in the file.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Bytes>>;

/// The rows of the file, with what a change has done to them.
pub(super) struct Rows<'a> {
    /// `None` while there is no file.
    file: Option<&'a Gdbm>,
    path: &'a Path,
    changes: Changes,
    /// The first error of the driver, for whoever has to mend the file.
    fault: RefCell<Option<Fault>>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(file: Option<&'a Gdbm>, path: &'a Path) -> Self {
        Self { file, path, changes: Changes::new(), fault: RefCell::new(None) }
    }

    pub(super) fn take_fault(&self) -> Option<Fault> {
        self.fault.borrow_mut().take()
    }

    pub(super) fn into_changes(self) -> Changes {
        self.changes
    }

    /// Notes an error of the driver, and says the same to the caller.
    #[cold]
    fn note(&self, error: gdbm_native::Error) -> Error {
        let fault = Fault::of(READ, self.path, error);
        let error = fault.error.clone();
        self.fault.borrow_mut().get_or_insert(fault);
        error
    }

    fn stored(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let Some(file) = self.file else { return Ok(None) };
        let found: Option<Vec<u8>> = file.get(key).map_err(|error| self.note(error))?;
        Ok(found.map(Bytes::from))
    }

    fn find(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match self.changes.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.stored(key),
        }
    }

    /// The first `most` keys that begin with `prefix` and come after `after`, in order. A hash file
    /// has no order, so it is read as a whole.
    fn first_keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        most: usize,
    ) -> Result<BTreeSet<Vec<u8>>, Error> {
        let mut first = BTreeSet::new();
        let mut consider = |key: Vec<u8>| {
            let is_wanted = key.starts_with(prefix) && after.is_none_or(|after| *key > *after);
            if is_wanted && (first.len() < most || first.last().is_some_and(|last| key < *last)) {
                first.insert(key);
                if first.len() > most {
                    first.pop_last();
                }
            }
        };
        for key in self.file.iter().flat_map(|file| file.keys::<Vec<u8>>()) {
            let key = key.map_err(|error| self.note(error))?;
            if !self.changes.contains_key(&key) {
                consider(key);
            }
        }
        let from = Bound::Included(prefix);
        for (key, value) in self.changes.range::<[u8], _>((from, Bound::Unbounded)) {
            if !key.starts_with(prefix) {
                break;
            }
            if value.is_some() {
                consider(key.clone());
            }
        }
        Ok(first)
    }
}

impl Reader for Rows<'_> {
    fn look(&self, key: &[u8], look: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        self.find(&ours(key))?.iter().for_each(|value| look(value));
        Ok(())
    }

    fn walk(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error> {
        let prefix = ours(prefix);
        let mut after = after.map(ours);
        let mut most = FIRST_TURN;
        loop {
            let keys = self.first_keys(&prefix, after.as_deref(), most)?;
            for key in &keys {
                let Some(value) = self.find(key)? else { continue };
                let key = key.get(OURS.len()..).unwrap_or_default();
                if visit(key, &value) == ControlFlow::Break(()) {
                    return Ok(());
                }
            }
            if keys.len() < most {
                return Ok(());
            }
            after = keys.into_iter().next_back();
            most = most.saturating_mul(GROWTH);
        }
    }

    /// One pass, where a walk needs one for the keys and reads the values besides.
    fn each(&self, visit: &mut Visit<'_>) -> Result<(), Error> {
        for row in self.file.iter().flat_map(|file| file.iter::<Vec<u8>, Vec<u8>>()) {
            let (key, value) = row.map_err(|error| self.note(error))?;
            let Some(ours) = key.strip_prefix(OURS) else { continue };
            if !self.changes.contains_key(&key) && visit(ours, &value) == ControlFlow::Break(()) {
                return Ok(());
            }
        }
        for (key, value) in &self.changes {
            let row = key.strip_prefix(OURS).zip(value.as_deref());
            if row.is_some_and(|(key, value)| visit(key, value) == ControlFlow::Break(())) {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Writer for Rows<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.changes.insert(ours(key), Some(Bytes::copy_from_slice(value)));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), Error> {
        self.changes.insert(ours(key), None);
        Ok(())
    }
}

fn ours(key: &[u8]) -> Vec<u8> {
    [OURS, key].concat()
}
