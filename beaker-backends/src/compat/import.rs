use beaker_namespace::{
    Capability, Condition, ConditionalSet, Entry, Error, Key, Namespace, Payload,
};

use super::{BeakerCache, BeakerEntry, Value};

/// What became of the records of an [import](BeakerCache::import).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ImportReport {
    /// Records that are now in the namespace.
    pub imported: u64,
    /// Records whose time was over.
    pub expired: u64,
    /// Records whose key had a live entry already, which stayed.
    pub present: u64,
    /// Records that the caller did not want.
    pub declined: u64,
    /// Records that cannot be read, or that the caller could not convert.
    pub unreadable: u64,
}

impl BeakerCache {
    /// Copies the records of Beaker's `namespace` that are not expired to `to`.
    ///
    /// `convert` is given the key ([`BeakerRecord::key`](super::BeakerRecord::key)) and the value of
    /// each, and says under which key and in which form to store it, or `None` for not at all. An
    /// error of `convert` counts the record as unreadable; the import goes on. It runs once a
    /// record, on this thread, under no lock.
    ///
    /// An imported entry began when Beaker stored it, so it expires when it would have expired
    /// there. A key that has a live entry in `to` keeps it: importing again, or after the new
    /// program has begun its work, replaces nothing.
    ///
    /// # Concurrency
    ///
    /// In a store without [`CompareAndSet`](Capability::CompareAndSet), an entry that somebody else
    /// sets at the same moment may be replaced.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and those of `to`; what was imported before stays.
    pub fn import(
        &self,
        namespace: &str,
        to: &dyn Namespace,
        mut convert: impl FnMut(&str, &Value) -> Result<Option<(Key, Payload)>, Error>,
    ) -> Result<ImportReport, Error> {
        let mut report = ImportReport::default();
        for record in self.read(namespace)? {
            let key = record.key();
            let count = match record.into_entry() {
                Err(_) => &mut report.unreadable,
                Ok(entry) if entry.is_expired(to.clock().now()) => &mut report.expired,
                Ok(entry) => match convert(&key, entry.value()) {
                    Err(_) => &mut report.unreadable,
                    Ok(None) => &mut report.declined,
                    Ok(Some((key, payload))) => match store(to, &key, &entry, payload)? {
                        Outcome::Stored => &mut report.imported,
                        Outcome::Present => &mut report.present,
                    },
                },
            };
            *count += 1;
        }
        Ok(report)
    }
}

enum Outcome {
    Stored,
    Present,
}

/// Stores the entry unless there is one.
fn store(
    to: &dyn Namespace,
    key: &Key,
    entry: &BeakerEntry,
    payload: Payload,
) -> Result<Outcome, Error> {
    let entry = Entry::new(payload, entry.stored_at()).ttl(entry.time_to_live());
    if to.capabilities().has(Capability::CompareAndSet) {
        return Ok(match to.set_if(key, entry, Condition::Absent)? {
            ConditionalSet::Stored { .. } => Outcome::Stored,
            ConditionalSet::Conflict => Outcome::Present,
        });
    }
    if to.get(key)?.is_some() {
        return Ok(Outcome::Present);
    }
    to.set(key, entry)?;
    Ok(Outcome::Stored)
}
