//! `cargo xtask install`: the `beaker` command, linked so that it starts soonest.
//
// A third of a small replay's time would be the dynamic linker's, which maps the C library and resolves
// the names that are used of it. With the GNU C library the command is linked statically instead. Cargo is told
// the target, though it is this machine: else the flag would reach the procedural macros too, which
// cannot be linked so.

use std::path::Path;

use crate::error::{Error, Result};
use crate::metadata::Workspace;
use crate::report::Gap;
use crate::shell::Cmd;

/// The crate of the command, whose folder has the same name.
const PACKAGE: &str = "beaker-cli";

/// Installs the command; `args` go to `cargo install`.
pub(crate) fn run(args: &[String]) -> Result<Vec<Gap>> {
    let (cargo, gaps) = match Linking::here()? {
        Linking::Static { host } => (statically(Cmd::cargo().arg("install"), &host), Vec::new()),
        Linking::Dynamic => (Cmd::cargo().arg("install"), Vec::new()),
        Linking::NoLibrary => (Cmd::cargo().arg("install"), vec![no_library()]),
    };
    cargo.args(["--locked", "--path", PACKAGE]).args(args).run()?;
    Ok(gaps)
}

/// Builds the command as [`run`] does, but unoptimized and without databases, and sees that it
/// replays.
pub(crate) fn short(workspace: &Workspace) -> Result<Vec<Gap>> {
    let host = match Linking::here()? {
        Linking::Static { host } => host,
        Linking::Dynamic => return Ok(Vec::new()),
        Linking::NoLibrary => return Ok(vec![no_library()]),
    };
    let build = statically(Cmd::cargo().arg("build"), &host);
    build.args(["--locked", "--package", PACKAGE, "--no-default-features"]).run()?;
    let beaker = Cmd::new(workspace.target.join(host).join("debug/beaker"));
    replays(&beaker, &workspace.target.join("replays"))
}

fn replays(beaker: &Cmd, store: &Path) -> Result<Vec<Gap>> {
    let beaker = beaker.clone().args(["--store", &format!("file:{}", store.display())]);
    let clear = beaker.clone().args(["clear", "--namespace", "run"]);
    let replay = beaker.args(["run", "--ttl", "1h", "--", "date", "+%s.%N"]);
    clear.run()?;
    let (first, second) = (replay.read()?, replay.read()?);
    match first == second {
        true => Ok(Vec::new()),
        false => Err(Error::failed(format!("`{replay}` gave `{first}`, then `{second}`"))),
    }
}

/// How the command can be linked on this machine.
#[derive(Debug, PartialEq, Eq)]
enum Linking {
    /// With all libraries in it.
    Static { host: String },
    /// As this system does it by itself.
    Dynamic,
    /// It could be static, but the C library to link is not installed.
    NoLibrary,
}

impl Linking {
    fn here() -> Result<Self> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let told = Cmd::new(rustc).arg("-vV").read()?;
        let host = host(&told).ok_or_else(|| Error::failed("rustc does not tell its host"))?;
        // A compiler that has no such file prints the name as it is.
        let library = || Cmd::new("cc").arg("-print-file-name=libc.a").read();
        Ok(match host.ends_with("-linux-gnu") {
            false => Self::Dynamic,
            true if library().is_ok_and(|path| Path::new(path.trim()).is_absolute()) => {
                Self::Static { host: host.to_owned() }
            }
            true => Self::NoLibrary,
        })
    }
}

fn no_library() -> Gap {
    Gap::say(
        "that `beaker` starts as soon as it could: the C library is not there to be linked statically. \
         Install glibc-static (Fedora) or libc6-dev (Debian)",
    )
}

/// The target that `rustc -vV` says it runs on.
fn host(told: &str) -> Option<&str> {
    told.lines().find_map(|line| line.strip_prefix("host: "))
}

fn statically(cargo: Cmd, host: &str) -> Cmd {
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let flags = format!("{flags} -C target-feature=+crt-static");
    cargo.args(["--target", host]).env("RUSTFLAGS", flags.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_taken_from_what_rustc_tells() {
        assert_eq!(
            host("rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\n"),
            Some("x86_64-unknown-linux-gnu")
        );
        assert_eq!(host("rustc 1.95.0\n"), None);
    }

    #[test]
    fn the_flag_goes_to_the_target_alone() {
        let line = statically(Cmd::cargo().arg("build"), "x86_64-unknown-linux-gnu").to_string();
        assert!(line.contains("-C target-feature=+crt-static"), "{line}");
        assert!(line.ends_with("build --target x86_64-unknown-linux-gnu"), "{line}");
    }

    #[test]
    fn the_crate_of_the_command_is_in_a_folder_of_its_name() {
        let workspace = Workspace::load().unwrap();
        let package = workspace.package(PACKAGE).expect("a member of that name");
        assert_eq!(package.targets("bin").collect::<Vec<_>>(), ["beaker"]);
        assert!(package.manifest.ends_with(Path::new(PACKAGE).join("Cargo.toml")));
    }

    #[test]
    fn a_command_that_does_not_replay_is_a_failure() {
        let store = Path::new("nowhere");
        let shell = |script: &str| Cmd::new("sh").args(["-c", script, "sh"]);
        assert!(replays(&shell("exit 1"), store).is_err());
        assert!(replays(&shell("date +%N"), store).is_err());
        assert!(replays(&shell("echo the same"), store).is_ok());
    }
}
