//! Peers in Python, timed by Python, in a process that stays for all rounds.

use std::cell::RefCell;
use std::error::Error;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;

const HOME: &str = env!("CARGO_MANIFEST_DIR");

/// The process, shared by what it holds.
#[derive(Clone)]
pub(crate) struct Python {
    answers: Rc<RefCell<Answers>>,
    installed: String,
}

impl Python {
    /// Starts `script` with nothing to be told; what it prints first is what is installed.
    pub(crate) fn of_script(script: &str, imports: &str, install: &str) -> Result<Self, String> {
        let python = find(imports, install)?;
        Self::run(&python, script, &[])
    }

    fn run(python: &Path, script: &str, arguments: &[OsString]) -> Result<Self, String> {
        let failed = |error: &dyn Error| format!("{}: {error}", python.display());
        let mut answers =
            Answers::start(python, script, arguments).map_err(|error| failed(&error))?;
        let installed = answers.line().map_err(|error| failed(&*error))?;
        Ok(Self { answers: Rc::new(RefCell::new(answers)), installed })
    }

    /// Starts it and has each of `stores` loaded, by name, with so many entries of as many bytes as
    /// `lengths` says; or why that cannot be done.
    pub(crate) fn start(
        dir: &Path,
        lengths: (usize, usize),
        stores: &[(&str, usize)],
    ) -> Result<Self, String> {
        let python = find("diskcache, beaker.cache", "diskcache==5.6.3 beaker==1.14.1")?;
        std::fs::create_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let lengths = [lengths.0, lengths.1].map(|length| length.to_string().into());
        let stores = stores.iter().map(|(name, entries)| format!("{name}={entries}").into());
        let arguments: Vec<OsString> =
            std::iter::once(dir.into()).chain(lengths).chain(stores).collect();
        Self::run(&python, "stores.py", &arguments)
    }

    /// What is installed.
    pub(crate) fn installed(&self) -> &str {
        &self.installed
    }

    /// Has `operation` (`gets`, `sets` or `batches`) done `count` times on the store `name`, and
    /// says what each took, in microseconds.
    pub(crate) fn ask(
        &self,
        name: &str,
        operation: &str,
        count: usize,
    ) -> Result<Vec<f64>, Box<dyn Error>> {
        self.answer(&format!("{name} {operation} {count}"))
    }

    /// The figures that the script answers with to one line.
    pub(crate) fn answer(&self, question: &str) -> Result<Vec<f64>, Box<dyn Error>> {
        let mut answers = self.answers.borrow_mut();
        if let Some(asks) = &mut answers.asks {
            writeln!(asks, "{question}")?;
        }
        let line = answers.line()?;
        Ok(line.split(' ').map(str::parse).collect::<Result<_, _>>()?)
    }
}

/// What the script `name` prints when it runs once with `arguments`, or why it cannot.
pub(crate) fn output(
    name: &str,
    imports: &str,
    install: &str,
    arguments: &[String],
) -> Result<String, String> {
    let python = find(imports, install)?;
    let script = Path::new(HOME).join("python").join(name);
    let output = Command::new(&python).arg(script).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!("{}: {error}", python.display())),
    }
}

/// A Python that has what is imported: that of the virtual environment beside the build, or any.
fn find(imports: &str, install: &str) -> Result<PathBuf, String> {
    let candidates = [Path::new(HOME).join("target/venv/bin/python"), PathBuf::from("python3")];
    let mut tried = Vec::new();
    for python in candidates {
        let import = Command::new(&python)
            .args(["-c", &format!("import {imports}")])
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
        "{imports} cannot be compared with.\n{}\nTo install what is needed:\n  \
         python3 -m venv {HOME}/target/venv\n  \
         {HOME}/target/venv/bin/pip install {install}",
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
    fn start(python: &Path, script: &str, arguments: &[OsString]) -> std::io::Result<Self> {
        let mut process = Command::new(python)
            .arg(Path::new(HOME).join("python").join(script))
            .args(arguments)
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
}

impl Drop for Answers {
    fn drop(&mut self) {
        drop(self.asks.take());
        let _status = self.process.wait();
    }
}
