use std::collections::BTreeMap;

use super::ConfigError;
use super::python_text::text_repr;

/// What an option can hold before it is checked.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum OptionValue {
    /// Nothing: Python's `None`.
    #[default]
    None,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A text; in a string map and in the environment everything is one.
    Text(String),
    /// Several values.
    List(Vec<OptionValue>),
    /// Named values.
    Table(BTreeMap<String, OptionValue>),
}

/// Where [`as_list`] splits a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator<'a> {
    /// At any run of white space; there are no empty items.
    Whitespace,
    /// At every occurrence of this text, which is not empty.
    Text(&'a str),
}

/// Whether [`as_list`] removes the white space around items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trim {
    /// Remove it.
    Items,
    /// Keep it.
    Nothing,
}

impl OptionValue {
    /// Python's truth: everything but none, false, zero and what is empty.
    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Table(entries) => !entries.is_empty(),
        }
    }
}

/// Reads yes or no.
///
/// A text is trimmed and compared without case: `true`, `yes`, `on`, `y`, `t`, `1` are true;
/// `false`, `no`, `off`, `n`, `f`, `0` are false. Of anything else Python's truth counts.
///
/// # Errors
///
/// Any other text: `String is not true/false: '…'`.
#[doc(alias = "asbool")]
pub fn as_bool(value: &OptionValue) -> Result<bool, ConfigError> {
    let OptionValue::Text(text) = value else {
        return Ok(value.is_truthy());
    };
    let text = trim(text).to_lowercase();
    match text.as_str() {
        "true" | "yes" | "on" | "y" | "t" | "1" => Ok(true),
        "false" | "no" | "off" | "n" | "f" | "0" => Ok(false),
        _ => Err(ConfigError::invalid(format!("String is not true/false: {}", text_repr(&text)))),
    }
}

/// Reads a whole number: one that is a number already, a bool (1 or 0), or a text of the digits
/// `0` to `9` alone.
///
/// Beaker also takes digits of other scripts and a newline at the end; those are refused here.
///
/// # Errors
///
/// Everything else, signs, spaces and numbers beyond an `i64` included:
/// `This is not a proper int`.
#[doc(alias = "asint")]
pub fn as_int(value: &OptionValue) -> Result<i64, ConfigError> {
    let number = match value {
        OptionValue::Int(number) => Some(*number),
        OptionValue::Bool(value) => Some(i64::from(*value)),
        // `parse` alone would take a sign.
        OptionValue::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().ok()
        }
        _ => None,
    };
    number.ok_or_else(|| ConfigError::invalid("This is not a proper int"))
}

/// Reads a list: a text is split, a list stays as it is, nothing is the empty list, and any other
/// value is the one item of a list.
#[doc(alias = "aslist")]
pub fn as_list(value: OptionValue, separator: Separator<'_>, trim_items: Trim) -> Vec<OptionValue> {
    let text = match value {
        OptionValue::Text(text) => text,
        OptionValue::List(items) => return items,
        OptionValue::None => return Vec::new(),
        other => return vec![other],
    };
    let item = |item: &str| match trim_items {
        Trim::Items => OptionValue::from(trim(item)),
        Trim::Nothing => OptionValue::from(item),
    };
    match separator {
        Separator::Whitespace => {
            text.split(is_space).filter(|part| !part.is_empty()).map(item).collect()
        }
        Separator::Text(separator) => text.split(separator).map(item).collect(),
    }
}

/// Removes what Python takes for white space: Unicode's, and the four ASCII separators.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\x1c'..='\x1f')
}

impl From<bool> for OptionValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for OptionValue {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for OptionValue {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<&str> for OptionValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for OptionValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<OptionValue>> From<Vec<T>> for OptionValue {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<OptionValue>> From<Option<T>> for OptionValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}
