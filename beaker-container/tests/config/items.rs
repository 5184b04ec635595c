//! Items CONF-1 to CONF-15 of Beaker's behaviour, each by itself, as `docs/behaviour.md` numbers
//! them. `vectors.rs` has many more cases of each.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;

use beaker_container::config::{
    BeakerDefaults, OptionValue, Options, ParsedOptions, coerce_cache_params,
    parse_cache_config_options,
};

fn parsed(pairs: &[(&str, &str)], defaults: BeakerDefaults) -> ParsedOptions {
    parse_cache_config_options(pairs.iter().copied(), defaults).unwrap()
}

fn texts(pairs: &[(&str, &str)]) -> Options {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), OptionValue::from(*text))).collect()
}

fn message(pair: (&str, &str)) -> String {
    coerce_cache_params(&mut texts(&[pair])).unwrap_err().message().to_owned()
}

#[test]
fn conf_1_prefixed_options_are_taken_in_order_and_all_others_ignored() {
    let pairs = [
        ("beaker.cache.type", "file"),
        ("cache.type", "memory"),
        ("CACHE.data_dir", "/a"),
        ("xcache.lock_dir", "/b"),
        ("session.type", "dbm"),
    ];
    assert_eq!(parsed(&pairs, BeakerDefaults::Omit).options, texts(&[("type", "memory")]));
}

#[test]
fn conf_2_the_defaults_are_there_if_asked_for() {
    let with = parsed(&[], BeakerDefaults::Include).options;
    let expected = [
        ("data_dir", OptionValue::None),
        ("enabled", OptionValue::Bool(true)),
        ("expire", OptionValue::None),
        ("log_file", OptionValue::None),
        ("type", OptionValue::from("memory")),
    ];
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert!(with.iter().eq(&expected), "{with:?}");
    assert!(parsed(&[], BeakerDefaults::Omit).options.is_empty());
}

#[test]
fn conf_4_what_cannot_be_converted_is_refused_with_the_rules_message() {
    for (pair, expected) in [
        (("enabled", "maybe"), "enabled must be true/false if present."),
        (
            ("expire", "soon"),
            "expire must be an integer representing how many seconds the cache is valid for",
        ),
        (
            ("key_length", "1.5"),
            "key_length must be an integer which indicates the longest a key can be before hashing",
        ),
    ] {
        assert_eq!(message(pair), expected);
    }
}

#[test]
fn conf_5_a_value_of_an_allowed_type_stays_as_it_is() {
    let mut options: Options = [
        ("expire".to_owned(), OptionValue::Int(5)),
        ("enabled".to_owned(), OptionValue::Bool(false)),
    ]
    .into_iter()
    .collect();
    let before = options.clone();
    coerce_cache_params(&mut options).unwrap();
    assert_eq!(options, before);
}

#[test]
fn conf_6_texts_are_converted_to_what_the_option_is() {
    let mut options = texts(&[("expire", "60"), ("enabled", " No "), ("regions", "a, b")]);
    coerce_cache_params(&mut options).unwrap();
    assert_eq!(options["expire"], OptionValue::Int(60));
    assert_eq!(options["enabled"], OptionValue::Bool(false));
    assert_eq!(options["regions"], OptionValue::List(vec!["a".into(), "b".into()]));
}

#[test]
fn conf_7_a_blank_text_is_refused_where_a_text_is_meant() {
    assert_eq!(
        message(("type", "  ")),
        "Empty strings are invalid for: Cache type must be a string."
    );
    assert_eq!(message(("enabled", "")), "enabled must be true/false if present.");
}

#[test]
fn conf_8_a_region_inherits_the_top_level_and_overrides_it() {
    let pairs = [
        ("cache.expire", "10"),
        ("cache.type", "file"),
        ("cache.data_dir", "/data"),
        ("cache.regions", "short, , long"),
        ("cache.short.expire", "1"),
        ("cache.long.key_length", "9"),
    ];
    let parsed = parsed(&pairs, BeakerDefaults::Include);
    assert!(!parsed.options.contains_key("regions"));
    assert!(!parsed.options.contains_key("short.expire"));
    let regions = parsed.regions.unwrap();
    assert_eq!(regions.keys().collect::<Vec<_>>(), ["long", "short"]);
    let of = |region: &str, option: &str| regions[region][option].clone();
    assert_eq!((of("short", "expire"), of("long", "expire")), (1.into(), 10.into()));
    assert_eq!((of("short", "key_length"), of("long", "key_length")), (250.into(), 9.into()));
    assert_eq!((of("short", "type"), of("short", "data_dir")), ("file".into(), "/data".into()));
}

#[test]
fn conf_9_no_region_is_told_from_no_list_of_regions() {
    let regions = |pairs: &[(&str, &str)]| parsed(pairs, BeakerDefaults::Omit).regions;
    assert_eq!(regions(&[("cache.regions", "")]), Some(BTreeMap::new()));
    assert_eq!(regions(&[]), None);
}

#[test]
fn conf_15_only_options_that_are_present_are_checked() {
    let mut options = Options::new();
    coerce_cache_params(&mut options).unwrap();
    assert!(options.is_empty());
}
