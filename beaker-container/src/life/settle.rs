//! What becomes of a value that was made.

use std::sync::Arc;
use std::time::Instant;

use beaker_namespace::{Claim, Fulfilled, Key, Timestamp};
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
        self.count(Count::Created);
        let source = match created.unchanged {
            true => {
                self.count(Count::Unchanged);
                Source::Unchanged
            }
            false => Source::Created,
        };
        let Request { policy, tags, .. } = self.request;
        let frame = self.life.frame(&created.as_ref(), policy, tags, began);
        let (expires, tags) = (frame.expires(), frame.shared_tags());
        let entry = match created.stored {
            true => self.life.filled(frame, &created.value).map(Some),
            false => Ok(None),
        };
        let stored = match entry {
            Ok(Some(entry)) => {
                let fulfil = move |life: &Life<V>, request: &Request| {
                    Ok(life.namespace.fulfil(&request.key, entry, claim)?)
                };
                self.store(fulfil).await.map(Some)
            }
            Ok(None) => {
                drop(claim);
                Ok(None)
            }
            Err(error) => Err(error),
        };
        let superseded = matches!(stored, Ok(Some(Fulfilled::Superseded)));
        let is_stored = matches!(stored, Ok(Some(Fulfilled::Stored)));
        if superseded {
            self.count(Count::Superseded);
        }
        if let Err(error) = stored {
            self.count(Count::Unstored);
            self.life.trace.unstored(self.about(), &error);
            self.life.reports.unstored(&error);
        }
        leader.finish_by(|| match superseded {
            true => Outcome::LookAgain,
            false => Outcome::Made(Made {
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
}
