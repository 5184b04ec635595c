use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::options::{CacheOptions, Config, Reading};
use super::unknown::UnknownOption;
use super::{ConfigError, ConfigErrorKind, OptionValue};

impl Config {
    /// Reads a TOML text: the options of every cache at top level, those of a region in
    /// `[regions.NAME]`.
    ///
    /// `expire` is whole seconds, a duration in quotes (`"90s"`, `"10m"`, `"1h30m"`) or `"never"`,
    /// with which a region undoes the expiry of the top level. A region takes what it does not set
    /// from the top level, wherever in the text it stands.
    ///
    /// # Errors
    ///
    /// A text that is no TOML, and an option that has the wrong type. The error names the option
    /// (`regions.short.expire`) and the line. Unknown options are no error:
    /// [`unknown_options`](Self::unknown_options) lists them.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use beaker_container::config::Config;
    ///
    /// let config = Config::from_toml(
    ///     r#"
    ///     url = "file:///var/cache/app"
    ///     expire = "10m"
    ///
    ///     [regions.short]
    ///     expire = 30
    ///
    ///     [regions.pages]
    ///     type = "memory"
    ///     key_length = 400
    ///     "#,
    /// )?;
    /// assert_eq!(config.regions["short"].url, config.defaults.url);
    /// assert_eq!(config.regions["pages"].expire, Some(Duration::from_secs(600)));
    ///
    /// let error = Config::from_toml("[regions.short]\nexpire = \"soon\"").unwrap_err();
    /// assert_eq!(error.option(), Some("regions.short.expire"));
    /// assert_eq!(error.line(), Some(2));
    /// # Ok::<(), beaker_container::config::ConfigError>(())
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "toml")))]
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let document = Document { text };
        let table = DeTable::parse(text).map_err(|error| document.syntax_error(&error))?;
        let mut config = Self::default();
        let mut regions = None;
        for (name, value) in table.get_ref() {
            if name.get_ref() == "regions" {
                regions = Some(value);
            } else {
                document.assign(&mut config.defaults, "", name, value)?;
                config.unknown.extend(UnknownOption::check(None, name.get_ref()));
            }
        }
        if let Some(regions) = regions {
            document.read_regions(&mut config, regions)?;
        }
        Ok(config)
    }
}

/// The text, to find the line of an error.
struct Document<'t> {
    text: &'t str,
}

type Name<'t> = Spanned<std::borrow::Cow<'t, str>>;
type Value<'t> = Spanned<DeValue<'t>>;

impl Document<'_> {
    fn read_regions(&self, config: &mut Config, regions: &Value<'_>) -> Result<(), ConfigError> {
        for (name, options) in self.table(regions, "regions")? {
            let name = name.get_ref();
            let mut region = config.defaults.inherited();
            let prefix = format!("regions.{name}");
            for (option, value) in self.table(options, &prefix)? {
                self.assign(&mut region, &format!("{prefix}."), option, value)?;
                config.unknown.extend(UnknownOption::check(Some(name), option.get_ref()));
            }
            let region = region.with_url_of(&config.defaults);
            config.regions.insert(name.clone().into_owned(), region);
        }
        Ok(())
    }

    fn table<'v, 't>(
        &self,
        value: &'v Value<'t>,
        path: &str,
    ) -> Result<&'v DeTable<'t>, ConfigError> {
        value.get_ref().as_table().ok_or_else(|| {
            let error = ConfigError::invalid("a region must be a table").at(path);
            error.fix("write [regions.NAME] above its options").on_line(self.line(&value.span()))
        })
    }

    fn assign(
        &self,
        options: &mut CacheOptions,
        prefix: &str,
        name: &Name<'_>,
        value: &Value<'_>,
    ) -> Result<(), ConfigError> {
        let assigned = option_value(value.get_ref())
            .and_then(|value| options.assign(name.get_ref(), value, Reading::Native));
        assigned.map_err(|error| {
            let option = format!("{prefix}{}", name.get_ref());
            error.at(option).on_line(self.line(&value.span()))
        })
    }

    fn syntax_error(&self, error: &toml::de::Error) -> ConfigError {
        // The message alone: the error's own text would quote the line.
        let refused = ConfigError::new(ConfigErrorKind::Syntax, error.message());
        match error.span() {
            Some(span) => refused.on_line(self.line(&span)),
            None => refused,
        }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}

fn option_value(value: &DeValue<'_>) -> Result<OptionValue, ConfigError> {
    match value {
        DeValue::String(text) => Ok(OptionValue::Text(text.clone().into_owned())),
        DeValue::Boolean(value) => Ok(OptionValue::Bool(*value)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(OptionValue::Int)
            .map_err(|_| ConfigError::invalid("the number is too large")),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map(OptionValue::Float)
            .map_err(|_| ConfigError::invalid("this is not a number")),
        DeValue::Datetime(_) => {
            Err(ConfigError::invalid("an option cannot be a date").fix("put it in quotes"))
        }
        DeValue::Array(items) => {
            let items = items.iter().map(|item| option_value(item.get_ref()));
            items.collect::<Result<_, _>>().map(OptionValue::List)
        }
        DeValue::Table(entries) => {
            let entries = entries.iter().map(|(name, value)| {
                Ok((name.get_ref().clone().into_owned(), option_value(value.get_ref())?))
            });
            entries.collect::<Result<_, _>>().map(OptionValue::Table)
        }
    }
}
