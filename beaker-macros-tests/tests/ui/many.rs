//! Functions of which no more than one call at a time makes sense.

use beaker_cache::cached;

struct Database;

#[cached(many, skip(database))]
fn shares_a_value(database: Database, id: u64) -> u64 {
    let _ = database;
    id
}

#[cached(many, skip(database))]
fn changes_what_is_shared(database: &mut Database, id: u64) -> u64 {
    let _ = database;
    id
}

#[cached(many, skip(database))]
fn calls_do_not_differ(database: &Database) -> u64 {
    let _ = database;
    1
}

#[cached(many = 5)]
fn has_a_value(id: u64) -> u64 {
    id
}

impl Database {
    #[cached(many, skip(self))]
    fn consumes_its_object(self, id: u64) -> u64 {
        id
    }
}

fn main() {}
