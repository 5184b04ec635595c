//! A request's turn at its session: the lock that comes before a load.

use super::{Candidate, Load};
use crate::config::Config;
use crate::core::{Answer, Core, Op, Step, Task, unexpected, watch};
use crate::{Error, ErrorKind, RecordKey};

impl Candidate {
    /// By what requests of its session wait for each other: a hash, wherever the session is kept.
    fn lock_key(&self) -> RecordKey {
        self.id().hashed()
    }
}

impl Load {
    /// Before `candidate` is looked for its session's lock is waited for, so that what is found is what the requests
    /// before this one have left.
    pub(super) fn ask_lock(&mut self, candidate: Candidate) -> Result<Step, Error> {
        let key = candidate.lock_key();
        self.asked = Some(candidate);
        self.locks = true;
        Ok(Step::Ask(Op::Lock(key)))
    }

    /// Lets other requests go on: of a load that was dropped on its way.
    pub(crate) fn unlock(&mut self) {
        self.lock = None;
    }
}

impl Core {
    /// Whether there is a load that waits for the lock of `key`. Nothing is under way for it meanwhile, so another
    /// handle of the request may have ended it.
    pub(crate) fn awaits_lock(&self, key: &RecordKey) -> bool {
        let Task::Load(Load { locks: true, asked: Some(asked), .. }) = &self.task else {
            return false;
        };
        asked.lock_key() == *key
    }

    pub(super) fn answer_lock(&mut self, config: &Config, answer: Answer) -> Result<Step, Error> {
        self.refuse_late("load session")?;
        let load = self.loading()?;
        let Some(asked) = load.asked.take() else { return Err(unexpected()) };
        match answer {
            Answer::Locked(lock) if *lock.key() == asked.lock_key() => {
                load.lock = Some(lock);
                self.ask_candidate(config, asked)
            }
            Answer::Failed(error) => {
                if error.kind() == ErrorKind::Busy {
                    config.counts.add(|at| &at.lock_timeouts);
                    watch::busy(config, asked.id());
                }
                Err(error)
            }
            _ => Err(unexpected()),
        }
    }
}
