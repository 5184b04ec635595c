//! The control: a store that does everything wrong, so that every check has something to find.
//!
//! It writes in place and without a checksum, gives every claim to everybody, forgets times, makes
//! file names of keys by leaving out what it does not like, with `lazy=true` acknowledges what
//! it has not written yet, and with `blocking=true` waits for locks for ever.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use beaker_namespace::{
    Capabilities, Capability, Claim, Clock, Entry, Error, Fulfilled, Key, Latency, Namespace,
    NamespaceId, Payload, Scope, Stats, StoreUrl, Timestamp, Wait,
};

/// How many writes a lazy control keeps to itself.
const LAZY_WRITES: usize = 32;

#[derive(Debug)]
struct Bare {
    id: NamespaceId,
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    lazy: bool,
    blocking: bool,
    pending: Mutex<Vec<(PathBuf, Vec<u8>)>>,
    /// The lock of the one claim that a process has, if it is blocking.
    claimed: Mutex<Option<File>>,
}

/// Opens `bare:///dir?lazy=true&blocking=true`. It takes the options that stores have, and ignores them.
pub(crate) fn open(
    url: &StoreUrl,
    name: &str,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Namespace>, Error> {
    let dir = url.path().to_owned();
    fs::create_dir_all(&dir).map_err(|error| Error::io("open the control", &dir, error))?;
    let lazy = url.options().take_bool("lazy")? == Some(true);
    let blocking = url.options().take_bool("blocking")? == Some(true);
    let id = NamespaceId::new("bare", name);
    let (pending, claimed) = (Mutex::default(), Mutex::default());
    Ok(Arc::new(Bare { id, dir, clock, lazy, blocking, pending, claimed }))
}

impl Bare {
    fn file(&self, key: &Key) -> PathBuf {
        let text = key.to_string().to_lowercase();
        let plain: String = text.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
        self.dir.join(format!("v{plain}"))
    }

    /// The lock of that name, whenever it is free; none if the store is not blocking.
    #[allow(clippy::disallowed_methods, reason = "beaker-sync's locks do not wait for ever")]
    fn lock(&self, name: &str) -> Result<Option<File>, Error> {
        let path = self.dir.with_extension(name);
        let lock = || File::create(&path).and_then(|file| file.lock().map(|()| file));
        let lock = self.blocking.then(lock).transpose();
        lock.map_err(|error| Error::io("lock", &path, error))
    }

    fn write(&self, path: PathBuf, bytes: Vec<u8>) -> Result<(), Error> {
        let _alone = self.lock("writer")?;
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.push((path, bytes));
        if self.lazy && pending.len() < LAZY_WRITES {
            return Ok(());
        }
        pending.drain(..).try_for_each(|(path, bytes)| {
            fs::write(&path, bytes).map_err(|error| Error::io("write", &path, error))
        })
    }
}

impl Namespace for Bare {
    fn id(&self) -> &NamespaceId {
        &self.id
    }

    fn scope(&self) -> Scope {
        Scope::Host
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(&[Capability::Retains, Capability::Bytes])
    }

    fn latency(&self) -> Latency {
        Latency::Blocking
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let bytes = fs::read(self.file(key)).ok();
        Ok(bytes.map(|bytes| Entry::new(Payload::raw(bytes), Timestamp::default())))
    }

    fn set(&self, key: &Key, entry: Entry) -> Result<(), Error> {
        match entry.into_payload() {
            Payload::Bytes { bytes, .. } => self.write(self.file(key), bytes.to_vec()),
            Payload::Object(_) => Err(Error::unsupported("write", Capability::Objects)),
        }
    }

    fn remove(&self, key: &Key) -> Result<bool, Error> {
        Ok(fs::remove_file(self.file(key)).is_ok())
    }

    fn clear(&self) -> Result<(), Error> {
        fs::remove_dir_all(&self.dir)
            .and_then(|()| fs::create_dir_all(&self.dir))
            .map_err(|error| Error::io("clear", &self.dir, error))
    }

    fn claim(&self, _: &Key, _: Wait) -> Result<Option<Claim>, Error> {
        let lock = self.lock("claim")?;
        *self.claimed.lock().unwrap_or_else(PoisonError::into_inner) = lock;
        Ok(Some(Claim::new(0)))
    }

    fn fulfil(&self, key: &Key, entry: Entry, _: Claim) -> Result<Fulfilled, Error> {
        *self.claimed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.set(key, entry).map(|()| Fulfilled::Stored)
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }
}
