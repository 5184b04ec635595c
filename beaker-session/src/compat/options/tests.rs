//! Vectors recorded from Beaker 1.14.1, and what is made of the options.

use beaker_container::config::{OptionValue, Options};
use serde_json::Value;

use super::rules::coerce_session_params;

/// A recorded Python value; `None` for bytes and dates, and for a span of time where it would
/// become Python's text for it.
fn value(recorded: &Value, spans_are_seconds: bool) -> Option<OptionValue> {
    let plain = &recorded["v"];
    match recorded["py"].as_str()? {
        "none" => Some(OptionValue::None),
        "bool" => plain.as_bool().map(OptionValue::Bool),
        "int" => plain.as_i64().map(OptionValue::Int),
        "float" => plain.as_f64().map(OptionValue::Float),
        "str" => plain.as_str().map(OptionValue::from),
        "list" | "tuple" => {
            let items = plain.as_array()?.iter().map(|item| value(item, spans_are_seconds));
            items.collect::<Option<_>>().map(OptionValue::List)
        }
        "timedelta" if spans_are_seconds => {
            recorded["seconds"].as_f64().map(|seconds| OptionValue::Int(seconds as i64))
        }
        _ => None,
    }
}

fn options(recorded: &Value) -> Option<Options> {
    let entries = recorded.as_object()?.iter();
    let entry = |(name, recorded): (&String, &Value)| {
        Some((name.clone(), value(recorded, name == "cookie_expires")?))
    };
    entries.map(entry).collect()
}

// CONF-12 to CONF-15.
#[test]
fn session_options_are_coerced_as_beaker_coerces_them() {
    let file = include_str!("../../../tests/vectors/coerce_session_params.json");
    let file: Value = serde_json::from_str(file).expect("the vectors are JSON");
    let (mut agreed, mut differ, mut no_such_value) = (0, Vec::new(), Vec::new());
    for vector in file["vectors"].as_array().expect("a list") {
        assert_eq!(vector["kind"], "coerce_session_params");
        let (id, expect) = (vector["id"].as_str().expect("an id"), &vector["expect"]);
        let Some(mut given) = options(&vector["input"]["params"]) else {
            no_such_value.push(id);
            continue;
        };
        let agrees = match coerce_session_params(&mut given) {
            Ok(()) => options(&expect["ok"]["v"]).as_ref() == Some(&given),
            Err(error) => expect["error"]["message"].as_str() == Some(error.message()),
        };
        if agrees { agreed += 1 } else { differ.push(id) }
    }
    // Of a tuple as a text, ('echo',), a list has another: ['echo'].
    assert_eq!(differ, ["coerce-s-0173", "coerce-s-0208", "coerce-s-0211"]);
    assert_eq!(no_such_value, NO_SUCH_VALUE);
    assert_eq!(agreed, 119);
}

/// A text configuration has none of these.
const NO_SUCH_VALUE: [&str; 29] = [
    "coerce-s-0166", // bytes
    "coerce-s-0167", // a span of time
    "coerce-s-0178", // a span of time
    "coerce-s-0180", // a span of time
    "coerce-s-0182", // a span of time
    "coerce-s-0185", // bytes
    "coerce-s-0188", // bytes
    "coerce-s-0189", // a date
    "coerce-s-0190", // a date
    "coerce-s-0200", // a date
    "coerce-s-0204", // a date
    "coerce-s-0206", // bytes
    "coerce-s-0227", // bytes
    "coerce-s-0229", // a date
    "coerce-s-0232", // a date
    "coerce-s-0242", // a date
    "coerce-s-0243", // a date
    "coerce-s-0254", // a span of time
    "coerce-s-0257", // bytes
    "coerce-s-0267", // bytes
    "coerce-s-0269", // a span of time
    "coerce-s-0270", // a span of time
    "coerce-s-0271", // bytes
    "coerce-s-0272", // a date
    "coerce-s-0277", // bytes
    "coerce-s-0281", // bytes
    "coerce-s-0283", // bytes
    "coerce-s-0288", // bytes
    "coerce-s-0290", // bytes
];
