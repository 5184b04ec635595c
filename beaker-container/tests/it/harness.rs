//! Stores on a hand-moved clock, and creators that can be held up.

use std::borrow::Borrow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use beaker_container::{Cache, Error, Policy};
#[cfg(feature = "tokio")]
use beaker_namespace::testkit::AsyncStore;
#[cfg(feature = "tokio")]
use beaker_namespace::{Clock, FileConfig, FileNamespace, Opener};
use beaker_namespace::{ManualClock, Namespace, StoreUrl, Stores, Timestamp, ToKey};
use tempfile::TempDir;

/// A hang is a failure after this long.
pub(crate) const HANG: Duration = Duration::from_secs(20);

/// One store under test, with its clock.
pub(crate) struct Lab {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) stores: Stores,
    pub(crate) url: StoreUrl,
    _dir: Option<TempDir>,
}

impl Lab {
    /// In a group of its own: labs have clocks of their own, and two clocks cannot hold one namespace.
    pub(crate) fn memory() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let group = format!("lab {}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self::new(StoreUrl::new("memory").with_path(group), None)
    }

    pub(crate) fn file() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::new(StoreUrl::new("file").with_path(dir.path()), Some(dir))
    }

    /// The file store with an asynchronous face. Threads may call the other.
    #[cfg(feature = "tokio")]
    pub(crate) fn asynchronous() -> Self {
        Self::remote(|url, name, clock| Ok(Arc::new(open_remote(url, name, clock)?)))
    }

    /// The file store with an asynchronous face, which panics at a blocking call.
    #[cfg(feature = "tokio")]
    pub(crate) fn refusing() -> Self {
        Self::remote(|url, name, clock| {
            let store = open_remote(url, name, clock)?;
            store.refuse_blocking();
            Ok(Arc::new(store))
        })
    }

    #[cfg(feature = "tokio")]
    fn remote(open: Opener) -> Self {
        let mut lab = Self::file();
        lab.stores = lab.stores.with_store("remote", open);
        lab.url = StoreUrl::new("remote").with_path(lab.url.path());
        lab
    }

    /// A file store of this lab, by its blocking face and past what is around it.
    #[cfg(feature = "tokio")]
    pub(crate) fn file_named(&self, name: &str) -> FileNamespace {
        let config = FileConfig::new(self.url.path()).clock(self.clock.clone());
        FileNamespace::open(name, config).unwrap()
    }

    /// The stores that containers are tested on.
    pub(crate) fn each() -> [Self; 2] {
        [Self::memory(), Self::file()]
    }

    fn new(url: StoreUrl, dir: Option<TempDir>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000)));
        let stores = Stores::new().with_clock(clock.clone());
        Self { clock, stores, url, _dir: dir }
    }

    /// A namespace of its own.
    pub(crate) fn namespace(&self) -> Arc<dyn Namespace> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.named(&format!("lab {}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn named(&self, name: &str) -> Arc<dyn Namespace> {
        self.stores.open(&self.url, name).unwrap()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A cache of its own.
    pub(crate) fn numbers(&self, policy: Policy) -> Cache<String, u32> {
        Cache::new(self.namespace()).with_policy(policy)
    }
}

#[cfg(feature = "tokio")]
fn open_remote(
    url: &StoreUrl,
    name: &str,
    clock: Arc<dyn Clock>,
) -> Result<AsyncStore<FileNamespace>, beaker_namespace::Error> {
    FileNamespace::open(name, FileConfig::new(url.path()).clock(clock)).map(AsyncStore::new)
}

/// Whether `callers` threads and tasks wait for the value under `key` that another one makes. Without the
/// feature `testkit` nobody can tell, and this says yes.
pub(crate) fn are_parked(cache: &Cache<String, u32>, key: &str, callers: usize) -> bool {
    #[cfg(feature = "testkit")]
    return beaker_container::testkit::waiting(cache, key) == callers;
    #[cfg(not(feature = "testkit"))]
    {
        let _unused = (cache, key, callers);
        true
    }
}

/// Waits until [`are_parked`].
pub(crate) fn until_parked(cache: &Cache<String, u32>, key: &str, callers: usize) {
    let began = Instant::now();
    while !are_parked(cache, key, callers) {
        assert!(began.elapsed() < HANG, "nobody waits");
        thread::yield_now();
    }
}

/// Holds a creator until it is let go.
pub(crate) struct Gate {
    entered: Sender<()>,
    go: Receiver<()>,
}

/// The other side of a [`Gate`].
pub(crate) struct Keeper {
    entered: Receiver<()>,
    go: Sender<()>,
}

pub(crate) fn gate() -> (Gate, Keeper) {
    let (entered_send, entered) = channel();
    let (go, go_receive) = channel();
    (Gate { entered: entered_send, go: go_receive }, Keeper { entered, go })
}

impl Gate {
    pub(crate) fn pass(&self) {
        self.entered.send(()).unwrap();
        self.go.recv_timeout(HANG).unwrap();
    }
}

impl Keeper {
    pub(crate) fn wait_until_entered(&self) {
        self.entered.recv_timeout(HANG).unwrap();
    }

    /// Whether it is entered in the end; it is not if the creator goes away before it runs.
    pub(crate) fn has_entered(&self) -> bool {
        self.entered.recv_timeout(HANG).is_ok()
    }

    pub(crate) fn let_go(&self) {
        self.go.send(()).unwrap();
    }
}

/// Starts `call`, which passes its gate in the midst of a creation, on a clone of `cache` and on a thread of its
/// own. Returns when it has come there.
pub(crate) fn under_way<C: Clone + Send + 'static, T: Send + 'static>(
    cache: &C,
    call: impl FnOnce(C, Gate) -> T + Send + 'static,
) -> (Keeper, JoinHandle<T>) {
    let (gate, keeper) = gate();
    let cache = cache.clone();
    let leader = thread::spawn(move || call(cache, gate));
    keeper.wait_until_entered();
    (keeper, leader)
}

/// The same of a call that makes `value` under `key`.
pub(crate) fn creation<K, Q, V>(
    cache: &Cache<K, V>,
    key: &'static Q,
    value: V,
) -> (Keeper, JoinHandle<Result<V, Error>>)
where
    K: ToKey + Borrow<Q> + 'static,
    Q: ToKey + Sync + ?Sized,
    V: Clone + Send + Sync + 'static,
{
    under_way(cache, move |cache, gate| {
        cache.get_or_create(key, || {
            gate.pass();
            value
        })
    })
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const CHILD_DIR: &str = "BEAKER_CONTAINER_CHILD_DIR";

/// Runs the test `name` of this binary alone, in another process, with `dir` for its stores.
pub(crate) fn in_child(name: &str, dir: &Path) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success(), "the child failed");
}

/// The directory that a child was given; `None` in a process that is none.
pub(crate) fn child_dir() -> Option<PathBuf> {
    std::env::var_os(CHILD_DIR).map(PathBuf::from)
}
