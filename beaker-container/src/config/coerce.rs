use super::parse::Options;
use super::python_text::python_str;
use super::value::{OptionValue, Separator, Trim, as_bool, as_int, as_list, trim};
use super::{ConfigError, ConfigErrorKind};

/// A type that a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Bool,
    Int,
    List,
    None,
}

/// What an option may be, and what its user is told otherwise.
pub(super) struct Rule {
    option: &'static str,
    types: &'static [Type],
    message: &'static str,
    fix: &'static str,
}

/// Beaker's rules, in the order in which it checks them.
static CACHE_RULES: [Rule; 7] = [
    Rule {
        option: "data_dir",
        types: &[Type::Text, Type::None],
        message: "data_dir must be a string referring to a directory.",
        fix: "name a directory or remove the option",
    },
    Rule {
        option: "lock_dir",
        types: &[Type::Text, Type::None],
        message: "lock_dir must be a string referring to a directory.",
        fix: "name a directory or remove the option",
    },
    Rule {
        option: "type",
        types: &[Type::Text],
        message: "Cache type must be a string.",
        fix: "name a store, such as memory or file, or remove the option",
    },
    Rule {
        option: "enabled",
        types: &[Type::Bool, Type::None],
        message: "enabled must be true/false if present.",
        fix: "write true or false",
    },
    Rule {
        option: "expire",
        types: &[Type::Int, Type::None],
        message: "expire must be an integer representing how many seconds the cache is valid for",
        fix: "write whole seconds, such as 3600",
    },
    Rule {
        option: "regions",
        types: &[Type::List, Type::None],
        message: "Regions must be a comma separated list of valid regions",
        fix: "write their names, such as short,long",
    },
    Rule {
        option: "key_length",
        types: &[Type::Int, Type::None],
        message: "key_length must be an integer which indicates the longest a key can be before hashing",
        fix: "write a whole number, such as 250",
    },
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
    for rule in &CACHE_RULES {
        if let Some(value) = options.get_mut(rule.option) {
            *value = rule.coerce(std::mem::take(value))?;
        }
    }
    Ok(())
}

/// The rule for `option`, if it has one.
pub(super) fn rule(option: &str) -> Option<&'static Rule> {
    CACHE_RULES.iter().find(|rule| rule.option == option)
}

impl Rule {
    pub(super) fn coerce(&self, value: OptionValue) -> Result<OptionValue, ConfigError> {
        if self.allows(&value) {
            return match &value {
                OptionValue::Text(text) if trim(text).is_empty() => Err(self.blank()),
                _ => Ok(value),
            };
        }
        let converted = self.types.iter().find_map(|allowed| allowed.convert(&value));
        converted.ok_or_else(|| self.error())
    }

    /// What Beaker says about a value that breaks this rule.
    pub(super) fn error(&self) -> ConfigError {
        self.complain(self.message.to_owned())
    }

    fn blank(&self) -> ConfigError {
        self.complain(format!("Empty strings are invalid for: {}", self.message))
    }

    fn complain(&self, message: String) -> ConfigError {
        ConfigError::new(ConfigErrorKind::InvalidValue, message).at(self.option).fix(self.fix)
    }

    fn allows(&self, value: &OptionValue) -> bool {
        self.types.iter().any(|allowed| match allowed {
            Type::Text => matches!(value, OptionValue::Text(_)),
            Type::Bool => matches!(value, OptionValue::Bool(_)),
            // In Python a bool is an int.
            Type::Int => matches!(value, OptionValue::Int(_) | OptionValue::Bool(_)),
            Type::List => matches!(value, OptionValue::List(_)),
            Type::None => matches!(value, OptionValue::None),
        })
    }
}

impl Type {
    fn convert(self, value: &OptionValue) -> Option<OptionValue> {
        match (self, value) {
            (Self::Text, OptionValue::None) | (Self::None, _) => None,
            (Self::Text, _) => Some(OptionValue::Text(python_str(value))),
            (Self::Bool, _) => as_bool(value).ok().map(OptionValue::Bool),
            (Self::Int, _) => as_int(value).ok().map(OptionValue::Int),
            (Self::List, OptionValue::Text(_)) => {
                let items = as_list(value.clone(), Separator::Text(","), Trim::Items);
                Some(OptionValue::List(items))
            }
            (Self::List, _) => None,
        }
    }
}
