//! Who creates what at the moment.

use std::any::Any;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Weak};

use beaker_namespace::{Error, Wait};
use beaker_sync::{CreationGuard, CreationLock, NetworkPolicy, lock_path};
use parking_lot::Mutex;

use super::engine::{Reader, Sharing, Writer};
use super::rows::Home;
use super::space::Space;

/// The tokens of running claims. All is looked at and changed within changes to the store; see
/// `kv/mod.rs`, rules 3 to 5.
#[derive(Debug)]
pub(super) enum Claims {
    /// In memory, by key.
    Here(Mutex<HashMap<Box<[u8]>, u64>>),
    /// In the store.
    Stored,
}

impl Claims {
    pub(super) fn new(sharing: &Sharing) -> Self {
        match sharing {
            Sharing::Process => Self::Here(Mutex::default()),
            Sharing::Host { .. } => Self::Stored,
        }
    }

    /// Notes a claim; the one before it on the same key is void. Says what is known of the namespace then.
    pub(super) fn begin(
        &self,
        writer: &mut dyn Writer,
        home: Home,
        key: &[u8],
        token: u64,
    ) -> Result<Home, Error> {
        match self {
            Self::Here(tokens) => {
                tokens.lock().insert(key.into(), token);
                Ok(home)
            }
            Self::Stored => {
                let row = home.claim(key);
                let replaces = home.ledger.is_some() && writer.get(&row)?.is_some();
                writer.put(&row, &token.to_le_bytes())?;
                Ok(if replaces { home } else { home.with_a_claim_more() })
            }
        }
    }

    pub(super) fn stands<R: Reader + ?Sized>(
        &self,
        reader: &R,
        home: Home,
        key: &[u8],
        token: u64,
    ) -> Result<bool, Error> {
        Ok(match self {
            Self::Here(tokens) => tokens.lock().get(key) == Some(&token),
            Self::Stored => {
                reader.get(&home.claim(key))?.is_some_and(|row| row[..] == token.to_le_bytes())
            }
        })
    }

    /// Ends the claims on `keys`, whoever holds them. Says what is known of the namespace then.
    pub(super) fn void<'a>(
        &self,
        writer: &mut dyn Writer,
        home: Home,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Home, Error> {
        match self {
            Self::Here(tokens) => {
                let mut tokens = tokens.lock();
                // Mostly there are none, and no key need be hashed for that.
                if !tokens.is_empty() {
                    keys.for_each(|key| _ = tokens.remove(key));
                }
                Ok(home)
            }
            Self::Stored if home.has_no_claims() => Ok(home),
            Self::Stored => {
                let mut ended = 0;
                for key in keys {
                    let row = home.claim(key);
                    if writer.get(&row)?.is_some() {
                        writer.delete(&row)?;
                        ended += 1;
                    }
                }
                Ok(home.with_fewer_claims(ended))
            }
        }
    }

    /// Ends this claim, which began in `began_in`, and not a newer one on its key. Says what is known of
    /// `home`, where the namespace is now, then.
    pub(super) fn end(
        &self,
        writer: &mut dyn Writer,
        home: Home,
        began_in: Home,
        key: &[u8],
        token: u64,
    ) -> Result<Home, Error> {
        if !self.stands(writer, began_in, key, token)? {
            return Ok(home);
        }
        // What is under an id that is to be purged is counted by nobody.
        let holder = if home.id == began_in.id { home } else { Home { ledger: None, ..began_in } };
        let after = self.void(writer, holder, std::iter::once(key))?;
        Ok(if home.id == began_in.id { after } else { home })
    }

    /// Forgets a claim that was dropped. In a shared store its token stays until the next claim on
    /// the key, or a sweep: nobody asks for it.
    fn forget(&self, key: &[u8], token: u64) {
        if let Self::Here(tokens) = self {
            let mut tokens = tokens.lock();
            if tokens.get(key) == Some(&token) {
                tokens.remove(key);
            }
        }
    }
}

/// What a claim holds.
#[derive(Debug)]
pub(super) struct KvClaim {
    pub(super) space: Weak<Space>,
    pub(super) home: Home,
    pub(super) key: Box<[u8]>,
    pub(super) token: u64,
    /// Excludes other processes; see [`Sharing::Host`].
    pub(super) _guard: Option<CreationGuard>,
}

impl KvClaim {
    /// Whether it is a claim on `key` in `space`.
    pub(super) fn is_on(&self, space: &Arc<Space>, key: &[u8]) -> bool {
        std::ptr::eq(self.space.as_ptr(), Arc::as_ptr(space)) && *self.key == *key
    }
}

impl Drop for KvClaim {
    fn drop(&mut self) {
        if let Some(space) = self.space.upgrade() {
            space.claims.forget(&self.key, self.token);
        }
    }
}

const _: fn() = || {
    fn fits<T: Any + Send>() {}
    fits::<KvClaim>();
};

/// The lock on creating `key` of the namespace called `name`.
pub(super) fn lock_of(locks: &Path, name: &str, key: &[u8]) -> CreationLock {
    // The length keeps the name and the key apart.
    let mut identifier = format!("{}:{name}:", name.len());
    key.iter().for_each(|byte| identifier.push_str(&format!("{byte:02x}")));
    // Whoever opened the store has looked at the file system already.
    CreationLock::at(lock_path(locks, &identifier)).network(NetworkPolicy::Allow)
}

/// Takes `lock`; `None` if somebody else kept it for all of `wait`.
pub(super) fn take(lock: &CreationLock, wait: Wait) -> Result<Option<CreationGuard>, Error> {
    let guard = match wait {
        Wait::Never => lock.try_lock(),
        Wait::AtMost(limit) => lock.try_lock_for(limit),
        Wait::Forever => lock.lock().map(Some),
    };
    guard.map_err(|error| Error::lock("claim a key", error))
}
