//! Functions that cannot be cached.

use beaker_cache::cached;

#[cached]
struct NoFunction;

#[cached]
const fn constant(id: u64) -> u64 {
    id
}

#[cached]
unsafe fn not_safe(id: u64) -> u64 {
    id
}

#[cached]
extern "C" fn foreign(id: u64) -> u64 {
    id
}

#[cached]
fn nothing(_id: u64) {}

#[cached]
fn unit(_id: u64) -> () {}

#[cached]
fn never(_id: u64) -> ! {
    panic!()
}

#[cached]
fn hidden(id: u64) -> impl Clone {
    id
}

#[cached]
fn borrowed(name: &str) -> &str {
    name
}

#[cached]
fn inside(name: &str) -> Option<std::borrow::Cow<'_, str>> {
    Some(name.into())
}

#[cached(spawn)]
fn outlives(name: &str) -> usize {
    name.len()
}

struct Shop;

impl Shop {
    #[cached(spawn, skip(self))]
    fn outlives(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
