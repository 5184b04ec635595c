//! From options to sessions.

use std::sync::Arc;

use beaker_namespace::{MemoryConfig, MemoryNamespace};

use super::read::wrong;
use super::{BeakerOptions, Kind, dbm};
use crate::compat::{
    BeakerCookie, BeakerStore, CookieSession, CryptoType, Encryption, FileSessions, PayloadCodec,
    Secret, Serializer,
};
use crate::{AccessPolicy, Builder, CorruptPolicy, Error};

impl Builder {
    /// As [`as_beaker`](Self::as_beaker), with what a Python program is configured with: where its
    /// sessions are, their cookie, their keys and their time-out. There is no absolute time-out
    /// then, a use is noted in each request unless `save_accessed_time` is false, and
    /// `invalidate_corrupt` is the [`CorruptPolicy`] of what is stored; a session that is all in its cookie
    /// and cannot be read is a new one in any case. What is set on the builder after it counts.
    ///
    /// Sessions of type `memory` are in the memory of this program, which no other one sees.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for options that contradict each other, and for those
    /// with which nothing could be written: `data_serializer` must be `json`, and `crypto_type`
    /// must not be `pycryptodome`.
    pub fn as_beaker_options(self, options: &BeakerOptions) -> Result<Self, Error> {
        options.check_writable()?;
        let cookie = options.cookie()?;
        let shared = match (&options.texts, &options.kind) {
            (None, Kind::Cookie) => {
                self.as_beaker_cookies(cookie, options.cookie_sessions()?, options.timeout)?
            }
            (None, Kind::Memory) => {
                let store = MemoryNamespace::anonymous(MemoryConfig::new())
                    .map_err(|error| Error::store("configure sessions", error))?;
                self.with_namespace(store).with_beaker_cookie(cookie)?
            }
            _ => self.as_beaker(cookie, options.store()?)?,
        };
        let access = match options.saves_accesses {
            true => AccessPolicy::EveryRequest,
            false => AccessPolicy::Never,
        };
        let corrupt = match options.starts_afresh {
            true => CorruptPolicy::Fresh,
            false => CorruptPolicy::Fail,
        };
        Ok(shared
            .with_idle(options.timeout)
            .with_absolute(None)
            .with_access(access)
            .with_corrupt(corrupt))
    }

    /// As [`reading_beaker`](Self::reading_beaker), with what the Python program is configured
    /// with. Settings of our own sessions stay as they are.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for options that contradict each other, and for the
    /// type `memory`, which is in Python's memory.
    pub fn reading_beaker_options(self, options: &BeakerOptions) -> Result<Self, Error> {
        let cookie = options.cookie()?;
        match (&options.texts, &options.kind) {
            (None, Kind::Cookie) => {
                self.reading_beaker_cookies(cookie, options.cookie_sessions()?, options.timeout)
            }
            (None, Kind::Memory) => Err(wrong(
                "type",
                "sessions in the memory of the Python program cannot be read; set file and a \
                 data_dir there",
            )),
            _ => self.reading_beaker(cookie, options.store()?),
        }
    }
}

impl BeakerOptions {
    fn check_writable(&self) -> Result<(), Error> {
        if self.serializer == Serializer::PickleReadOnly {
            return Err(wrong(
                "data_serializer",
                "pickles are only read, and Beaker writes them by default; set json in both \
                 programs",
            ));
        }
        if self.encrypt_key.is_some() && self.crypto_type == CryptoType::AesCtrReadOnly {
            return Err(wrong(
                "crypto_type",
                "AES in counter mode is only read; set cryptography in both programs",
            ));
        }
        Ok(())
    }

    fn cookie(&self) -> Result<BeakerCookie, Error> {
        let named = |option: &'static str| {
            move |error: Error| wrong(option, &error.to_string()).with_source(error)
        };
        let mut cookie = BeakerCookie::new(&self.key).map_err(named("key"))?;
        // The cookie of a session that is all in it is signed with `validate_key`, by its owner.
        let has_ids = self.kind != Kind::Cookie;
        if let Some(secret) = self.secret.as_ref().filter(|_| has_ids) {
            cookie = cookie.secret(secret.as_str())?;
        }
        if let Some(path) = &self.cookie_path {
            cookie = cookie.path(path).map_err(named("cookie_path"))?;
        }
        if let Some(domain) = &self.cookie_domain {
            cookie = cookie.domain(domain).map_err(named("cookie_domain"))?;
        }
        if self.secure {
            cookie = cookie.secure();
        }
        if self.http_only {
            cookie = cookie.http_only();
        }
        Ok(cookie.expires(self.cookie_expires).same_site(self.same_site))
    }

    fn codec(&self) -> Result<PayloadCodec, Error> {
        let codec = PayloadCodec::new().serializer(self.serializer).limits(self.limits);
        let Some(encrypt_key) = &self.encrypt_key else { return Ok(codec) };
        let validate_key = self.validate_key("encrypt_key needs it too")?;
        let encryption = Encryption::new(encrypt_key.as_str(), validate_key.as_str())?;
        Ok(codec.encryption(encryption.crypto_type(self.crypto_type).nonce_size(self.nonce_size)))
    }

    fn validate_key(&self, why: &str) -> Result<&Secret, Error> {
        self.validate_key.as_ref().ok_or_else(|| {
            wrong("validate_key", &format!("{why}; give the key that the Python program has"))
        })
    }

    fn cookie_sessions(&self) -> Result<CookieSession, Error> {
        let key = self.validate_key("sessions in cookies are signed with it")?;
        CookieSession::new(&self.key, key.as_str(), self.codec()?)
    }

    fn store(&self) -> Result<BeakerStore, Error> {
        let store = match (&self.texts, &self.kind) {
            (Some(texts), _) => BeakerStore::new(Arc::clone(texts), self.codec()?),
            (None, Kind::File) => BeakerStore::new(self.files()?, self.codec()?),
            (None, Kind::Dbm) => BeakerStore::new(dbm::files(self)?, self.codec()?),
            (None, Kind::Other(_)) => {
                return Err(wrong(
                    "type",
                    "this type is known by its keys and values only; give \
                     `BeakerOptions::with_texts` a client of yours",
                ));
            }
            (None, Kind::Memory | Kind::Cookie) => {
                return Err(wrong("type", "there is no store of this type"));
            }
        };
        Ok(store.timeout(self.timeout))
    }

    fn files(&self) -> Result<FileSessions, Error> {
        self.check_directories("file_dir")?;
        let mut files = FileSessions::new(self.data_dir.clone().unwrap_or_default());
        if let Some(directory) = &self.own_dir {
            files = files.directory(directory);
        }
        if let Some(directory) = &self.lock_dir {
            files = files.lock_directory(directory);
        }
        Ok(files.limits(self.limits))
    }

    pub(super) fn check_directories(&self, own: &str) -> Result<(), Error> {
        if self.data_dir.is_none() && self.own_dir.is_none() {
            return Err(wrong("data_dir", &format!("data_dir or {own} is required")));
        }
        if self.data_dir.is_none() && self.lock_dir.is_none() {
            return Err(wrong("lock_dir", "data_dir or lock_dir is required"));
        }
        Ok(())
    }
}
