//! The asynchronous face of a meter.

use std::time::Instant;

use beaker_namespace::{
    AsyncNamespace, Claim, Condition, ConditionalSet, Entry, Error, Fulfilled, Inspection, Key,
    Lookup, Mark, Namespace, Page, Scan, Swept, Wait,
};

use super::Metered;
use super::counts::{self, Count, Meter, Operation};
use crate::proxy::inner::{Answer, Inner};

/// Counts a call that is dropped before its end.
struct Dropped<'a, N>(&'a Metered<N>);

impl<N> Drop for Dropped<'_, N> {
    fn drop(&mut self) {
        self.0.meter().add(Count::Dropped, 1);
    }
}

impl<N: Namespace> Metered<N> {
    fn in_task(&self) -> Inner<'_> {
        Inner::in_task(&self.inner)
    }

    /// As [`measure`](Self::measure), from the first poll of `call`.
    async fn measure_in_task<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, Error>>,
        tally: impl FnOnce(&Meter, &T),
    ) -> Result<T, Error> {
        let dropped = Dropped(self);
        let began = Instant::now();
        let outcome = call.await;
        std::mem::forget(dropped);
        self.ended(operation, began, &outcome, tally);
        outcome
    }
}

/// By the asynchronous face of the inner namespace; if it has none, these calls block.
impl<N: Namespace> AsyncNamespace for Metered<N> {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Entry>> {
        let call = self.in_task().get(key);
        Box::pin(self.measure_in_task(Operation::Get, call, |meter, found| {
            counts::read(meter, found.as_ref());
        }))
    }

    fn look_up<'a>(&'a self, key: &'a Key) -> Answer<'a, Lookup> {
        let call = self.in_task().look_up(key);
        Box::pin(self.measure_in_task(Operation::Get, call, |meter, found| {
            counts::read(meter, found.as_entry());
        }))
    }

    fn set<'a>(&'a self, key: &'a Key, entry: Entry) -> Answer<'a, ()> {
        let tally = counts::set(&entry);
        let call = self.in_task().set(key, entry);
        Box::pin(self.measure_in_task(Operation::Set, call, tally))
    }

    fn remove<'a>(&'a self, key: &'a Key) -> Answer<'a, bool> {
        let call = self.in_task().remove(key);
        Box::pin(self.measure_in_task(Operation::Remove, call, counts::remove))
    }

    fn clear(&self) -> Answer<'_, ()> {
        let call = self.in_task().clear();
        Box::pin(self.measure_in_task(Operation::Clear, call, counts::nothing))
    }

    fn claim<'a>(&'a self, key: &'a Key, wait: Wait) -> Answer<'a, Option<Claim>> {
        let call = self.in_task().claim(key, wait);
        Box::pin(self.measure_in_task(Operation::Claim, call, counts::nothing))
    }

    fn fulfil<'a>(&'a self, key: &'a Key, entry: Entry, claim: Claim) -> Answer<'a, Fulfilled> {
        let tally = counts::fulfil(&entry);
        let call = self.in_task().fulfil(key, entry, claim);
        Box::pin(self.measure_in_task(Operation::Fulfil, call, tally))
    }

    fn set_if<'a>(
        &'a self,
        key: &'a Key,
        entry: Entry,
        condition: Condition,
    ) -> Answer<'a, ConditionalSet> {
        let tally = counts::set_if(&entry);
        let call = self.in_task().set_if(key, entry, condition);
        Box::pin(self.measure_in_task(Operation::SetIf, call, tally))
    }

    fn scan<'a>(&'a self, scan: &'a Scan) -> Answer<'a, Page> {
        let call = self.in_task().scan(scan);
        Box::pin(self.measure_in_task(Operation::Scan, call, counts::nothing))
    }

    fn remove_tag<'a>(&'a self, tag: &'a str) -> Answer<'a, u64> {
        let call = self.in_task().remove_tag(tag);
        Box::pin(self.measure_in_task(Operation::RemoveTag, call, counts::remove_many))
    }

    fn mark<'a>(&'a self, name: &'a str, mark: Mark) -> Answer<'a, Mark> {
        let call = self.in_task().mark(name, mark);
        Box::pin(self.measure_in_task(Operation::Mark, call, counts::nothing))
    }

    fn marks<'a>(&'a self, names: &'a [&'a str]) -> Answer<'a, Mark> {
        let call = self.in_task().marks(names);
        Box::pin(self.measure_in_task(Operation::Marks, call, counts::nothing))
    }

    fn sweep(&self) -> Answer<'_, Swept> {
        let call = self.in_task().sweep();
        Box::pin(self.measure_in_task(Operation::Sweep, call, counts::nothing))
    }

    fn inspect<'a>(&'a self, key: &'a Key) -> Answer<'a, Inspection> {
        let call = self.in_task().inspect(key);
        Box::pin(self.measure_in_task(Operation::Inspect, call, counts::nothing))
    }

    fn inspect_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Inspection>> {
        let call = self.in_task().inspect_many(keys);
        Box::pin(self.measure_in_task(Operation::InspectMany, call, counts::nothing))
    }

    fn get_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Entry>>> {
        let call = self.in_task().get_many(keys);
        Box::pin(self.measure_in_task(Operation::GetMany, call, |meter, found| {
            counts::read_many(meter, found)
        }))
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Answer<'_, ()> {
        let tally = counts::set_many(&entries);
        let call = self.in_task().set_many(entries);
        Box::pin(self.measure_in_task(Operation::SetMany, call, tally))
    }

    fn remove_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, u64> {
        let call = self.in_task().remove_many(keys);
        Box::pin(self.measure_in_task(Operation::RemoveMany, call, counts::remove_many))
    }
}
