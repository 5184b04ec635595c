//! Stores of Python, timed by Python, in a process that stays for all rounds.

use std::cell::RefCell;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;

use super::{Operation, SMALL, Store};
use crate::args::Args;

const HOME: &str = env!("CARGO_MANIFEST_DIR");

/// What is installed, and the stores; or why there are none.
pub(super) fn stores(
    dir: &Path,
    entries: usize,
    args: &Args,
) -> Result<(String, Vec<Store>), String> {
    let python = find()?;
    let dir = dir.join("python");
    std::fs::create_dir(&dir).map_err(|error| error.to_string())?;
    let mut answers = Answers::start(&python, &dir, entries)
        .map_err(|error| format!("{}: {error}", python.display()))?;
    let installed = answers.line().map_err(|error| format!("{}: {error}", python.display()))?;
    let answers = Rc::new(RefCell::new(answers));
    let store = |name: &'static str, gets, sets| {
        let answers = Rc::clone(&answers);
        let run = move |operation, count| answers.borrow_mut().ask(name, operation, count);
        Store { name: name.to_owned(), gets, sets, run: Box::new(run) }
    };
    // Each operation of Beaker's reads or writes all 50,000 entries, so there are few.
    let few = args.size(8, 3);
    let all = vec![
        store("diskcache", args.size(5_000, 200), args.size(1_000, 50)),
        store("beaker-file", few, few),
        store("beaker-file-small", args.size(1_000, 50), args.size(300, 20)),
    ];
    Ok((format!("{installed}; beaker-file-small has {SMALL} entries"), all))
}

/// A Python that has both packages: that of the virtual environment beside the build, or any.
fn find() -> Result<PathBuf, String> {
    let candidates = [Path::new(HOME).join("target/venv/bin/python"), PathBuf::from("python3")];
    let mut tried = Vec::new();
    for python in candidates {
        let import = Command::new(&python)
            .args(["-c", "import diskcache, beaker.cache"])
            .stdin(Stdio::null())
            .output();
        match import {
            Ok(output) if output.status.success() => return Ok(python),
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr);
                let last = text.lines().last().unwrap_or("it failed").to_owned();
                tried.push(format!("{}: {last}", python.display()));
            }
            Err(error) => tried.push(format!("{}: {error}", python.display())),
        }
    }
    Err(format!(
        "diskcache and Python's Beaker are not compared with.\n{}\nTo install them:\n  \
         python3 -m venv {HOME}/target/venv\n  \
         {HOME}/target/venv/bin/pip install diskcache==5.6.3 beaker==1.14.1",
        tried.join("\n")
    ))
}

/// The process; it ends when its standard input closes.
struct Answers {
    process: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Answers {
    fn start(python: &Path, dir: &Path, entries: usize) -> std::io::Result<Self> {
        let mut process = Command::new(python)
            .arg(Path::new(HOME).join("python/stores.py"))
            .arg(dir)
            .args([entries.to_string(), SMALL.min(entries).to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let asks = process.stdin.take();
        let Some(answers) = process.stdout.take() else {
            return Err(std::io::Error::other("no standard output"));
        };
        Ok(Self { process, asks, answers: BufReader::new(answers) })
    }

    fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("it ended: {}", self.process.wait()?).into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn ask(
        &mut self,
        name: &str,
        operation: Operation,
        count: usize,
    ) -> Result<Vec<f64>, Box<dyn Error>> {
        let operation = match operation {
            Operation::Gets => "gets",
            Operation::Sets => "sets",
        };
        if let Some(asks) = &mut self.asks {
            writeln!(asks, "{name} {operation} {count}")?;
        }
        let line = self.line()?;
        Ok(line.split(' ').map(str::parse).collect::<Result<_, _>>()?)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        drop(self.asks.take());
        let _status = self.process.wait();
    }
}
