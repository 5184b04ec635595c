//! F47: values that are longer than a limit which was lowered since they were written.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{
    Clock, Condition, ConditionalSet, ErrorKind, Inspection, Key, Lookup, ManualClock, Namespace,
    Scan, Timestamp,
};

use super::support::stores::{Store, any, on_every};
use super::support::values::{entry, value};

const LIMIT: usize = 10_000;

/// By a byte, of which the length of the record does not tell, and by more than a record has beside its value.
const LONGER: [usize; 2] = [LIMIT + 1, 300_000];

const LIFE: Duration = Duration::from_secs(60);

/// The store in `dir` as it is opened once its limit was lowered.
fn narrow(store: &Store, dir: &Path, clock: &Arc<ManualClock>) -> Arc<dyn Namespace> {
    let url = store.url(dir).with_option("max_value_bytes", LIMIT);
    store.open_url_at(&url, Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

#[test]
fn f47_values_are_read_up_to_the_limit_and_not_a_byte_beyond() {
    on_every(any, |store| {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::default()));
        let at = Key::new("at");
        let wide = store.open(dir.path()).unwrap();
        wide.set(&at, entry(vec![1; LIMIT])).unwrap();
        for bytes in LONGER {
            wide.set(&Key::new(&bytes), entry(vec![2; bytes])).unwrap();
        }
        let tagged = entry(vec![3; LIMIT + 1]).tags(vec!["red".into()]);
        wide.set(&Key::new("tagged"), tagged).unwrap();
        drop(wide);
        let open = narrow(store, dir.path(), &clock);
        assert_eq!(value(&*open, &at).unwrap(), Some(vec![1; LIMIT]), "{}", store.name);
        for bytes in LONGER {
            let key = Key::new(&bytes);
            let mut serve = |_: &beaker_namespace::Entry| panic!("it is served");
            let errors = [
                open.get(&key).map(drop),
                open.look_up(&key).map(drop),
                open.get_many(&[at.clone(), key.clone()]).map(drop),
                open.read_with(&key, &mut serve),
                open.inspect(&key).map(drop),
                open.set_if(&key, entry("late"), Condition::Absent).map(drop),
            ];
            for (call, error) in errors.into_iter().enumerate() {
                let error = error.expect_err(store.name);
                assert_eq!(error.kind(), ErrorKind::TooLarge, "{} {call}: {error}", store.name);
                assert!(error.to_string().contains("max_value_bytes"), "{}: {error}", store.name);
            }
            let set = open.set_if(&key, entry("new"), Condition::TooLarge).unwrap();
            assert_ne!(set, ConditionalSet::Conflict, "{} {bytes}", store.name);
            assert_eq!(value(&*open, &key).unwrap(), Some(b"new".to_vec()), "{}", store.name);
        }
        let listed = open.scan(&Scan::new()).unwrap().entries;
        let sizes = listed.iter().map(|listed| listed.size_bytes.unwrap());
        assert_eq!(sizes.max(), Some(LIMIT as u64 + 1), "{}: it is listed", store.name);
        assert_eq!(open.remove_tag("red").unwrap(), 1, "{}", store.name);
        assert_eq!(value(&*open, &Key::new("tagged")).unwrap(), None, "{}", store.name);
    });
}

/// What is looked at in one way each.
const KEYS: [&str; 8] = ["got", "seen", "many", "removed", "set", "expected", "known", "swept"];

fn is_there(store: &Store, open: &dyn Namespace, key: &Key) {
    for error in [open.look_up(key).err(), open.inspect(key).err()] {
        assert_eq!(error.expect(store.name).kind(), ErrorKind::TooLarge, "{}", store.name);
    }
}

#[test]
fn f47_what_is_dead_is_absent_also_if_it_is_longer_than_the_limit() {
    on_every(any, |store| {
        let [got, seen, many, removed, set, expected, known, swept] = KEYS.map(Key::new);
        for bytes in LONGER {
            let dir = tempfile::tempdir().unwrap();
            let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000_000)));
            let dies = clock.now().saturating_add(LIFE);
            let wide = store.open_at(dir.path(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
            for key in KEYS.map(Key::new) {
                wide.set(&key, entry(vec![7; bytes]).times(dies, dies)).unwrap();
            }
            let generation = wide.get(&known).unwrap().unwrap().generation();
            drop(wide);
            let open = narrow(store, dir.path(), &clock);
            clock.advance(LIFE - Duration::from_micros(1));
            KEYS.map(Key::new).iter().for_each(|key| is_there(store, &*open, key));
            assert_eq!(open.sweep().unwrap().expired, 0, "{}: it lives", store.name);
            clock.advance(Duration::from_micros(1));

            assert!(open.get(&got).unwrap().is_none(), "{} {bytes}", store.name);
            let found = open.look_up(&seen).unwrap();
            assert!(matches!(found, Lookup::Absent), "{} {bytes}: {found:?}", store.name);
            assert!(
                open.get_many(std::slice::from_ref(&many)).unwrap()[0].is_none(),
                "{}",
                store.name
            );
            assert!(!open.remove(&removed).unwrap(), "{} {bytes}", store.name);
            let set_if = |key: &Key, condition| open.set_if(key, entry("new"), condition).unwrap();
            let conflict = ConditionalSet::Conflict;
            assert_ne!(set_if(&set, Condition::Absent), conflict, "{} {bytes}", store.name);
            assert_eq!(value(&*open, &set).unwrap(), Some(b"new".to_vec()), "{}", store.name);
            assert_eq!(set_if(&expected, Condition::TooLarge), conflict, "{}", store.name);
            let is_known = Condition::Generation(generation);
            assert_eq!(set_if(&known, is_known), conflict, "{}", store.name);
            assert!(open.sweep().unwrap().expired >= 1, "{} {bytes}", store.name);
            let found = open.inspect(&swept).unwrap();
            assert!(matches!(found, Inspection::Absent), "{} {bytes}: {found:?}", store.name);
        }
    });
}
