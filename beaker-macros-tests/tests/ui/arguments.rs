//! Arguments that are no key, and receivers about which nothing is said.

use beaker_cache::cached;

#[cached]
fn pattern((left, right): (u64, u64)) -> u64 {
    left + right
}

#[cached]
fn unnamed(_: u64) -> u64 {
    1
}

#[cached]
fn hidden(name: impl AsRef<str>) -> u64 {
    name.as_ref().len() as u64
}

#[cached]
fn changed(names: &mut Vec<String>) -> u64 {
    names.len() as u64
}

#[cached(skip(databse))]
fn unknown(database: &str, id: u64) -> u64 {
    id + database.len() as u64
}

#[cached(skip(self))]
fn no_receiver(id: u64) -> u64 {
    id
}

struct Users;

impl Users {
    #[cached]
    fn load(&self, id: u64) -> u64 {
        id
    }

    #[cached(key = id)]
    fn without(&self, id: u64) -> u64 {
        id
    }

    #[cached]
    fn change(&mut self, id: u64) -> u64 {
        id
    }
}

fn main() {}
