//! Types that cannot be kept or told apart, in the compiler's words and ours.

use beaker_cache::cached;

#[derive(Debug)]
struct NotClone;

#[cached]
fn error(id: u64) -> Result<u64, NotClone> {
    Ok(id)
}

type Loaded = Result<u64, String>;

#[cached]
fn alias(id: u64) -> Loaded {
    Ok(id)
}

#[cached(skip_none)]
fn never_none(id: u64) -> u64 {
    id
}

#[cached]
fn no_key(id: f64) -> u64 {
    id as u64
}

#[cached(by_serde)]
fn not_serialize(id: u64, opaque: &Opaque) -> u64 {
    let _ = opaque;
    id
}

struct Opaque;

fn main() {}
