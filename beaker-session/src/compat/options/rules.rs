use beaker_container::config::{
    ConfigError, OptionRule, OptionType, OptionValue, Options, coerce_by,
};

const TEXT: &[OptionType] = &[OptionType::Text];
const TEXT_OR_NONE: &[OptionType] = &[OptionType::Text, OptionType::None];
const INT_OR_NONE: &[OptionType] = &[OptionType::Int, OptionType::None];
const BOOL_OR_NONE: &[OptionType] = &[OptionType::Bool, OptionType::None];
const DIRECTORY: &str = "name a directory or remove the option";
const KEY: &str = "give the key that the Python program has";
const YES_OR_NO: &str = "write true or false";

/// Beaker's rules, in the order in which it checks them.
static SESSION_RULES: [OptionRule; 19] = [
    OptionRule::new(
        "data_dir",
        TEXT_OR_NONE,
        "data_dir must be a string referring to a directory.",
        DIRECTORY,
    ),
    OptionRule::new(
        "lock_dir",
        TEXT_OR_NONE,
        "lock_dir must be a string referring to a directory.",
        DIRECTORY,
    ),
    OptionRule::new(
        "type",
        TEXT_OR_NONE,
        "Session type must be a string.",
        "name a store, such as file or cookie, or remove the option",
    ),
    OptionRule::new(
        "cookie_expires",
        &[OptionType::Bool, OptionType::Int],
        "Cookie expires was not a boolean, datetime, int, or timedelta instance.",
        "write true (with the browser), false (never) or whole seconds, such as 3600",
    ),
    OptionRule::new(
        "cookie_domain",
        TEXT_OR_NONE,
        "Cookie domain must be a string.",
        "name a domain or remove the option",
    ),
    OptionRule::new(
        "cookie_path",
        TEXT_OR_NONE,
        "Cookie path must be a string.",
        "write a path, such as /",
    ),
    OptionRule::new("id", TEXT, "Session id must be a string.", "remove the option"),
    OptionRule::new(
        "key",
        TEXT,
        "Session key must be a string.",
        "write the cookie's name, such as beaker.session.id",
    ),
    OptionRule::new("secret", TEXT_OR_NONE, "Session secret must be a string.", KEY),
    OptionRule::new("validate_key", TEXT_OR_NONE, "Session validate_key must be a string.", KEY),
    OptionRule::new("encrypt_key", TEXT_OR_NONE, "Session encrypt_key must be a string.", KEY),
    OptionRule::new(
        "encrypt_nonce_bits",
        INT_OR_NONE,
        "Session encrypt_nonce_bits must be a number",
        "write a multiple of 8, such as 128",
    ),
    OptionRule::new("secure", BOOL_OR_NONE, "Session secure must be a boolean.", YES_OR_NO),
    OptionRule::new("httponly", BOOL_OR_NONE, "Session httponly must be a boolean.", YES_OR_NO),
    OptionRule::new(
        "timeout",
        INT_OR_NONE,
        "Session timeout must be an integer.",
        "write whole seconds, such as 3600",
    ),
    OptionRule::new(
        "save_accessed_time",
        BOOL_OR_NONE,
        "Session save_accessed_time must be a boolean (defaults to true).",
        YES_OR_NO,
    ),
    OptionRule::new("auto", BOOL_OR_NONE, "Session is created if accessed.", YES_OR_NO),
    OptionRule::new(
        "webtest_varname",
        TEXT_OR_NONE,
        "Session varname must be a string.",
        "remove the option",
    ),
    OptionRule::new(
        "data_serializer",
        TEXT,
        "data_serializer must be a string.",
        "write json or pickle",
    ),
];

/// Not a rule of one option: a time-out is counted from the last use, which must be kept then.
static NEEDS_ACCESSES: OptionRule = OptionRule::new(
    "save_accessed_time",
    BOOL_OR_NONE,
    "save_accessed_time must be true to use timeout",
    "set it to true, or remove timeout",
);

/// Checks the options of sessions as Beaker's `coerce_session_params` does, and turns their texts
/// into what each option is. Spans of time are whole seconds.
pub(super) fn coerce_session_params(options: &mut Options) -> Result<(), ConfigError> {
    coerce_by(&SESSION_RULES, options)?;
    let has_timeout = options.get("timeout").is_some_and(|timeout| *timeout != OptionValue::None);
    let saves = options.get("save_accessed_time");
    match saves.is_some_and(|saves| *saves != OptionValue::Bool(true)) && has_timeout {
        true => Err(NEEDS_ACCESSES.error()),
        false => Ok(()),
    }
}
