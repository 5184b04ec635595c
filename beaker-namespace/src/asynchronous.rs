//! The asynchronous face of a store that has one.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;

use crate::{
    Capability, Claim, Condition, ConditionalSet, Entry, Error, Fulfilled, Inspection, Key, Lookup,
    Mark, Page, Scan, Swept, Wait,
};

/// A future in a box, which may go from thread to thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The calls of a [`Namespace`](crate::Namespace), for tasks: what waits does not block.
///
/// A store over a network has this face beside the blocking one, and hands it out by
/// [`Namespace::asynchronous`](crate::Namespace::asynchronous). Both are one store: the same entries,
/// claims, marks, counts and clock. Each call here promises what the call of the same name does there,
/// and has the same errors; only what is different is said here. `testkit::conformance_asynchronous`
/// holds an implementation to it.
///
/// Stores that only block (disks) have none: who calls them from a task does it on a thread for that.
/// The calls have the names of the blocking ones, so on a type that has both traits in scope say which:
/// `AsyncNamespace::get(&store, &key)`.
///
/// # Concurrency
///
/// The futures are polled within any runtime, or in none, and one future by several threads in turn. So a
/// store whose connection needs a runtime's reactor or timers drives it by a runtime of its own (one
/// thread will do), and these futures only exchange messages with that. Each future ends in bounded
/// time: a peer that does not answer is an error of
/// [`Unavailable`](crate::ErrorKind::Unavailable).
///
/// # Cancel safety
///
/// Nothing is done before the first poll. A future may be dropped at any moment after that:
///
/// - A call that reads leaves nothing.
/// - A call that writes was carried out as a whole or not at all; a call on many keys also in part, where
///   the store has not the capability [`Batch`](Capability::Batch). That may come a little after the
///   drop, as if another thread had made the call.
/// - [`claim`](Self::claim) gives back a claim that it may have got.
/// - [`fulfil`](Self::fulfil) gives up its claim, and what is carried out late stores nothing if somebody else
///   has taken a claim meanwhile.
///
/// No drop blocks, that of a [`Claim`] neither. A store that has to tell a server of it hands the message
/// to its own task or thread, in the order of its calls, so that the next claim finds the key free. If
/// the message is lost the claim ends by the time limit that it has in the server.
///
/// # Examples
///
/// A store whose one connection is driven by a thread of its own; the calls are messages to it.
///
/// ```
/// use beaker_namespace::{AsyncNamespace, BoxFuture, Claim, Entry, Error, Fulfilled, Key, Wait};
/// # use std::future::ready;
/// # #[derive(Debug)]
/// # struct Connection;
/// # impl Connection {
/// #     fn ask<'a, T: Send + 'a>(&self, _: Ask) -> BoxFuture<'a, Result<T, Error>>
/// #     where T: Default { Box::pin(ready(Ok(T::default()))) }
/// # }
/// # enum Ask { Get(Key), Set(Key, Entry), Remove(Key), Clear, Claim(Key, Wait), Fulfil(Key, Entry) }
///
/// #[derive(Debug)]
/// struct Remote {
///     connection: Connection,
/// }
///
/// impl AsyncNamespace for Remote {
///     fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry>, Error>> {
///         Box::pin(async move { self.connection.ask(Ask::Get(key.clone())).await })
///     }
///
///     fn set<'a>(&'a self, key: &'a Key, entry: Entry) -> BoxFuture<'a, Result<(), Error>> {
///         Box::pin(async move { self.connection.ask(Ask::Set(key.clone(), entry)).await })
///     }
///     // And so on.
/// #   fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool, Error>> {
/// #       self.connection.ask(Ask::Remove(key.clone()))
/// #   }
/// #   fn clear(&self) -> BoxFuture<'_, Result<(), Error>> {
/// #       self.connection.ask(Ask::Clear)
/// #   }
/// #   fn claim<'a>(&'a self, key: &'a Key, wait: Wait) -> BoxFuture<'a, Result<Option<Claim>, Error>> {
/// #       self.connection.ask(Ask::Claim(key.clone(), wait))
/// #   }
/// #   fn fulfil<'a>(&'a self, key: &'a Key, entry: Entry, claim: Claim) -> BoxFuture<'a, Result<Fulfilled, Error>> {
/// #       drop((key, entry, claim));
/// #       Box::pin(ready(Ok(Fulfilled::Superseded)))
/// #   }
/// }
/// ```
pub trait AsyncNamespace: fmt::Debug + Send + Sync {
    /// Returns the entry under `key`, expired or not, unless it is dead.
    ///
    /// # Errors
    ///
    /// As [`Namespace::get`](crate::Namespace::get).
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry>, Error>>;

    /// Stores `entry` under `key`, replacing what is there, and voids a running [`Claim`].
    ///
    /// # Errors
    ///
    /// As [`Namespace::set`](crate::Namespace::set).
    ///
    /// # Cancel safety
    ///
    /// After a drop the old entry is there, the new one, or none; never a mixture.
    fn set<'a>(&'a self, key: &'a Key, entry: Entry) -> BoxFuture<'a, Result<(), Error>>;

    /// Removes the entry, and voids a running [`Claim`]. Says whether there was one.
    ///
    /// # Errors
    ///
    /// As [`Namespace::remove`](crate::Namespace::remove).
    ///
    /// # Cancel safety
    ///
    /// After a drop the entry is there or not.
    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool, Error>>;

    /// Removes every entry, and voids every running [`Claim`].
    ///
    /// # Errors
    ///
    /// As [`Namespace::clear`](crate::Namespace::clear).
    ///
    /// # Cancel safety
    ///
    /// After a drop all the entries are there, or none of them.
    fn clear(&self) -> BoxFuture<'_, Result<(), Error>>;

    /// Takes the right to create the value of `key`; `None` if another holder kept it for all of `wait`.
    ///
    /// The future waits at most `wait`, by the store's own timer.
    ///
    /// # Errors
    ///
    /// As [`Namespace::claim`](crate::Namespace::claim).
    ///
    /// # Cancel safety
    ///
    /// After a drop nobody holds the claim by it: one that was given meanwhile is given back, as by
    /// dropping it.
    fn claim<'a>(&'a self, key: &'a Key, wait: Wait)
    -> BoxFuture<'a, Result<Option<Claim>, Error>>;

    /// Stores what was created under `claim`, unless an invalidation came since the claim was taken.
    ///
    /// # Errors
    ///
    /// As [`Namespace::fulfil`](crate::Namespace::fulfil).
    ///
    /// # Cancel safety
    ///
    /// After a drop the entry is stored or not, and the claim is given up.
    fn fulfil<'a>(
        &'a self,
        key: &'a Key,
        entry: Entry,
        claim: Claim,
    ) -> BoxFuture<'a, Result<Fulfilled, Error>>;

    /// Stores `entry` if `condition` holds at that moment. Voids a running [`Claim`] if it stores.
    ///
    /// # Errors
    ///
    /// As [`Namespace::set_if`](crate::Namespace::set_if).
    ///
    /// # Cancel safety
    ///
    /// After a drop the entry is stored or not. To know which, read it.
    fn set_if<'a>(
        &'a self,
        key: &'a Key,
        entry: Entry,
        condition: Condition,
    ) -> BoxFuture<'a, Result<ConditionalSet, Error>> {
        let _unused = (key, entry, condition);
        unsupported("set on a condition", Capability::CompareAndSet)
    }

    /// Lists entries, some at a time.
    ///
    /// # Errors
    ///
    /// As [`Namespace::scan`](crate::Namespace::scan).
    fn scan<'a>(&'a self, scan: &'a Scan) -> BoxFuture<'a, Result<Page, Error>> {
        let _unused = scan;
        unsupported("list entries", Capability::Scan)
    }

    /// Removes the entries that carry `tag`, and says how many.
    ///
    /// # Errors
    ///
    /// As [`Namespace::remove_tag`](crate::Namespace::remove_tag).
    ///
    /// # Cancel safety
    ///
    /// After a drop any of the entries may be there or not.
    fn remove_tag<'a>(&'a self, tag: &'a str) -> BoxFuture<'a, Result<u64, Error>> {
        let _unused = tag;
        unsupported("remove by tag", Capability::Tags)
    }

    /// Records that what has `name` and began at or before the moments of `mark` is invalid, and says
    /// what holds for the name now.
    ///
    /// # Errors
    ///
    /// As [`Namespace::mark`](crate::Namespace::mark).
    ///
    /// # Cancel safety
    ///
    /// After a drop the mark holds or not.
    fn mark<'a>(&'a self, name: &'a str, mark: Mark) -> BoxFuture<'a, Result<Mark, Error>> {
        let _unused = (name, mark);
        unsupported("mark a name", Capability::Marks)
    }

    /// The marks of all `names`, merged to one; empty if none of them was ever marked.
    ///
    /// # Errors
    ///
    /// As [`Namespace::marks`](crate::Namespace::marks).
    fn marks<'a>(&'a self, names: &'a [&'a str]) -> BoxFuture<'a, Result<Mark, Error>> {
        let _unused = names;
        Box::pin(ready(Ok(Mark::default())))
    }

    /// Drops dead entries, and what killed processes left, and says how much.
    ///
    /// # Errors
    ///
    /// As [`Namespace::sweep`](crate::Namespace::sweep).
    ///
    /// # Cancel safety
    ///
    /// After a drop some of it is done; what is left the next sweep does.
    fn sweep(&self) -> BoxFuture<'_, Result<Swept, Error>> {
        Box::pin(ready(Ok(Swept::default())))
    }

    /// Looks at what is under `key` without counting, healing or dropping anything. A store whose
    /// [`get`](Self::get) does any of that has to write this by itself.
    ///
    /// # Errors
    ///
    /// As [`Namespace::inspect`](crate::Namespace::inspect).
    fn inspect<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Inspection, Error>> {
        Box::pin(
            async move { Ok(self.get(key).await?.map_or(Inspection::Absent, Inspection::Present)) },
        )
    }

    /// [`get`](Self::get), for a caller who has to tell an entry that is damaged from none, and leaves it
    /// where it is. The default finds nothing damaged.
    ///
    /// # Errors
    ///
    /// As [`Namespace::look_up`](crate::Namespace::look_up).
    fn look_up<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Lookup, Error>> {
        Box::pin(async move { self.get(key).await.map(Lookup::from) })
    }

    /// [`get`](Self::get) for many keys, in their order.
    ///
    /// # Errors
    ///
    /// As [`Namespace::get_many`](crate::Namespace::get_many).
    fn get_many<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Entry>>, Error>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                found.push(self.get(key).await?);
            }
            Ok(found)
        })
    }

    /// [`inspect`](Self::inspect) for many keys, in their order.
    ///
    /// # Errors
    ///
    /// As [`Namespace::inspect_many`](crate::Namespace::inspect_many).
    fn inspect_many<'a>(
        &'a self,
        keys: &'a [Key],
    ) -> BoxFuture<'a, Result<Vec<Inspection>, Error>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                found.push(self.inspect(key).await?);
            }
            Ok(found)
        })
    }

    /// [`set`](Self::set) for many keys.
    ///
    /// # Errors
    ///
    /// As [`Namespace::set_many`](crate::Namespace::set_many).
    ///
    /// # Cancel safety
    ///
    /// After a drop all are stored or none, with the capability [`Batch`](Capability::Batch); without it
    /// some may be.
    fn set_many(&self, entries: Vec<(Key, Entry)>) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            for (key, entry) in entries {
                self.set(&key, entry).await?;
            }
            Ok(())
        })
    }

    /// [`remove`](Self::remove) for many keys; says how many were there.
    ///
    /// # Errors
    ///
    /// As [`Namespace::remove_many`](crate::Namespace::remove_many).
    ///
    /// # Cancel safety
    ///
    /// As [`set_many`](Self::set_many).
    fn remove_many<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move {
            let mut count = 0;
            for key in keys {
                count += u64::from(self.remove(key).await?);
            }
            Ok(count)
        })
    }
}

const _: fn(&dyn AsyncNamespace) = |_| (); // Fails to compile if the trait stops being object-safe.

fn unsupported<'a, T: Send + 'a>(
    operation: &'static str,
    capability: Capability,
) -> BoxFuture<'a, Result<T, Error>> {
    Box::pin(ready(Err(Error::unsupported(operation, capability))))
}
