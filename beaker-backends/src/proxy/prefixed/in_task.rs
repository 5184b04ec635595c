//! The asynchronous face of a prefix.

use beaker_namespace::{
    AsyncNamespace, Claim, Condition, ConditionalSet, Entry, Fulfilled, Inspection, Key, Lookup,
    Mark, Namespace, Page, Scan, Swept, Wait,
};

use super::Prefixed;
use crate::proxy::inner::Answer;

/// By the asynchronous face of the inner namespace; if it has none, these calls block.
impl<N: Namespace> AsyncNamespace for Prefixed<N> {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Entry>> {
        Box::pin(self.in_task().get(key))
    }

    fn look_up<'a>(&'a self, key: &'a Key) -> Answer<'a, Lookup> {
        Box::pin(self.in_task().look_up(key))
    }

    fn set<'a>(&'a self, key: &'a Key, entry: Entry) -> Answer<'a, ()> {
        Box::pin(self.in_task().set(key, entry))
    }

    fn remove<'a>(&'a self, key: &'a Key) -> Answer<'a, bool> {
        Box::pin(self.in_task().remove(key))
    }

    fn clear(&self) -> Answer<'_, ()> {
        Box::pin(self.in_task().clear())
    }

    fn claim<'a>(&'a self, key: &'a Key, wait: Wait) -> Answer<'a, Option<Claim>> {
        Box::pin(self.in_task().claim(key, wait))
    }

    fn fulfil<'a>(&'a self, key: &'a Key, entry: Entry, claim: Claim) -> Answer<'a, Fulfilled> {
        Box::pin(self.in_task().fulfil(key, entry, claim))
    }

    fn set_if<'a>(
        &'a self,
        key: &'a Key,
        entry: Entry,
        condition: Condition,
    ) -> Answer<'a, ConditionalSet> {
        Box::pin(self.in_task().set_if(key, entry, condition))
    }

    fn scan<'a>(&'a self, scan: &'a Scan) -> Answer<'a, Page> {
        Box::pin(self.in_task().scan(scan))
    }

    fn remove_tag<'a>(&'a self, tag: &'a str) -> Answer<'a, u64> {
        Box::pin(self.in_task().remove_tag(tag))
    }

    fn mark<'a>(&'a self, name: &'a str, mark: Mark) -> Answer<'a, Mark> {
        Box::pin(async move {
            Mark::check_name(name)?;
            self.in_task().inner.mark(&self.marked_name(name), mark).await
        })
    }

    fn marks<'a>(&'a self, names: &'a [&'a str]) -> Answer<'a, Mark> {
        Box::pin(async move {
            let names = self.marked_names(names.iter().copied());
            self.in_task().inner.marks(&names).await
        })
    }

    fn sweep(&self) -> Answer<'_, Swept> {
        Box::pin(self.in_task().sweep())
    }

    fn inspect<'a>(&'a self, key: &'a Key) -> Answer<'a, Inspection> {
        Box::pin(self.in_task().inspect(key))
    }

    fn get_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Entry>>> {
        Box::pin(self.in_task().get_many(keys))
    }

    fn inspect_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Inspection>> {
        Box::pin(self.in_task().inspect_many(keys))
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Answer<'_, ()> {
        Box::pin(self.in_task().set_many(entries))
    }

    fn remove_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, u64> {
        Box::pin(self.in_task().remove_many(keys))
    }
}
