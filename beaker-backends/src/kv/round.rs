//! How far the writes of this process are with looking for the dead, part by part, and when there can be some.
//
// 1. What was seen since a round began, and what was written since then, is all that there is when it ends: so
//    nothing dies before the first of these, nor before what is written later.
// 2. That holds where no other process writes. Otherwise, and until a first round has ended, some can be dead at any
//    time.
// 3. It is of one id of the namespace. Under another one a round begins anew.
// 4. A change that is not committed may have been counted, in both. That only makes the next round come too early: what
//    a round drops is counted too, and found gone by the next one.

use beaker_namespace::Timestamp;

use super::ledger::NOW;

#[derive(Debug)]
pub(super) struct Round {
    /// The id of the namespace's entries.
    id: Option<u64>,
    /// The row after which to go on.
    after: Vec<u8>,
    /// When the first dies of what this round has seen, and of what was written meanwhile.
    first: Timestamp,
    /// Before that nothing dies.
    due: Timestamp,
}

impl Default for Round {
    fn default() -> Self {
        Self { id: None, after: Vec::new(), first: Timestamp::NEVER, due: NOW }
    }
}

impl Round {
    /// Something was written of which the first dies at `dies`.
    pub(super) fn wrote(&mut self, dies: Timestamp) {
        self.first = self.first.min(dies);
        self.due = self.due.min(dies);
    }

    /// It is of the entries of `id`.
    pub(super) fn go_on_in(&mut self, id: u64) {
        if self.id != Some(id) {
            *self = Self { id: Some(id), ..Self::default() };
        }
    }

    /// Whether something can be dead by `now`.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.due <= now
    }

    /// The row after which to go on; empty at the beginning.
    pub(super) fn after(&self) -> &[u8] {
        &self.after
    }

    /// Entries were seen of which the first dies at `dies`, up to the row `last`, or to the end.
    pub(super) fn saw(&mut self, dies: Timestamp, last: Option<Vec<u8>>) {
        self.first = self.first.min(dies);
        self.after = last.unwrap_or_else(|| {
            self.due = std::mem::replace(&mut self.first, Timestamp::NEVER);
            Vec::new()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn it_is_not_due_before_the_first_death_once_all_was_seen() {
        let mut round = Round::default();
        round.go_on_in(1);
        assert!(round.is_due(NOW), "nothing is known yet");
        round.saw(at(500), Some(b"row".to_vec()));
        assert!(round.is_due(NOW), "there is more");
        round.wrote(at(300));
        round.saw(Timestamp::NEVER, None);
        assert_eq!([299, 300].map(|now| round.is_due(at(now))), [false, true]);
        round.saw(Timestamp::NEVER, Some(b"row".to_vec()));
        round.wrote(at(200));
        assert!(round.is_due(at(200)), "it was written behind the row");
        round.saw(at(700), None);
        round.saw(Timestamp::NEVER, None);
        assert!(!round.is_due(at(i64::MAX - 1)), "both are gone");
    }

    #[test]
    fn under_another_id_nothing_is_known() {
        let mut round = Round::default();
        round.go_on_in(1);
        round.saw(Timestamp::NEVER, None);
        round.go_on_in(1);
        assert!(!round.is_due(at(0)));
        round.go_on_in(2);
        assert!(round.is_due(at(0)));
    }
}
