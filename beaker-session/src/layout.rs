//! What `#[derive(SessionData)]` expands to. Not for use by hand: it may change in any version.

pub use serde::Serialize;
pub use serde::de::DeserializeOwned;

use crate::data::Data;

/// Takes the values of these names out.
pub fn remove(values: &mut Data, names: &[&str]) {
    for name in names {
        values.remove(*name);
    }
}

/// Puts values under other names, from and to. All are taken out before any is put in, so two may
/// change places.
pub fn rename(values: &mut Data, names: &[(&str, &str)]) {
    let taken = names.iter().map(|(was, name)| Some((*name, values.remove(*was)?)));
    let taken: Vec<_> = taken.collect();
    values.extend(taken.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)));
}

/// Replaces the value under `name` by what `convert` makes of it. What is no `Old`, or makes nothing
/// that can be stored, stays as it is: then the session does not fit the struct, which is an error
/// where it is read.
pub fn convert<Old: DeserializeOwned, New: Serialize>(
    values: &mut Data,
    name: &str,
    convert: impl FnOnce(Old) -> New,
) {
    let Some(value) = values.get_mut(name) else { return };
    if let Ok(old) = Old::deserialize(&*value)
        && let Ok(new) = serde_json::to_value(convert(old))
    {
        *value = new;
    }
}
