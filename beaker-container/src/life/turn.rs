//! The right to create one value, and what there was before it.

use std::sync::{Arc, Weak};

use beaker_namespace::{Claim, Key};
use beaker_syncdict::{FlightScope, Leader, OwnedLeader};
use parking_lot::Mutex;

use super::outcome::Outcome;
use super::seen::Seen;
use super::shared::KeyFlights;
use crate::watch::Purpose;

/// The right to create, and what there was before.
pub(crate) struct Turn<V> {
    pub(super) stake: Arc<Stake>,
    pub(super) scope: FlightScope,
    pub(super) before: Before<V>,
}

impl<V> Turn<V> {
    pub(super) fn new(
        leader: Leader<'_, Key, Outcome>,
        flights: &Arc<KeyFlights>,
        before: Before<V>,
    ) -> Self {
        let leader = leader.into_owned(flights);
        let scope = leader.scope();
        let held = Held { leader, claim: None };
        Self { stake: Arc::new(Stake(Mutex::new(Some(held)))), scope, before }
    }

    /// For the call, so that it can take the creation's stake from it.
    pub(super) fn watched(&self) -> Weak<Stake> {
        Arc::downgrade(&self.stake)
    }
}

/// What a creation holds while it runs. It takes it at its end; or its call takes it before, and
/// what the creation makes is thrown away then.
///
/// Whoever took it has it alone, so a creation either ends its flight or was given up, never both.
/// Dropped without being taken, it passes the lead on.
#[derive(Debug)]
pub(super) struct Stake(Mutex<Option<Held>>);

/// The lead of a flight, and the claim once there is one.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) leader: OwnedLeader<Key, Outcome>,
    pub(super) claim: Option<Claim>,
}

impl Stake {
    pub(super) fn take(&self) -> Option<Held> {
        self.0.lock().take()
    }

    /// Adds the claim; gives it back if the creation was given up meanwhile.
    pub(super) fn put(&self, claim: Claim) -> Result<(), Claim> {
        match &mut *self.0.lock() {
            Some(held) => {
                held.claim = Some(claim);
                Ok(())
            }
            None => Err(claim),
        }
    }

    /// Makes this thread the leading one.
    pub(super) fn adopt(&self) {
        if let Some(held) = &*self.0.lock() {
            held.leader.adopt();
        }
    }
}

/// What there was before a creation.
#[derive(Clone)]
pub(super) enum Before<V> {
    /// A value that is fresh, and made anew early.
    Fresh(Seen<V>),
    Old(Seen<V>),
    Nothing,
}

impl<V> Before<V> {
    pub(super) fn serves_at_once(&self) -> bool {
        match self {
            Self::Fresh(_) => true,
            Self::Old(seen) => seen.serves.while_refreshing,
            Self::Nothing => false,
        }
    }

    pub(super) fn purpose(&self) -> Purpose {
        match self {
            Self::Fresh(_) => Purpose::Early,
            Self::Old(_) => Purpose::Expired,
            Self::Nothing => Purpose::Miss,
        }
    }
}
