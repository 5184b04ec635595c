//! Methods: the attribute stands in the `impl` block.

use std::cell::Cell;
use std::fmt::Debug;

use beaker_cache::cached;

thread_local! {
    static RUNS: Cell<u64> = const { Cell::new(0) };
}

fn run() -> u64 {
    RUNS.set(RUNS.get() + 1);
    RUNS.get()
}

struct Users {
    tenant: String,
}

impl Users {
    /// Loads.
    #[cached(key = (&self.tenant, id))]
    fn load(&self, id: u64) -> Result<String, String> {
        Ok(format!("{} {id} {}", self.tenant, run()))
    }

    #[cached(skip(self))]
    fn shared(&self, id: u64) -> u64 {
        id + run()
    }

    #[cached(in_impl)]
    fn associated(id: u64) -> u64 {
        id + run()
    }
}

fn users(tenant: &str) -> Users {
    Users { tenant: tenant.to_owned() }
}

#[test]
fn objects_share_no_value_that_their_key_tells_apart() {
    let (one, two) = (users("one"), users("two"));
    assert_eq!(one.load(7).unwrap(), "one 7 1");
    assert_eq!(two.load(7).unwrap(), "two 7 2");
    assert_eq!(one.load(7).unwrap(), "one 7 1");
    assert!(one.load_invalidate(7).unwrap());
    assert_eq!(one.load_peek(7).unwrap(), None);
    assert_eq!(two.load_peek(7).unwrap().unwrap(), "two 7 2");
    assert_eq!(two.load_refresh(7).unwrap(), "two 7 3");
    assert_eq!(two.load_original(7).unwrap(), "two 7 4");
    one.load_set(7, "set".to_owned()).unwrap();
    assert_eq!(one.load(7).unwrap(), "set");
    assert_eq!(Users::load_cache().unwrap().get(&one.load_key(7)).unwrap().unwrap(), "set");
}

#[test]
fn objects_share_a_value_when_they_are_skipped() {
    assert_eq!(users("one").shared(10), 11);
    assert_eq!(users("two").shared(10), 11);
    assert!(Users::shared_invalidate(10).unwrap());
    assert_eq!(users("two").shared(10), 12);
}

#[test]
fn a_function_without_a_receiver_can_stand_in_an_impl() {
    assert_eq!(Users::associated(10), 11);
    assert_eq!(Users::associated(10), 11);
    assert!(Users::associated_invalidate(10).unwrap());
}

struct Table<T>(T);

impl<T: Copy + Into<u64> + Debug + 'static> Table<T> {
    #[cached(name = "methods: table", skip(self))]
    fn first(&self) -> u64 {
        self.0.into() + run()
    }
}

#[test]
fn instances_of_a_generic_type_share_no_value() {
    assert_eq!(Table(10_u8).first(), 11);
    assert_eq!(Table(20_u16).first(), 22);
    assert_eq!(Table(10_u8).first(), 11);
    let cache = Table::<u8>::first_cache().unwrap();
    assert_eq!(cache.namespace().id().name(), "methods: table<u8>");
}

struct Other;

impl Other {
    #[cached(skip(self))]
    fn load(&self) -> u64 {
        1
    }
}

struct Another;

impl Another {
    #[cached(skip(self))]
    fn load(&self) -> u64 {
        2
    }
}

#[test]
fn d40_methods_of_one_name_share_no_value() {
    assert_eq!((Other.load(), Another.load()), (1, 2));
    assert_eq!((Other.load(), Another.load()), (1, 2));
    assert!(Another::load_invalidate().unwrap());
    assert_eq!(Other::load_peek().unwrap(), Some(1));
}
