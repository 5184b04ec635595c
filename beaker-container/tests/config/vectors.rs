//! Vectors recorded from Beaker 1.14.1. Every vector of a kind is run. Those where this crate decides
//! otherwise, and those with a value that a configuration cannot hold here, are listed by their ids.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use beaker_container::config::{
    BeakerDefaults, CacheOptions, Config, ConfigError, OptionValue, Options, Separator, Trim,
    as_bool, as_int, as_list, coerce_cache_params, parse_cache_config_options,
};
use serde_json::Value;

const COERCE: &str = include_str!("../vectors/coerce.json");
const CONFIG: &str = include_str!("../vectors/config.json");

/// What a vector's expectation and ours have to do with each other.
#[derive(PartialEq)]
enum Outcome {
    Agree,
    Differ,
    /// The vector has a value that no configuration of ours can hold.
    NoSuchValue,
}

/// Runs all vectors of `kind` and compares the ids of those that do not agree.
fn run(file: &str, kind: &str, check: impl Fn(&Value) -> Outcome, expected: Expected) {
    let file: Value = serde_json::from_str(file).expect("the vectors are JSON");
    let (mut agreed, mut differ, mut no_such_value) = (0, Vec::new(), Vec::new());
    for vector in file["vectors"].as_array().expect("a list of vectors") {
        if vector["kind"] != kind {
            continue;
        }
        let id = vector["id"].as_str().expect("an id").to_owned();
        match check(vector) {
            Outcome::Agree => agreed += 1,
            Outcome::Differ => differ.push(id),
            Outcome::NoSuchValue => no_such_value.push(id),
        }
    }
    assert_eq!(differ, expected.differ, "vectors of {kind} where the answers differ");
    assert_eq!(no_such_value, expected.no_such_value, "vectors of {kind} without a value");
    assert_eq!(agreed, expected.agree, "vectors of {kind} with the same answer");
}

struct Expected {
    agree: usize,
    differ: &'static [&'static str],
    no_such_value: &'static [&'static str],
}

/// A recorded Python value; `None` for bytes, dates, time spans and integers beyond 64 bits.
///
/// A tuple is a list here.
fn value(recorded: &Value) -> Option<OptionValue> {
    let plain = &recorded["v"];
    match recorded["py"].as_str()? {
        "none" => Some(OptionValue::None),
        "bool" => plain.as_bool().map(OptionValue::Bool),
        "int" => plain.as_i64().map(OptionValue::Int),
        "float" => plain.as_f64().map(OptionValue::Float),
        "str" => plain.as_str().map(OptionValue::from),
        "list" | "tuple" => {
            plain.as_array()?.iter().map(value).collect::<Option<_>>().map(OptionValue::List)
        }
        "dict" => options(plain).map(OptionValue::Table),
        _ => None,
    }
}

fn options(recorded: &Value) -> Option<Options> {
    let entries = recorded.as_object()?.iter();
    entries.map(|(name, recorded)| Some((name.clone(), value(recorded)?))).collect()
}

/// Compares an answer with the recorded one: the value, or the message of the error.
fn compare<T>(
    answer: Result<T, ConfigError>,
    expect: &Value,
    same: impl FnOnce(&T, &Value) -> bool,
) -> Outcome {
    let agree = match &answer {
        Ok(answer) => expect.get("ok").is_some_and(|recorded| same(answer, recorded)),
        Err(error) => expect["error"]["message"].as_str() == Some(error.message()),
    };
    if agree { Outcome::Agree } else { Outcome::Differ }
}

#[test]
fn no_vector_is_left_out() {
    let mut kinds = BTreeMap::new();
    let files: Vec<Value> =
        [COERCE, CONFIG].iter().map(|file| serde_json::from_str(file).unwrap()).collect();
    for vector in files.iter().flat_map(|file| file["vectors"].as_array().unwrap()) {
        *kinds.entry(vector["kind"].as_str().unwrap()).or_insert(0) += 1;
    }
    let expected = [
        ("asbool", 65),
        ("asint", 26),
        ("aslist", 11),
        ("coerce_cache_params", 61),
        // Of sessions: they run where those are, in `beaker-session/src/compat/options/tests.rs`.
        ("coerce_session_params", 151),
        ("parse_cache_config_options", 54),
    ];
    assert_eq!(kinds, BTreeMap::from(expected));
}

#[test]
fn util_6_yes_and_no_are_read_as_beaker_reads_them() {
    let check = |vector: &Value| {
        let Some(input) = value(&vector["input"]["value"]) else {
            return Outcome::NoSuchValue;
        };
        compare(as_bool(&input), &vector["expect"], |answer, recorded| recorded["v"] == *answer)
    };
    let bytes = &["coerce-s-0063", "coerce-s-0064", "coerce-s-0065"];
    run(COERCE, "asbool", check, Expected { agree: 62, differ: &[], no_such_value: bytes });
}

#[test]
fn util_7_and_d36_whole_numbers_are_read_as_beaker_reads_them() {
    let check = |vector: &Value| {
        let Some(input) = value(&vector["input"]["value"]) else {
            return Outcome::NoSuchValue;
        };
        // In Python, True is the number 1.
        let same = |answer: &i64, recorded: &Value| {
            let number = recorded["v"].as_i64();
            number.or(recorded["v"].as_bool().map(i64::from)) == Some(*answer)
        };
        compare(as_int(&input), &vector["expect"], same)
    };
    let differ = &[
        "coerce-s-0068", // 235262447820508089930: no length and no time is that long
        "coerce-s-0069", // a newline behind the digits
        "coerce-s-0080", // full-width digits
        "coerce-s-0081", // an Arabic digit
    ];
    let bytes = &["coerce-s-0089"];
    run(COERCE, "asint", check, Expected { agree: 21, differ, no_such_value: bytes });
}

#[test]
fn util_8_lists_are_read_as_beaker_reads_them() {
    let check = |vector: &Value| {
        let input = &vector["input"];
        let Some(given) = value(&input["value"]) else {
            return Outcome::NoSuchValue;
        };
        let separator = input["sep"].as_str().map_or(Separator::Whitespace, Separator::Text);
        let trim = if input["strip"] == true { Trim::Items } else { Trim::Nothing };
        let answer = OptionValue::List(as_list(given, separator, trim));
        compare(Ok(answer), &vector["expect"], |answer, recorded| {
            value(recorded).as_ref() == Some(answer)
        })
    };
    run(COERCE, "aslist", check, Expected { agree: 11, differ: &[], no_such_value: &[] });
}

#[test]
fn conf_4_to_7_and_d34_cache_options_are_coerced_as_beaker_coerces_them() {
    let check = |vector: &Value| {
        let Some(mut given) = options(&vector["input"]["params"]) else {
            return Outcome::NoSuchValue;
        };
        let answer = coerce_cache_params(&mut given).map(|()| given);
        compare(answer, &vector["expect"], |answer, recorded| {
            options(&recorded["v"]).as_ref() == Some(answer)
        })
    };
    let differ = &[
        "coerce-s-0122", // a tuple as a text, ('foxtrot',): it is a list here, ['foxtrot']
        "coerce-s-0123", // type None, which Beaker turns into the text "None"
    ];
    let no_such_value = &[
        "coerce-s-0110", // time span
        "coerce-s-0111", // time span
        "coerce-s-0114", // bytes
        "coerce-s-0117", // bytes
        "coerce-s-0144", // date
        "coerce-s-0147", // date
        "coerce-s-0149", // bytes
        "coerce-s-0153", // date
        "coerce-s-0162", // time span
    ];
    run(COERCE, "coerce_cache_params", check, Expected { agree: 50, differ, no_such_value });
}

fn pairs(vector: &Value) -> Vec<(&str, OptionValue)> {
    let pairs = vector["input"]["config"].as_array().expect("a list of pairs");
    let pair = |pair: &'_ Value| value(&pair[1]).expect("a value that exists here");
    pairs.iter().map(|both| (both[0].as_str().expect("a name"), pair(both))).collect()
}

fn defaults(vector: &Value) -> BeakerDefaults {
    match &vector["input"]["include_defaults"] {
        Value::Bool(true) => BeakerDefaults::Include,
        _ => BeakerDefaults::Omit,
    }
}

/// The recorded dictionary with its regions taken out.
fn recorded_config(recorded: &Value) -> (Options, Option<BTreeMap<String, Options>>) {
    let mut all = recorded["v"].as_object().expect("a dictionary").clone();
    let regions = all.remove("cache_regions").map(|regions| {
        let regions = regions["v"].as_object().expect("a dictionary").iter();
        let region = |region: &Value| options(&region["v"]).expect("values that exist here");
        regions.map(|(name, options)| (name.clone(), region(options))).collect()
    });
    (options(&Value::Object(all)).expect("values that exist here"), regions)
}

/// Beaker's own answers that are not followed, and why.
const NOT_FOLLOWED: &[&str] = &[
    "config-s-0037", // the region cart takes the options of the region cart.x (D36)
    "config-s-0049", // regions without defaults: KeyError 'enabled' (D36)
];

// Of CONF-4 to CONF-7 too: the options of regions are coerced alike.
#[test]
fn conf_1_to_11_configurations_are_parsed_as_beaker_parses_them() {
    let check = |vector: &Value| {
        let answer = parse_cache_config_options(pairs(vector), defaults(vector));
        compare(answer, &vector["expect"], |answer, recorded| {
            (answer.options.clone(), answer.regions.clone()) == recorded_config(recorded)
        })
    };
    let expected = Expected { agree: 52, differ: NOT_FOLLOWED, no_such_value: &[] };
    run(CONFIG, "parse_cache_config_options", check, expected);
}

/// Whether typed options are the recorded ones; `inherits` is the URL a region may take over.
fn same_options(typed: &CacheOptions, recorded: &Options, inherits: Option<&str>) -> bool {
    let text = |name: &str| match recorded.get(name) {
        Some(OptionValue::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let number = |name: &str| match recorded.get(name) {
        Some(OptionValue::Int(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    let length = u64::try_from(typed.key_length).expect("a small number");
    typed.cache_type.as_deref().unwrap_or("memory") == text("type").unwrap_or("memory")
        && (typed.url.as_deref() == text("url") || typed.url.as_deref() == inherits)
        && typed.data_dir.as_deref() == text("data_dir").map(Path::new)
        && typed.lock_dir.as_deref() == text("lock_dir").map(Path::new)
        && typed.expire == number("expire").map(Duration::from_secs)
        && recorded.get("enabled").is_none_or(|enabled| *enabled == typed.enabled.into())
        && length == number("key_length").unwrap_or(250)
}

#[test]
fn typed_configurations_hold_what_beaker_parses() {
    let check = |vector: &Value| {
        compare(Config::from_pairs(pairs(vector)), &vector["expect"], |config, recorded| {
            let (options, regions) = recorded_config(recorded);
            let regions = regions.unwrap_or_default();
            let inherits = config.defaults.url.as_deref();
            same_options(&config.defaults, &options, None)
                && config.regions.keys().eq(regions.keys())
                && regions
                    .iter()
                    .all(|(name, recorded)| same_options(&config.regions[name], recorded, inherits))
        })
    };
    let expected = Expected { agree: 52, differ: NOT_FOLLOWED, no_such_value: &[] };
    run(CONFIG, "parse_cache_config_options", check, expected);
}
