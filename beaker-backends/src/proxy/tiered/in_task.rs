//! The asynchronous face of a tier.

use beaker_namespace::{
    AsyncNamespace, Claim, Condition, ConditionalSet, Entry, Fulfilled, Key, Lookup, Namespace,
    Swept, Wait,
};

use super::{Changed, Filling, FillingMany, Tiered};
use crate::proxy::inner::{Answer, Inner};

// The memory is asked within a poll: it waits for nobody. A future that is dropped while it reads below
// gives up its claim in the memory and fills nothing. One that is dropped while it changes something
// below forgets, in that drop, what it may have changed (rule 1). What is carried out below after that is
// to the memory as if another process did it.

impl<N: Namespace> Tiered<N> {
    fn in_task(&self) -> Inner<'_> {
        Inner::in_task(&self.lower)
    }
}

/// By the asynchronous face of the lower namespace; if it has none, these calls block.
impl<N: Namespace> AsyncNamespace for Tiered<N> {
    forward_in_task!(self => self.in_task(); scan, mark, marks, inspect, inspect_many);

    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Entry>> {
        Box::pin(async move {
            if let Some(entry) = self.get_above(key)? {
                return Ok(Some(entry));
            }
            let filling = Filling::begin(self, key)?;
            let found = self.in_task().get(key).await?;
            filling.fill(self, key, found.as_ref());
            Ok(found)
        })
    }

    fn look_up<'a>(&'a self, key: &'a Key) -> Answer<'a, Lookup> {
        Box::pin(async move {
            if let Some(entry) = self.get_above(key)? {
                return Ok(Lookup::Found(entry));
            }
            let filling = Filling::begin(self, key)?;
            let found = self.in_task().look_up(key).await?;
            filling.fill(self, key, found.as_entry());
            Ok(found)
        })
    }

    fn get_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Entry>>> {
        Box::pin(async move {
            let many = FillingMany::begin(self, keys)?;
            let below = match many.wanted.is_empty() {
                true => Vec::new(),
                false => self.in_task().get_many(&many.wanted).await?,
            };
            Ok(many.fill(self, below))
        })
    }

    fn set<'a>(&'a self, key: &'a Key, entry: Entry) -> Answer<'a, ()> {
        Box::pin(async move {
            let _dropped_last = self.changing(Changed::Key(key));
            self.in_task().set(key, entry).await
        })
    }

    fn set_many(&self, entries: Vec<(Key, Entry)>) -> Answer<'_, ()> {
        Box::pin(async move {
            let keys: Vec<Key> = entries.iter().map(|(key, _)| key.clone()).collect();
            let _dropped_last = self.changing(Changed::Keys(&keys));
            self.in_task().set_many(entries).await
        })
    }

    fn set_if<'a>(
        &'a self,
        key: &'a Key,
        entry: Entry,
        condition: Condition,
    ) -> Answer<'a, ConditionalSet> {
        Box::pin(async move {
            let _dropped_last = self.changing(Changed::Key(key));
            self.in_task().set_if(key, entry, condition).await
        })
    }

    fn remove<'a>(&'a self, key: &'a Key) -> Answer<'a, bool> {
        Box::pin(async move {
            let _dropped_last = self.changing(Changed::Key(key));
            self.in_task().remove(key).await
        })
    }

    fn remove_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, u64> {
        Box::pin(async move {
            let _dropped_last = self.changing(Changed::Keys(keys));
            self.in_task().remove_many(keys).await
        })
    }

    fn remove_tag<'a>(&'a self, tag: &'a str) -> Answer<'a, u64> {
        Box::pin(async move {
            let _dropped_last = self.changing(Changed::All);
            self.in_task().remove_tag(tag).await
        })
    }

    fn clear(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let _dropped_last = self.changing(Changed::All);
            self.in_task().clear().await
        })
    }

    fn claim<'a>(&'a self, key: &'a Key, wait: Wait) -> Answer<'a, Option<Claim>> {
        Box::pin(async move {
            let claim = self.in_task().claim(key, wait).await?;
            self.claimed(key, claim)
        })
    }

    fn fulfil<'a>(&'a self, key: &'a Key, entry: Entry, claim: Claim) -> Answer<'a, Fulfilled> {
        Box::pin(async move {
            let _dropped_last = self.changing(Changed::Key(key));
            self.in_task().fulfil(key, entry, claim).await
        })
    }

    fn sweep(&self) -> Answer<'_, Swept> {
        Box::pin(async move {
            self.upper.sweep()?;
            self.in_task().sweep().await
        })
    }
}
