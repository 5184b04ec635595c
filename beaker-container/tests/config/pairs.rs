//! Pairs with Beaker's prefixes: where Beaker's own parser fails, unknown options, errors.

use std::collections::BTreeMap;
use std::time::Duration;

use beaker_container::config::{
    BeakerDefaults, Config, ConfigErrorKind, OptionValue, ParsedOptions, parse_cache_config_options,
};
use proptest::prelude::*;

use crate::unknown;

fn parsed<const N: usize>(pairs: [(&str, &str); N]) -> ParsedOptions {
    parse_cache_config_options(pairs, BeakerDefaults::Omit).expect("the options are right")
}

#[test]
fn d36_a_region_does_not_take_the_options_of_a_longer_named_one() {
    for regions in ["cart, cart.x", "cart.x, cart"] {
        let parsed = parsed([("cache.regions", regions), ("cache.cart.x.expire", "5")]);
        let regions = parsed.regions.unwrap();
        assert_eq!(regions["cart.x"]["expire"], OptionValue::Int(5));
        assert_eq!(regions["cart"]["expire"], OptionValue::None);
        assert!(!regions["cart"].contains_key("x.expire"));
        assert!(parsed.unknown.is_empty());
    }
}

#[test]
fn d36_regions_work_without_defaults() {
    let regions = parsed([("cache.regions", "cart"), ("cache.expire", "1")]).regions.unwrap();
    assert_eq!(regions["cart"]["expire"], OptionValue::Int(1));
    assert!(!regions["cart"].contains_key("enabled"));
    assert!(!regions["cart"].contains_key("type"));
}

#[test]
fn a_region_listed_twice_keeps_its_options() {
    let regions = parsed([("cache.regions", "cart, cart"), ("cache.cart.expire", "5")]).regions;
    assert_eq!(regions.unwrap()["cart"]["expire"], OptionValue::Int(5));
}

#[test]
fn conf_11_and_d34_none_never_becomes_a_text() {
    let error = Config::from_pairs([("cache.type", None::<&str>)]).unwrap_err();
    assert_eq!(error.message(), "Cache type must be a string.");
    let config = Config::from_pairs([("cache.data_dir", None::<&str>)]).unwrap();
    assert_eq!(config.defaults.data_dir, None);
}

#[test]
fn an_expiry_is_neither_negative_nor_a_bool() {
    let message = "expire must be an integer representing how many seconds the cache is valid for";
    for value in [OptionValue::Int(-1), OptionValue::Bool(true)] {
        let error = Config::from_pairs([("cache.expire", value)]).unwrap_err();
        assert_eq!((error.option(), error.message()), (Some("expire"), message));
    }
    let zero = Config::from_pairs([("cache.expire", "0")]).unwrap();
    assert_eq!(zero.defaults.expire, Some(Duration::ZERO));
}

#[test]
fn a_key_length_is_neither_negative_nor_a_bool() {
    for value in [OptionValue::Int(-1), OptionValue::Bool(false)] {
        let error = Config::from_pairs([("cache.key_length", value)]).unwrap_err();
        assert_eq!(error.option(), Some("key_length"));
    }
    let config = Config::from_pairs([("cache.key_length", OptionValue::None)]).unwrap();
    assert_eq!(config.defaults.key_length, 250);
}

// Kept, as Beaker keeps them, but not in silence.
#[test]
fn conf_3_conf_10_and_d36_unknown_options_are_kept_and_reported() {
    let config = Config::from_pairs([
        ("cache.regions", "short"),
        ("cache.expires", "60"),
        ("cache.short.table_name", "t"),
        ("cache.shrt.expire", "5"),
        ("cache.log_file", "/var/log/beaker"),
        ("cache.", "nameless"),
        ("session.whatever", "of others"),
    ])
    .unwrap();
    assert_eq!(
        unknown(&config),
        [
            r#"unknown option """#,
            r#"unknown option "expires"; did you mean "expire"?"#,
            r#"unknown option "shrt.expire"; no region "shrt" is declared in "regions""#,
            r#"unknown option "table_name" of region "short""#,
        ]
    );
    assert_eq!(config.defaults.expire, None);
    assert_eq!(config.defaults.extra["expires"], "60".into());
    assert_eq!(config.defaults.extra["shrt.expire"], "5".into());
    assert_eq!(config.regions["short"].extra["table_name"], "t".into());
    // What Beaker ignores is neither reported nor passed to the store.
    assert!(!config.defaults.extra.contains_key("log_file"));
    // Extra options of the top level are not passed on, as in Beaker.
    assert_eq!(config.regions["short"].extra.len(), 1);
}

#[test]
fn unknown_options_can_be_refused_but_for_those_of_the_store() {
    let config = Config::from_pairs([("cache.table_name", "t"), ("cache.expires", "5")]).unwrap();
    let error = config.clone().refuse_unknown(&["table_name"]).unwrap_err();
    assert_eq!(error.kind(), ConfigErrorKind::UnknownOption);
    assert_eq!(error.to_string(), r#"unknown option "expires"; did you mean "expire"?"#);
    assert_eq!(config.clone().refuse_unknown(&["table_name", "expires"]), Ok(config));
}

#[test]
fn an_error_names_the_option_and_the_fix_and_hides_the_value() {
    for (pair, expected) in [
        (
            ("cache.short.expire", "secret"),
            "option \"short.expire\": expire must be an integer representing how many seconds the \
             cache is valid for; write whole seconds, such as 3600",
        ),
        (
            ("cache.enabled", "secret"),
            "option \"enabled\": enabled must be true/false if present; write true or false",
        ),
        (
            ("cache.type", " "),
            "option \"type\": Empty strings are invalid for: Cache type must be a string; name a \
             store, such as memory or file, or remove the option",
        ),
        (("cache.url", ""), "option \"url\": url is required; write one, or remove the option"),
    ] {
        let error = Config::from_pairs([("cache.regions", "short"), pair]).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.kind(), ConfigErrorKind::InvalidValue);
    }
}

fn names() -> impl Strategy<Value = String> {
    let part = prop_oneof![Just("a"), Just("a.b"), Just("b"), Just("expire"), Just("x"), Just("")];
    let prefix = prop_oneof![Just("cache."), Just("beaker.cache."), Just("other.")];
    (prefix, prop::collection::vec(part, 1..4))
        .prop_map(|(prefix, parts)| format!("{prefix}{}", parts.join(".")))
}

proptest! {
    // However options and regions are named, every option of ours is at exactly one place.
    #[test]
    fn no_option_is_lost(
        names in prop::collection::btree_set(names(), 0..8),
        regions in prop::collection::vec("(a|a\\.b|b|x)?", 0..4),
    ) {
        let given: BTreeMap<&str, &str> = names
            .iter()
            .filter_map(|name| {
                let ours = name.strip_prefix("beaker.").unwrap_or(name).strip_prefix("cache.")?;
                Some((ours, "5"))
            })
            .collect();
        let mut pairs: Vec<(&str, String)> =
            names.iter().map(|name| (name.as_str(), "5".to_owned())).collect();
        pairs.push(("cache.regions", regions.join(",")));
        let parsed = parse_cache_config_options(pairs, BeakerDefaults::Omit).unwrap();
        let regions = parsed.regions.unwrap_or_default();
        for name in given.keys() {
            let owners = regions.iter().filter(|(region, options)| {
                let option = name.strip_prefix(region.as_str()).and_then(|rest| rest.strip_prefix('.'));
                option.is_some_and(|option| {
                    options.get(option).is_some_and(|value| *value != OptionValue::None)
                })
            });
            let places = owners.count() + usize::from(parsed.options.contains_key(*name));
            prop_assert_eq!(places, 1, "{}", name);
        }
    }
}
