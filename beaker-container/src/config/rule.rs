use super::parse::Options;
use super::python_text::python_str;
use super::value::{OptionValue, Separator, Trim, as_bool, as_int, as_list, trim};
use super::{ConfigError, ConfigErrorKind};

/// A type that an [`OptionRule`] allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionType {
    /// A text. Any value but none becomes one, as Python's `str()` writes it.
    Text,
    /// Yes or no, read by [`as_bool`].
    Bool,
    /// A whole number, read by [`as_int`]. A bool passes as one, as in Python.
    Int,
    /// A list; a text is split at its commas.
    List,
    /// Nothing.
    None,
}

/// What one option may be, and what its user is told otherwise: how Beaker checks a configuration.
///
/// # Examples
///
/// ```
/// use beaker_container::config::{OptionRule, OptionType, OptionValue};
///
/// static TIMEOUT: OptionRule = OptionRule::new(
///     "timeout",
///     &[OptionType::Int, OptionType::None],
///     "Session timeout must be an integer.",
///     "write whole seconds, such as 3600",
/// );
/// assert_eq!(TIMEOUT.coerce("60".into())?, OptionValue::Int(60));
/// assert_eq!(
///     TIMEOUT.coerce("soon".into()).unwrap_err().to_string(),
///     "option \"timeout\": Session timeout must be an integer; write whole seconds, such as 3600"
/// );
/// # Ok::<(), beaker_container::config::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct OptionRule {
    option: &'static str,
    types: &'static [OptionType],
    message: &'static str,
    fix: &'static str,
}

impl OptionRule {
    /// The rule of `option`: the `types` in the order in which they are tried, Beaker's `message`
    /// for a value that is none of them, and how to `fix` it.
    pub const fn new(
        option: &'static str,
        types: &'static [OptionType],
        message: &'static str,
        fix: &'static str,
    ) -> Self {
        Self { option, types, message, fix }
    }

    /// Returns the name of the option.
    pub const fn option(&self) -> &'static str {
        self.option
    }

    /// Checks `value`, and turns it into what the option is.
    ///
    /// A value of an allowed type stays; any other is converted to the allowed types in turn, and
    /// the first conversion that works counts.
    ///
    /// # Errors
    ///
    /// If none works, with Beaker's message; for a blank text where a text is allowed with
    /// `Empty strings are invalid for: ` before it. The value is not repeated.
    pub fn coerce(&self, value: OptionValue) -> Result<OptionValue, ConfigError> {
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
    pub fn error(&self) -> ConfigError {
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
            OptionType::Text => matches!(value, OptionValue::Text(_)),
            OptionType::Bool => matches!(value, OptionValue::Bool(_)),
            // In Python a bool is an int.
            OptionType::Int => matches!(value, OptionValue::Int(_) | OptionValue::Bool(_)),
            OptionType::List => matches!(value, OptionValue::List(_)),
            OptionType::None => matches!(value, OptionValue::None),
        })
    }
}

/// Applies `rules` in their order to those of `options` that are there.
///
/// Options without a rule stay as they are.
///
/// # Errors
///
/// The first option, in the order of the rules, that cannot be converted. Options before it may
/// have been converted already.
pub fn coerce_by(rules: &[OptionRule], options: &mut Options) -> Result<(), ConfigError> {
    for rule in rules {
        if let Some(value) = options.get_mut(rule.option) {
            *value = rule.coerce(std::mem::take(value))?;
        }
    }
    Ok(())
}

impl OptionType {
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
