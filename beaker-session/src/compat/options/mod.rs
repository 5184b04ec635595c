//! Beaker's own configuration: the options `beaker.session.…`.

mod build;
#[cfg_attr(not(feature = "beaker-dbm"), path = "no_dbm.rs")]
mod dbm;
mod read;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use beaker_container::config::{OptionValue, Options};

use super::{
    BeakerCookieExpires, CryptoType, NonceSize, PayloadLimits, Secret, Serializer, TextStore,
};
use crate::{Error, SameSite};

/// A Python program's session options, as it was configured with: one configuration for both.
///
/// Give it to [`Builder::as_beaker_options`](crate::Builder::as_beaker_options) or
/// [`Builder::reading_beaker_options`](crate::Builder::reading_beaker_options).
///
/// | option | meaning | default |
/// |---|---|---|
/// | `type` | where sessions are: `file`, `dbm` (feature `beaker-dbm`), `cookie`, `memory`; of another type, such as `ext:redis`, [`with_texts`](Self::with_texts) says where | `file` if there is a `data_dir`, else `memory` |
/// | `data_dir`, `file_dir`, `dbm_dir`, `lock_dir` | where files and their locks are | below `data_dir` |
/// | `dbmmodule` | of what new files of type `dbm` are: `dbm.gnu` or `dbm.dumb` | `dbm.gnu` |
/// | `key` | the cookie's name | `beaker.session.id` |
/// | `secret` | signs ids | not signed |
/// | `cookie_expires` | when the browser forgets the cookie: true with its end, false never, or after so many seconds | true |
/// | `cookie_domain`, `cookie_path`, `secure`, `httponly`, `samesite` | the cookie's attributes | none, `/`, false, false, `Lax` |
/// | `timeout` | seconds without use after which a session is over | never |
/// | `save_accessed_time` | whether a use is noted | true |
/// | `data_serializer` | `json` or `pickle`, which is only read | `pickle` |
/// | `encrypt_key`, `validate_key`, `encrypt_nonce_bits`, `crypto_type` | the cipher | none; 128 bits, `cryptography` |
/// | `invalidate_corrupt` | whether what cannot be read is a new session or an error | true |
///
/// Values are converted as Beaker converts them: `yes`, `on`, `t` and so on are true, whole numbers
/// are of digits alone, blank texts are refused. Of `cookie_expires` the text `1` is true and the
/// text `0` is false, which is never, as there; the number 0, which Beaker refuses later, is
/// refused at once.
///
/// `auto`, `log_file` and `webtest_varname` are accepted and do nothing here. `id` and a false
/// `use_cookies` are refused: with them there would be one session for everybody, or none.
///
/// Of what it holds `Debug` shows no secrets.
#[derive(Clone)]
#[must_use = "options do nothing by themselves"]
pub struct BeakerOptions {
    kind: Kind,
    data_dir: Option<PathBuf>,
    own_dir: Option<PathBuf>,
    lock_dir: Option<PathBuf>,
    dbm_module: Option<String>,
    key: String,
    secret: Option<Secret>,
    validate_key: Option<Secret>,
    encrypt_key: Option<Secret>,
    nonce_size: NonceSize,
    crypto_type: CryptoType,
    serializer: Serializer,
    cookie_expires: BeakerCookieExpires,
    cookie_domain: Option<String>,
    cookie_path: Option<String>,
    secure: bool,
    http_only: bool,
    same_site: Option<SameSite>,
    timeout: Option<Duration>,
    saves_accesses: bool,
    starts_afresh: bool,
    limits: PayloadLimits,
    texts: Option<Arc<dyn TextStore>>,
    unknown: Vec<Unknown>,
    deprecated: Vec<String>,
}

/// Beaker's `type`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Memory,
    File,
    Dbm,
    Cookie,
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Unknown {
    name: String,
    text: String,
}

impl BeakerOptions {
    /// Reads the options that begin with `beaker.session.`, `session.` or, as long ago, `session_`.
    ///
    /// The prefix, whose case matters, is removed; of two pairs with one name the later counts;
    /// all other pairs are ignored. So a whole configuration can be given, and after it what is to
    /// win over it.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config), with the option, Beaker's message and the fix, and
    /// never a value. Unknown options are no error: [`unknown_options`](Self::unknown_options)
    /// lists them.
    ///
    /// # Examples
    ///
    /// ```
    /// use beaker_session::Sessions;
    /// use beaker_session::compat::BeakerOptions;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().display().to_string();
    /// let options = BeakerOptions::from_pairs([
    ///     ("beaker.session.type", "file"),
    ///     ("beaker.session.data_dir", dir.as_str()),
    ///     ("beaker.session.data_serializer", "json"),
    ///     ("beaker.session.key", "sid"),
    ///     ("beaker.session.secret", "the secret of both programs"),
    ///     ("beaker.session.timeout", "3600"),
    ///     ("beaker.session.httponly", "yes"),
    /// ])?
    /// .refuse_unknown(&[])?;
    /// let sessions = Sessions::builder().as_beaker_options(&options)?.build()?;
    ///
    /// let request = sessions.begin([]);
    /// request.load()?.insert("user", "ada")?;
    /// let cookie = request.commit()?.set_cookies().next().unwrap_or("").to_owned();
    /// assert!(cookie.starts_with("sid=") && cookie.contains("HttpOnly"));
    ///
    /// let error = BeakerOptions::from_pairs([("session.timeout", "soon")]).unwrap_err();
    /// assert!(error.to_string().contains(r#"option "timeout": Session timeout must be an integer"#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_pairs<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self, Error>
    where
        K: AsRef<str>,
        V: Into<OptionValue>,
    {
        let mut options = Options::new();
        let mut deprecated = Vec::new();
        for (name, value) in pairs {
            let name = name.as_ref();
            let Some(option) = without_prefix(name) else { continue };
            if name.starts_with("session_") {
                deprecated.push(name.to_owned());
            }
            options.insert(option.to_owned(), value.into());
        }
        let mut read = read::typed(options)?;
        read.deprecated = deprecated;
        Ok(read)
    }

    /// Keeps sessions in `texts`, whatever the `type` is: for `ext:redis` and `ext:memcached`, with
    /// a client of yours, by [`redis`](super::redis) and [`memcached`](super::memcached).
    pub fn with_texts(mut self, texts: impl TextStore) -> Self {
        self.texts = Some(Arc::new(texts));
        self
    }

    /// How large a session may be. Default: [`PayloadLimits::new`].
    pub fn with_limits(mut self, limits: PayloadLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The options that are neither known nor one of a store, each with what was probably meant.
    pub fn unknown_options(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().map(|unknown| unknown.text.as_str())
    }

    /// The options that begin with `session_`, which Beaker warns of: write `session.`.
    pub fn deprecated_options(&self) -> impl Iterator<Item = &str> {
        self.deprecated.iter().map(String::as_str)
    }

    /// Refuses unknown options, except those called one of `accepted`. Beaker passes them on in
    /// silence, so that a misspelt `secure` leaves a cookie without it.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config): the first unknown option, with what was probably
    /// meant.
    pub fn refuse_unknown(self, accepted: &[&str]) -> Result<Self, Error> {
        match self.unknown.iter().find(|unknown| !accepted.contains(&unknown.name.as_str())) {
            Some(unknown) => Err(Error::config(unknown.text.clone())),
            None => Ok(self),
        }
    }
}

fn without_prefix(name: &str) -> Option<&str> {
    let prefixes = ["beaker.session.", "session.", "session_"];
    prefixes.into_iter().find_map(|prefix| name.strip_prefix(prefix))
}

impl fmt::Debug for BeakerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeakerOptions")
            .field("kind", &self.kind)
            .field("data_dir", &self.data_dir)
            .field("dbm_module", &self.dbm_module)
            .field("key", &self.key)
            .field("signed", &self.secret.is_some())
            .field("encrypted", &self.encrypt_key.is_some())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
