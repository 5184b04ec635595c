//! What a creator decides, and what a fetch says of it.

use std::time::Duration;

use beaker_container::{Cache, Created, Enabled, Policy, Source};
use beaker_namespace::{Inspection, Key};

use crate::harness::{Lab, secs};

#[test]
fn what_the_creator_chooses_goes_before_the_policy() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().ttl(secs(60)).jitter(secs(1)));
        let got = cache.fetch("short").create(|_| Created::new(1).ttl(secs(5)).cost(7).etag("v1"));
        let ttl = got.unwrap().ttl.unwrap();
        assert!((secs(4)..=secs(5)).contains(&ttl), "{ttl:?}");
        assert_eq!(cache.fetch("ever").create(|_| Created::new(2).ttl(None)).unwrap().ttl, None);
        let Inspection::Present(entry) = cache.namespace().inspect(&Key::new("short")).unwrap()
        else {
            panic!("it is there")
        };
        assert_eq!((entry.weight(), entry.entity_tag()), (7, Some("v1")));
        lab.advance(5);
        assert_eq!((cache.get("short").unwrap(), cache.get("ever").unwrap()), (None, Some(2)));
        lab.advance(1_000_000);
        assert_eq!(cache.get("ever").unwrap(), Some(2));
    }
}

#[test]
fn the_call_s_time_to_live_goes_before_the_cache_s() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new().ttl(secs(60)));
        assert_eq!(cache.fetch("k").ttl(secs(5)).create(|_| 1_u32).unwrap().ttl, Some(secs(5)));
        assert_eq!(cache.fetch("l").ttl(None).create(|_| 1_u32).unwrap().ttl, None);
    }
}

#[test]
fn what_is_unstored_is_given_and_not_kept() {
    for lab in Lab::each() {
        let cache = lab.numbers(Policy::new());
        for value in 1..=2 {
            let got = cache.fetch("k").create(|_| Created::new(value).unstored()).unwrap();
            assert_eq!((got.value, got.source, got.stored), (value, Source::Created, false));
            assert_eq!(cache.get("k").unwrap(), None);
        }
        assert_eq!((cache.unstored(), cache.creation_stats().created), (0, 2), "it is no failure");
    }
}

/// A value that no codec can write.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
struct Formless;

impl serde::Serialize for Formless {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no form"))
    }
}

#[test]
fn what_is_unstored_is_not_even_encoded() {
    let lab = Lab::file();
    let cache = Cache::<String, Formless>::new(lab.namespace());
    cache.fetch("k").create(|_| Created::new(Formless).unstored()).unwrap();
    assert_eq!(cache.unstored(), 0);
    assert!(!cache.fetch("k").create(|_| Formless).unwrap().stored);
    assert_eq!(cache.unstored(), 1, "the control");
}

#[test]
fn a_cache_that_is_off_says_so() {
    let lab = Lab::memory();
    let cache = lab.numbers(Policy::new()).with_enabled(Enabled::No);
    let got = cache.fetch("k").create(|_| 1_u32).unwrap();
    assert_eq!((got.source, got.stored, got.ttl), (Source::Bypassed, false, Some(Duration::ZERO)));
    let got = cache.fetch("k").spawn(|_| Ok::<_, ()>(2_u32)).unwrap();
    assert_eq!((got.value, got.source), (2, Source::Bypassed));
    assert_eq!(cache.get("k").unwrap(), None);
}

#[test]
fn each_call_counts_as_one_hit_or_one_miss() {
    for lab in Lab::each() {
        for policy in [Policy::new(), Policy::new().ttl(secs(60)).idle(secs(60)).refresh_at(0.9)] {
            let cache = lab.numbers(policy);
            let counts = || {
                let stats = cache.stats();
                (stats.hits, stats.misses)
            };
            cache.fetch("k").create(|_| 1_u32).unwrap();
            assert_eq!(counts(), (0, 1));
            cache.fetch("k").create(|_| 1_u32).unwrap();
            cache.fetch("k").spawn(|_| Ok::<_, ()>(1_u32)).unwrap();
            cache.get_or_create("k", || 1).unwrap();
            assert_eq!(counts(), (3, 1));
            cache.get_or_create_many(&["k".to_owned(), "l".to_owned()], |_| vec![2]).unwrap();
            assert_eq!(counts(), (4, 2));
        }
    }
}
