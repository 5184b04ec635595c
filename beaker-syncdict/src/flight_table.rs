//! The creations that run now in one shard.
//
// Rules:
// 1. The table is guarded by its shard's lock; everything here is called with that lock held.
// 2. A flight has a number that is never used again. Its leader finds it by that number, so a
//    leader's clean-up calls neither `Hash` nor `Eq` of the key and cannot meet another flight of
//    the same key.
// 3. At most one flight of a key is open to newcomers. A detached one is passed over by look-ups;
//    it stays in the table only while it has waiters, for its leader to find them.
// 4. Keys are moved out, never dropped here: dropping them is user code, and the lock is held.

use std::sync::Arc;

use hashbrown::HashTable;

use crate::primitive::{Sabotage, ThreadKey, sabotaged};
use crate::waiters::Waiters;

#[derive(Debug)]
pub(crate) struct FlightTable<K, T> {
    flights: HashTable<Flight<K, T>>,
    next_number: u64,
}

#[derive(Debug)]
pub(crate) struct Flight<K, T> {
    pub(crate) key: K,
    pub(crate) waiters: Option<Arc<Waiters<T>>>,
    pub(crate) detached: bool,
    /// The thread that leads; `None` while a task leads or the lead is on offer.
    pub(crate) leader: Option<ThreadKey>,
    hash: u64,
    number: u64,
}

impl<K, T> Flight<K, T> {
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Sends those who wait back to the beginning.
    pub(crate) fn disperse(&self) {
        if let Some(waiters) = &self.waiters {
            waiters.disperse();
        }
    }

    /// The list to wait in, made for the first who needs it.
    pub(crate) fn waiters(&mut self) -> Arc<Waiters<T>> {
        Arc::clone(self.waiters.get_or_insert_with(|| Arc::new(Waiters::new())))
    }
}

impl<K, T> FlightTable<K, T> {
    pub(crate) const fn new() -> Self {
        Self { flights: HashTable::new(), next_number: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.flights.len()
    }

    /// The flight of a key that newcomers may join.
    pub(crate) fn find(
        &mut self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
    ) -> Option<&mut Flight<K, T>> {
        if self.flights.is_empty() {
            return None;
        }
        self.flights
            .find_mut(hash, |flight| flight.hash == hash && !flight.detached && is_key(&flight.key))
    }

    /// Opens a flight led by the thread `leader`, or by a task, and returns its number.
    pub(crate) fn open(&mut self, hash: u64, key: K, leader: Option<ThreadKey>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let flight = Flight { key, waiters: None, detached: false, leader, hash, number };
        self.flights.insert_unique(hash, flight, |flight| flight.hash);
        number
    }

    pub(crate) fn by_number(&mut self, hash: u64, number: u64) -> Option<&mut Flight<K, T>> {
        self.flights.find_mut(hash, |flight| flight.number == number)
    }

    /// Takes a flight out by its number; `None` if it was ended by somebody else.
    pub(crate) fn take(&mut self, hash: u64, number: u64) -> Option<Flight<K, T>> {
        let found = self.flights.find_entry(hash, |flight| flight.number == number);
        found.ok().map(|entry| entry.remove().0)
    }

    /// Closes the key's flight to newcomers.
    pub(crate) fn detach(&mut self, hash: u64, is_key: impl Fn(&K) -> bool) -> Detached<K, T> {
        if sabotaged(Sabotage::InvalidationForgotten) {
            return Detached::NoFlight;
        }
        match self.find(hash, is_key) {
            None => Detached::NoFlight,
            Some(flight) if flight.waiters.is_some() => {
                flight.detached = true;
                Detached::Kept
            }
            Some(flight) => {
                let number = flight.number;
                self.take(hash, number).map_or(Detached::NoFlight, Detached::Ended)
            }
        }
    }

    /// Detaches every flight; those without waiters come back.
    pub(crate) fn detach_all(&mut self) -> Vec<Flight<K, T>> {
        let alone = self.flights.extract_if(|flight| {
            flight.detached = true;
            flight.waiters.is_none()
        });
        alone.collect()
    }

    /// Takes the key's flight out, for its waiters to be dispersed.
    pub(crate) fn take_open(
        &mut self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
    ) -> Option<Flight<K, T>> {
        if sabotaged(Sabotage::InvalidationForgotten) {
            return None;
        }
        let number = self.find(hash, is_key)?.number;
        self.take(hash, number)
    }
}

/// What detaching a key's flight came to.
#[derive(Debug)]
pub(crate) enum Detached<K, T> {
    /// Nobody creates the key.
    NoFlight,
    /// The flight goes on for those who wait in it.
    Kept,
    /// Nobody waited: the flight is forgotten and its leader works for itself. It is given back so
    /// that its key is dropped after the lock is released.
    Ended(Flight<K, T>),
}
