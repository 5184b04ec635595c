//! What a function says about what it returns: tags, and what else a `Created` decides.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use beaker_cache::{Created, cached};

static RUNS: AtomicU64 = AtomicU64::new(0);

fn run() -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed)
}

#[cached(tags("pages", format!("page:{id}"), &name))]
fn page(id: u64, name: String) -> String {
    run();
    format!("{name} {id}")
}

#[test]
fn the_values_of_a_function_carry_the_tags_of_their_arguments() {
    let ada = || "Ada".to_owned();
    let found = |id| page::peek(id, ada()).unwrap().is_some();
    let make = || [1, 2].map(|id| assert_eq!(page(id, ada()), format!("Ada {id}")));
    let cache = page::cache().unwrap();
    make();
    cache.invalidate_tag("page:1").unwrap();
    assert_eq!((found(1), found(2)), (false, true));
    make();
    cache.invalidate_tag("Ada").unwrap();
    assert_eq!((found(1), found(2)), (false, false));
    page::refresh(1, ada());
    page::set(2, ada(), "set".to_owned()).unwrap();
    assert_eq!((found(1), found(2)), (true, true));
    cache.invalidate_tag("pages").unwrap();
    assert_eq!((found(1), found(2)), (false, false));
}

#[cached]
fn decided(id: u64) -> Created<Option<u64>> {
    let created = Created::new((id != 0).then_some(id));
    if id == 0 { created.unstored() } else { created.tag("all").ttl(Duration::from_secs(id)) }
}

#[cached(tags("all"))]
fn decided_or_not(id: u64) -> Result<Created<u64>, String> {
    if id == 0 { Err("none".to_owned()) } else { Ok(Created::new(id).tag("some")) }
}

#[test]
fn a_function_that_returns_created_decides_and_gives_its_callers_the_value() {
    assert_eq!((decided(0), decided(7)), (None, Some(7)));
    assert_eq!((decided::peek(0).unwrap(), decided::peek(7).unwrap()), (None, Some(Some(7))));
    let got = decided::cache().unwrap().fetch(&decided::key(7)).create(|_| None::<u64>).unwrap();
    assert!(got.ttl.is_some_and(|ttl| ttl < Duration::from_secs(8)), "{got:?}");
    assert_eq!(decided::original(7).into_value(), Some(7));
    decided::cache().unwrap().invalidate_tag("all").unwrap();
    assert_eq!(decided::peek(7).unwrap(), None);

    assert_eq!(decided_or_not(0), Err("none".to_owned()));
    for tag in ["all", "some"] {
        assert_eq!(
            (decided_or_not::refresh(5), decided_or_not::peek(5).unwrap()),
            (Ok(5), Some(5))
        );
        decided_or_not::cache().unwrap().invalidate_tag(tag).unwrap();
        assert_eq!(decided_or_not::peek(5).unwrap(), None, "{tag}");
    }
}

struct Shop {
    id: u64,
}

impl Shop {
    #[cached(key = (self.id, item), tags(format!("shop:{}", self.id)))]
    async fn price(&self, item: &str) -> Created<u64> {
        run();
        Created::new(self.id + item.len() as u64)
    }
}

#[tokio::test]
async fn an_async_method_has_tags_too() {
    let (one, two) = (Shop { id: 1 }, Shop { id: 2 });
    assert_eq!((one.price("tea").await, two.price("tea").await), (4, 5));
    Shop::price_cache().unwrap().invalidate_tag_async("shop:1").await.unwrap();
    assert_eq!(one.price_peek("tea").await.unwrap(), None);
    assert_eq!(two.price_peek("tea").await.unwrap(), Some(5));
}
