//! Every seed goes through its target once, without a fuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::Path;

type Target = fn(&[u8]);

/// The targets as the manifest lists them, each with what it runs.
const TARGETS: [(&str, Target); 16] = [
    ("base64", crate::base64::run),
    ("config", crate::config::run),
    ("envelope", crate::envelope::run),
    ("file_ops", crate::file_ops::run),
    ("key", crate::key::run),
    ("memory_ops", crate::memory_ops::run),
    ("pickle", crate::pickle::run),
    ("proxies", crate::proxies::run),
    ("session_cookie_header", crate::session_cookie_header::run),
    ("session_cookie_value", crate::session_cookie_value::run),
    ("session_ops", crate::session_ops::run),
    ("session_record", crate::session_record::run),
    ("session_set_cookie", crate::session_set_cookie::run),
    ("store_url", crate::store_url::run),
    ("syncdict_ops", crate::syncdict_ops::run),
    ("transfer", crate::transfer::run),
];

fn target(name: &str) -> Target {
    TARGETS.iter().find(|(other, _)| *other == name).expect("a target has that name").1
}

/// Replays all seeds of a target before it fails, so that one does not hide the others.
fn replay(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus-seeds").join(name);
    let (mut count, mut failed) = (0, Vec::new());
    for seed in fs::read_dir(&folder).expect("each target has seeds") {
        let path = seed.expect("a folder can be read").path();
        let bytes = fs::read(&path).expect("a seed can be read");
        if panic::catch_unwind(|| target(name)(&bytes)).is_err() {
            failed.push(path.file_name().map(ToOwned::to_owned));
        }
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
    assert!(failed.is_empty(), "seeds that fail: {failed:?}");
}

#[test]
fn every_target_of_the_manifest_is_replayed() {
    let manifest = include_str!("../Cargo.toml");
    let bins = manifest.split("[[bin]]").skip(1).filter_map(|bin| bin.split('"').nth(1));
    let listed: BTreeSet<&str> = bins.collect();
    assert_eq!(listed, TARGETS.iter().map(|(name, _)| *name).collect());
}

macro_rules! replays {
    ($($name:ident),*) => {$(
        #[test]
        fn $name() {
            replay(stringify!($name));
        }
    )*};
}

replays!(
    base64,
    config,
    envelope,
    file_ops,
    key,
    memory_ops,
    pickle,
    proxies,
    session_cookie_header,
    session_cookie_value,
    session_ops,
    session_record,
    session_set_cookie,
    store_url,
    syncdict_ops,
    transfer
);
