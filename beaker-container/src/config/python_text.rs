//! How Python writes a value as text; Beaker turns other values into texts this way.

use beaker_namespace::compat::storage_key;

use super::OptionValue;

/// What Python's `str()` gives.
pub(super) fn python_str(value: &OptionValue) -> String {
    match value {
        OptionValue::Text(text) => text.clone(),
        other => python_repr(other),
    }
}

/// What Python's `repr()` gives.
pub(super) fn python_repr(value: &OptionValue) -> String {
    match value {
        OptionValue::None => "None".to_owned(),
        OptionValue::Bool(true) => "True".to_owned(),
        OptionValue::Bool(false) => "False".to_owned(),
        OptionValue::Int(number) => number.to_string(),
        OptionValue::Float(number) => float_repr(*number),
        OptionValue::Text(text) => text_repr(text),
        OptionValue::List(items) => {
            let items: Vec<String> = items.iter().map(python_repr).collect();
            format!("[{}]", items.join(", "))
        }
        OptionValue::Table(entries) => {
            let entry = |(name, value)| {
                format!("{}: {}", text_repr(String::as_str(name)), python_repr(value))
            };
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// The text in quotes, with Python's choice of quotes and escapes.
pub(super) fn text_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut repr = String::from(quote);
    for character in text.chars() {
        match character {
            '\t' => repr.push_str("\\t"),
            '\n' => repr.push_str("\\n"),
            '\r' => repr.push_str("\\r"),
            '\\' => repr.push_str("\\\\"),
            _ if character == quote => repr.extend(['\\', quote]),
            ' '..='~' => repr.push(character),
            '\0'..='\u{7f}' => repr.push_str(&format!("\\x{:02x}", u32::from(character))),
            _ if is_printable(character) => repr.push(character),
            _ => repr.push_str(&storage_key(character.encode_utf8(&mut [0; 4]))),
        }
    }
    repr.push(quote);
    repr
}

/// Rust and Python agree on what can be printed, except that Rust escapes a combining mark that
/// has nothing to combine with; so it gets a letter to stand on.
fn is_printable(character: char) -> bool {
    format!("a{character}").escape_debug().count() == 2
}

/// Both languages write the shortest digits and switch to an exponent at the same sizes, but
/// Python's exponent has a sign and two digits.
fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    let text = format!("{number:?}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_python_writes_them() {
        let list = |items: Vec<OptionValue>| OptionValue::List(items);
        // The right-hand sides are what Python 3.11 prints for repr() of these values.
        for (value, repr) in [
            (OptionValue::None, "None"),
            (true.into(), "True"),
            ((-5).into(), "-5"),
            (1e22.into(), "1e+22"),
            (1.5e-7.into(), "1.5e-07"),
            (0.0001.into(), "0.0001"),
            (1e16.into(), "1e+16"),
            (7.0.into(), "7.0"),
            (f64::NEG_INFINITY.into(), "-inf"),
            (f64::NAN.into(), "nan"),
            ("it's".into(), r#""it's""#),
            ("'\"".into(), r#"'\'"'"#),
            ("a\\\n\u{1b}\u{7f}".into(), r"'a\\\n\x1b\x7f'"),
            ("é\u{a0}\u{301}\u{2028}🍪".into(), "'é\\xa0\u{301}\\u2028🍪'"),
            (list(vec![1.into(), "a".into()]), "[1, 'a']"),
            (OptionValue::Table([("a".to_owned(), 1.into())].into()), "{'a': 1}"),
        ] {
            assert_eq!(python_repr(&value), repr);
        }
        assert_eq!(python_str(&"it's".into()), "it's");
    }
}
