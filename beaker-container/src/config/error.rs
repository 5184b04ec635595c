use std::fmt;

/// Why a configuration was refused.
///
/// It names the option, where it stands if that is known, and the fix. It does not hold the value,
/// which may be a password; only [`as_bool`](super::as_bool), which is asked about a text directly,
/// repeats that text as Beaker does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Box<Inner>);

/// What a caller can do about a [`ConfigError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// An option has a value that it cannot have: correct the value.
    InvalidValue,
    /// Nobody knows an option: correct its name or remove it.
    UnknownOption,
    /// The text cannot be read at all: correct its form.
    Syntax,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: ConfigErrorKind,
    option: Option<String>,
    line: Option<usize>,
    message: String,
    fix: Option<String>,
}

impl ConfigError {
    pub(super) fn new(kind: ConfigErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Inner { kind, option: None, line: None, message, fix: None }))
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ConfigErrorKind::InvalidValue, message)
    }

    /// Names the option, as the user wrote it.
    pub(super) fn at(mut self, option: impl Into<String>) -> Self {
        self.0.option = Some(option.into());
        self
    }

    #[cfg(feature = "toml")]
    pub(super) fn on_line(mut self, line: usize) -> Self {
        self.0.line = Some(line);
        self
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.0.fix = Some(fix.into());
        self
    }

    /// Returns what the caller can do.
    pub fn kind(&self) -> ConfigErrorKind {
        self.0.kind
    }

    /// Returns the name of the option as the user wrote it: `short.expire`,
    /// `regions.short.expire`, `BEAKER_CACHE_SHORT_EXPIRE`.
    pub fn option(&self) -> Option<&str> {
        self.0.option.as_deref()
    }

    /// Returns the line of a TOML text, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.0.line
    }

    /// Returns what is wrong; for what Beaker refuses too, in Beaker's words.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.0.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(option) = &self.0.option {
            write!(f, "option {option:?}: ")?;
        }
        // Beaker ends some of its messages with a full stop; ours go on.
        f.write_str(self.0.message.trim_end_matches('.'))?;
        match &self.0.fix {
            Some(fix) => write!(f, "; {fix}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}
