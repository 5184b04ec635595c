//! Options that are not understood.

use beaker_cache::cached;

#[cached(regoin = "short")]
fn unknown(id: u64) -> u64 {
    id
}

#[cached(region)]
fn no_value(id: u64) -> u64 {
    id
}

#[cached(region = short)]
fn no_text(id: u64) -> u64 {
    id
}

#[cached(region = "a", ttl = "5m", region = "b")]
fn twice(id: u64) -> u64 {
    id
}

#[cached(ttl = "5 minutos")]
fn no_duration(id: u64) -> u64 {
    id
}

#[cached(stale = "never")]
fn never(id: u64) -> u64 {
    id
}

#[cached(version = "two")]
fn no_number(id: u64) -> u64 {
    id
}

#[cached(name = "users@2")]
fn no_name(id: u64) -> u64 {
    id
}

#[cached(skip)]
fn skips_nothing(id: u64) -> u64 {
    id
}

#[cached(by_serde = true)]
fn no_flag_either(id: u64) -> u64 {
    id
}

#[cached(skip_none = true)]
fn no_flag(id: u64) -> Option<u64> {
    Some(id)
}

#[cached(skip_none, negative_ttl = "1s")]
fn both(id: u64) -> Option<u64> {
    Some(id)
}

#[cached(tags)]
fn untagged(id: u64) -> u64 {
    id
}

#[cached(skip_none)]
fn decided(id: u64) -> Result<beaker_cache::Created<Option<u64>>, String> {
    Ok(beaker_cache::Created::new(Some(id)))
}

#[cached(redact = "yes")]
fn no_flag_at_all(id: u64) -> u64 {
    id
}

fn main() {}
