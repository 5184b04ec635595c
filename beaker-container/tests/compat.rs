//! Keys as Beaker 1.14.1 makes them, against vectors recorded from it.

use std::collections::BTreeMap;

use beaker_container::compat::{
    DEFAULT_KEY_LENGTH, decorated_key, func_namespace, has_self_arg, keyword_part,
    method_namespace, storage_key,
};
use serde_json::Value;

/// The vectors of one kind in the file; nothing is left out.
///
/// A JSON reader refuses half a surrogate pair, so that the file can be read shows that no vector
/// needs a text that Rust cannot hold.
fn vectors(kind: &str) -> Vec<Value> {
    let file: Value =
        serde_json::from_str(include_str!("vectors/cache_key.json")).expect("the vectors are JSON");
    let all = file["vectors"].as_array().expect("a list of vectors");
    all.iter().filter(|vector| vector["kind"] == kind).cloned().collect()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is a text in {value}"))
}

fn parts(input: &Value) -> Vec<&str> {
    let list = input["parts"].as_array().expect("a list");
    list.iter().map(|part| part.as_str().expect("a text")).collect()
}

fn key_length(input: &Value) -> usize {
    let length = input["key_length"].as_u64().expect("a number");
    usize::try_from(length).expect("a small number")
}

#[test]
fn no_vector_is_left_out() {
    let file: Value = serde_json::from_str(include_str!("vectors/cache_key.json")).unwrap();
    let mut kinds = BTreeMap::new();
    for vector in file["vectors"].as_array().unwrap() {
        *kinds.entry(vector["kind"].as_str().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(
        kinds,
        BTreeMap::from([("decorated_call", 92), ("cache_key", 16), ("invalidate", 10)])
    );
}

// UTIL-10, CACHE-6 and CACHE-15 to CACHE-19.
#[test]
fn cache_15_to_19_and_util_10_keys_of_decorated_calls_are_those_of_beaker() {
    let (mut mangled, mut kept) = (0, 0);
    for vector in vectors("decorated_call") {
        let (id, input, expect) = (&vector["id"], &vector["input"], &vector["expect"]);
        let namespace = func_namespace(text(input, "file"), text(input, "function"));
        assert_eq!(namespace, text(expect, "namespace"), "{id}");
        let parts = parts(input);
        let key = decorated_key(&parts, &namespace, key_length(input));
        assert_eq!(key, text(expect, "key"), "{id}");
        assert_eq!(storage_key(&key), text(expect, "storage_key"), "{id}");
        match expect["mangled"].as_bool() {
            Some(true) => {
                assert_ne!(key, parts.join(" "), "{id}");
                mangled += 1;
            }
            _ => {
                assert_eq!(key, parts.join(" "), "{id}");
                kept += 1;
            }
        }
    }
    assert_eq!((mangled, kept), (32, 60));
}

/// What Python's `str()` gives for a recorded value of a simple type.
fn python_text(value: &Value) -> Option<String> {
    match value["py"].as_str()? {
        "str" | "bigint" => value["v"].as_str().map(String::from),
        "int" => Some(value["v"].to_string()),
        "none" => Some("None".to_owned()),
        _ => None,
    }
}

// A keyword-only argument is a part of its own with its name.
#[test]
fn cache_17_keyword_arguments_are_named_in_their_parts() {
    let mut named = 0;
    for vector in vectors("decorated_call") {
        let input = &vector["input"];
        let keyword = (input["params"] == "a, *, k=1").then(|| python_text(&input["kwargs"]["k"]));
        if let Some(Some(value)) = keyword {
            assert_eq!(parts(input).last(), Some(&&*keyword_part("k", &value)), "{}", vector["id"]);
            named += 1;
        }
    }
    assert_eq!(named, 3);
}

// The vectors record a method's arguments without the object; `this` is no such name.
#[test]
fn util_11_the_object_of_a_method_is_no_part() {
    let mut methods = 0;
    for vector in vectors("decorated_call") {
        let input = &vector["input"];
        let recorded = ["deco_args", "args"].map(|name| input[name].as_array().map_or(0, Vec::len));
        let keywords = input["kwargs"].as_object().map_or(0, serde_json::Map::len);
        assert_eq!(parts(input).len(), recorded.iter().sum::<usize>() + keywords);
        let params = text(input, "params");
        let first = params.split(", ").next().unwrap_or_default();
        assert_eq!(has_self_arg(first), params.starts_with("self,") || params.starts_with("cls,"));
        methods += usize::from(has_self_arg(first));
    }
    assert_eq!(methods, 15);
    assert!(!has_self_arg("this"));
}

#[test]
fn cache_6_storage_keys_are_those_of_beaker() {
    let vectors = vectors("cache_key");
    for vector in &vectors {
        let key = storage_key(text(&vector["input"], "key"));
        assert_eq!(key, text(&vector["expect"], "storage_key"), "{}", vector["id"]);
    }
    assert_eq!(vectors.len(), 16);
}

#[test]
fn cache_21_and_22_keys_that_invalidate_are_those_of_beaker() {
    let vectors = vectors("invalidate");
    for vector in &vectors {
        let (id, input) = (&vector["id"], &vector["input"]);
        let key = decorated_key(&parts(input), text(input, "namespace"), key_length(input));
        assert_eq!(key, text(&vector["expect"], "key"), "{id}");
    }
    assert_eq!(vectors.len(), 10);
}

// Characters are counted, not bytes, and the limit itself is kept.
#[test]
fn cache_18_a_key_is_digested_only_beyond_the_limit() {
    let namespace = "n".repeat(200);
    let fits = "🍪".repeat(50);
    assert_eq!(decorated_key(&[&fits], &namespace, DEFAULT_KEY_LENGTH), fits);
    let longer = "🍪".repeat(51);
    let digest = decorated_key(&[&longer], &namespace, DEFAULT_KEY_LENGTH);
    assert_eq!(digest.len(), 40);
    assert_ne!(digest, decorated_key(&["🍪".repeat(52)], &namespace, DEFAULT_KEY_LENGTH));
}

// Beaker's second call has another key than its first.
#[test]
fn d43_equal_calls_have_equal_keys() {
    let key = || decorated_key(&["a long argument"], "/srv/app.py|f", 20);
    assert_eq!(key(), key());
    assert_eq!(key().len(), 40);
}

// In Beaker all class methods share the namespace builtins.type.
#[test]
fn d40_methods_of_different_classes_have_different_namespaces() {
    assert_eq!(method_namespace("app.models", "User"), "app.models.User");
    assert_ne!(method_namespace("app.models", "User"), method_namespace("app.models", "Post"));
}

// Documented, not mended, because both programs must find the same entry.
#[test]
fn d41_and_d44_the_documented_collisions_are_real() {
    let key = |parts: &[&str]| decorated_key(parts, "f.py|f", DEFAULT_KEY_LENGTH);
    assert_eq!(key(&["x y", "z"]), key(&["x", "y z"]));
    assert_eq!(storage_key(&key(&["é"])), storage_key(&key(&["\\xe9"])));
}
