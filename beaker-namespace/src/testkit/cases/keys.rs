//! Keys and names: what is different stays apart.

use super::case;
use crate::Key;
use crate::testkit::bench::Bench;
use crate::testkit::suite::Case;

pub(super) const CASES: &[Case] = &[
    case!(
        different_keys_are_different_entries,
        "keys that differ in a byte, a type or a segment \
          are different entries",
        [Retains]
    ),
    case!(the_longest_key_works, "a key of the greatest length is taken", [Retains]),
    case!(
        clearing_a_namespace_spares_its_neighbours,
        "clear spares namespaces whose names begin \
          alike or look like patterns",
        [Retains]
    ),
    case!(hostile_names_are_names, "any text is the name of a namespace of its own", [Retains]),
    case!(
        name_and_key_do_not_run_together,
        "name `a_b` with key `c` is not name `a` with key \
          `b_c`",
        [Retains]
    ),
];

/// Keys that a store may confuse.
fn confusable_keys() -> Vec<Key> {
    let texts = [
        "",
        " ",
        "a",
        "A",
        "a ",
        " a",
        "ab",
        "a_b",
        "a:b",
        "a/b",
        "a\\b",
        "a.b",
        ".",
        "..",
        "../a",
        "/etc/passwd",
        "a\0",
        "a\0b",
        "\0",
        "a\r\nb",
        "a\nb",
        "a\tb",
        "*",
        "?",
        "[a]",
        "%",
        "%41",
        "'",
        "\"",
        ";",
        "NULL",
        "nil",
        "1",
        "01",
        "1.0",
        "true",
        "caf\u{e9}",
        "cafe\u{301}",
        "\u{212b}",
        "\u{c5}",
        "\u{feff}a",
        "\u{1f600}",
        "CON",
        "a.lock",
        ".tmp-1-2-3",
    ];
    let mut keys: Vec<_> = texts.iter().map(Key::new).collect();
    let long = "k".repeat(300);
    keys.extend([Key::new(&long), Key::new(&format!("{long}k"))]);
    keys.extend([Key::new(&1), Key::new(&-1), Key::new(&u128::MAX), Key::new(&i128::MIN)]);
    keys.extend([Key::new(&true), Key::new(&None::<u8>), Key::new(&Some(1))]);
    keys.extend([Key::new(&("a", "b")), Key::new(&("ab", "")), Key::new(&("", "ab"))]);
    keys.extend([Key::new(&("a b", "c")), Key::new(&("a", "b c")), Key::new(&(("a", "b"), "c"))]);
    keys.extend([Key::new(&("a",)), Key::new(&(1, "1")), Key::new(&("1", 1))]);
    keys.extend([Key::new(&b"a"[..]), Key::new(&[0xff_u8, 0xfe][..]), Key::new(&b""[..])]);
    keys
}

fn different_keys_are_different_entries(bench: &Bench<'_>) {
    let (store, keys) = (bench.open(""), confusable_keys());
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(store.text(key), None, "{key} is there before it was set");
        store.put(key, at.to_string());
    }
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(store.text(key), Some(at.to_string()), "{key}");
    }
    for (at, key) in keys.iter().enumerate() {
        assert!(store.remove(key).expect("remove"), "{key} was not there");
        if let Some(next) = keys.get(at + 1) {
            assert_eq!(store.text(next), Some((at + 1).to_string()), "{key} took {next} along");
        }
    }
}

fn the_longest_key_works(bench: &Bench<'_>) {
    let store = bench.open("");
    // A key of one text is a byte and the text.
    let text = "x".repeat(Key::MAX_BYTES - 2);
    let (longest, other) = (Key::new(&format!("{text}1")), Key::new(&format!("{text}2")));
    assert_eq!(longest.as_bytes().len(), Key::MAX_BYTES);
    store.put(&longest, "v");
    assert_eq!(store.text(&longest).as_deref(), Some("v"));
    assert_eq!(store.text(&other), None, "the end of the key does not count");
    assert!(store.remove(&longest).expect("remove"));
}

fn clearing_a_namespace_spares_its_neighbours(bench: &Bench<'_>) {
    let key = Key::new("k");
    let names = ["foo", "foo:bar", "foo_bar", "f[o]o", "f*", "foo*", "*", "Foo", "fo", "foo ", ""];
    for cleared in names {
        let stores: Vec<_> = names.iter().map(|name| bench.open_named(name)).collect();
        for (store, name) in stores.iter().zip(names) {
            store.put(&key, name);
        }
        bench.open_named(cleared).clear().expect("clear");
        for (store, name) in stores.iter().zip(names) {
            let expected = (name != cleared).then(|| name.to_owned());
            assert_eq!(store.text(&key), expected, "`{name}` after clearing `{cleared}`");
        }
    }
}

fn hostile_names_are_names(bench: &Bench<'_>) {
    let (key, long) = (Key::new("k"), "n".repeat(5_000));
    let names = [
        "..",
        "../up",
        "/abs",
        "a\0b",
        "a\r\nb",
        "a/b",
        "caf\u{e9}",
        "cafe\u{301}",
        "x",
        "X",
        &long,
    ];
    let stores: Vec<_> = names.iter().map(|name| bench.open_named(name)).collect();
    for (at, store) in stores.iter().enumerate() {
        store.clear().expect("clear");
        store.put(&key, at.to_string());
    }
    for (at, store) in stores.iter().enumerate() {
        assert_eq!(store.text(&key), Some(at.to_string()), "name number {at}");
    }
}

fn name_and_key_do_not_run_together(bench: &Bench<'_>) {
    for joint in ["_", ":", "/", " ", ""] {
        let one = bench.open(&format!("a{joint}b"));
        let other = bench.open("a");
        let (short, long) = (Key::new("c"), Key::new(&format!("b{joint}c")));
        one.put(&short, "one");
        other.put(&long, "other");
        assert_eq!(one.text(&short).as_deref(), Some("one"), "joint `{joint}`");
        assert_eq!(other.text(&long).as_deref(), Some("other"), "joint `{joint}`");
        assert_eq!(other.text(&short), None, "joint `{joint}`");
    }
}
