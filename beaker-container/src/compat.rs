//! The key texts of Python's Beaker for decorated functions, for programs that share a cache with
//! it.
//!
//! A decorated call has a namespace ([`func_namespace`]) and a key ([`decorated_key`]); what a
//! store sees of the key is its [`storage_key`]. Everything follows Beaker 1.14 to the byte. A new
//! program is better off with [`Key`](beaker_namespace::Key), because these texts are ambiguous:
//! [`decorated_key`] lists how.
//!
//! # Examples
//!
//! ```
//! use beaker_container::compat::{
//!     DEFAULT_KEY_LENGTH, decorated_key, func_namespace, keyword_part, storage_key,
//! };
//!
//! // @cache.region("short", "users")
//! // def load(name, *, full=False): …
//! // load("Zoë", full=True)
//! let namespace = func_namespace("/srv/app/users.py", "load");
//! let parts = ["users", "Zoë", &keyword_part("full", "True")];
//! let key = decorated_key(&parts, &namespace, DEFAULT_KEY_LENGTH);
//! assert_eq!(namespace, "/srv/app/users.py|load");
//! assert_eq!(key, "users Zoë full:True");
//! assert_eq!(storage_key(&key), r"users Zo\xeb full:True");
//! ```

use beaker_namespace::compat::sha1_hex;
pub use beaker_namespace::compat::storage_key;

/// The longest key, in characters and with its namespace, that is kept as it is: 250.
pub const DEFAULT_KEY_LENGTH: usize = 250;

/// Returns the namespace of a plain function: its source file and its name.
pub fn func_namespace(source_file: &str, function: &str) -> String {
    format!("{source_file}|{function}")
}

/// Returns the namespace of a bound method: the module and the name of its class.
///
/// For a class method give the class itself. Beaker takes the class of the class there,
/// `builtins.type`, so that all class methods of all classes share one namespace.
pub fn method_namespace(module: &str, class: &str) -> String {
    format!("{module}.{class}")
}

/// Returns whether Beaker leaves the first argument out of the key: it does so when the function's
/// first parameter is named `self` or `cls`, whatever it is.
pub fn has_self_arg(first_parameter: &str) -> bool {
    matches!(first_parameter, "self" | "cls")
}

/// Returns the part for an argument that stays a keyword: `name:value`.
///
/// Arguments that the signature binds to a position are parts of their own, without the name.
pub fn keyword_part(name: &str, value: &str) -> String {
    format!("{name}:{value}")
}

/// Returns the key of a decorated call, which is also the key that invalidates it.
///
/// `parts` are the decorator's arguments and then the call's, each as Python's `str()` writes it
/// (`True`, `None`, `1e+22`, `('a',)`). They are joined by a space. If the key and the namespace
/// together are longer than `key_length` characters, the key is the SHA-1 digest of that text.
///
/// `key_length` counts here and in every call as given. Beaker forgets the one given to its
/// decorator after the first call and then uses 250, so a Python program that sets it has two keys
/// for one call.
///
/// # Collisions
///
/// The texts are Beaker's, so these calls share a key: `f(1)` and `f("1")`; `f("x y", "z")` and
/// `f("x", "y z")`; and after [`storage_key`] `f("é")` and `f("\\xe9")`. Functions of one name in
/// one file share a namespace. A default that is left out and the same value given make two keys.
#[doc(alias = "invalidate")]
#[doc(alias = "region_invalidate")]
pub fn decorated_key(parts: &[impl AsRef<str>], namespace: &str, key_length: usize) -> String {
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    let joined = parts.join(" ");
    if joined.chars().count() + namespace.chars().count() > key_length {
        sha1_hex(&joined)
    } else {
        joined
    }
}
