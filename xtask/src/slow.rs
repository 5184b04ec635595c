//! What takes long or needs a tool of its own: models, Miri, benchmarks, comparison.

use crate::built::{self, Build};
use crate::error::{Error, Result};
use crate::metadata::{Package, Workspace};
use crate::report::{Gap, Section};
use crate::shell::{Background, Cmd};

/// The crate whose unsafe code touches memory, and the tests of it. Of the other unsafe code that there is Miri knows
/// nothing: a call of the C library, in `beaker-namespace`, and a page that forks wipe, in `beaker-sync`.
const UNSAFE: (&str, &str) = ("beaker-sync", "biased");

/// A crate without, whose unit tests stay in memory too: Miri watches what it depends on.
const IN_MEMORY: &str = "beaker-syncdict";

/// Random schedules that shuttle tries for each claim: some seconds in all.
const SCHEDULES: u32 = 10_000;

/// A model checker: the crate that does it, which is also the name of the test target of the
/// models; the cfg that puts its locks in; and the level at which its models are optimized in a
/// build for them alone.
struct Checker {
    name: &'static str,
    cfg: &'static str,
    optimize: &'static str,
}

const LOOM: Checker = Checker { name: "loom", cfg: "beaker_loom", optimize: "3" };
const SHUTTLE: Checker = Checker { name: "shuttle", cfg: "beaker_shuttle", optimize: "1" };

/// Up to this bound the models take a second, and to optimize them takes minutes.
const QUICK_PREEMPTIONS: u32 = 2;

/// The models of every crate that depends on loom, then of every one that depends on shuttle.
pub(crate) fn models(workspace: &Workspace, preemptions: u32) -> Result<Vec<Gap>> {
    let build = if preemptions > QUICK_PREEMPTIONS { Build::Release } else { Build::Shared };
    LOOM.run(workspace, build, "LOOM_MAX_PREEMPTIONS", preemptions)?;
    SHUTTLE.run(workspace, build, "BEAKER_SHUTTLE_SCHEDULES", SCHEDULES)?;
    Ok(Vec::new())
}

impl Checker {
    /// Runs the models, `bound` of what `variable` counts.
    fn run(
        &self,
        workspace: &Workspace,
        build: Build,
        variable: &'static str,
        bound: u32,
    ) -> Result<()> {
        let _section = Section::open(self.name);
        let packages = self.packages(workspace)?;
        let cargo = match build {
            Build::Shared => self.shared(workspace),
            Build::Release => self.apart(workspace, &packages),
        };
        cargo.args(["--test", self.name]).env(variable, bound.to_string()).run()
    }

    /// Only our own crates are built with the cfg; the others are those that `cargo xtask test`
    /// built. Cargo keeps what such a wrapper builds apart, by the wrapper's path.
    fn shared(&self, workspace: &Workspace) -> Cmd {
        let wrapper = workspace.root.join("xtask/rustc").join(self.cfg);
        built::all_tests().env("RUSTC_WORKSPACE_WRAPPER", wrapper.display().to_string())
    }

    /// Every crate is built with the cfg, and optimized: that takes minutes.
    fn apart(&self, workspace: &Workspace, packages: &[&Package]) -> Cmd {
        let names = packages.iter().flat_map(|package| ["--package", &package.name]);
        Cmd::cargo()
            .args(["test", "--locked"])
            .args(names)
            .release_apart(&workspace.target, self.name)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", self.optimize)
            // Nothing else compiles the code of this cfg, so its warnings are denied here.
            .env("RUSTFLAGS", format!("--cfg {} -D warnings", self.cfg))
    }

    /// The crates that have models: no crate at all, or one without models, is a failure.
    fn packages<'a>(&self, workspace: &'a Workspace) -> Result<Vec<&'a Package>> {
        let name = self.name;
        let uses_it = |package: &&Package| package.dependencies.iter().any(|used| used == name);
        let packages: Vec<&Package> = workspace.packages.iter().filter(uses_it).collect();
        if packages.is_empty() {
            return Err(Error::failed(format!("no crate depends on {name}")));
        }
        match packages.iter().find(|package| !package.targets("test").any(|test| test == name)) {
            None => Ok(packages),
            Some(Package { name: package, .. }) => Err(Error::failed(format!(
                "{package} depends on {name} but has no tests/{name}.rs"
            ))),
        }
    }
}

/// The unit tests that stay in memory, under Miri.
pub(crate) fn miri(workspace: &Workspace) -> Result<Vec<Gap>> {
    let gaps = Miri::begin(workspace)?.end()?;
    if gaps.is_empty() {
        miri_test(IN_MEMORY).run()?;
    }
    Ok(gaps)
}

/// The tests of our unsafe code under Miri, while they run. It builds in a folder of its own, so that
/// other gates can go on beside it.
#[derive(Debug)]
pub(crate) struct Miri {
    /// `None` if Miri is not there.
    tests: Option<Background>,
}

impl Miri {
    /// Begins what `ci` does of [`miri()`].
    ///
    /// # Errors
    ///
    /// Fails if cargo cannot be started.
    pub(crate) fn begin(workspace: &Workspace) -> Result<Self> {
        if !Cmd::cargo_of("nightly").args(["miri", "--version"]).succeeds() {
            return Ok(Self { tests: None });
        }
        let (package, tests) = UNSAFE;
        let log = workspace.target.join("miri.log");
        let tests = miri_test(package).args(["--", tests]).begin(log)?;
        Ok(Self { tests: Some(tests) })
    }

    /// Waits until they end.
    ///
    /// # Errors
    ///
    /// Fails if one of them does.
    pub(crate) fn end(self) -> Result<Vec<Gap>> {
        match self.tests {
            Some(tests) => tests.end().map(|()| Vec::new()),
            None => Ok(vec![Gap::say(format!(
                "miri: the unsafe code of {} was not run under Miri, because nightly Rust with Miri is \
                 not there; to run it: rustup toolchain install nightly --component miri --component \
                 rust-src",
                UNSAFE.0
            ))]),
        }
    }
}

fn miri_test(package: &str) -> Cmd {
    let test = Cmd::cargo_of("nightly").args(["miri", "test", "--locked", "--lib"]);
    test.args(["--package", package]).env("MIRIFLAGS", "-Zmiri-disable-isolation")
}

/// Whether `name` was asked for; nothing named means all.
fn wanted(name: &str, named: &[String]) -> bool {
    named.is_empty() || named.iter().any(|wanted| wanted == name)
}

/// The criterion benchmarks of every crate that has some, or of those named.
pub(crate) fn bench(workspace: &Workspace, named: &[String], args: &[String]) -> Result<Vec<Gap>> {
    for name in named {
        if !workspace.packages.iter().any(|package| package.name == *name) {
            return Err(Error::usage(format!("no crate is called `{name}`")));
        }
    }
    let mut run = 0;
    for package in workspace.packages.iter().filter(|package| wanted(&package.name, named)) {
        for bench in package.targets("bench") {
            let _section = Section::open(format!("{}: {bench}", package.name));
            let cargo = Cmd::cargo().args(["bench", "--locked", "--package", &package.name]);
            cargo.args(["--bench", bench, "--"]).args(args).run()?;
            run += 1;
        }
    }
    if run == 0 {
        return Err(Error::failed("there are no benchmarks in the crates named"));
    }
    Ok(Vec::new())
}

/// The comparison crate, which is a workspace of its own so that nobody else compiles the peers.
pub(crate) fn compare(workspace: &Workspace, args: &[String]) -> Result<Vec<Gap>> {
    let manifest = workspace.root.join("compare/Cargo.toml");
    if !manifest.is_file() {
        return Err(Error::failed(format!("{} is not there", manifest.display())));
    }
    let cargo = Cmd::cargo().args(["run", "--release", "--locked", "--manifest-path"]);
    cargo.arg(manifest.display().to_string()).arg("--").args(args).run().map(|()| Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_all() {
        assert!(wanted("envelope", &[]));
        assert!(wanted("envelope", &["envelope".to_owned()]));
        assert!(!wanted("envelope", &["key".to_owned()]));
    }

    #[test]
    fn a_checker_without_crates_is_a_failure_and_ours_have_models() {
        let workspace = Workspace::load().unwrap();
        let names = |checker: Checker| {
            let packages = checker.packages(&workspace).unwrap();
            packages.into_iter().map(|package| package.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(names(LOOM), ["beaker-sync", "beaker-syncdict"]);
        assert_eq!(names(SHUTTLE), ["beaker-sync", "beaker-syncdict"]);
        let unused = Checker { name: "no-such-checker", cfg: "beaker_none", optimize: "0" };
        let error = unused.packages(&workspace).unwrap_err();
        assert_eq!(error.to_string(), "no crate depends on no-such-checker");
        let without = Checker { name: "lru", cfg: "beaker_none", optimize: "0" };
        let error = without.packages(&workspace).unwrap_err();
        assert_eq!(error.to_string(), "beaker-syncdict depends on lru but has no tests/lru.rs");
    }

    #[test]
    fn a_bench_of_an_unknown_crate_is_a_usage_error() {
        let workspace = Workspace::load().unwrap();
        let error = bench(&workspace, &["beaker-nothing".to_owned()], &[]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
