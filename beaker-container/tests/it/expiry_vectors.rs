//! `vectors/expiry.json`: what Beaker 1.14.1 answered for one stored entry read at a later time.

use std::time::Duration;

use beaker_container::{Container, CreateError, ErrorKind, Stale};
use beaker_namespace::{Key, Timestamp};
use serde_json::Value;

use crate::harness::Lab;

/// Values of a zero time to live, read by a clock that was set back. Beaker takes them for current
/// until the clock has caught up (D27); here zero is always expired.
const CLOCK_SET_BACK: [&str; 3] = ["expiry-s-0016", "expiry-s-0053", "expiry-s-0056"];

#[test]
fn every_vector_is_answered_as_beaker_does() {
    let file: Value = serde_json::from_str(include_str!("../vectors/expiry.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    for vector in vectors {
        check(vector);
    }
    assert_eq!(vectors.len(), 60);
}

fn check(vector: &Value) {
    let id = vector["id"].as_str().unwrap();
    let (input, expect) = (&vector["input"], &vector["expect"]);
    for lab in Lab::each() {
        let time = |name: &str| input[name].as_f64().map(Timestamp::from_secs_f64);
        let ttl = |name: &str| input[name].as_f64().map(Duration::from_secs_f64);
        let mut container = Container::<String>::new(lab.namespace(), Key::new("key"))
            .with_stale(Stale::WhileRefreshing { max_age: Duration::MAX });
        lab.clock.set(time("stored_at").unwrap());
        container.clone().with_ttl(ttl("stored_expire")).set("old".into()).unwrap();

        lab.clock.set(time("now").unwrap());
        container = container.with_ttl(ttl("reader_expire"));
        if let Some(start) = time("starttime") {
            container = container.with_start_time(start);
        }
        assert_eq!(container.has_value().unwrap(), expect["has_value"], "{id}");
        let current = container.has_current_value().unwrap();
        if CLOCK_SET_BACK.contains(&id) {
            assert_eq!(
                (current, &expect["has_current_value"]),
                (false, &Value::Bool(true)),
                "{id}"
            );
            continue;
        }
        assert_eq!(current, expect["has_current_value"], "{id}");

        let got = if input["has_createfunc"] == true {
            container.clone().with_creator(|| "new".to_owned()).get()
        } else {
            container.get()
        };
        match got {
            Ok(value) => assert_eq!(value, expect["get"]["ok"], "{id}"),
            Err(CreateError::Cache(error)) if error.kind() == ErrorKind::Missing => {
                assert_eq!(expect["get"]["error"], "KeyError", "{id}");
            }
            Err(error) => panic!("{id}: {error}"),
        }

        let entry = container.namespace().get(container.key()).unwrap().unwrap();
        let after = &expect["tuple_after"]["v"];
        assert_eq!(
            entry.began(),
            Timestamp::from_secs_f64(after[0]["v"].as_f64().unwrap()),
            "{id}"
        );
        let expires = after[1]["v"].as_f64().map_or(Timestamp::NEVER, |ttl| {
            entry.began().saturating_add(Duration::from_secs_f64(ttl))
        });
        assert_eq!(entry.expires(), expires, "{id}");
    }
}
