//! Calls on a namespace in any order, each held against a plain model.
//
// The model knows of each key what was stored last, and whether it must still be there:
// 1. Nothing was stored, or it was removed: nothing may be found.
// 2. It was stored, and is `sure`: it must be found.
// 3. It was stored, and may be gone: it died, or may have been evicted or damaged. It may be found or
//    not; once it is not found although it lives, it is gone for good.
// Of a claim it knows whether it stands. Where stores may differ, either is right.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arbitrary::Arbitrary;
use beaker_namespace::{
    Claim, Clock, Condition, ConditionalSet, Entry, Error, ErrorKind, Fulfilled, Inspection, Key,
    ManualClock, Namespace, Scan, Timestamp, Wait,
};

use crate::model::{KeyChoice, New, Probes, START, Stored, keys, tag_names};

/// A call.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Op {
    Get(KeyChoice),
    Inspect(KeyChoice),
    Set(KeyChoice, New),
    SetIf(KeyChoice, New, If),
    Remove(KeyChoice),
    RemoveTag(u8),
    Clear,
    Claim(KeyChoice),
    Fulfil(u8, New),
    FulfilElsewhere(u8, KeyChoice, New),
    DropClaim(u8),
    Advance(u8),
    Back(u8),
    Sweep,
    Scan { limit: u8, prefix: Option<KeyChoice> },
}

/// When [`Op::SetIf`] stores.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum If {
    Absent,
    Unchanged,
    Generation(u64),
}

/// What a store is held to beyond the trait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Promises {
    /// The longest value, and the heaviest entry.
    pub(crate) max_bytes: usize,
    pub(crate) max_weight: u64,
    /// It may drop what lives, to make room.
    pub(crate) evicts: bool,
    /// A claim excludes others, where a newer one voids the older elsewhere.
    pub(crate) exclusive_claims: bool,
    /// What it refuses as too large, it removes the old value for.
    pub(crate) refusal_removes: bool,
    /// A claim whose tag was removed since is void.
    pub(crate) tags_void_claims: bool,
}

#[derive(Debug)]
struct Slot {
    stored: Stored,
    sure: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Stands,
    Void,
    Unsure,
}

#[derive(Debug)]
struct Held {
    key: usize,
    claim: Claim,
    standing: Standing,
    removed_tags: u8,
}

/// A namespace, and what is known of it.
#[derive(Debug)]
pub(crate) struct Harness {
    pub(crate) namespace: Arc<dyn Namespace>,
    pub(crate) clock: Arc<ManualClock>,
    promises: Promises,
    probes: Option<Probes>,
    keys: Vec<Key>,
    slots: BTreeMap<usize, Slot>,
    claims: Vec<Held>,
    generations: HashMap<u64, u64>,
    next_value: u64,
    damage: Damage,
}

/// What was done behind the store's back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Damage {
    Nothing,
    /// Files were taken away or changed: entries may be gone, and calls succeed.
    Lost,
    /// A record may say that a newer version wrote it, which is an error of its own kind.
    Renumbered,
    /// Something stands in the way: calls may fail.
    Obstructed,
}

/// The clock that a harness moves.
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(START)))
}

impl Harness {
    pub(crate) fn new(
        namespace: Arc<dyn Namespace>,
        clock: Arc<ManualClock>,
        promises: Promises,
        probes: Option<Probes>,
    ) -> Self {
        Self {
            namespace,
            clock,
            promises,
            probes,
            keys: keys(),
            slots: BTreeMap::new(),
            claims: Vec::new(),
            generations: HashMap::new(),
            next_value: 1,
            damage: Damage::Nothing,
        }
    }

    /// Makes one call and checks what it says.
    pub(crate) fn apply(&mut self, op: Op) {
        match op {
            Op::Get(key) => self.get(key.index()),
            Op::Inspect(key) => self.inspect(key.index()),
            Op::Set(key, new) => self.set(key.index(), new),
            Op::SetIf(key, new, condition) => self.set_if(key.index(), new, condition),
            Op::Remove(key) => self.remove(key.index()),
            Op::RemoveTag(bit) => self.remove_tag(bit % 3),
            Op::Clear => self.clear(),
            Op::Claim(key) => self.claim(key.index()),
            Op::Fulfil(held, new) => self.fulfil(held, new),
            Op::FulfilElsewhere(held, key, new) => self.fulfil_elsewhere(held, key.index(), new),
            Op::DropClaim(held) => drop(self.take_claim(held)),
            Op::Advance(by) => {
                self.clock.advance(Duration::from_micros(by.into()));
                self.bury();
            }
            Op::Back(by) => {
                let earlier = self.now().saturating_sub(Duration::from_micros(by.into()));
                self.clock.set(earlier);
                self.bury();
            }
            Op::Sweep => self.sweep(),
            Op::Scan { limit, prefix } => self.scan(limit.into(), prefix.map(KeyChoice::index)),
        }
        self.check_sizes();
    }

    /// Notes what was done behind the store's back.
    pub(crate) fn damaged(&mut self, damage: Damage) {
        self.damage = self.damage.max(damage);
        self.slots.values_mut().for_each(|slot| slot.sure = false);
        self.doubt_claims(|_| true);
    }

    pub(crate) fn damage(&self) -> Damage {
        self.damage
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn get(&mut self, key: usize) {
        let found = self.namespace.get(&self.keys[key]);
        if let Some(found) = self.unless_damaged(found) {
            self.observe(key, found.as_ref());
        }
    }

    fn inspect(&mut self, key: usize) {
        let seen = self.namespace.inspect(&self.keys[key]);
        match self.unless_damaged(seen) {
            Some(Inspection::Present(entry)) => self.observe(key, Some(&entry)),
            Some(Inspection::Absent) => self.observe(key, None),
            Some(Inspection::Dead(entry)) => {
                let slot = self.slots.get(&key).expect("nothing is there that was not stored");
                slot.stored.assert_is(&entry);
                assert!(entry.is_dead(self.now()));
            }
            Some(Inspection::Corrupt(_)) => assert!(self.damage > Damage::Nothing),
            None => {}
            Some(other) => panic!("an inspection of an unknown kind: {other:?}"),
        }
    }

    fn observe(&mut self, key: usize, found: Option<&Entry>) {
        let now = self.now();
        match (self.slots.get_mut(&key), found) {
            (None, None) => {}
            (None, Some(_)) => panic!("a value is there that was removed or never stored"),
            (Some(slot), Some(entry)) => {
                slot.stored.assert_is(entry);
                assert!(!entry.is_dead(now), "a dead value is found");
                slot.sure = true;
                slot.stored.generation = Some(entry.generation());
                self.note_generation(key);
            }
            (Some(slot), None) => {
                assert!(!slot.sure, "a value is lost");
                self.forget(key);
            }
        }
    }

    /// A value that lives was not found: it is gone for good, if nobody moves files about.
    fn forget(&mut self, key: usize) {
        let now = self.now();
        if self.damage == Damage::Nothing
            && self.slots.get(&key).is_some_and(|slot| !slot.stored.is_dead(now))
        {
            self.slots.remove(&key);
        }
    }

    fn note_generation(&mut self, key: usize) {
        let stored = &self.slots[&key].stored;
        if let Some(generation) = stored.generation {
            let value = *self.generations.entry(generation).or_insert(stored.value());
            assert_eq!(value, stored.value(), "two writes have one generation");
        }
    }

    fn make(&mut self, new: New) -> (Entry, Stored) {
        self.next_value += 1;
        new.entry(self.next_value, self.now(), self.probes.as_ref())
    }

    fn is_too_large(&self, new: New) -> bool {
        let bytes = if self.probes.is_some() && new.object { 0 } else { new.size_bytes() };
        bytes > self.promises.max_bytes || u64::from(new.cost.max(1)) > self.promises.max_weight
    }

    fn set(&mut self, key: usize, new: New) {
        let (entry, stored) = self.make(new);
        self.shake();
        match self.namespace.set(&self.keys[key], entry) {
            Ok(()) => {
                assert!(!self.is_too_large(new));
                self.store(key, stored);
            }
            Err(error) => {
                self.refused(key, new, &error);
                if error.kind() == ErrorKind::TooLarge && self.promises.refusal_removes {
                    self.slots.remove(&key);
                    self.void_claims(key);
                }
            }
        }
    }

    /// An error is right for what is too large, and where damage was done.
    fn refused(&mut self, key: usize, new: New, error: &Error) {
        match error.kind() {
            ErrorKind::TooLarge => assert!(self.is_too_large(new), "{error}"),
            _ => self.assert_allowed(error),
        }
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.sure = false;
        }
        self.doubt_claims(|held| held.key == key);
    }

    fn store(&mut self, key: usize, stored: Stored) {
        self.slots.insert(key, Slot { stored, sure: true });
        self.note_generation(key);
        self.void_claims(key);
        self.bury();
    }

    fn set_if(&mut self, key: usize, new: New, condition: If) {
        let (entry, mut stored) = self.make(new);
        if matches!(condition, If::Unchanged) {
            self.get(key);
        }
        let known = self.slots.get(&key).and_then(|slot| slot.stored.generation);
        let condition = match condition {
            If::Absent => Condition::Absent,
            If::Unchanged => Condition::Generation(known.unwrap_or(7)),
            If::Generation(number) => Condition::Generation(number),
        };
        self.shake();
        match self.namespace.set_if(&self.keys[key], entry, condition) {
            Ok(ConditionalSet::Stored { generation }) => {
                assert!(!self.is_too_large(new) && self.may_hold(key, condition, true));
                stored.generation = Some(generation);
                self.store(key, stored);
            }
            Ok(ConditionalSet::Conflict) => {
                assert!(self.may_hold(key, condition, false));
                self.conflicted(key, condition);
            }
            Err(error) => self.refused(key, new, &error),
        }
    }

    /// Whether `condition` may be found to hold, or not to hold.
    fn may_hold(&self, key: usize, condition: Condition, holds: bool) -> bool {
        let now = self.now();
        let living = self.slots.get(&key).filter(|slot| !slot.stored.is_dead(now));
        match (condition, living) {
            (Condition::Absent, None) => holds,
            (Condition::Absent, Some(slot)) => !holds || !slot.sure,
            (Condition::Generation(wanted), Some(slot)) => match slot.stored.generation {
                Some(generation) if generation != wanted => !holds,
                Some(_) => holds || !slot.sure,
                // Nobody guesses a number that was not told, but it may be.
                None => true,
            },
            (_, None) => !holds,
            (_, Some(_)) => true,
        }
    }

    /// A conflict tells whether something is there.
    fn conflicted(&mut self, key: usize, condition: Condition) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        match condition {
            Condition::Absent => slot.sure = true,
            Condition::Generation(wanted) if slot.stored.generation == Some(wanted) => {
                self.forget(key);
            }
            _ => {}
        }
    }

    fn remove(&mut self, key: usize) {
        let now = self.now();
        match self.namespace.remove(&self.keys[key]) {
            Ok(removed) => {
                match self.slots.remove(&key) {
                    Some(slot) if slot.stored.is_dead(now) => {}
                    Some(slot) => assert!(removed || !slot.sure, "a value was lost"),
                    None => assert!(!removed, "something was there that was not stored"),
                }
                self.void_claims(key);
            }
            Err(error) => {
                self.assert_allowed(&error);
                self.doubt_claims(|held| held.key == key);
            }
        }
    }

    fn remove_tag(&mut self, bit: u8) {
        let (tag, now) = (1 << bit, self.now());
        let tagged = |slot: &Slot| slot.stored.tags & tag != 0;
        let sure = self.slots.values().filter(|slot| slot.sure && tagged(slot)).count() as u64;
        let most = self.slots.values().filter(|slot| tagged(slot)).count() as u64;
        let removed = self.namespace.remove_tag(&tag_names(tag)[0]);
        let voided: BTreeSet<usize> =
            self.slots.iter().filter(|(_, slot)| tagged(slot)).map(|(key, _)| *key).collect();
        self.doubt_claims(|held| voided.contains(&held.key));
        self.claims.iter_mut().for_each(|held| held.removed_tags |= tag);
        if let Some(removed) = self.unless_damaged(removed) {
            assert!((sure..=most).contains(&removed), "{sure} <= {removed} <= {most}");
            self.slots.retain(|_, slot| !tagged(slot) || slot.stored.is_dead(now));
        }
    }

    fn clear(&mut self) {
        let cleared = self.namespace.clear();
        if self.unless_damaged(cleared).is_some() {
            self.slots.clear();
            self.claims.iter_mut().for_each(|held| held.standing = Standing::Void);
        } else {
            self.doubt_claims(|_| true);
        }
    }

    fn claim(&mut self, key: usize) {
        let wait = if self.promises.exclusive_claims { Wait::Never } else { Wait::Forever };
        let claimed = self.namespace.claim(&self.keys[key], wait);
        let Some(claimed) = self.unless_damaged(claimed) else { return };
        let held = self.claims.iter().any(|held| held.key == key);
        if self.promises.exclusive_claims && held {
            assert!(claimed.is_none() || self.damage > Damage::Nothing, "two hold one claim");
        } else {
            assert!(claimed.is_some(), "a free claim is refused");
            self.void_claims(key);
        }
        let standing = Standing::Stands;
        self.claims.extend(claimed.map(|claim| Held { key, claim, standing, removed_tags: 0 }));
    }

    fn take_claim(&mut self, number: u8) -> Option<Held> {
        let count = self.claims.len();
        (count > 0).then(|| self.claims.swap_remove(usize::from(number) % count))
    }

    fn fulfil(&mut self, number: u8, new: New) {
        let Some(held) = self.take_claim(number) else { return };
        let (entry, stored) = self.make(new);
        self.shake();
        let revived = held.removed_tags & stored.tags != 0;
        let standing = match held.standing {
            Standing::Stands if revived && self.promises.tags_void_claims => Standing::Void,
            Standing::Stands if revived => Standing::Unsure,
            standing => standing,
        };
        match self.namespace.fulfil(&self.keys[held.key], entry, held.claim) {
            Ok(Fulfilled::Stored) => {
                assert!(!self.is_too_large(new));
                assert_ne!(standing, Standing::Void, "work overtaken by an invalidation is stored");
                self.store(held.key, stored);
            }
            Ok(Fulfilled::Superseded) => {
                assert_ne!(standing, Standing::Stands, "a claim that stands is not fulfilled");
            }
            Err(error) => self.refused(held.key, new, &error),
        }
    }

    /// A claim on one key says nothing about another.
    fn fulfil_elsewhere(&mut self, number: u8, key: usize, new: New) {
        let Some(held) = self.take_claim(number) else { return };
        if held.key == key {
            return;
        }
        let (entry, _) = self.make(new);
        self.shake();
        let fulfilled = self.namespace.fulfil(&self.keys[key], entry, held.claim);
        assert!(!matches!(fulfilled, Ok(Fulfilled::Stored)), "a foreign claim is fulfilled");
    }

    fn sweep(&mut self) {
        let swept = self.namespace.sweep();
        let Some(swept) = self.unless_damaged(swept) else { return };
        if self.damage > Damage::Nothing {
            return;
        }
        let now = self.now();
        let dead = self.slots.values().filter(|slot| slot.stored.is_dead(now)).count() as u64;
        assert!(swept.expired <= dead && swept.corrupt == 0, "{swept:?} of {dead}");
        self.slots.retain(|_, slot| !slot.stored.is_dead(now));
    }

    fn scan(&mut self, limit: usize, prefix: Option<usize>) {
        let mut scan = Scan::new().limit(limit);
        if let Some(prefix) = prefix {
            scan = scan.prefix(&self.keys[prefix]);
        }
        let Some(listed) = self.listed(&scan) else { return };
        let now = self.now();
        for key in 0..self.keys.len() {
            let wanted = scan.matches(&self.keys[key]);
            match self.slots.get_mut(&key) {
                Some(slot) if listed.contains(&key) => {
                    assert!(wanted && !slot.stored.is_dead(now));
                    slot.sure = true;
                }
                None => assert!(!listed.contains(&key), "a removed value is listed"),
                Some(slot) if wanted => {
                    assert!(!slot.sure, "a value is not listed");
                    self.forget(key);
                }
                Some(_) => {}
            }
        }
    }

    /// All pages of `scan`; each key is there once.
    fn listed(&mut self, scan: &Scan) -> Option<BTreeSet<usize>> {
        let mut listed = BTreeSet::new();
        let mut next = scan.clone();
        for _page in 0..=self.keys.len() {
            let page = self.namespace.scan(&next);
            let page = self.unless_damaged(page)?;
            assert!(page.entries.len() <= scan.page_limit());
            for entry in &page.entries {
                let key = self.keys.iter().position(|key| *key == entry.key);
                let key = key.expect("no key is listed that was not stored");
                assert!(listed.insert(key), "a key is listed twice");
                let slot = self.slots.get(&key).expect("no value is listed that was removed");
                slot.stored.assert_listed(entry);
            }
            match page.next {
                Some(cursor) => next = scan.clone().after(cursor),
                None => return Some(listed),
            }
        }
        panic!("a scan does not end");
    }

    /// What died may be gone from now on, even if the clock goes back.
    fn bury(&mut self) {
        let now = self.now();
        for slot in self.slots.values_mut().filter(|slot| slot.stored.is_dead(now)) {
            slot.sure = false;
        }
    }

    /// What makes room may evict anything.
    fn shake(&mut self) {
        if self.promises.evicts {
            self.slots.values_mut().for_each(|slot| slot.sure = false);
        }
    }

    fn void_claims(&mut self, key: usize) {
        for held in self.claims.iter_mut().filter(|held| held.key == key) {
            held.standing = Standing::Void;
        }
    }

    fn doubt_claims(&mut self, which: impl Fn(&Held) -> bool) {
        for held in self.claims.iter_mut().filter(|held| which(held)) {
            if held.standing == Standing::Stands {
                held.standing = Standing::Unsure;
            }
        }
    }

    /// Sizes lie between what must be there and what may be there.
    fn check_sizes(&self) {
        let stats = self.namespace.stats();
        let sure = || self.slots.values().filter(|slot| slot.sure);
        if let Some(entries) = stats.entries {
            let most = self.slots.len() as u64;
            assert!((sure().count() as u64..=most).contains(&entries), "{entries} of {most}");
            let live = self.probes.as_ref().map_or(0, |probes| probes.live.load(Ordering::Relaxed));
            assert!(live as u64 <= entries, "{live} objects live in {entries} entries");
        }
        if let Some(weight) = stats.weight {
            let weigh = |slot: &Slot| u64::from(slot.stored.cost.max(1));
            let (least, most) = (sure().map(weigh).sum(), self.slots.values().map(weigh).sum());
            assert!((least..=most).contains(&weight), "{least} <= {weight} <= {most}");
        }
    }

    fn unless_damaged<T>(&self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.assert_allowed(&error)).ok()
    }

    fn assert_allowed(&self, error: &Error) {
        let allowed = match self.damage {
            Damage::Nothing | Damage::Lost => false,
            Damage::Renumbered => error.kind() == ErrorKind::Config,
            Damage::Obstructed => true,
        };
        assert!(allowed, "{error} ({:?})", error.kind());
    }
}
