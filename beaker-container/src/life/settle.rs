//! What becomes of a value that was made.

use std::sync::Arc;
use std::time::Instant;

use beaker_namespace::{Claim, Entry, Fulfilled, Key, Timestamp};
use beaker_syncdict::OwnedLeader;

use super::Life;
use super::counts::Count;
use super::flow::{Flow, Request};
use super::outcome::{Made, Outcome};
use super::seen::ttl_left;
use crate::creation::Created;
use crate::{Got, Source};

/// When a value was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    pub(super) began: Timestamp,
    /// When its creator had ended, and the store was not yet asked to take it.
    pub(super) ended: Instant,
}

impl<V: Clone + Send + Sync + 'static> Flow<'_, V> {
    /// Stores what was created, ends the flight, and says what the caller gets.
    ///
    /// A value that was made is never thrown away because the store fails: it is returned, the
    /// failure is counted and reported.
    pub(super) async fn settle(
        &self,
        created: Created<V>,
        made: Moments,
        claim: Claim,
        leader: OwnedLeader<Key, Outcome>,
    ) -> Got<V> {
        let Moments { began, ended: valid_at } = made;
        self.life.shared.failures.forget(&self.request.key);
        let source = self.count_created(&created);
        let Request { policy, tags, .. } = self.request;
        let frame = self.life.frame(&created.as_ref(), policy, tags, began);
        let (expires, tags) = (frame.expires(), frame.shared_tags());
        let kept = self.keep(&created, frame, claim).await;
        let is_stored = kept == Some(Fulfilled::Stored);
        leader.finish_by(|| match kept {
            Some(Fulfilled::Superseded) => Outcome::LookAgain,
            _ => Outcome::Made(Made {
                value: Arc::new(created.value.clone()),
                began,
                expires,
                valid_at,
                tags,
                stored: is_stored,
            }),
        });
        // The coarse clock may not have come to the beginning yet.
        let now = self.life.clock.coarse().max(began);
        Got {
            value: created.value,
            source,
            age: now.saturating_duration_since(began),
            ttl: ttl_left(expires, now),
            stored: is_stored,
        }
    }
    /// Counts the creation, and says where its value comes from.
    fn count_created(&self, created: &Created<V>) -> Source {
        self.count(Count::Created);
        if created.unchanged {
            self.count(Count::Unchanged);
            return Source::Unchanged;
        }
        Source::Created
    }

    /// Gives the value to the store, unless its creator said not to, and says what became of it there;
    /// nothing also if the store failed, which is counted and reported.
    async fn keep(&self, created: &Created<V>, frame: Entry, claim: Claim) -> Option<Fulfilled> {
        if !created.stored {
            drop(claim);
            return None;
        }
        let stored = match self.life.filled(frame, &created.value) {
            Ok(entry) => {
                let fulfil = self.store(
                    (entry, claim),
                    |life, request, (entry, claim)| {
                        Ok(life.namespace.fulfil(&request.key, entry, claim)?)
                    },
                    async |life: &Life<V>, request: &Request, (entry, claim)| {
                        Ok(life.store().fulfil(&request.key, entry, claim).await?)
                    },
                );
                fulfil.await
            }
            Err(error) => Err(error),
        };
        match stored {
            Ok(Fulfilled::Stored) => Some(Fulfilled::Stored),
            Ok(Fulfilled::Superseded) => {
                self.count(Count::Superseded);
                Some(Fulfilled::Superseded)
            }
            Err(error) => {
                self.count(Count::Unstored);
                self.life.trace.unstored(self.about(), &error);
                self.life.reports.unstored(&error);
                None
            }
        }
    }
}
