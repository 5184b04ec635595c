//! The testkit itself: the suite catches stores that are broken on purpose, and the fault store
//! does what it says.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use beaker_namespace::testkit::{self, Fault, FaultStore, Report, for_each_operation};
use beaker_namespace::{
    Claim, Condition, ConditionalSet, Entry, Error, ErrorKind, FileConfig, FileNamespace,
    Fulfilled, Inspection, Key, Mark, MemoryConfig, MemoryNamespace, Namespace, Page, Payload,
    Scan, Scope, Stats, Timestamp, Wait, forward_namespace,
};

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    RemoveDoesNothing,
    RemoveLies,
    FulfilIgnoresInvalidation,
    ClearSparesClaims,
    ClearsByPrefix,
    KeysAreCutOff,
    KeysAreFolded,
    EmptyIsAbsent,
    ServesTheDead,
    LosesTags,
    ValuesAreCutOff,
    WritesInTwoSteps,
    IgnoresTheCondition,
    ListsWithGaps,
    ListsForEver,
    TagsArePrefixes,
    HandsOutTwoClaims,
    EachHandleAlone,
    CountsNothing,
    SaysUnsupportedTooSoon,
    ForgetsMarks,
    TheLastMarkHolds,
    MarksAreFolded,
    ClearDropsMarks,
    LongNamesAreCutOff,
    MarksAreEntries,
}

const NOW: Timestamp = Timestamp::from_micros(0);

type Opened = Arc<Mutex<BTreeMap<String, Arc<MemoryNamespace>>>>;

/// A memory namespace with a bug.
#[derive(Debug)]
struct Broken {
    inner: Arc<MemoryNamespace>,
    bug: Bug,
    opened: Opened,
    /// Those of a store that keeps them wrongly.
    marks: Mutex<BTreeMap<String, Mark>>,
}

impl Broken {
    /// The name of a mark.
    fn name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match self.bug {
            Bug::MarksAreFolded => name.to_lowercase().into(),
            Bug::LongNamesAreCutOff => name.chars().take(100).collect::<String>().into(),
            _ => name.into(),
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    fn key(&self, key: &Key) -> Key {
        match (self.bug, key.as_text()) {
            (Bug::KeysAreFolded, Some(text)) => Key::new(&text.to_lowercase()),
            (Bug::KeysAreCutOff, Some(text)) => Key::new(text.split('\0').next().unwrap_or(text)),
            _ => key.clone(),
        }
    }

    fn entry(&self, entry: Entry) -> Entry {
        let length = entry.payload().len_bytes().unwrap_or_default();
        match self.bug {
            Bug::ServesTheDead => {
                let expires = entry.expires();
                entry.times(expires, Timestamp::NEVER)
            }
            Bug::LosesTags => entry.tags(Vec::new()),
            Bug::ValuesAreCutOff if length > 65_535 => shortened(&entry, 65_535),
            _ => entry,
        }
    }
}

fn shortened(entry: &Entry, to: usize) -> Entry {
    let Payload::Bytes { bytes, .. } = entry.payload() else { return entry.clone() };
    Entry::new(Payload::raw(bytes.slice(..to)), entry.began()).times(entry.expires(), entry.dies())
}

impl Namespace for Broken {
    forward_namespace!(
        self => self.inner;
        id, capabilities, latency, clock, sweep,
    );

    fn scope(&self) -> Scope {
        if self.has(Bug::HandsOutTwoClaims) { Scope::Host } else { self.inner.scope() }
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let found = self.inner.get(&self.key(key))?;
        let empty = |entry: &Entry| entry.payload().len_bytes() == Some(0);
        Ok(found.filter(|entry| !(self.has(Bug::EmptyIsAbsent) && empty(entry))))
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        let (key, entry) = (self.key(key), self.entry(entry));
        if self.has(Bug::WritesInTwoSteps) {
            let half = entry.payload().len_bytes().unwrap_or_default() / 2;
            self.inner.set(&key, shortened(&entry, half))?;
            // sleep: the gap is as wide as a slow disk makes it.
            thread::sleep(Duration::from_micros(100));
        }
        self.inner.set(&key, entry)
    }

    fn remove(&self, key: &Key) -> Result<bool, Error> {
        match self.bug {
            Bug::RemoveDoesNothing => Ok(self.inner.get(key)?.is_some()),
            Bug::RemoveLies => self.inner.remove(key).map(|_| true),
            _ => self.inner.remove(&self.key(key)),
        }
    }

    fn clear(&self) -> Result<(), Error> {
        match self.bug {
            Bug::ClearSparesClaims => {
                for listed in self.inner.scan(&Scan::new())?.entries {
                    self.inner.remove(&listed.key)?;
                }
                Ok(())
            }
            Bug::ClearsByPrefix => {
                let opened = self.opened.lock().expect("no panic while it is held");
                let name = self.inner.id().name();
                opened
                    .range(name.to_owned()..)
                    .take_while(|(other, _)| other.starts_with(name))
                    .try_for_each(|(_, store)| store.clear())
            }
            Bug::ClearDropsMarks => {
                self.marks.lock().expect("no panic while it is held").clear();
                self.inner.clear()
            }
            _ => self.inner.clear(),
        }
    }

    fn mark(&self, name: &str, mark: Mark) -> Result<Mark, Error> {
        let own = |mark| {
            let mut marks = self.marks.lock().expect("no panic while it is held");
            marks.insert(name.to_owned(), mark);
        };
        match self.bug {
            Bug::ForgetsMarks => Ok(mark),
            Bug::TheLastMarkHolds | Bug::ClearDropsMarks => {
                own(mark);
                Ok(mark)
            }
            Bug::MarksAreEntries => {
                self.inner.set(&Key::new(&("mark", name)), Entry::new(Payload::raw(""), NOW))?;
                self.inner.mark(name, mark)
            }
            _ => self.inner.mark(&self.name(name), mark),
        }
    }

    fn marks(&self, names: &mut dyn Iterator<Item = &str>) -> Result<Mark, Error> {
        if self.has(Bug::TheLastMarkHolds) || self.has(Bug::ClearDropsMarks) {
            let marks = self.marks.lock().expect("no panic while it is held");
            let found = names.filter_map(|name| marks.get(name));
            return Ok(found.fold(Mark::default(), |all, &mark| all.merge(mark)));
        }
        let names: Vec<_> = names.map(|name| self.name(name)).collect();
        self.inner.marks(&mut names.iter().map(|name| &**name))
    }

    fn claim(&self, key: &Key, wait: Wait) -> Result<Option<Claim>, Error> {
        self.inner.claim(&self.key(key), wait)
    }

    fn fulfil(&self, key: &Key, entry: Entry, claim: Claim) -> Result<Fulfilled, Error> {
        if self.has(Bug::FulfilIgnoresInvalidation) {
            return self.inner.set(key, entry).map(|()| Fulfilled::Stored);
        }
        self.inner.fulfil(&self.key(key), self.entry(entry), claim)
    }

    fn stats(&self) -> Stats {
        if self.has(Bug::CountsNothing) { Stats::default() } else { self.inner.stats() }
    }

    fn set_if(
        &self,
        key: &Key,
        entry: Entry,
        condition: Condition,
    ) -> Result<ConditionalSet, Error> {
        if self.has(Bug::IgnoresTheCondition) {
            self.inner.set(key, entry)?;
            let generation = self.inner.get(key)?.map_or(0, |entry| entry.generation());
            return Ok(ConditionalSet::Stored { generation });
        }
        self.inner.set_if(&self.key(key), entry, condition)
    }

    fn scan(&self, scan: &Scan) -> Result<Page, Error> {
        if self.has(Bug::SaysUnsupportedTooSoon) {
            return Err(Error::new(ErrorKind::Unsupported, "list entries"));
        }
        let mut page = self.inner.scan(scan)?;
        if self.has(Bug::ListsWithGaps) && page.next.is_some() {
            page.entries.pop();
        }
        if self.has(Bug::ListsForEver) {
            page.next = page.next.or_else(|| Some(beaker_namespace::Cursor::new(*b"")));
            if scan.cursor() == Some(b"") {
                return Ok(Page { next: page.next, ..Page::default() });
            }
        }
        Ok(page)
    }

    fn remove_tag(&self, tag: &str) -> Result<u64, Error> {
        if !self.has(Bug::TagsArePrefixes) {
            return self.inner.remove_tag(tag);
        }
        let mut removed = 0;
        for listed in self.inner.scan(&Scan::new())?.entries {
            let Some(entry) = self.inner.get(&listed.key)? else { continue };
            if entry.tag_list().iter().any(|found| found.starts_with(tag)) {
                removed += u64::from(self.inner.remove(&listed.key)?);
            }
        }
        Ok(removed)
    }

    fn inspect(&self, key: &Key) -> Result<Inspection, Error> {
        self.inner.inspect(&self.key(key))
    }
}

/// Memory of its own: namespaces in other groups are others, whatever their names.
fn own_memory() -> MemoryConfig {
    static GROUPS: AtomicU64 = AtomicU64::new(0);
    MemoryConfig::new().group(&format!("group {}", GROUPS.fetch_add(1, Ordering::Relaxed)))
}

/// What `case` says of a memory namespace with `bug`.
fn report_on(bug: Bug, case: &str) -> Report {
    let (opened, shared) = (Opened::default(), own_memory());
    let wanted = |name: &str| name == case;
    testkit::run_where(&format!("{bug:?}"), wanted, |name, clock| {
        let config = if bug == Bug::EachHandleAlone { own_memory() } else { shared.clone() };
        let inner = MemoryNamespace::open(name, config.clock(clock))?;
        opened.lock().expect("no panic while it is held").insert(name.into(), Arc::clone(&inner));
        Ok(Broken { inner, bug, opened: Arc::clone(&opened), marks: Mutex::default() })
    })
}

/// How often `case` holds and fails for a file namespace without a bug.
fn on_a_sound_store(case: &str) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let report = testkit::run_where(
        "file",
        |name| name == case,
        |name, clock| FileNamespace::open(name, FileConfig::new(dir.path()).clock(clock)),
    );
    (report.passed.len(), report.failed.len())
}

#[test]
fn each_broken_store_is_caught_by_the_case_that_says_so() {
    for (bug, case) in [
        (Bug::RemoveDoesNothing, "a_removed_key_is_absent"),
        (Bug::RemoveLies, "removing_an_absent_key_succeeds"),
        (Bug::FulfilIgnoresInvalidation, "a_set_wins_over_a_running_creation"),
        (Bug::FulfilIgnoresInvalidation, "a_remove_wins_over_a_running_creation"),
        (Bug::FulfilIgnoresInvalidation, "a_clear_wins_over_a_running_creation"),
        (Bug::FulfilIgnoresInvalidation, "an_invalidation_through_another_handle_wins"),
        (Bug::FulfilIgnoresInvalidation, "claims_keep_creations_apart"),
        (Bug::ClearSparesClaims, "a_clear_wins_over_a_running_creation"),
        (Bug::ClearsByPrefix, "clearing_a_namespace_spares_its_neighbours"),
        (Bug::KeysAreCutOff, "different_keys_are_different_entries"),
        (Bug::KeysAreFolded, "different_keys_are_different_entries"),
        (Bug::EmptyIsAbsent, "an_empty_value_is_not_absent"),
        (Bug::ServesTheDead, "at_the_moment_of_death_it_is_gone"),
        (Bug::ServesTheDead, "an_entry_born_dead_is_absent"),
        (Bug::ServesTheDead, "the_dead_leave_without_being_asked_for"),
        (Bug::LosesTags, "what_an_entry_says_comes_back"),
        (Bug::LosesTags, "a_tag_removes_what_carries_it"),
        (Bug::ValuesAreCutOff, "values_of_every_size_come_back"),
        (Bug::WritesInTwoSteps, "every_value_was_written_whole"),
        (Bug::IgnoresTheCondition, "only_an_absent_key_is_absent"),
        (Bug::IgnoresTheCondition, "no_increment_is_lost"),
        (Bug::ListsWithGaps, "a_scan_lists_each_entry_once"),
        (Bug::ListsForEver, "a_scan_lists_each_entry_once"),
        (Bug::TagsArePrefixes, "a_tag_removes_what_carries_it"),
        (Bug::HandsOutTwoClaims, "one_claim_at_a_time_in_the_scope"),
        (Bug::EachHandleAlone, "one_name_is_one_namespace"),
        (Bug::CountsNothing, "reads_and_writes_are_counted"),
        (Bug::SaysUnsupportedTooSoon, "unsupported_calls_say_so"),
        (Bug::ForgetsMarks, "a_mark_is_found"),
        (Bug::ForgetsMarks, "a_mark_that_is_made_during_clears_stays"),
        (Bug::TheLastMarkHolds, "the_later_mark_holds"),
        (Bug::MarksAreFolded, "a_mark_is_of_its_name_alone"),
        (Bug::LongNamesAreCutOff, "any_text_can_be_marked"),
        (Bug::LongNamesAreCutOff, "a_name_that_is_too_long_is_refused"),
        (Bug::ClearDropsMarks, "a_mark_outlives_clear"),
        (Bug::MarksAreEntries, "a_mark_leaves_the_entries_alone"),
        (Bug::EachHandleAlone, "a_mark_is_seen_through_another_handle"),
        (Bug::EachHandleAlone, "of_marks_at_the_same_time_the_latest_holds"),
    ] {
        assert_eq!(on_a_sound_store(case), (1, 0), "a store without a bug fails {case}");
        // Some bugs show only if two threads meet.
        let caught = (0..50).any(|_| report_on(bug, case).failed.len() == 1);
        assert!(caught, "{bug:?} was not caught by {case}");
    }
}

#[test]
fn a_failing_case_is_told_with_store_case_and_claim() {
    let memory = own_memory();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        testkit::conformance("forgetful", |name, clock| {
            let inner = MemoryNamespace::open(name, memory.clone().clock(clock))?;
            let (bug, opened) = (Bug::EmptyIsAbsent, Opened::default());
            Ok(Broken { inner, bug, opened, marks: Mutex::default() })
        })
    }))
    .unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(
        message.contains(
            "store `forgetful`, case `an_empty_value_is_not_absent`: an empty value is a value"
        ),
        "{message}"
    );
}

#[test]
fn a_store_that_does_not_open_fails_without_running_a_case() {
    let report = testkit::run("shut", |_, _| {
        Err::<MemoryNamespace, _>(Error::new(ErrorKind::Denied, "open"))
    });
    assert_eq!((report.passed.len(), report.failed.len()), (0, 1));
    assert_eq!(report.failed[0].case, "open");
}

fn memory() -> Arc<MemoryNamespace> {
    MemoryNamespace::anonymous(MemoryConfig::new()).unwrap()
}

fn entry(value: &'static str) -> Entry {
    Entry::new(Payload::raw(value), Timestamp::default())
}

#[test]
fn a_failed_operation_is_not_done_and_a_torn_one_is() {
    let store = FaultStore::new(memory());
    let key = Key::new("k");
    store.arm(1, Fault::Fail(ErrorKind::Full));
    assert_eq!(store.set(&key, entry("v")).unwrap_err().kind(), ErrorKind::Full);
    assert!(store.get(&key).unwrap().is_none());
    store.arm(1, Fault::Tear(ErrorKind::Unavailable));
    assert_eq!(store.set(&key, entry("v")).unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(store.get(&key).unwrap().is_some());
    store.arm(1, Fault::Tear(ErrorKind::Unavailable));
    let many = (0..4).map(|number| (Key::new(&number), entry("v"))).collect();
    assert!(store.set_many(many).is_err());
    let there = (0..4).filter(|number| store.inner().get(&Key::new(number)).unwrap().is_some());
    assert_eq!(there.count(), 2);
    store.arm(1, Fault::Panic);
    assert!(catch_unwind(AssertUnwindSafe(|| store.remove(&key))).is_err());
    assert!(store.remove(&key).unwrap());
    store.arm(1, Fault::Panic);
    store.disarm();
    assert!(!store.remove(&key).unwrap());
    assert_eq!((store.operations(), store.injected()), (8, 4));
}

/// What a creation does to a store, up to its first error.
fn create(store: &impl Namespace, key: &Key) -> Result<(), Error> {
    if store.get(key)?.is_none() {
        let claim = store.claim(key, Wait::AtMost(Duration::from_secs(5)))?.unwrap();
        let _fulfilled = store.fulfil(key, entry("made"), claim)?;
    }
    store.set(&Key::new("other"), entry("set"))?;
    store.remove(&Key::new("old")).map(drop)
}

#[test]
fn f32_after_a_fault_at_any_operation_the_state_is_before_or_after_and_work_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for fault in [Fault::Fail(ErrorKind::Unavailable), Fault::Tear(ErrorKind::Full)] {
        let open = || {
            let store = FileNamespace::open("n", FileConfig::new(dir.path())).unwrap();
            store.clear().unwrap();
            store.set(&Key::new("old"), entry("old")).unwrap();
            store
        };
        let operations = for_each_operation(fault, open, |store| {
            let key = Key::new("k");
            let done = create(store, &key);
            assert_eq!(done.is_err(), store.injected() == 1);
            store.disarm();
            for (key, expected) in [("k", "made"), ("other", "set"), ("old", "old")] {
                if let Some(found) = store.get(&Key::new(key)).unwrap() {
                    let Payload::Bytes { bytes, .. } = found.payload() else { panic!("bytes") };
                    assert_eq!(bytes, expected);
                }
            }
            // Nothing is left claimed or locked.
            create(store, &key).unwrap();
            assert!(store.get(&key).unwrap().is_some());
            assert!(store.get(&Key::new("old")).unwrap().is_none());
        });
        assert_eq!(operations, 5, "get, claim, fulfil, set, remove");
    }
}
