//! What was begun and what was done before the power was cut.

use std::collections::BTreeMap;

use super::disk::Op;
use super::steps::Deed;

/// The steps that were begun, and the last that was done, in their order.
pub(super) struct History {
    begun: BTreeMap<u64, Deed>,
    done: u64,
}

impl History {
    pub(super) fn of(ops: &[Op]) -> Self {
        let mut history = Self { begun: BTreeMap::new(), done: 0 };
        for op in ops {
            let Op::Said(word) = op else { continue };
            let (verb, number) = word.split_once(' ').expect("two words");
            let number = number.parse().expect("the number of a step");
            match verb {
                "begins" => drop(history.begun.insert(number, Deed::of(number))),
                _ => history.done = number,
            }
        }
        history
    }

    /// The last step on `key` that was done.
    pub(super) fn done(&self, key: u64) -> Option<u64> {
        let mut done = self.begun.range(..=self.done).rev();
        done.find(|(_, deed)| deed.leaves(key).is_some()).map(|(number, _)| *number)
    }

    /// The latest step that left `found` under `key`, or `Some(None)` if it may be from before the
    /// first; `None` if it was never there.
    pub(super) fn latest(&self, key: u64, found: Option<&[u8]>) -> Option<Option<u64>> {
        let mut begun = self.begun.iter().rev();
        match begun.find(|(_, deed)| deed.leaves(key) == Some(found)) {
            Some((number, _)) => Some(Some(*number)),
            None => found.is_none().then_some(None),
        }
    }

    /// The batches of which a part is in `there` and another part is not.
    pub(super) fn torn<'a>(
        &'a self,
        there: &'a [(u64, Option<Vec<u8>>)],
    ) -> impl Iterator<Item = u64> + 'a {
        let step_of = |(key, found): &(u64, Option<Vec<u8>>)| {
            self.latest(*key, found.as_deref()).flatten().unwrap_or_default()
        };
        self.begun.iter().filter_map(move |(number, deed)| {
            let Deed::Set(_) = deed else { return None };
            let parts = || there.iter().filter(|(key, _)| deed.leaves(*key).is_some());
            // A value says its step; that nothing is there does not, and may be of a later one.
            let is_in = parts().any(|part| part.1.is_some() && step_of(part) == *number);
            let is_out = parts().any(|part| step_of(part) < *number);
            (is_in && is_out).then_some(*number)
        })
    }

    /// The latest moment at which mark `name` was set by a step that was done.
    pub(super) fn marked(&self, name: u64) -> Option<u64> {
        let mut done = self.begun.range(..=self.done).rev();
        done.find(|(_, deed)| matches!(deed, Deed::Mark(of) if *of == name)).map(|(at, _)| *at)
    }

    pub(super) fn began_to_mark(&self, name: u64, at: u64) -> bool {
        matches!(self.begun.get(&at), Some(Deed::Mark(of)) if *of == name)
    }
}

#[test]
fn half_a_batch_is_found_and_a_whole_one_or_none_is_not() {
    let batch = (1..).find(|number| matches!(Deed::of(*number), Deed::Set(all) if all.len() > 1));
    let number = batch.expect("there is one");
    let Deed::Set(all) = Deed::of(number) else { unreachable!() };
    let ops = [Op::Said(format!("begins {number}"))];
    let history = History::of(&ops);
    let mut there: Vec<_> = all.into_iter().map(|(key, value)| (key, Some(value))).collect();
    assert_eq!(history.torn(&there).next(), None, "whole");
    there[0].1 = None;
    assert_eq!(history.torn(&there).collect::<Vec<_>>(), [number]);
    there.iter_mut().for_each(|(_, value)| *value = None);
    assert_eq!(history.torn(&there).next(), None, "none");
}
