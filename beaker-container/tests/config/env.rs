//! Configuration from the environment.

use std::path::Path;
use std::time::Duration;

use beaker_container::config::{CacheOptions, Config};
use proptest::prelude::*;

use crate::unknown;

#[test]
fn the_environment_configures_caches_and_regions() {
    let config = Config::from_env([
        ("BEAKER_CACHE_LONG_TERM_EXPIRE", "never"),
        ("BEAKER_CACHE_REGIONS", " short , long-term ,"),
        ("BEAKER_CACHE_TYPE", "file"),
        ("BEAKER_CACHE_DATA_DIR", "/data"),
        ("BEAKER_CACHE_EXPIRE", "1h30m"),
        ("BEAKER_CACHE_SHORT_EXPIRE", "30"),
        ("BEAKER_CACHE_SHORT_ENABLED", "off"),
        ("BEAKER_CACHE_SHORT_KEY_LENGTH", "100"),
        ("BEAKER_TYPE", "of others"),
        ("beaker_cache_type", "of others"),
    ]);
    let defaults =
        CacheOptions::new().cache_type("file").data_dir("/data").expire(Duration::from_secs(5400));
    let expected = Config::new(defaults)
        .region("short", |o| o.expire(Duration::from_secs(30)).key_length(100).disabled())
        .region("long-term", |o| o.expire(None));
    assert_eq!(config, Ok(expected));
}

#[test]
fn a_variable_belongs_to_the_region_that_makes_it_an_option() {
    let config = Config::from_env([
        ("BEAKER_CACHE_REGIONS", "a,a_lock,data"),
        ("BEAKER_CACHE_A_LOCK_DIR", "/of/a"),
        ("BEAKER_CACHE_A_LOCK_EXPIRE", "1"),
        // Not the unknown option "dir" of the region "data".
        ("BEAKER_CACHE_DATA_DIR", "/of/all"),
    ])
    .unwrap();
    assert_eq!(config.regions["a"].lock_dir.as_deref(), Some(Path::new("/of/a")));
    assert_eq!(config.regions["a"].expire, None);
    assert_eq!(config.regions["a_lock"].expire, Some(Duration::from_secs(1)));
    assert_eq!(config.defaults.data_dir.as_deref(), Some(Path::new("/of/all")));
    assert_eq!(unknown(&config), Vec::<String>::new());
}

#[test]
fn regions_that_would_share_their_variables_are_refused() {
    let error = Config::from_env([("BEAKER_CACHE_REGIONS", "a-b,a_b")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "option \"BEAKER_CACHE_REGIONS\": regions \"a-b\" and \"a_b\" share their variables; \
         rename one of them"
    );
    // The same name twice is one region.
    assert_eq!(Config::from_env([("BEAKER_CACHE_REGIONS", "a,a")]).unwrap().regions.len(), 1);
}

#[test]
fn an_error_in_the_environment_names_the_variable() {
    for (name, value, message) in [
        (
            "BEAKER_CACHE_EXPIRE",
            "soon",
            "expire must be an integer representing how many seconds the cache is valid for",
        ),
        ("BEAKER_CACHE_LONG_TERM_ENABLED", "maybe", "enabled must be true/false if present."),
        (
            "BEAKER_CACHE_DATA_DIR",
            "",
            "Empty strings are invalid for: data_dir must be a string referring to a directory.",
        ),
    ] {
        let variables = [("BEAKER_CACHE_REGIONS", "long-term"), (name, value)];
        let error = Config::from_env(variables).unwrap_err();
        assert_eq!((error.option(), error.message()), (Some(name), message));
    }
}

#[test]
fn unknown_variables_are_reported() {
    let config = Config::from_env([
        ("BEAKER_CACHE_REGIONS", "short"),
        ("BEAKER_CACHE_EXPIRES", "60"),
        ("BEAKER_CACHE_SHORT_TIPE", "file"),
    ])
    .unwrap();
    assert_eq!(
        unknown(&config),
        [
            r#"unknown option "expires"; did you mean "expire"?"#,
            r#"unknown option "tipe" of region "short"; did you mean "type"?"#,
        ]
    );
}

#[cfg(unix)]
#[test]
fn only_our_own_variables_must_be_unicode() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let broken = OsStr::from_bytes(b"\xff");
    let foreign = [(OsStr::new("OTHER"), broken), (broken, OsStr::new("x"))];
    assert_eq!(Config::from_env(foreign), Ok(Config::default()));
    let error = Config::from_env([(OsStr::new("BEAKER_CACHE_TYPE"), broken)]).unwrap_err();
    assert_eq!(error.option(), Some("BEAKER_CACHE_TYPE"));
    assert_eq!(error.message(), "the value is not valid Unicode");
}

proptest! {
    #[test]
    fn no_environment_makes_it_panic(
        variables in prop::collection::vec(("(BEAKER_CACHE_)?[A-Z_a]{0,12}", "[a-z0-9, ]{0,6}"), 0..6),
        regions in "[a-z_,-]{0,8}",
    ) {
        let regions = [("BEAKER_CACHE_REGIONS".to_owned(), regions)];
        let _ = Config::from_env(variables.into_iter().chain(regions));
    }
}
