//! The attribute [`macro@cached`]: a function whose results are kept, by region and by argument.
//!
//! It is not for use alone: what it expands to is in `beaker-container`. `beaker-cache` has both, and
//! re-exports it.

#![forbid(unsafe_code)]

mod definition;
mod expand;
mod function;
mod options;

use proc_macro::TokenStream;
use quote::quote;

/// Keeps what a function returns, for each value of its arguments.
///
/// ```
/// use beaker_cache::cached;
///
/// #[cached(region = "short_term", ttl = "5m")]
/// fn load(id: u64) -> Result<String, String> {
///     if id == 0 { Err("nobody".to_owned()) } else { Ok(format!("user {id}")) }
/// }
///
/// # use beaker_cache::{config::Config, regions};
/// # regions::configure(Config::default().region("short_term", |options| options))?;
/// assert_eq!(load(42)?, "user 42");
/// assert_eq!(load::peek(42)?.as_deref(), Some("user 42"));
/// assert!(load::invalidate(42)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # The calls
///
/// Beside the function stands a type of its name without values, which has the other calls:
/// `invalidate`, `refresh`, `peek`, `set`, `key`, `original` and `cache`. They take the function's
/// arguments; those about the key alone take no skipped ones. In an `impl` block, where no type can
/// stand, they are methods of names such as `load_invalidate`; a function without a receiver needs
/// the option `in_impl` there. A trait's methods cannot be cached: cache what they call.
///
/// Of an `async fn`, all but `key` and `cache` are async; that needs the feature `tokio` of
/// `beaker-cache`. `cache` may open the store, and block.
///
/// # What is kept
///
/// Of a `Result` the value; an error goes to everybody who waited for it, so it must be `Clone`, and
/// is not kept. A `Result` is known by the last word of its type, so `io::Result<T>` is one; an alias
/// of another name is refused. `None` is a value like others unless `skip_none` or `negative_ttl` is
/// given.
///
/// Values are `Serialize`, `Deserialize`, `Clone`, `Send`, `Sync` and `'static`, so that any store can
/// keep them; with `objects` they need no codec, and a store other than memory refuses them.
///
/// # The key
///
/// The arguments, all that are not skipped, as one typed key (`ToKey`): text, bytes, whole numbers,
/// `bool`, `Option` and tuples of these, by value or by reference. `key = …` is any such expression
/// over the arguments instead; it is evaluated before the arguments are moved, so borrow what is not
/// `Copy`: `key = (&name, page)`.
///
/// With `by_serde` the key is made by `Key::by_serde`, for arguments (or a `key`) that are
/// `Serialize`, such as a struct of filters. Maps and fields are the same in any order; a hash set is
/// not. Arguments whose `Serialize` fails have no key: the function runs, and the error goes where
/// those of the cache go; `load::key` returns a `Result`.
///
/// ```
/// use beaker_cache::cached;
///
/// #[derive(serde::Serialize)]
/// struct Filter<'a> {
///     text: &'a str,
///     tags: Vec<&'a str>,
/// }
///
/// #[cached(by_serde)]
/// fn search(filter: &Filter<'_>, page: u32) -> Vec<String> {
///     vec![format!("{} {:?} {page}", filter.text, filter.tags)]
/// }
///
/// assert_eq!(search(&Filter { text: "a", tags: vec!["bc"] }, 1), ["a [\"bc\"] 1"]);
/// assert_eq!(search(&Filter { text: "ab", tags: vec!["c"] }, 1), ["ab [\"c\"] 1"]);
/// ```
///
/// # The name
///
/// The values are in a namespace of the function's own. Its name is the module's path and the
/// function's name, so that moving the function begins anew. A `name` given holds wherever the
/// function stands; that of two functions must differ, else the second is not cached, and its calls
/// report why. Behind the name come the types over which the function or the method's type is
/// generic, by `std::any::type_name`, and the version.
///
/// Type parameters, and the type of a method, must be `'static`. Take a `&str` instead of an
/// `impl AsRef<str>`.
///
/// # Regions and errors
///
/// What a region is, is configured when the program runs: see `beaker_cache::regions`, which also says
/// what happens when the cache itself fails. In short: `load(…)` and `load::refresh(…)` run the
/// function, and tell `regions::on_error`; the other calls return the error.
///
/// A function that asks for its own value, with the same arguments, runs itself, as it would without a
/// cache.
///
/// # Options
///
/// | option | meaning | default |
/// |---|---|---|
/// | `region = "pages"` | the region | none: the options of every cache |
/// | `ttl = "5m"` | how long a value is fresh: whole seconds, a duration, or `"never"` | the region's |
/// | `url = "file:///dir"` | the store | the region's |
/// | `name = "users"` | the name of the values | module and function |
/// | `version = 2` | a part of the name | none |
/// | `skip(database, self)` | leaves arguments out of the key | none |
/// | `key = (&a.id, b)` | takes the place of the arguments | all arguments |
/// | `by_serde` | the key is made through `Serialize` | it is made by `ToKey` |
/// | `skip_none` | `None` is not kept | it is |
/// | `negative_ttl = "10s"` | how long `None` is fresh | as other values |
/// | `stale = "1m"` | a value that expired no longer ago is served while one caller makes the new one | never |
/// | `wait = "5s"` | how long a call waits for another's creation; then it runs the function | 30 s |
/// | `objects` | live objects without a codec, in memory | values have a codec |
/// | `in_impl` | it stands in an `impl` block, without a receiver | a receiver says so |
/// | `crate = ::beaker_container` | where to find `beaker-container` | `::beaker_cache::container` |
///
/// # Attributes
///
/// Documentation, `must_use` and `deprecated` stay with the function; what is done to the body, such as
/// `inline`, goes to `original`; lints go to both.
#[proc_macro_attribute]
pub fn cached(options: TokenStream, item: TokenStream) -> TokenStream {
    let item: proc_macro2::TokenStream = item.into();
    match expand::cached(options.into(), item.clone()) {
        Ok(code) => code.into(),
        Err(error) => {
            let error = error.into_compile_error();
            // With the function itself, so that its callers raise no further errors.
            quote!(#error #item).into()
        }
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
