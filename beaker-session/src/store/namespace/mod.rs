//! Sessions in any namespace.
//
// 1. A live session is an entry whose payload is the record: the object itself where the namespace
//    keeps objects, else its bytes. The entry's `expires` is the end of its idle time, so a touch
//    changes the entry's times and no value. Its `dies` is the end of its life, and a margin for
//    clocks that differ.
// 2. Every change of an entry is a set on its generation, a new one a set if absent. So nothing is
//    ever inserted by an update, and nobody overwrites what he has not seen; but for rule 6.
// 3. A rename stores the new entry, and then sets the old one to a mark that says where it went.
//    The set fails if the old one was changed or deleted meanwhile, and then the new one is
//    removed: nobody has been told its id. A mark that says where in no way that is known here still says that
//    the session has gone: it is no damage, of which values might be rescued.
// 4. A delete sets the entry to a mark on its generation before it removes it, and follows the
//    mark of a rename. So of a rename and a delete at the same time the delete wins, whichever is
//    first.
// 5. What is damaged has no generation that is known, and stays until it is replaced or swept. So a rename or a
//    delete of it looks whether it still is damaged, and sets its mark on the fingerprint of just that damage. A
//    namespace of somebody else may tell none: there the mark is set if nothing good is there, and that of a
//    delete stays for longer than anybody is to be between that look and that set; a rescue that is for
//    longer, or a sweep just there, may outlive a logout beside it.
// 6. What is longer than the namespace reads, since its limit was lowered, is damaged too: nobody here can go on
//    with it. The marks are set on that it still is too long, and no fingerprint says which: so a rescue may go over
//    what a process with a higher limit has written since, which is lost as if it had come just before the look.
//    Of lists it stays an error: one that began anew would hide sessions from a revocation, and the limit can be
//    raised. What is dead is gone, however long it is.

mod amend;
mod calls;
mod contract;
mod found;
mod lists;
mod operations;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{Capability, Entry, Key, MemoryNamespace, Namespace, Payload, Timestamp};

pub(crate) use self::amend::Amended;
pub(crate) use self::calls::ready;
use self::found::{MARK, Mark};
use super::Loaded;
use crate::record::{self, Record, Stored, Version};
use crate::{Error, ErrorKind, RecordKey};

/// How much longer a store keeps a record than it lives: Beaker's margin.
const MARGIN: Duration = Duration::from_secs(120);

/// How long the mark of a deleted session stays if its removal fails, or if it was damaged.
const ENDED_FOR: Duration = Duration::from_secs(60);

/// A [`SessionStore`](super::SessionStore) in a namespace of its own.
///
/// Where the namespace is in memory it keeps the records as they are; elsewhere as JSON. Give
/// sessions a namespace without a bound on its size: what a bounded one evicts is a user who is
/// logged out.
pub struct NamespaceStore {
    namespace: Arc<dyn Namespace>,
    /// The same, if it is one in memory: most loads then need no copy of the entry.
    memory: Option<Arc<MemoryNamespace>>,
    objects: bool,
}

impl NamespaceStore {
    /// Keeps sessions in `namespace`.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if it does not keep what it is given, or cannot
    /// compare and set, without which writes would be lost.
    pub fn new(namespace: Arc<dyn Namespace>) -> Result<Self, Error> {
        let capabilities = namespace.capabilities();
        for needed in [Capability::Retains, Capability::CompareAndSet, Capability::Expiry] {
            if !capabilities.has(needed) {
                let detail =
                    format!("the store lacks the capability `{needed:?}`; use another one");
                return Err(Error::new(ErrorKind::Unsupported, "keep sessions").with_detail(detail));
            }
        }
        let objects = capabilities.has(Capability::Objects);
        let memory = namespace.in_memory();
        Ok(Self { namespace, memory, objects })
    }

    fn entry(&self, record: &Arc<Record>, accessed: Timestamp) -> Result<Entry, Error> {
        let payload = if self.objects {
            Payload::Object(Arc::clone(record) as _)
        } else {
            Payload::raw(record::encode(record)?)
        };
        Ok(timed(Entry::new(payload, record.created), record, accessed))
    }

    fn mark(&self, to: Option<&RecordKey>, stays: Duration) -> Entry {
        let now = self.namespace.clock().now();
        let payload = if self.objects {
            let mark = to.map_or(Mark::Ended, |to| Mark::Renewed(Some(*to)));
            Payload::Object(Arc::new(mark) as _)
        } else {
            let to = to.and_then(RecordKey::to_text).unwrap_or_default();
            Payload::raw([&[MARK], to.as_bytes()].concat())
        };
        Entry::new(payload, now).ttl(Some(stays))
    }

    /// As a load, of what is in memory. `None` if it is to be looked at in the way of all namespaces:
    /// a mark, or what is dead.
    pub(crate) fn load_quickly(&self, key: &Key) -> Option<Loaded> {
        let memory = self.memory.as_ref()?;
        let seen = memory.read(key, |found| {
            let entry = found.entry();
            let times = (entry.generation(), entry.expires(), entry.dies());
            Some((found.object().cloned(), times))
        });
        let Some((object, (generation, expires, dies))) = seen else { return Some(Loaded::Absent) };
        if !dies.is_never() && !memory.is_between(Timestamp::from_micros(i64::MIN), dies) {
            return None;
        }
        let record = object?.downcast::<Record>().ok()?;
        let accessed = accessed(expires, &record);
        Some(Loaded::Present(Stored { record, version: Version(generation), accessed }))
    }
}

fn timed(entry: Entry, record: &Record, accessed: Timestamp) -> Entry {
    let (expires, dies) = times(record, accessed);
    entry.times(expires, dies)
}

/// When the entry of a session expires, and when it dies.
fn times(record: &Record, accessed: Timestamp) -> (Timestamp, Timestamp) {
    let end = record.expires(accessed);
    // Not cut off at the absolute limit, so that the time of the use can be told from it.
    let expires = record.idle.map_or(end, |idle| accessed.saturating_add(idle));
    (expires, end.saturating_add(MARGIN).max(expires))
}

/// When a session whose entry `expires` then was last used: the reverse of [`timed`].
fn accessed(expires: Timestamp, record: &Record) -> Timestamp {
    record.idle.map_or(record.written, |idle| expires.saturating_sub(idle))
}

impl fmt::Debug for NamespaceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespaceStore").field("namespace", self.namespace.id()).finish()
    }
}
