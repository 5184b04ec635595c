//! Each proxy, and proxies around proxies, against the suite.

use std::sync::Arc;
use std::time::Duration;

#[cfg(all(feature = "compress", feature = "encrypt"))]
use beaker_backends::proxy::{Compressed, Encrypted, KeyRing};
use beaker_backends::proxy::{Metered, Prefixed, Tiered};
use beaker_namespace::testkit;
use beaker_namespace::{MemoryConfig, MemoryNamespace, Namespace, NullNamespace};

use super::{memory, remote};
use crate::proxy::{Places, anonymous, memory_of};

const HOUR: Duration = Duration::from_secs(3_600);

fn tiered<N: Namespace>(lower: N) -> Tiered<N> {
    Tiered::open(lower, MemoryConfig::new()).unwrap().max_age(HOUR)
}

#[cfg(all(feature = "compress", feature = "encrypt"))]
fn sealed<N: Namespace>(inner: N) -> Compressed<Encrypted<N>> {
    Compressed::new(encrypted(inner)).min_bytes(16)
}

#[cfg(all(feature = "compress", feature = "encrypt"))]
fn encrypted<N: Namespace>(inner: N) -> Encrypted<N> {
    Encrypted::new(inner, KeyRing::new(1, &[7; 32]).unwrap())
}

/// Holds the asynchronous face of `wrap` to the suite.
fn conforms<N: Namespace>(proxy: &str, wrap: impl Fn(Arc<dyn Namespace>, &str) -> N) {
    let group = format!("{proxy}, asynchronous");
    let report = testkit::conformance_asynchronous(&group, |name, clock| {
        let memory = MemoryNamespace::open(name, memory_of(&group, clock))?;
        Ok(wrap(Arc::new(remote(memory)), name))
    });
    assert!(report.passed.len() > 60, "{report}");
}

/// As [`conforms`], with all namespaces of a case in one.
fn conforms_in_one<N: Namespace>(proxy: &str, wrap: impl Fn(Arc<dyn Namespace>, &str) -> N) {
    let group = format!("{proxy}, asynchronous, in one");
    testkit::conformance_asynchronous(&group, |name, clock| {
        let memory = MemoryNamespace::open("shared", memory_of(&group, clock))?;
        Ok(wrap(Arc::new(remote(memory)), name))
    });
}

/// As [`conforms_in_one`], in files, where one caller at a time has a claim; but for the longest key,
/// which is too long with its prefix.
fn conforms_in_files<N: Namespace>(proxy: &str, wrap: impl Fn(Arc<dyn Namespace>, &str) -> N) {
    let places = Places::default();
    let wanted = |case: &str| case != "the_longest_key_works";
    let report = testkit::run_where(proxy, wanted, |name, clock| {
        let file: Arc<dyn Namespace> = Arc::new(remote(places.file(&clock)?));
        Ok(testkit::BlockOn::new(wrap(file, name)))
    });
    assert!(report.failed.is_empty() && report.passed.len() > 60, "{report}");
}

#[test]
fn metered_conforms() {
    conforms("metered", |inner, _| Metered::new(inner));
}

#[test]
fn prefixed_conforms() {
    conforms_in_one("prefixed", Prefixed::new);
    conforms_in_files("prefixed", Prefixed::new);
    conforms_in_one("prefixed<prefixed>", |inner, name| {
        Prefixed::new(Prefixed::new(inner, "outer"), name)
    });
}

#[test]
fn prefixed_conforms_over_a_store_that_keeps_nothing() {
    testkit::conformance_asynchronous("prefixed null, asynchronous", |name, clock| {
        Ok(Prefixed::new(remote(NullNamespace::with_clock("inner", clock)), name))
    });
}

#[test]
fn tiered_conforms() {
    conforms("tiered", |inner, _| tiered(inner));
    conforms("tiered without an age", |inner, _| tiered(inner).max_age(Duration::ZERO));
    conforms_in_one("tiered<prefixed>", |inner, name| tiered(Prefixed::new(inner, name)));
}

#[cfg(all(feature = "compress", feature = "encrypt"))]
#[test]
fn compressed_and_encrypted_conform() {
    conforms("compressed", |inner, _| Compressed::new(inner).min_bytes(16));
    conforms("encrypted", |inner, _| encrypted(inner));
}

#[cfg(all(feature = "compress", feature = "encrypt"))]
#[test]
fn proxies_around_each_other_conform() {
    conforms_in_one("metered<compressed<encrypted<prefixed>>>", |inner, name| {
        Metered::new(sealed(Prefixed::new(inner, name)))
    });
    conforms_in_one("prefixed<tiered<encrypted>>", |inner, name| {
        Prefixed::new(tiered(encrypted(inner)), name)
    });
}

#[cfg(all(feature = "compress", feature = "encrypt"))]
#[test]
fn all_five_in_files_conform() {
    conforms_in_files("metered<tiered<compressed<encrypted<prefixed>>>>", |inner, name| {
        Metered::new(tiered(sealed(Prefixed::new(inner, name))))
    });
}

/// Whether proxies over a store that has an asynchronous face have one, and over one that has none.
fn follows<N: Namespace, M: Namespace>(
    over_remote: impl FnOnce(Arc<dyn Namespace>) -> N,
    over_local: impl FnOnce(Arc<dyn Namespace>) -> M,
) -> [bool; 2] {
    let (remote, local) = (over_remote(memory()), over_local(anonymous()));
    [remote.asynchronous().is_some(), local.asynchronous().is_some()]
}

#[test]
fn a_proxy_has_an_asynchronous_face_exactly_if_the_store_inside_has_one() {
    assert_eq!(follows(Metered::new, Metered::new), [true, false]);
    let prefixed = |inner| Prefixed::new(inner, "p");
    assert_eq!(follows(prefixed, prefixed), [true, false]);
    assert_eq!(follows(tiered, tiered), [true, false], "the memory above has none");
    let all = |inner| Metered::new(tiered(Prefixed::new(inner, "p")));
    assert_eq!(follows(all, all), [true, false]);
}

#[cfg(all(feature = "compress", feature = "encrypt"))]
#[test]
fn a_sealing_proxy_has_an_asynchronous_face_exactly_if_the_store_inside_has_one() {
    assert_eq!(follows(Compressed::new, Compressed::new), [true, false]);
    assert_eq!(follows(encrypted, encrypted), [true, false]);
    assert_eq!(follows(sealed, sealed), [true, false]);
}
