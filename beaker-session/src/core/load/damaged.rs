//! Loads that fail: of what is damaged, and of a store that cannot be reached.
//
// A record that is damaged may be somebody's session, and a policy says what becomes of it. A damaged mark
// says that a session has ended, whatever else was in it: nobody goes on with that one, and a good mark takes
// the place of the bad one, which a sweep would drop.

use std::sync::Arc;

use beaker_namespace::Timestamp;

use super::{Candidate, Load};
use crate::config::{Config, OutagePolicy, Rescued};
use crate::cookie::Refusal;
use crate::core::{Answer, Core, Op, Open, Origin, Step, Task, unexpected, watch};
use crate::record::Record;
use crate::{Error, ErrorKind};

impl Core {
    pub(super) fn load_failed(
        &mut self,
        config: &Config,
        error: Error,
        asked: Candidate,
        now: Timestamp,
    ) -> Result<Step, Error> {
        watch::failed(config, &error, Some(asked.id()));
        if error.kind() == ErrorKind::Corrupt {
            return self.load_damaged(config, error, asked, now);
        }
        config.counts.add(|at| &at.outages);
        // Who logs out is told that he has not, and tries again.
        if config.outage == OutagePolicy::Anonymous && !self.loading()?.to_end {
            return self.finish_load(Open::new(Origin::Unreachable));
        }
        Err(error)
    }

    fn load_damaged(
        &mut self,
        config: &Config,
        error: Error,
        asked: Candidate,
        now: Timestamp,
    ) -> Result<Step, Error> {
        config.counts.add(|at| &at.corrupt);
        let load = self.loading()?;
        load.origin = Origin::Corrupt;
        if load.to_end {
            // Nobody goes on with it, so there is nothing to be decided.
            return self.pass_damaged(config, asked, now);
        }
        let key = match (&asked, &config.bridge) {
            (Candidate::Bridged(verified), Some(bridge)) => bridge.wire.key(&verified.id),
            _ => self.last_key.of(config.wire.as_ref(), asked.id()),
        };
        match config.corrupt.rescue(&key, &error) {
            Rescued::Failed => Err(error),
            Rescued::Fresh => self.pass_damaged(config, asked, now),
            Rescued::Values(data) => {
                let mut open = Open::new(Origin::Corrupt);
                let mut record = Record::new(now).with_data(data);
                match asked {
                    Candidate::Ours(verified) => open.id = Some(verified.id),
                    Candidate::Bridged(verified) => {
                        self.takes_over(config, &verified.id, &mut record);
                    }
                    Candidate::Sealed { .. } => {}
                }
                open.bridged = Some(Arc::new(record));
                self.finish_load(open)
            }
        }
    }

    /// Looks further, and notes what a logout ends of what is damaged.
    fn pass_damaged(
        &mut self,
        config: &Config,
        asked: Candidate,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let load = self.loading()?;
        match asked {
            Candidate::Ours(verified) => load.ends.push(verified.id),
            // A mark is made by the logout.
            Candidate::Sealed { sealed, outdated, bridged: false } if load.to_end => {
                return self.found_sealed(config, *sealed, outdated, false);
            }
            // Another system's is marked by its id whether it is found or not.
            Candidate::Bridged(_) | Candidate::Sealed { .. } => {}
        }
        self.next_candidate(config, now)
    }

    /// The mark of what was asked for is there, and cannot be read.
    pub(super) fn mark_damaged(
        &mut self,
        config: &Config,
        error: Error,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let load = self.loading()?;
        let Some(asked) = load.asked.take() else { return Err(unexpected()) };
        if load.to_end && matches!(asked, Candidate::Sealed { bridged: false, .. }) {
            return self.load_failed(config, error, asked, now);
        }
        watch::failed(config, &error, Some(asked.id()));
        config.counts.add(|at| &at.corrupt);
        // For good, as the damaged one may have been: another cookie of that id may live longer than this one.
        let op = Op::Create { key: asked.mark_key(), record: Arc::new(Record::new(now)) };
        (load.origin, load.asked, load.damaged_mark) = (Origin::Corrupt, Some(asked), Some(error));
        Ok(Step::Ask(op))
    }

    /// A good mark is in the place of the damaged one, or of another one that somebody else has made.
    pub(super) fn mark_made_anew(
        &mut self,
        config: &Config,
        answer: Answer,
        now: Timestamp,
    ) -> Result<Step, Error> {
        let load = self.loading()?;
        let to_end = load.to_end;
        let (Some(damage), Some(asked)) = (load.damaged_mark.take(), load.asked.take()) else {
            return Err(unexpected());
        };
        match answer {
            Answer::Created(_) => {}
            Answer::Failed(error) if error.kind() == ErrorKind::Corrupt => {}
            Answer::Failed(error) => return self.load_failed(config, error, asked, now),
            _ => return Err(unexpected()),
        }
        // Whoever is asked is told; but there is nothing that values could be rescued for.
        if !to_end && matches!(config.corrupt.rescue(&asked.mark_key(), &damage), Rescued::Failed) {
            return Err(damage);
        }
        self.pass_unknown(config, Refusal::Revoked, &asked, now)
    }

    pub(super) fn loading(&mut self) -> Result<&mut Load, Error> {
        match &mut self.task {
            Task::Load(load) => Ok(load),
            _ => Err(unexpected()),
        }
    }
}
