//! Configuration from TOML.

use std::collections::BTreeMap;
use std::time::Duration;

use beaker_container::config::{CacheOptions, Config, ConfigErrorKind, OptionValue};

use crate::unknown;

#[test]
fn toml_configures_caches_and_regions() {
    let config = Config::from_toml(
        r#"
        type = "file"
        data_dir = "/data"
        expire = "1h30m"

        [regions.short]
        expire = 30
        key_length = 100
        enabled = false

        [regions."long.term"]
        expire = "never"
        "#,
    );
    let defaults =
        CacheOptions::new().cache_type("file").data_dir("/data").expire(Duration::from_secs(5400));
    let expected = Config::new(defaults)
        .region("short", |o| o.expire(Duration::from_secs(30)).key_length(100).disabled())
        .region("long.term", |o| o.expire(None));
    assert_eq!(config, Ok(expected));
    assert_eq!(Config::from_toml(""), Ok(Config::default()));
}

#[test]
fn an_error_in_toml_names_the_option_and_the_line() {
    let expire = "expire must be an integer representing how many seconds the cache is valid for";
    for (text, option, line, message) in [
        ("type = \"file\"\nexpire = \"soon\"", "expire", 2, expire),
        ("expire = -1", "expire", 1, expire),
        ("expire = true", "expire", 1, expire),
        ("expire = 1.5", "expire", 1, expire),
        ("\n\n[regions.a]\nexpire = []\n", "regions.a.expire", 4, expire),
        ("type = 5", "type", 1, "Cache type must be a string."),
        (
            "data_dir = [\"a\"]",
            "data_dir",
            1,
            "data_dir must be a string referring to a directory.",
        ),
        ("url = 1", "url", 1, "url must be a string"),
        ("key_length = 99999999999999999999", "key_length", 1, "the number is too large"),
        ("since = 1979-05-27", "since", 1, "an option cannot be a date"),
        ("regions = \"a,b\"", "regions", 1, "a region must be a table"),
        ("[regions]\na = 1", "regions.a", 2, "a region must be a table"),
    ] {
        let error = Config::from_toml(text).unwrap_err();
        let found = (error.option(), error.line(), error.message());
        assert_eq!(found, (Some(option), Some(line), message), "{text}");
        assert_eq!(error.kind(), ConfigErrorKind::InvalidValue);
    }
}

#[test]
fn an_error_in_toml_reads_as_one_line() {
    let error = Config::from_toml("[regions.a]\nexpire = \"secret\"").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2: option \"regions.a.expire\": expire must be an integer representing how many \
         seconds the cache is valid for; write whole seconds (3600), a duration (\"90s\", \
         \"10m\", \"1h30m\") or \"never\""
    );
}

#[test]
fn a_text_that_is_no_toml_is_refused_with_its_line_and_without_the_text() {
    let error = Config::from_toml("type = \"file\"\nurl = secret").unwrap_err();
    assert_eq!(error.kind(), ConfigErrorKind::Syntax);
    assert_eq!(error.line(), Some(2));
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn unknown_options_in_toml_are_kept_and_reported() {
    let text = "expires = 5\n[regions.a]\ntabel = { name = [1, \"t\", 0.5] }";
    let config = Config::from_toml(text).unwrap();
    assert_eq!(
        unknown(&config),
        [
            r#"unknown option "expires"; did you mean "expire"?"#,
            r#"unknown option "tabel" of region "a""#,
        ]
    );
    let list = OptionValue::List(vec![1.into(), "t".into(), 0.5.into()]);
    let table = OptionValue::Table(BTreeMap::from([("name".to_owned(), list)]));
    assert_eq!(config.regions["a"].extra["tabel"], table);
}
