//! Configuration: against vectors recorded from Beaker 1.14.1, and in our own forms.

mod code;
mod env;
mod items;
mod pairs;
#[cfg(feature = "toml")]
mod toml;
mod vectors;

use beaker_container::config::Config;

/// What the configuration tells about its unknown options.
fn unknown(config: &Config) -> Vec<String> {
    config.unknown_options().iter().map(ToString::to_string).collect()
}
