//! Functions with type parameters: each instance has values of its own.

use std::cell::Cell;

use beaker_cache::cached;

trait Model: 'static {
    const NUMBER: u64;
}

struct User;
struct Order;

impl Model for User {
    const NUMBER: u64 = 1;
}

impl Model for Order {
    const NUMBER: u64 = 2;
}

#[cached]
fn count<M: Model>(id: u64) -> Result<u64, String> {
    Ok(id + M::NUMBER)
}

#[test]
fn instances_share_no_value() {
    assert_eq!(count::<User>(10), Ok(11));
    assert_eq!(count::<Order>(10), Ok(12));
    assert!(count::invalidate::<User>(10).unwrap());
    assert_eq!(count::peek::<User>(10).unwrap(), None);
    assert_eq!(count::peek::<Order>(10).unwrap(), Some(12));
}

#[test]
fn the_name_says_the_types() {
    let cache = count::cache::<User>().unwrap();
    let name = cache.namespace().id().name();
    assert!(name.ends_with("generics::count<it::generics::User>"), "{name}");
}

#[cached]
fn sized<const N: usize, T>(id: T) -> Vec<T>
where
    T: beaker_cache::ToKey + Copy + Send + Sync + 'static,
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    vec![id; N]
}

#[test]
fn a_constant_is_a_part_of_the_identity() {
    assert_eq!(sized::<2, u8>(7), [7, 7]);
    assert_eq!(sized::<3, u8>(7), [7, 7, 7]);
    assert_eq!(sized::<3, u16>(7), [7_u16, 7, 7]);
}

thread_local! {
    static RUNS: Cell<u64> = const { Cell::new(0) };
}

/// Two types of one path: what `type_name` says of them is the same.
fn twins() -> [u64; 2] {
    #[cached]
    fn twin<T: 'static>(_id: u64) -> u64 {
        RUNS.set(RUNS.get() + 1);
        RUNS.get()
    }

    let one = {
        struct Twin;
        twin::<Twin>(1)
    };
    let two = {
        struct Twin;
        twin::<Twin>(1)
    };
    [one, two]
}

#[test]
fn types_of_one_name_share_no_value() {
    assert_eq!(twins(), [1, 2]);
    // The second has no cache: its name is the first one's.
    assert_eq!(twins(), [1, 3]);
}

#[cached]
fn numbered<const N: u64>(id: u64) -> u64 {
    RUNS.set(RUNS.get() + 1);
    N * 1_000 + id
}

/// More functions than a thread has places for the latest.
macro_rules! numbered {
    ($id:expr; $($n:literal)+) => { [$(numbered::<$n>($id)),+] };
}

#[test]
fn each_of_many_functions_is_given_its_own_cache_again() {
    for id in [7, 7, 8, 7] {
        let found = numbered!(id; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25
            26 27 28 29 30 31 32 33 34 35 36 37 38 39);
        let expected: Vec<u64> = (0..40).map(|n| n * 1_000 + id).collect();
        assert_eq!(found[..], expected);
    }
    assert_eq!(RUNS.get(), 80);
}
