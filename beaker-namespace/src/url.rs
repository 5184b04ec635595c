//! Where a store is, as text.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::{Error, ErrorKind};

/// The address of a store: `memory:`, `null:`, `file:///var/cache/app?durable=true`.
///
/// The form is `SCHEME:PATH?OPTION=VALUE&…`. Two slashes before the path are optional; percent
/// escapes are decoded. `Display` and `Debug` leave out the values of options and what is before the `@` of
/// a host, since they may be secrets.
///
/// # Examples
///
/// ```
/// use beaker_namespace::StoreUrl;
///
/// let url: StoreUrl = "file:///var/cache/app?durable=true".parse()?;
/// assert_eq!(url.scheme(), "file");
/// assert_eq!(url.path(), std::path::Path::new("/var/cache/app"));
/// # Ok::<(), beaker_namespace::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StoreUrl {
    scheme: String,
    path: PathBuf,
    options: BTreeMap<String, String>,
}

impl StoreUrl {
    /// A URL of `scheme` without path and options.
    pub fn new(scheme: &str) -> Self {
        Self { scheme: scheme.to_owned(), path: PathBuf::new(), options: BTreeMap::new() }
    }

    /// Sets the path.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets an option.
    #[must_use]
    pub fn with_option(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.options.insert(name.to_owned(), value.to_string());
        self
    }

    /// The kind of store.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The place; empty where the kind has none.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The options, for an opener to take one by one.
    pub fn options(&self) -> UrlOptions {
        UrlOptions { scheme: self.scheme.clone(), rest: self.options.clone(), known: Vec::new() }
    }
}

impl FromStr for StoreUrl {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::Config`], with what is wrong.
    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((scheme, rest)) = text.split_once(':') else {
            // The text may hold a secret, so it is not shown.
            return Err(wrong("there is no scheme; write `memory:` or `file:///path`"));
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
        if scheme.is_empty() || !scheme.chars().all(plain) {
            return Err(wrong("the scheme is not lower-case letters, digits, `+`, `-` or `.`"));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = decode_path(path.strip_prefix("//").unwrap_or(path))?;
        let mut options = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if options.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(wrong(format!("option `{name}` is there twice")));
            }
        }
        Ok(Self { scheme: scheme.to_owned(), path, options })
    }
}

fn decode_path(path: &str) -> Result<PathBuf, Error> {
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    if bytes.contains(&0) {
        return Err(wrong("the path holds a zero byte"));
    }
    #[cfg(unix)]
    let path: OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes);
    #[cfg(not(unix))]
    let path: OsString = String::from_utf8_lossy(&bytes).into_owned().into();
    Ok(path.into())
}

fn wrong(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, "read the store URL").with_detail(detail)
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if !self.path.as_os_str().is_empty() {
            let path = self.path.to_string_lossy();
            match path.rsplit_once('@').filter(|_| self.path.is_relative()) {
                Some((_user, host)) => write!(f, "//…@{host}")?,
                None => write!(f, "//{path}")?,
            }
        }
        for (index, name) in self.options.keys().enumerate() {
            write!(f, "{}{name}=…", if index == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

/// The options of a [`StoreUrl`], taken one by one; what is left over at the end is an error.
#[derive(Clone)]
pub struct UrlOptions {
    scheme: String,
    rest: BTreeMap<String, String>,
    known: Vec<&'static str>,
}

impl fmt::Debug for UrlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rest.keys()).finish()
    }
}

impl UrlOptions {
    /// Takes the option `name` as it is.
    pub fn take_text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        self.rest.remove(name)
    }

    /// Takes the option `name` as a number.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it is none.
    pub fn take_u64(&mut self, name: &'static str) -> Result<Option<u64>, Error> {
        let parse = |text: String| {
            text.parse().map_err(|_| wrong(format!("option `{name}` is not a whole number")))
        };
        self.take_text(name).map(parse).transpose()
    }

    /// Takes the option `name` as `true` or `false`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it is neither.
    pub fn take_bool(&mut self, name: &'static str) -> Result<Option<bool>, Error> {
        self.take_text(name)
            .map(|text| match text.as_str() {
                "true" | "1" | "yes" | "on" => Ok(true),
                "false" | "0" | "no" | "off" => Ok(false),
                _ => Err(wrong(format!("option `{name}` is neither true nor false"))),
            })
            .transpose()
    }

    /// Takes the option `name` as a number of milliseconds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it is no whole number.
    pub fn take_millis(&mut self, name: &'static str) -> Result<Option<Duration>, Error> {
        Ok(self.take_u64(name)?.map(Duration::from_millis))
    }

    /// Ends the taking.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if an option is left: it is unknown or misspelt.
    pub fn finish(self) -> Result<(), Error> {
        match self.rest.keys().next() {
            None => Ok(()),
            Some(name) => Err(wrong(format!(
                "a {} store has no option `{name}`; it has {}",
                self.scheme,
                if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") }
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_decoded() {
        let url: StoreUrl = "file:///a%20b/c?x=1%262".parse().unwrap();
        assert_eq!(url.path(), std::path::Path::new("/a b/c"));
        assert_eq!(url.options().take_text("x").as_deref(), Some("1&2"));
    }

    #[test]
    fn one_slash_and_none_work_too() {
        let url = |text: &str| text.parse::<StoreUrl>().unwrap().path().to_owned();
        assert_eq!(url("file:/a"), PathBuf::from("/a"));
        assert_eq!(url("file:a/b"), PathBuf::from("a/b"));
        assert_eq!(url("memory:"), PathBuf::new());
    }

    #[test]
    fn a_wrong_url_says_what_is_wrong() {
        let wrong = |text: &str| text.parse::<StoreUrl>().unwrap_err().to_string();
        assert_eq!(
            wrong("cache"),
            "cannot read the store URL: there is no scheme; write `memory:` or `file:///path`"
        );
        assert!(wrong("File:/x").contains("lower-case"));
        assert!(wrong("file:/x?a=1&a=2").contains("option `a` is there twice"));
        assert!(wrong("file:/x%00").contains("zero byte"));
    }

    #[test]
    fn a_misspelt_option_is_named_with_the_right_ones() {
        let url: StoreUrl = "file:/x?durabel=true".parse().unwrap();
        let mut options = url.options();
        assert_eq!(options.take_bool("durable").unwrap(), None);
        let error = options.finish().unwrap_err().to_string();
        assert!(error.ends_with("a file store has no option `durabel`; it has durable"), "{error}");
    }

    #[test]
    fn options_are_not_printed() {
        let url: StoreUrl = "redis://h?password=secret".parse().unwrap();
        assert_eq!(format!("{url} {url:?}").matches("secret").count(), 0);
    }

    #[test]
    fn what_is_before_a_host_is_not_printed_and_a_path_is() {
        let shown = |url: &str| url.parse::<StoreUrl>().unwrap().to_string();
        assert_eq!(shown("redis://joe:sec%2Fr@t@host:6379/0"), "redis://…@host:6379/0");
        assert_eq!(shown("file:///var/cache/joe@host"), "file:///var/cache/joe@host");
    }
}
