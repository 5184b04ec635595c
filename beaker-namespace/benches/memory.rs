//! The memory namespace, called as a cache calls it: through `dyn Namespace`, with a key made anew.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use beaker_namespace::{
    Entry, Fulfilled, Key, Mark, MemoryConfig, MemoryNamespace, Namespace, Payload, Wait,
};
use criterion::{Criterion, criterion_group, criterion_main};

/// In the processor's cache, and far beyond it.
const SIZES: [u64; 2] = [1_000, 100_000];

fn scatter(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn entry(namespace: &dyn Namespace) -> Entry {
    Entry::new(Payload::Object(Arc::new([0_u8; 128])), namespace.clock().now())
}

fn filled(size: u64, bound: u64, ttl: Option<Duration>) -> Arc<dyn Namespace> {
    let config = MemoryConfig::new().max_entries(bound);
    let Ok(namespace) = MemoryNamespace::anonymous(config) else {
        unreachable!("the bound is set")
    };
    for n in 0..size {
        let stored = namespace.set(&Key::new(&scatter(n)), entry(&*namespace).ttl(ttl));
        assert!(stored.is_ok());
    }
    namespace
}

/// Numbers below `size`, in an order that no prefetcher guesses.
fn order(size: u64) -> impl FnMut() -> u64 {
    let mut state = 1_u64;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % size
    }
}

fn marks(criterion: &mut Criterion) {
    let namespace = filled(1_000, 2_000, None);
    let mut bench = |name: &str| {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| black_box(namespace.marks(&mut ["one", "two"].into_iter())));
        });
    };
    bench("marks of two names/nothing is marked");
    let mark = |name| namespace.mark(name, Mark::hard(namespace.clock().now()));
    assert!(mark("other").is_ok());
    bench("marks of two names/another is marked");
    assert!(mark("one").is_ok() && mark("two").is_ok());
    bench("marks of two names/both are marked");
}

fn reads(criterion: &mut Criterion) {
    for size in SIZES {
        for (name, ttl) in [("endless", None), ("ttl", Some(Duration::from_secs(3600)))] {
            let namespace = filled(size, size * 2, ttl);
            let mut next = order(size);
            criterion.bench_function(&format!("hit/{name}/{size}"), |bencher| {
                bencher.iter(|| {
                    let found = namespace.get(&Key::new(&scatter(next())));
                    assert!(matches!(black_box(found), Ok(Some(_))));
                });
            });
        }
        let namespace = filled(size, size * 2, None);
        let mut next = order(size);
        criterion.bench_function(&format!("miss/{size}"), |bencher| {
            bencher.iter(|| black_box(namespace.get(&Key::new(&scatter(size + next())))));
        });
    }
}

fn writes(criterion: &mut Criterion) {
    for size in SIZES {
        let namespace = filled(size, size * 2, None);
        let mut next = order(size);
        criterion.bench_function(&format!("set/{size}"), |bencher| {
            bencher.iter(|| namespace.set(&Key::new(&scatter(next())), entry(&*namespace)));
        });
        criterion.bench_function(&format!("claim and fulfil/{size}"), |bencher| {
            bencher.iter(|| {
                let key = Key::new(&scatter(next()));
                let Ok(Some(claim)) = namespace.claim(&key, Wait::Never) else { unreachable!() };
                let fulfilled = namespace.fulfil(&key, entry(&*namespace), claim);
                assert!(matches!(fulfilled, Ok(Fulfilled::Stored)));
            });
        });
        let full = filled(size, size, None);
        let mut fresh = size;
        criterion.bench_function(&format!("evict/{size}"), |bencher| {
            bencher.iter(|| {
                fresh += 1;
                full.set(&Key::new(&scatter(fresh)), entry(&*full))
            });
        });
    }
}

criterion_group!(benches, reads, marks, writes);
criterion_main!(benches);
