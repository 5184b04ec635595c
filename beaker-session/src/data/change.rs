//! The change of one value, in a form that can be applied to another version of it.

use serde_json::Value;

use super::size_of_value;

/// What one request does to one value.
///
/// What it *does*, not what comes out: so two requests that count up one number both count, also
/// if the one has not seen the other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// The value becomes this.
    Put(Value),
    /// The value goes.
    Remove,
    /// The number becomes this much more; what is no number counts as zero.
    Add(i64),
    /// Items leave the list, and others come to its end; what is no list counts as empty.
    List { taken: Vec<Value>, pushed: Vec<Value> },
    /// Members leave the set, and others come into it; what is no list counts as empty.
    Set { left: Vec<Value>, joined: Vec<Value> },
}

impl Change {
    /// The value after the change.
    pub(crate) fn apply(&self, before: Option<&Value>) -> Option<Value> {
        match self {
            Self::Put(value) => Some(value.clone()),
            Self::Remove => None,
            Self::Add(more) => Some(number(before).saturating_add(*more).into()),
            Self::List { taken, pushed } => {
                let mut items = without(items(before), taken);
                items.extend(pushed.iter().cloned());
                Some(items.into())
            }
            Self::Set { left, joined } => {
                let stay = items(before).iter().filter(|member| !left.contains(member));
                let mut members: Vec<Value> = Vec::new();
                for member in stay.chain(joined) {
                    if !members.contains(member) {
                        members.push(member.clone());
                    }
                }
                Some(members.into())
            }
        }
    }

    /// The most bytes by which a value grows by it, as [`Values::bytes`](super::Values::bytes) counts.
    pub(crate) fn most_bytes(&self) -> usize {
        match self {
            Self::Put(value) => size_of_value(value),
            Self::Remove => 0,
            Self::Add(_) => size_of_value(&Value::from(0)),
            Self::List { pushed: more, .. } | Self::Set { joined: more, .. } => {
                more.iter().map(|item| 1 + size_of_value(item)).sum::<usize>() + 2
            }
        }
    }

    /// Whether nothing comes of it where there was no value: what it put there has gone again.
    pub(crate) fn leaves_nothing(&self) -> bool {
        match self {
            Self::Remove => true,
            Self::List { pushed: stay, .. } | Self::Set { joined: stay, .. } => stay.is_empty(),
            Self::Put(_) | Self::Add(_) => false,
        }
    }

    /// Whether `later` can be joined to `self` by [`then`](Self::then) without knowing the value.
    pub(crate) fn joins(&self, later: &Self) -> bool {
        matches!(self, Self::Put(_) | Self::Remove)
            || matches!(later, Self::Put(_) | Self::Remove)
            || std::mem::discriminant(self) == std::mem::discriminant(later)
    }

    /// The one change that does what `self` and then `later` do.
    pub(crate) fn then(self, later: Self) -> Self {
        match (self, later) {
            (Self::Add(first), Self::Add(second)) => Self::Add(first.saturating_add(second)),
            (Self::List { mut taken, mut pushed }, Self::List { taken: more, pushed: last }) => {
                // What came and went again leaves no trace.
                for item in more {
                    match pushed.iter().position(|pushed| *pushed == item) {
                        Some(position) => drop(pushed.remove(position)),
                        None => taken.push(item),
                    }
                }
                pushed.extend(last);
                Self::List { taken, pushed }
            }
            (Self::Set { mut left, mut joined }, Self::Set { left: out, joined: into }) => {
                joined.retain(|member| !out.contains(member));
                left.retain(|member| !into.contains(member));
                left.extend(out);
                joined.extend(into);
                Self::Set { left, joined }
            }
            (first @ (Self::Put(_) | Self::Remove), later) => {
                later.apply(first.apply(None).as_ref()).map_or(Self::Remove, Self::Put)
            }
            (_, later) => later,
        }
    }
}

pub(crate) fn number(value: Option<&Value>) -> i64 {
    value.and_then(Value::as_i64).unwrap_or(0)
}

pub(crate) fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// `items` without one of each of `taken`.
fn without(items: &[Value], taken: &[Value]) -> Vec<Value> {
    let mut taken = taken.to_vec();
    let stays = |item: &&Value| match taken.iter().position(|taken| taken == *item) {
        Some(position) => {
            taken.swap_remove(position);
            false
        }
        None => true,
    };
    items.iter().filter(stays).cloned().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn applied(change: Change, before: Value) -> Option<Value> {
        change.apply(Some(&before))
    }

    #[test]
    fn a_change_does_the_same_to_a_version_it_has_not_seen() {
        assert_eq!(applied(Change::Add(2), json!(40)), Some(json!(42)));
        let list = Change::List { taken: vec![json!("a")], pushed: vec![json!("b")] };
        assert_eq!(applied(list, json!(["a", "c"])), Some(json!(["c", "b"])));
        let set = Change::Set { left: vec![json!(1)], joined: vec![json!(2), json!(3)] };
        assert_eq!(applied(set, json!([1, 2])), Some(json!([2, 3])));
    }

    #[test]
    fn what_is_of_another_type_counts_as_empty() {
        assert_eq!(applied(Change::Add(1), json!("x")), Some(json!(1)));
        let list = Change::List { taken: vec![], pushed: vec![json!(1)] };
        assert_eq!(applied(list, json!({"a": 1})), Some(json!([1])));
    }

    #[test]
    fn a_number_stops_at_its_end() {
        assert_eq!(applied(Change::Add(1), json!(i64::MAX)), Some(json!(i64::MAX)));
    }

    fn value() -> impl Strategy<Value = Value> {
        (0..4).prop_map(Value::from)
    }

    fn values() -> impl Strategy<Value = Vec<Value>> {
        prop::collection::vec(value(), 0..4)
    }

    fn list() -> impl Strategy<Value = Change> {
        (values(), values()).prop_map(|(taken, pushed)| Change::List { taken, pushed })
    }

    /// As the session makes them: nothing leaves that is not there.
    fn valid(change: &Change, before: Option<&Value>) -> bool {
        let Change::List { taken, .. } = change else { return true };
        without(items(before), taken).len() + taken.len() == items(before).len()
    }

    fn any_change() -> impl Strategy<Value = Change> {
        prop_oneof![
            value().prop_map(Change::Put),
            values().prop_map(|values| Change::Put(values.into())),
            Just(Change::Remove),
            (-3_i64..3).prop_map(Change::Add),
            list(),
            (values(), values()).prop_map(|(left, mut joined)| {
                joined.dedup();
                joined.retain(|member| !left.contains(member));
                joined.sort_by_key(Value::as_i64);
                joined.dedup();
                Change::Set { left, joined }
            }),
        ]
    }

    proptest! {
        #[test]
        fn two_changes_in_one_do_what_they_do_in_turn(
            before in prop::option::of(values().prop_map(Value::from)),
            first in any_change(),
            second in any_change(),
        ) {
            let between = first.apply(before.as_ref());
            let is_asked_for = valid(&first, before.as_ref()) && valid(&second, between.as_ref());
            if !is_asked_for || !first.joins(&second) {
                return Ok(());
            }
            let in_turn = second.apply(between.as_ref());
            prop_assert_eq!(sorted(first.then(second).apply(before.as_ref())), sorted(in_turn));
        }
    }

    /// Lists and sets may come out in another order.
    fn sorted(value: Option<Value>) -> Option<Value> {
        value.map(|value| match value {
            Value::Array(mut items) => {
                items.sort_by_key(Value::as_i64);
                Value::Array(items)
            }
            other => other,
        })
    }
}
