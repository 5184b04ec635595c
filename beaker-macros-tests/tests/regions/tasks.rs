//! Async functions in regions whose stores block.

use std::sync::atomic::{AtomicU64, Ordering};

use beaker_cache::config::{CacheOptions, Config};
use beaker_cache::{Scope, cached};

use crate::harness::{listen, regions, taken};

static RUNS: AtomicU64 = AtomicU64::new(0);

#[cached(region = "pages")]
async fn page(id: u64) -> u64 {
    id + RUNS.fetch_add(1, Ordering::Relaxed)
}

#[test]
fn a_store_that_blocks_is_opened_and_used_in_a_task() {
    let held = regions();
    let told = listen();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        assert_eq!(page(10).await, 10);
        assert_eq!(page::refresh(10).await, 11);
        let message = "Cache region not configured: pages; there are no regions";
        assert_eq!(page::peek(10).await.unwrap_err().to_string(), message);
        assert_eq!(taken(&told).len(), 1);

        held.region("pages", |options| options.cache_type("file").data_dir(dir.path()));
        assert_eq!((page(10).await, page(10).await), (12, 12));
        assert_eq!(page::cache().unwrap().namespace().scope(), Scope::Host);
        assert_eq!(page::refresh(10).await, 13);
        assert!(page::invalidate(10).await.unwrap());
        assert_eq!(page::peek(10).await.unwrap(), None);

        let file = dir.path().join("file");
        std::fs::write(&file, "in the way").unwrap();
        let in_the_way = CacheOptions::new().cache_type("file").data_dir(&file);
        held.configure(Config::new(CacheOptions::new()).region("pages", |_| in_the_way));
        assert_eq!(page(10).await, 14);
        assert_eq!(taken(&told), ["page: the store failed"]);
    });
}
