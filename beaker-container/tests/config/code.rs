//! Configuration from code, and how regions inherit whatever the source.

use std::time::Duration;

use beaker_container::config::{CacheOptions, Config};

#[test]
fn a_region_takes_from_the_defaults_what_it_does_not_set() {
    let defaults = CacheOptions::new()
        .cache_type("file")
        .data_dir("/data")
        .lock_dir("/lock")
        .expire(Duration::from_secs(60))
        .key_length(100)
        .extra("mine", 1)
        .disabled();
    let config = Config::new(defaults.clone())
        .region("same", |options| options)
        .region("never", |options| options.expire(None).key_length(0));
    let mut expected = defaults;
    expected.extra.clear();
    assert_eq!(config.regions["same"], expected);
    assert_eq!(config.regions["never"], expected.expire(None).key_length(0));
}

#[test]
fn a_region_takes_the_url_unless_it_names_a_store_of_its_own() {
    let code = Config::new(CacheOptions::new().url("redis://host"))
        .region("plain", |options| options)
        .region("typed", |options| options.cache_type("memory"))
        .region("own", |options| options.url("file:///data"));
    let pairs = Config::from_pairs([
        ("cache.url", "redis://host"),
        ("cache.regions", "plain,typed,own"),
        ("cache.typed.type", "memory"),
        ("cache.own.url", "file:///data"),
    ]);
    let env = Config::from_env([
        ("BEAKER_CACHE_URL", "redis://host"),
        ("BEAKER_CACHE_REGIONS", "plain,typed,own"),
        ("BEAKER_CACHE_TYPED_TYPE", "memory"),
        ("BEAKER_CACHE_OWN_URL", "file:///data"),
    ]);
    let url = |region: &str| code.regions[region].url.as_deref();
    assert_eq!(url("plain"), Some("redis://host"));
    assert_eq!(url("typed"), None);
    assert_eq!(url("own"), Some("file:///data"));
    assert_eq!(pairs, Ok(code.clone()));
    assert_eq!(env, Ok(code));
}
