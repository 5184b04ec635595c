use super::ConfigError;
use super::parse::Options;
use super::rule::{OptionRule, OptionType, coerce_by};

const TEXT_OR_NONE: &[OptionType] = &[OptionType::Text, OptionType::None];
const INT_OR_NONE: &[OptionType] = &[OptionType::Int, OptionType::None];

/// Beaker's rules, in the order in which it checks them.
static CACHE_RULES: [OptionRule; 7] = [
    OptionRule::new(
        "data_dir",
        TEXT_OR_NONE,
        "data_dir must be a string referring to a directory.",
        "name a directory or remove the option",
    ),
    OptionRule::new(
        "lock_dir",
        TEXT_OR_NONE,
        "lock_dir must be a string referring to a directory.",
        "name a directory or remove the option",
    ),
    OptionRule::new(
        "type",
        &[OptionType::Text],
        "Cache type must be a string.",
        "name a store, such as memory or file, or remove the option",
    ),
    OptionRule::new(
        "enabled",
        &[OptionType::Bool, OptionType::None],
        "enabled must be true/false if present.",
        "write true or false",
    ),
    OptionRule::new(
        "expire",
        INT_OR_NONE,
        "expire must be an integer representing how many seconds the cache is valid for",
        "write whole seconds, such as 3600",
    ),
    OptionRule::new(
        "regions",
        &[OptionType::List, OptionType::None],
        "Regions must be a comma separated list of valid regions",
        "write their names, such as short,long",
    ),
    OptionRule::new(
        "key_length",
        INT_OR_NONE,
        "key_length must be an integer which indicates the longest a key can be before hashing",
        "write a whole number, such as 250",
    ),
];

/// Checks the options of a cache and turns their texts into what each option is.
///
/// An option that has a rule and a value of an allowed type stays (a bool passes as a whole
/// number); any other value is converted to the allowed types in turn, and the first conversion
/// that works counts. Options without a rule, `url` among them, stay as they are, and absent ones
/// are not looked at. An option that may be a text takes any value but none, as Python's `str()`
/// writes it.
///
/// Beaker turns none into the text `None` for an option that must be a text; here it is refused.
///
/// # Errors
///
/// The first option, in the order of the rules, that cannot be converted, with Beaker's message
/// for it; for a blank text where a text is allowed with `Empty strings are invalid for: ` before
/// it. Options before it may have been converted already.
pub fn coerce_cache_params(options: &mut Options) -> Result<(), ConfigError> {
    coerce_by(&CACHE_RULES, options)
}

/// The rule for `option`, if it has one.
pub(super) fn rule(option: &str) -> Option<&'static OptionRule> {
    CACHE_RULES.iter().find(|rule| rule.option() == option)
}
