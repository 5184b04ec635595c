//! Help, version, completions and usage errors.

use crate::support::{Bench, code, text};

const COMMANDS: [&str; 14] = [
    "run",
    "get",
    "set",
    "del",
    "invalidate",
    "ls",
    "why",
    "stats",
    "clear",
    "gc",
    "export",
    "import",
    "locks",
    "completions",
];

#[test]
fn help_names_every_command_and_every_exit_code() {
    let help = Bench::new().ok(&["--help"]);
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
    }
    for exit_code in ["0", "1", "2", "65", "69", "73", "74", "75", "77", "78", "141"] {
        assert!(help.contains(&format!("\n  {exit_code} ")), "{exit_code}: {help}");
    }
}

#[test]
fn the_help_of_each_command_has_an_example() {
    let bench = Bench::new();
    for command in COMMANDS {
        let help = bench.ok(&[command, "--help"]);
        assert!(
            help.contains("Examples:\n") && help.contains(&format!("  beaker {command}")),
            "{help}"
        );
    }
}

#[test]
fn the_help_of_run_names_its_exit_codes_and_what_is_not_in_the_key() {
    let help = Bench::new().ok(&["run", "--help"]);
    for exit_code in ["0-255", "2 ", "75", "124", "125", "126", "127", "128+n"] {
        assert!(help.contains(&format!("\n  {exit_code}")), "{exit_code}: {help}");
    }
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("no part of the key"), "{help}");
}

#[test]
fn help_does_not_print_the_stores_address() {
    let bench = Bench::new();
    let output =
        bench.beaker(["--help"]).env("BEAKER_URL", "redis://:pa55word@h").output().unwrap();
    assert!(!text(output.stdout).contains("pa55word"));
}

#[test]
fn version_is_that_of_the_package() {
    let expected = format!("beaker {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(Bench::new().ok(&["--version"]), expected);
}

#[test]
fn completions_exist_for_the_common_shells() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = bench.ok(&["completions", shell]);
        assert!(script.contains("beaker") && script.contains("discard-failures"), "{shell}");
        assert!(script.contains("invalidate") && script.contains("import"), "{shell}");
    }
}

#[test]
fn a_usage_error_is_one_line_with_the_fix() {
    let bench = Bench::new();
    for (args, expected) in [
        (&["rnu"][..], "unrecognized subcommand 'rnu'"),
        (&["run", "--tt", "1h", "--", "x"], "a similar argument exists: '--ttl'"),
        (&["run", "--ttl", "soon", "--", "x"], "such as 90s, 10m or 1h30m, or `forever`"),
        (&["run", "--max-output", "lots", "--", "x"], "such as 1000, 64KiB or 10MB"),
        (&["run"], "COMMAND"),
        (&[], "see `beaker --help`"),
    ] {
        let output = bench.beaker(args).output().unwrap();
        let stderr = text(output.stderr.clone());
        assert_eq!((code(&output), output.stdout.len()), (2, 0), "{args:?}: {stderr}");
        assert!(stderr.starts_with("beaker: ") && stderr.contains(expected), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    }
}
