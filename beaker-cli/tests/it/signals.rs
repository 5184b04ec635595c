//! Signals reach the command, and what they end is not kept.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::support::{
    Bench, code, eventually, finish, is_running, is_stopped, kill, start, text,
    with_default_signals,
};

/// Waits in a way that a trap interrupts at once. All is started before it says so: some shells lose
/// a signal that comes while they start something.
fn waiting(trap: &str) -> String {
    format!(
        "echo >> count; sleep 1000 & p=$!; trap 'kill $p; {trap}' HUP INT QUIT TERM USR1; \
         echo $$ > started; wait; echo done"
    )
}

#[test]
fn a_signal_that_tells_the_command_something_reaches_it_and_the_run_goes_on() {
    for (signal, is_kept) in
        [("USR1", false), ("USR2", false), ("ALRM", false), ("WINCH", true), ("CONT", true)]
    {
        let bench = Bench::new();
        let started = bench.gate("started");
        let script = format!(
            "sleep 1000 & p=$!; trap 'kill $p; echo told' {signal}; echo $$ > started; wait; echo on"
        );
        let beaker = start(&mut bench.run(&[], &script));
        started.wait();
        kill(beaker.id(), signal);
        let output = finish(beaker);
        assert_eq!((code(&output), text(output.stdout)), (0, "told\non\n".to_owned()), "{signal}");
        assert_eq!(!bench.entry_files().is_empty(), is_kept, "{signal}: what it printed is kept");
    }
}

#[test]
fn a_command_with_a_group_of_its_own_stops_and_goes_on_with_beaker() {
    let bench = Bench::new();
    let (started, gate) = (bench.gate("started"), bench.gate("gate"));
    let script = "echo $$ > started; read line < gate; echo ok";
    let beaker = start(&mut bench.run(&["--timeout", "60s"], script));
    let command: u32 = started.wait().parse().unwrap();
    kill(beaker.id(), "TSTP");
    eventually("both are stopped", || is_stopped(beaker.id()) && is_stopped(command));
    kill(beaker.id(), "CONT");
    eventually("both go on", || !is_stopped(beaker.id()) && !is_stopped(command));
    gate.open();
    let output = finish(beaker);
    assert_eq!((code(&output), text(output.stdout)), (0, "ok\n".to_owned()));
    assert_eq!(bench.entry_files().len(), 1);
}

#[test]
fn a_signal_to_beaker_reaches_the_command_which_decides_how_to_end() {
    for signal in ["HUP", "INT", "QUIT", "TERM"] {
        let bench = Bench::new();
        let started = bench.gate("started");
        let beaker = start(&mut bench.run(&[], &waiting("echo bye; exit 7")));
        started.wait();
        kill(beaker.id(), signal);
        let output = finish(beaker);
        assert_eq!((code(&output), text(output.stdout)), (7, "bye\n".to_owned()), "{signal}");
        assert!(bench.entry_files().is_empty(), "{signal}: an interrupted run was kept");
    }
}

#[test]
fn a_command_that_a_signal_ends_gives_128_and_the_signal() {
    for (signal, expected) in [("HUP", 129), ("INT", 130), ("TERM", 143)] {
        let bench = Bench::new();
        let started = bench.gate("started");
        // The sleep is left behind with the output open, and nobody waits for it.
        let script = "sleep 5 & echo $$ > started; wait";
        let beaker = start(&mut bench.run(&[], script));
        let command: u32 = started.wait().parse().unwrap();
        kill(beaker.id(), signal);
        let output = finish(beaker);
        assert_eq!(code(&output), expected, "{signal}");
        eventually("the command is gone", || !is_running(command));
        assert!(bench.entry_files().is_empty());
    }
}

#[test]
fn a_command_that_is_killed_is_not_kept() {
    let bench = Bench::new();
    let output = bench.run(&[], "echo >> count; echo some; kill -KILL $$").output().unwrap();
    assert_eq!((code(&output), text(output.stdout)), (137, "some\n".to_owned()));
    assert!(bench.entry_files().is_empty());
}

#[test]
fn a_signal_to_the_whole_group_ends_both() {
    let bench = Bench::new();
    let started = bench.gate("started");
    let mut command = bench.run(&[], "sleep 1000 & echo $$ > started; wait");
    let beaker = start(command.process_group(0));
    let child: u32 = started.wait().parse().unwrap();
    let group = format!("-{}", beaker.id());
    let killed = Command::new("kill").args(["-INT", "--", &group]).status();
    assert!(killed.unwrap().success());
    assert_eq!(code(&finish(beaker)), 130);
    eventually("the command is gone", || !is_running(child));
}

#[test]
fn a_signal_that_is_ignored_stays_ignored_in_the_command() {
    let bench = Bench::new();
    let (started, gate) = (bench.gate("started"), bench.gate("gate"));
    let mut command = Command::new("sh");
    command.arg("-c").arg(
        "trap '' HUP; exec \"$BEAKER\" run -- sh -c 'echo $$ > started; read line < gate; echo ok'",
    );
    command.env("BEAKER", env!("CARGO_BIN_EXE_beaker")).current_dir(bench.path(""));
    command.env("BEAKER_URL", format!("file:{}", bench.store().display()));
    let beaker = start(&mut command);
    let child: u32 = started.wait().parse().unwrap();
    kill(beaker.id(), "HUP");
    kill(child, "HUP");
    gate.open();
    assert_eq!(text(finish(beaker).stdout), "ok\n");
}

#[test]
fn who_waits_for_another_run_can_be_interrupted() {
    let bench = Bench::new();
    let (started, gate) = (bench.gate("started"), bench.gate("gate"));
    let script = "echo > started; read line < gate";
    let runner = start(&mut bench.run(&[], script));
    started.wait();
    let mut waiter = start(&mut bench.run(&[], script));
    bench.wait_for_waiters(1);
    kill(waiter.id(), "INT");
    assert_eq!(waiter.wait().unwrap().to_string(), "signal: 2 (SIGINT)");
    gate.open();
    assert_eq!(code(&finish(runner)), 0);
}

/// `script` gives a terminal, in which a byte 3 is Ctrl-C. The terminal sends INT to every process of
/// its group: to beaker, to the command as a rule, and to the witness here. This command has left the
/// group, so an INT that it sees is one that beaker sent, which would be the second.
#[test]
fn what_the_terminal_sends_to_the_group_is_not_sent_again() {
    if Command::new("script").arg("--version").output().is_err() {
        // Not by a macro: the harness would keep that to itself.
        let line = b"\nSKIPPED what a terminal sends: there is no `script` here\n";
        std::io::stdout().write_all(line).unwrap();
        return;
    }
    let bench = Bench::new();
    let (started, witness) = (bench.gate("started"), bench.gate("witness"));
    let command = "sleep 1000 & p=$!; trap 'echo >> count' INT; trap 'kill $p; exit 9' TERM; \
                   echo $PPID > started; while :; do wait; done";
    let watch = "sleep 1000 & p=$!; trap 'echo >> seen' INT; trap 'kill $p; exit' TERM; \
                 echo $$ > witness; while :; do wait; done";
    let mut terminal = with_default_signals("script");
    let line = "\"$BEAKER\" run -- setsid sh -c \"$COMMAND\" | sh -c \"$WATCH\"";
    terminal.args(["-qc", line, "/dev/null"]).env("WATCH", watch);
    terminal.env("BEAKER", env!("CARGO_BIN_EXE_beaker")).env("COMMAND", command);
    terminal.env("BEAKER_URL", format!("file:{}", bench.store().display()));
    terminal.current_dir(bench.path("")).stdin(Stdio::piped());
    let mut terminal = start(&mut terminal);
    let beaker: u32 = started.wait().parse().unwrap();
    let witness: u32 = witness.wait().parse().unwrap();
    terminal.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    eventually("the terminal sent it", || bench.path("seen").exists());
    // Beaker has the INT by now, and passes signals on in the order in which they came.
    kill(beaker, "TERM");
    eventually("beaker is gone", || !is_running(beaker));
    kill(witness, "TERM");
    finish(terminal);
    assert_eq!(bench.count(), 0, "beaker passed on what the terminal had sent");
    assert!(bench.entry_files().is_empty(), "an interrupted run was kept");
}
