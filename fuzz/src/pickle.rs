//! Pickles: any bytes are data, or refused; nothing is believed that says how long it is.

use beaker_backends::compat::pickle::{self, Limits};

use crate::allocations::allocated_by;

/// Few enough that an input of the fuzzer can reach them.
const MAX_BYTES: u32 = 64 << 10;
const MAX_VALUES: u32 = 4 << 10;

/// What reading may ask for beyond its input: the values, before and after they are doubled, the
/// texts, and the tables, each of which grows by doubling.
const MOST_ALLOCATED: usize = 4 << 20;

/// Reads the input as a pickle, twice.
pub fn run(data: &[u8]) {
    let limits = Limits::new().max_bytes(MAX_BYTES).max_values(MAX_VALUES);
    let (first, bytes) = allocated_by(|| pickle::read_within(data, limits));
    assert!(bytes <= MOST_ALLOCATED + 4 * data.len(), "{bytes} bytes for {}", data.len());
    let again = pickle::read_within(data, limits);
    match (first, again) {
        // By their text: a number that is none equals nothing.
        (Ok(first), Ok(again)) => assert_eq!(format!("{first:?}"), format!("{again:?}")),
        (Err(first), Err(again)) => assert_eq!(first.to_string(), again.to_string()),
        (first, again) => panic!("{first:?} and then {again:?}"),
    }
}
