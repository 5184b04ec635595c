//! What a prefix does in more than one call of the namespace inside, by either face.

use std::cell::Cell;
use std::time::Instant;

use beaker_namespace::{
    Capability, Claim, Condition, ConditionalSet, Cursor, Entry, Error, ErrorKind, FromKey,
    Fulfilled, Inspection, Key, Listed, Lookup, Namespace, Page, Scan, Swept, Wait,
};

use super::{Inner, Prefixed, life_in};

// A future that is dropped between two calls leaves nothing in part: what is stored or removed is so by
// one call, and the others look at the life, begin one (which is empty), or tidy up.

/// The times that a claim is taken anew because the prefix was cleared meanwhile.
const ATTEMPTS: usize = 8;

/// A claim in the inner namespace, and the life that it was taken in.
struct PrefixedClaim {
    mark: Key,
    life: u64,
    claim: Cell<Option<Claim>>,
}

/// What to remove.
#[derive(Clone, Copy)]
enum Old {
    /// All that is listed.
    All,
    /// What is of another life than this one, as long as it is the present one; see rule 5.
    AllBut(u64),
}

/// A prefix by one face of the namespace inside.
pub(super) struct Calls<'a, N> {
    pub(super) prefixed: &'a Prefixed<N>,
    pub(super) inner: Inner<'a>,
}

// Not derived: that would ask `N` for the same.
impl<N> Clone for Calls<'_, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for Calls<'_, N> {}

impl<N: Namespace> Calls<'_, N> {
    /// The number of the present life, if one began.
    async fn life(self) -> Result<Option<u64>, Error> {
        let retains = self.inner.capabilities().has(Capability::Retains);
        if self.inner.is_blocking() || !retains {
            return self.prefixed.life();
        }
        Ok(self.inner.get(&self.prefixed.mark).await?.as_ref().and_then(life_in))
    }

    /// The number of the present life, which begins if there is none.
    async fn life_or_begin(self) -> Result<u64, Error> {
        if let Some(life) = self.life().await? {
            return Ok(life);
        }
        let mark = &self.prefixed.mark;
        let (life, entry) = self.prefixed.new_life();
        if self.inner.capabilities().has(Capability::CompareAndSet) {
            let set = self.inner.set_if(mark, entry.clone(), Condition::Absent).await?;
            if matches!(set, ConditionalSet::Stored { .. }) {
                return Ok(life);
            }
            if let Some(life) = self.life().await? {
                return Ok(life); // Somebody else began it.
            }
        }
        self.inner.set(mark, entry).await?;
        Ok(self.life().await?.unwrap_or(life))
    }

    async fn is_present(self, life: u64) -> Result<bool, Error> {
        Ok(self.life().await? == Some(life))
    }

    pub(super) async fn get(self, key: &Key) -> Result<Option<Entry>, Error> {
        let life = self.life().await?;
        let found = match life {
            Some(life) => self.inner.get(&self.prefixed.key(life, key)).await?,
            None => None,
        };
        Ok(self.prefixed.read(life.unwrap_or_default(), found.into()).into_entry())
    }

    pub(super) async fn look_up(self, key: &Key) -> Result<Lookup, Error> {
        let life = self.life().await?;
        let found = match life {
            Some(life) => self.inner.look_up(&self.prefixed.key(life, key)).await?,
            None => Lookup::Absent,
        };
        Ok(self.prefixed.read(life.unwrap_or_default(), found))
    }

    pub(super) async fn get_many(self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        let Some(life) = self.life().await? else {
            self.prefixed.counts.misses.add(keys.len() as u64);
            return Ok(vec![None; keys.len()]);
        };
        let found = self.inner.get_many(&self.prefixed.keys(life, keys)).await?;
        Ok(found
            .into_iter()
            .map(|found| self.prefixed.read(life, found.into()).into_entry())
            .collect())
    }

    pub(super) async fn set(self, key: &Key, entry: Entry) -> Result<(), Error> {
        let life = self.life_or_begin().await?;
        let (key, entry) = (self.prefixed.key(life, key), self.prefixed.close(life, entry));
        self.inner.set(&key, entry).await?;
        self.prefixed.counts.sets.add(1);
        Ok(())
    }

    pub(super) async fn set_many(self, entries: Vec<(Key, Entry)>) -> Result<(), Error> {
        let (life, number) = (self.life_or_begin().await?, entries.len() as u64);
        let close =
            |(key, entry)| (self.prefixed.key(life, &key), self.prefixed.close(life, entry));
        self.inner.set_many(entries.into_iter().map(close).collect()).await?;
        self.prefixed.counts.sets.add(number);
        Ok(())
    }

    pub(super) async fn set_if(
        self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        let life = self.life_or_begin().await?;
        let (key, entry) = (self.prefixed.key(life, key), self.prefixed.close(life, entry));
        let set = self.inner.set_if(&key, entry, condition).await?;
        self.prefixed.counts.sets.add(matches!(set, ConditionalSet::Stored { .. }).into());
        Ok(set)
    }

    pub(super) async fn remove(self, key: &Key) -> Result<bool, Error> {
        let Some(life) = self.life().await? else { return Ok(false) };
        let removed = self.inner.remove(&self.prefixed.key(life, key)).await?;
        self.prefixed.counts.removes.add(removed.into());
        Ok(removed)
    }

    pub(super) async fn remove_many(self, keys: &[Key]) -> Result<u64, Error> {
        let Some(life) = self.life().await? else { return Ok(0) };
        let removed = self.inner.remove_many(&self.prefixed.keys(life, keys)).await?;
        self.prefixed.counts.removes.add(removed);
        Ok(removed)
    }

    pub(super) async fn remove_tag(self, tag: &str) -> Result<u64, Error> {
        let Some(life) = self.life().await? else {
            // Asked nevertheless, so that a store without tags says so.
            self.inner.remove_tag(&self.prefixed.marked_tag(0, tag)).await?;
            return Ok(0);
        };
        let removed = self.inner.remove_tag(&self.prefixed.marked_tag(life, tag)).await?;
        self.prefixed.counts.removes.add(removed);
        Ok(removed)
    }

    pub(super) async fn clear(self) -> Result<(), Error> {
        if !self.inner.capabilities().has(Capability::Retains) {
            return Ok(());
        }
        let old = self.life().await?;
        let (_life, entry) = self.prefixed.new_life();
        self.inner.set(&self.prefixed.mark, entry).await?;
        if let Some(old) = old
            && self.inner.capabilities().has(Capability::Scan)
        {
            self.purge(self.prefixed.scan_of(old), Old::All).await?;
        }
        Ok(())
    }

    pub(super) async fn claim(self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        let began = Instant::now();
        for _ in 0..ATTEMPTS {
            let life = self.life_or_begin().await?;
            let inner_key = self.prefixed.key(life, key);
            let claimed = self.inner.claim(&inner_key, remaining(wait, began)).await?;
            let Some(claim) = claimed else { return Ok(None) };
            // Who waited through a clear must not begin with a claim that it voided.
            if self.is_present(life).await? {
                let (mark, token) = (self.prefixed.mark.clone(), claim.token());
                let held = PrefixedClaim { mark, life, claim: Cell::new(Some(claim)) };
                return Ok(Some(Claim::with_guard(token, held)));
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "claim a key")
            .with_detail("the namespace is cleared again and again; try later"))
    }

    pub(super) async fn fulfil(
        self,
        key: &Key,
        entry: Entry,
        claim: Claim,
    ) -> Result<Fulfilled, Error> {
        let (life, inner) = self.inside(&claim)?;
        // If it is cleared after this, the entry goes to the old life, where nobody reads it.
        let fulfilled = if self.is_present(life).await? {
            let (key, entry) = (self.prefixed.key(life, key), self.prefixed.close(life, entry));
            self.inner.fulfil(&key, entry, inner).await?
        } else {
            Fulfilled::Superseded
        };
        match fulfilled {
            Fulfilled::Stored => self.prefixed.counts.sets.add(1),
            Fulfilled::Superseded => self.prefixed.counts.superseded.add(1),
        }
        Ok(fulfilled)
    }

    /// The claim in the inner namespace, and the life that it is of.
    fn inside(self, claim: &Claim) -> Result<(u64, Claim), Error> {
        let held = claim.guard::<PrefixedClaim>().filter(|held| held.mark == self.prefixed.mark);
        held.and_then(|held| Some((held.life, held.claim.take()?))).ok_or_else(|| {
            Error::new(ErrorKind::Config, "store what was created")
                .with_detail("the claim is one of another namespace")
        })
    }

    pub(super) async fn scan(self, scan: &Scan) -> Result<Page, Error> {
        let Some(life) = self.life().await? else {
            // Asked nevertheless, so that a store without listings says so.
            self.inner.scan(&Scan::new().prefix(&self.prefixed.mark).limit(1)).await?;
            return Ok(Page::default());
        };
        let mut inner = self.prefixed.scan_of(life).limit(scan.page_limit());
        if let Some(cursor) = scan.cursor() {
            inner = inner.after(Cursor::new(cursor));
        }
        loop {
            let Page { entries, next } = self.inner.scan(&inner).await?;
            let entries: Vec<_> = entries
                .into_iter()
                .filter_map(|listed| {
                    let (_, _, key) = <(String, u64, Key)>::from_key(&listed.key)?;
                    let tags = self.prefixed.unmarked_tags(life, &listed.tags);
                    scan.matches(&key).then_some(Listed { key, tags, ..listed })
                })
                .collect();
            match next {
                // Nothing on this page is wanted.
                Some(next) if entries.is_empty() => inner = inner.after(next),
                next => return Ok(Page { entries, next }),
            }
        }
    }

    pub(super) async fn sweep(self) -> Result<Swept, Error> {
        let mut swept = self.inner.sweep().await?;
        if let Some(life) = self.life().await?
            && self.inner.capabilities().has(Capability::Scan)
        {
            let everything = Scan::new().prefix(&self.prefixed.mark);
            swept.leftovers += self.purge(everything, Old::AllBut(life)).await?;
        }
        Ok(swept)
    }

    pub(super) async fn inspect(self, key: &Key) -> Result<Inspection, Error> {
        let Some(life) = self.life().await? else { return Ok(Inspection::Absent) };
        let found = self.inner.inspect(&self.prefixed.key(life, key)).await?;
        Ok(self.inspected(life, found))
    }

    pub(super) async fn inspect_many(self, keys: &[Key]) -> Result<Vec<Inspection>, Error> {
        let Some(life) = self.life().await? else {
            return Ok(vec![Inspection::Absent; keys.len()]);
        };
        let found = self.inner.inspect_many(&self.prefixed.keys(life, keys)).await?;
        Ok(found.into_iter().map(|found| self.inspected(life, found)).collect())
    }

    fn inspected(self, life: u64, found: Inspection) -> Inspection {
        let open = |entry| self.prefixed.open(life, entry);
        match found {
            Inspection::Present(entry) => Inspection::Present(open(entry)),
            Inspection::Dead(entry) => Inspection::Dead(open(entry)),
            other => other,
        }
    }

    /// Removes what is old of what `scan` lists, page by page, and says how much.
    async fn purge(self, mut scan: Scan, old: Old) -> Result<u64, Error> {
        let mut removed = 0;
        loop {
            let Page { entries, next } = self.inner.scan(&scan).await?;
            let keys = self.which(old, entries).await?;
            if !keys.is_empty() {
                removed += self.inner.remove_many(&keys).await?;
            }
            match next {
                Some(next) => scan = scan.after(next),
                None => return Ok(removed),
            }
        }
    }

    async fn which(self, old: Old, listed: Vec<Listed>) -> Result<Vec<Key>, Error> {
        let keys = listed.into_iter().map(|listed| listed.key);
        let Old::AllBut(life) = old else { return Ok(keys.collect()) };
        let is_of_another = |key: &Key| {
            <(String, u64, Key)>::from_key(key).is_some_and(|(_, found, _)| found != life)
        };
        let keys: Vec<Key> = keys.filter(is_of_another).collect();
        Ok(if !keys.is_empty() && self.is_present(life).await? { keys } else { Vec::new() })
    }
}

/// What is left of `wait`.
fn remaining(wait: Wait, began: Instant) -> Wait {
    match wait {
        Wait::AtMost(limit) => Wait::AtMost(limit.saturating_sub(began.elapsed())),
        other => other,
    }
}
