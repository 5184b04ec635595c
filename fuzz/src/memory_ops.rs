//! Calls on a memory namespace in any order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arbitrary::{Arbitrary, Unstructured};
use beaker_namespace::{ManualClock, MemoryConfig, MemoryNamespace, Namespace, Stats};

use crate::harness::{Harness, Op, Promises, clock};
use crate::model::Probes;

/// More calls than this find nothing new.
const MAX_OPS: usize = 300;

/// A case; see [`run`].
#[derive(Debug, Arbitrary)]
struct Case {
    bound: Bound,
    ops: Vec<Op>,
}

/// The bound: so large that nothing is evicted, or small, in one shard or in some.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Bound {
    Roomy,
    RoomyWeight,
    Entries(u8),
    Weight(u8),
    ShardedWeight(u16),
}

/// Makes the calls and checks each; then lets go, and finds the namespace freed.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let clock = clock();
    let namespace = open(case.bound, &clock);
    let live = Arc::new(AtomicUsize::new(0));
    let probes = Probes { live: Arc::clone(&live), namespace: Arc::downgrade(&namespace) };
    let promises = case.bound.promises();
    let mut harness = Harness::new(namespace.clone(), Arc::clone(&clock), promises, Some(probes));
    for op in case.ops.into_iter().take(MAX_OPS) {
        harness.apply(op);
        case.bound.check(&namespace.stats());
    }
    drop(namespace);
    // The claims go last: their namespace is gone by then.
    drop(harness);
    assert_eq!(live.load(Ordering::Relaxed), 0, "a freed namespace leaves objects behind");
    assert_eq!(open(case.bound, &clock).stats().entries, Some(0));
}

fn open(bound: Bound, clock: &Arc<ManualClock>) -> Arc<MemoryNamespace> {
    let config = bound.config().clock(Arc::clone(clock) as _);
    MemoryNamespace::open("fuzz", config).expect("nobody else holds it, and the bound is not zero")
}

impl Bound {
    fn config(self) -> MemoryConfig {
        let config = MemoryConfig::new();
        match self {
            Self::Roomy | Self::Entries(_) => config.max_entries(self.limit()),
            _ => config.max_weight(self.limit()),
        }
    }

    fn limit(self) -> u64 {
        match self {
            Self::Roomy => 10_000,
            Self::RoomyWeight => u64::MAX,
            Self::Entries(limit) => 1 + u64::from(limit) % 8,
            Self::Weight(limit) => 1 + u64::from(limit),
            Self::ShardedWeight(limit) => 128 + u64::from(limit) % 1024,
        }
    }

    fn promises(self) -> Promises {
        Promises {
            max_bytes: usize::MAX,
            max_weight: match self {
                Self::Roomy | Self::Entries(_) => u64::MAX,
                _ => self.limit(),
            },
            evicts: !matches!(self, Self::Roomy | Self::RoomyWeight),
            exclusive_claims: false,
            refusal_removes: true,
            tags_void_claims: true,
        }
    }

    /// The bound is never passed.
    fn check(self, stats: &Stats) {
        let size = match self {
            Self::Roomy | Self::Entries(_) => stats.entries,
            _ => stats.weight,
        };
        assert!(size.is_some_and(|size| size <= self.limit()), "{size:?} in {self:?}");
    }
}
