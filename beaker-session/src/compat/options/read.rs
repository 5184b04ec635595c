//! From options to what they mean.

use std::path::PathBuf;
use std::time::Duration;

use beaker_container::config::{OptionValue, Options, as_bool, closest_option};

use super::rules::coerce_session_params;
use super::{BeakerOptions, Kind, Unknown};
use crate::compat::{
    BeakerCookieExpires, CryptoType, NonceSize, PayloadLimits, Secret, Serializer,
};
use crate::{Error, SameSite};

/// What Beaker's own documentation has.
const OPTIONS: [&str; 25] = [
    "auto",
    "cookie_domain",
    "cookie_expires",
    "cookie_path",
    "crypto_type",
    "data_dir",
    "data_serializer",
    "dbm_dir",
    "encrypt_key",
    "encrypt_nonce_bits",
    "file_dir",
    "httponly",
    "id",
    "invalidate_corrupt",
    "key",
    "lock_dir",
    "log_file",
    "samesite",
    "save_accessed_time",
    "secret",
    "secure",
    "timeout",
    "type",
    "use_cookies",
    "validate_key",
];

/// What goes on to Beaker's stores, and does nothing here.
const OF_STORES: [&str; 9] = [
    "dbmmodule",
    "digest_filenames",
    "memcache_module",
    "protocol",
    "sa_opts",
    "schema_name",
    "table_name",
    "url",
    "webtest_varname",
];

pub(super) fn typed(mut options: Options) -> Result<BeakerOptions, Error> {
    coerce_session_params(&mut options)
        .map_err(|error| Error::config(error.to_string()).with_source(error))?;
    let unknown = options.keys().filter_map(|name| unknown(name)).collect();
    let mut given = Given(options);
    given.refuse_what_has_no_place()?;
    let data_dir = given.directory("data_dir");
    let kind = kind(given.text("type"), data_dir.is_some());
    let own_dir = if kind == Kind::Dbm { "dbm_dir" } else { "file_dir" };
    Ok(BeakerOptions {
        kind,
        data_dir,
        own_dir: given.directory(own_dir),
        lock_dir: given.directory("lock_dir"),
        dbm_module: given.text("dbmmodule"),
        key: given.text("key").unwrap_or_else(|| "beaker.session.id".to_owned()),
        secret: given.secret("secret")?,
        validate_key: given.secret("validate_key")?,
        encrypt_key: given.secret("encrypt_key")?,
        nonce_size: given.nonce_size()?,
        crypto_type: given.crypto_type()?,
        serializer: given.serializer()?,
        cookie_expires: given.cookie_expires()?,
        cookie_domain: given.text("cookie_domain"),
        cookie_path: given.text("cookie_path"),
        secure: given.flag("secure", false)?,
        http_only: given.flag("httponly", false)?,
        same_site: given.same_site()?,
        timeout: given.timeout()?,
        saves_accesses: given.flag("save_accessed_time", true)?,
        starts_afresh: given.flag("invalidate_corrupt", true)?,
        limits: PayloadLimits::new(),
        texts: None,
        unknown,
        deprecated: Vec::new(),
    })
}

fn unknown(name: &str) -> Option<Unknown> {
    if OPTIONS.contains(&name) || OF_STORES.contains(&name) {
        return None;
    }
    let hint = closest_option(name, OPTIONS).map(|meant| format!("; did you mean {meant:?}?"));
    let text = format!("unknown option {name:?}{}", hint.unwrap_or_default());
    Some(Unknown { name: name.to_owned(), text })
}

/// Without a type Beaker takes files if it knows where.
fn kind(name: Option<String>, has_directory: bool) -> Kind {
    match name.as_deref() {
        Some("file") => Kind::File,
        Some("dbm") => Kind::Dbm,
        Some("cookie") => Kind::Cookie,
        Some("memory") => Kind::Memory,
        Some(other) => Kind::Other(other.to_owned()),
        None if has_directory => Kind::File,
        None => Kind::Memory,
    }
}

/// Options that were checked by Beaker's rules, where they have one.
struct Given(Options);

impl Given {
    /// What is there; none is as good as nothing.
    fn take(&mut self, name: &str) -> Option<OptionValue> {
        self.0.remove(name).filter(|value| *value != OptionValue::None)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name) {
            Some(OptionValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn directory(&mut self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    fn secret(&mut self, name: &str) -> Result<Option<Secret>, Error> {
        self.text(name).map(|text| Secret::new(&text)).transpose()
    }

    /// A false `save_accessed_time` may also be none.
    fn flag(&mut self, name: &str, default: bool) -> Result<bool, Error> {
        match self.0.remove(name) {
            None => Ok(default),
            Some(value) => as_bool(&value).map_err(|_| wrong(name, "write true or false")),
        }
    }

    fn refuse_what_has_no_place(&mut self) -> Result<(), Error> {
        if self.take("id").is_some() {
            return Err(wrong("id", "it would give everybody one session; remove it"));
        }
        match self.flag("use_cookies", true)? {
            true => Ok(()),
            false => Err(wrong(
                "use_cookies",
                "a site without cookies has no sessions; remove it, and load sessions by \
                 `Sessions::get_by_id`",
            )),
        }
    }

    fn nonce_size(&mut self) -> Result<NonceSize, Error> {
        let bits = match self.take("encrypt_nonce_bits") {
            None => return Ok(NonceSize::DEFAULT),
            Some(OptionValue::Int(bits)) => u32::try_from(bits).ok(),
            Some(_) => None,
        };
        let bits = bits.ok_or_else(|| wrong("encrypt_nonce_bits", "write a multiple of 8"))?;
        NonceSize::from_bits(bits)
    }

    fn crypto_type(&mut self) -> Result<CryptoType, Error> {
        match self.take("crypto_type") {
            None => Ok(CryptoType::AesGcm),
            Some(OptionValue::Text(name)) => match name.as_str() {
                "default" | "cryptography" => Ok(CryptoType::AesGcm),
                "pycrypto" | "pycryptodome" => Ok(CryptoType::AesCtrReadOnly),
                _ => Err(wrong("crypto_type", "write cryptography, or pycryptodome to read only")),
            },
            Some(_) => Err(wrong("crypto_type", "write cryptography or pycryptodome")),
        }
    }

    fn serializer(&mut self) -> Result<Serializer, Error> {
        match self.text("data_serializer").as_deref() {
            None | Some("pickle") => Ok(Serializer::PickleReadOnly),
            Some("json") => Ok(Serializer::Json),
            Some(_) => Err(wrong(
                "data_serializer",
                "Invalid value for data_serializer; write json or pickle",
            )),
        }
    }

    fn cookie_expires(&mut self) -> Result<BeakerCookieExpires, Error> {
        match self.take("cookie_expires") {
            None | Some(OptionValue::Bool(true)) => Ok(BeakerCookieExpires::WithBrowser),
            Some(OptionValue::Bool(false)) => Ok(BeakerCookieExpires::Never),
            Some(OptionValue::Int(seconds @ 1..)) => {
                Ok(BeakerCookieExpires::After(Duration::from_secs(seconds.unsigned_abs())))
            }
            Some(_) => Err(wrong(
                "cookie_expires",
                "such a cookie ends before it comes back; write false for never, or more than 0 \
                 seconds",
            )),
        }
    }

    fn same_site(&mut self) -> Result<Option<SameSite>, Error> {
        let name = match self.0.remove("samesite") {
            None => return Ok(Some(SameSite::Lax)),
            // Beaker leaves the attribute out for all that is not true.
            Some(OptionValue::None | OptionValue::Bool(false)) => return Ok(None),
            Some(OptionValue::Text(name)) if name.is_empty() => return Ok(None),
            Some(OptionValue::Text(name)) => name,
            Some(_) => return Err(wrong("samesite", "write Lax, Strict or None")),
        };
        [SameSite::Lax, SameSite::Strict, SameSite::None]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(&name))
            .map(Some)
            .ok_or_else(|| wrong("samesite", "write Lax, Strict or None"))
    }

    fn timeout(&mut self) -> Result<Option<Duration>, Error> {
        match self.take("timeout") {
            None => Ok(None),
            Some(OptionValue::Int(seconds @ 1..)) => {
                Ok(Some(Duration::from_secs(seconds.unsigned_abs())))
            }
            Some(_) => Err(wrong(
                "timeout",
                "every session would be over at once; write more than 0 seconds, or remove it \
                 for sessions that stay",
            )),
        }
    }
}

/// What is wrong with an option, and how to mend it. Not its value, which may be a secret.
pub(super) fn wrong(option: &str, fix: &str) -> Error {
    Error::config(format!("option {option:?}: {fix}"))
}
