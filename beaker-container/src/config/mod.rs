//! Options of caches and regions: from code, from pairs with Beaker's prefixes, from TOML, from the
//! environment.
//!
//! A [`Config`] is the options of every cache and those of named regions. However it is written, a
//! region takes from the defaults what it does not set itself: type, `data_dir`, expiry, whether
//! it is enabled, key length; and the URL too, unless it names a type of its own.
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `type` | the store by its name: `memory`, `file`, … | `memory` |
//! | `url` | the store as a URL, which says more than `type` and wins over it | none |
//! | `data_dir` | where a store's files lie | none |
//! | `file_dir`, `dbm_dir` | where those of the store of that name lie, instead | none |
//! | `lock_dir` | Beaker's; it has no effect, which [`Config::unused_options`] tells: locks lie with the entries | none |
//! | `expire` | how long a value is fresh | for ever |
//! | `enabled` | whether anything is cached at all | true |
//! | `stale` | which expired values may be served: `never`, `while-refreshing 10m`, `on-error 10m`, `both 10m` | `never` |
//! | `idle`, `jitter`, `keep_old`, `error_expire`, `negative_expire`, `back_off`, `refresh_at`, `early_refresh`, `soft_timeout`, `hard_timeout`, `on_timeout`, `on_cancel`, `wait` | the parts of a [`Policy`](crate::Policy) of these names (`error_expire` is [`error_ttl`](crate::Policy::error_ttl), `negative_expire` [`negative_ttl`](crate::Policy::negative_ttl)) | as there |
//! | `redact_keys` | whether spans and events show keys as hashes | false |
//! | `key_length` | longest key kept as it is, for Beaker's key texts | 250 |
//!
//! - From code: [`Config::new`], [`Config::region`], [`CacheOptions`].
//! - From pairs of texts, as Python's Beaker is configured: [`Config::from_pairs`]. The raw step,
//!   [`parse_cache_config_options`], is there too, and so are its conversions [`as_bool`],
//!   [`as_int`], [`as_list`] and [`coerce_cache_params`]; and what they are made of, for options of
//!   another kind: [`OptionRule`], [`coerce_by`], [`closest_option`].
//! - From TOML: [`Config::from_toml`] (feature `toml`). From the environment:
//!   [`Config::from_env`].
//!
//! An option that nobody knows is kept in [`CacheOptions::extra`], since it may be for the store,
//! and is listed by [`Config::unknown_options`]; [`Config::refuse_unknown`] turns the list into an
//! error.

mod coerce;
mod error;
mod expire;
mod from_env;
mod from_pairs;
#[cfg(feature = "toml")]
mod from_toml;
mod options;
mod parse;
mod policy;
mod python_text;
mod rule;
mod unknown;
mod unused;
mod value;

pub use coerce::coerce_cache_params;
pub use error::{ConfigError, ConfigErrorKind};
pub use options::{CacheOptions, Config};
pub use parse::{BeakerDefaults, Options, ParsedOptions, parse_cache_config_options};
pub use rule::{OptionRule, OptionType, coerce_by};
pub use unknown::{UnknownOption, closest_option};
pub use unused::UnusedOption;
pub use value::{OptionValue, Separator, Trim, as_bool, as_int, as_list};
