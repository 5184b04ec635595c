//! Links the command so that it starts sooner.
//
// Each library that a program names is found, mapped and searched for names when it starts: 0.15 ms for
// one, a tenth of a replay. The standard library names libgcc_s for the functions that walk a stack. The
// same functions are in libgcc_eh.a, which comes with the compiler that links. If they are taken from
// there, nothing of libgcc_s is used any more, and the linker leaves it out. If anything is not as
// expected, all stays as it is. `BEAKER_UNWINDER` tells the tests.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if is_for_this_system() && is_linked_by_cc() && has_library("libgcc_eh.a") {
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
        println!("cargo::rustc-env=BEAKER_UNWINDER=own");
    }
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// Whether this is an optimized build for a Linux like this one, with the GNU C library.
fn is_for_this_system() -> bool {
    var("PROFILE") == "release"
        && var("HOST") == var("TARGET")
        && var("CARGO_CFG_TARGET_OS") == "linux"
        && var("CARGO_CFG_TARGET_ENV") == "gnu"
        // A static program has the library already.
        && !var("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static")
}

/// Whether nobody chose another linker than rustc does.
fn is_linked_by_cc() -> bool {
    env::var_os("RUSTC_LINKER").is_none() && !var("CARGO_ENCODED_RUSTFLAGS").contains("linker")
}

/// Whether the compiler that links finds `name`. One that does not prints the name as it is.
fn has_library(name: &str) -> bool {
    let found = Command::new("cc").arg(format!("-print-file-name={name}")).output();
    found.is_ok_and(|found| {
        std::str::from_utf8(&found.stdout).is_ok_and(|path| Path::new(path.trim()).is_absolute())
    })
}
