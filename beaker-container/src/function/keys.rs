//! Keys of arguments that are no more than `Serialize`.

use beaker_namespace::Key;
use serde::Serialize;

use super::{Function, Value};
use crate::Error;

/// What an argument must be, with `by_serde`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a part of the key by serde",
    label = "not `Serialize`",
    note = "derive `serde::Serialize` for it, leave the argument out by `skip(…)`, or say by `key = …` \
            what tells the calls apart"
)]
pub trait SerdeArgument: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> SerdeArgument for T {}

/// With `by_serde`: an argument as a part of the key. Its type is not shown, so that what cannot be one is
/// complained of once.
pub fn by_serde<T: SerdeArgument + ?Sized>(argument: &T) -> impl Serialize {
    argument
}

/// With `by_serde`: the key of all arguments.
pub fn key_by_serde<T: Serialize + ?Sized>(arguments: &T) -> Result<Key, Error> {
    Key::by_serde(arguments).map_err(Error::no_key)
}

/// Tells of arguments that have no key; the function itself runs then.
#[cold]
pub fn unkeyed<V: Value>(function: &Function<V>, error: &Error) {
    function.report(error);
}
