//! The program that uses Python's Beaker, while it runs.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::browser::Browser;
use super::install::python;

/// The Python program, running.
pub(in crate::compat) struct Beaker {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    pub(in crate::compat) options: Value,
}

impl Beaker {
    pub(in crate::compat) fn start(options: Value) -> Option<Self> {
        Some(Self::run(&mut Command::new(python()?), options))
    }

    /// With more packages than it needs for files.
    pub(in crate::compat) fn start_with(packages: &Path, options: Value) -> Option<Self> {
        let mut command = Command::new(python()?);
        Some(Self::run(command.env("PYTHONPATH", packages), options))
    }

    fn run(python: &mut Command, options: Value) -> Self {
        python.args(["-c", include_str!("beaker_app.py")]);
        let mut child =
            python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python runs");
        let to = child.stdin.take().expect("a pipe");
        let from = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, to, from, options }
    }

    /// One request: what the program sees in the session after it.
    pub(in crate::compat) fn request(&mut self, browser: &mut Browser, what: Value) -> Value {
        let mut request = what;
        request["cookie"] = browser.header().into();
        request["options"] = self.options.clone();
        writeln!(self.to, "{request}").expect("Python reads");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("Python answers");
        let response: Value = serde_json::from_str(&line).expect("an answer");
        for cookie in response["cookies"].as_array().expect("a list") {
            browser.take(cookie.as_str().expect("a text").trim_start());
        }
        response["seen"].clone()
    }

    pub(in crate::compat) fn seen(&mut self, browser: &mut Browser) -> Value {
        self.request(browser, json!({"do": "look"}))
    }

    pub(in crate::compat) fn login(&mut self, browser: &mut Browser, user: &str) {
        let seen = self.request(browser, json!({"do": "login", "user": user}));
        assert_eq!(seen["user"], user);
    }
}

impl Drop for Beaker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
