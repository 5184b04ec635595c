//! The demo's process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::http::{Answer, Ask};

/// A demo that listens; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts one on a free port, with its state in `dir`.
    pub(crate) fn start(dir: &Path, args: &[&str]) -> Self {
        Self::start_at(0, dir, args)
    }

    pub(crate) fn start_at(port: u16, dir: &Path, args: &[&str]) -> Self {
        let port = port.to_string();
        let mut command = command(dir);
        command.args(["--port", &port]).args(args).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)))
        });
        let line = lines.recv_timeout(Duration::from_secs(60)).expect("the demo says where it is");
        let (_, rest) = line.split_once("http://").expect("the first line has the address");
        let address = rest.split(' ').next().unwrap().parse().unwrap();
        Self { child, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, as a service manager does.
    pub(crate) fn ask_to_stop(&self) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for its end, which was asked for.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        Ask::new(self.address, "GET", path).send()
    }

    pub(crate) fn get_json(&self, path: &str) -> Value {
        Ask::new(self.address, "GET", path).wants_json().send().json()
    }

    pub(crate) fn post_json(&self, path: &str, form: &str) -> Answer {
        Ask::new(self.address, "POST", path).wants_json().form(form).send()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A demo that ends by itself, and is not waited for much longer than that takes.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = command(dir);
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = child.id().to_string();
    let (sender, output) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    output.recv_timeout(Duration::from_secs(60)).map(Result::unwrap).unwrap_or_else(|_| {
        let _killed = Command::new("kill").args(["-9", &pid]).status();
        panic!("the demo runs, and should have refused {args:?}")
    })
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_beaker-demo"));
    command.arg("--dir").arg(dir).env_remove("BEAKER_URL").stdin(Stdio::null());
    command
}
