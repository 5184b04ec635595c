//! A headless Chromium, driven over the WebDriver protocol.
//
// The protocol is JSON over HTTP, of which these tests need ten commands. A client crate would
// bring an asynchronous HTTP client and a cookie jar to compile.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};

use crate::http::Ask;

/// How long a person would wait for something to appear.
const PATIENCE: Duration = Duration::from_secs(30);

/// The browser; closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens one; `None`, said aloud, if this machine has none.
    pub(crate) fn open() -> Option<Self> {
        let (Some(driver), Some(chromium)) = (found("chromedriver"), found("chromium")) else {
            // Not by `eprintln!`: the harness would keep that to itself.
            let text = "SKIPPED a test in the browser: there is no chromium or no chromedriver; \
                        install them by `apt-get install chromium chromium-driver`\n";
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let (driver, address) = start(&driver);
        let mut browser = Self { driver, address, session: String::new(), _profile: profile };
        let wanted = capabilities(&chromium, &browser._profile.path().display().to_string());
        let opened = browser.call("POST", "", &wanted);
        opened["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        Some(browser)
    }

    pub(crate) fn go(&self, url: &str) {
        self.call("POST", "/url", &json!({ "url": url }));
    }

    /// What a script returns.
    pub(crate) fn script(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text of an element as a person sees it, with single spaces; empty if there is none.
    pub(crate) fn text(&self, css: &str) -> String {
        // In one step: between two, the page may replace the element.
        let css = Value::from(css);
        let text =
            format!("return document.querySelector({css})?.innerText.replace(/\\s+/g, ' ').trim()");
        self.script(&text).as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn click(&self, css: &str) {
        // The driver would scroll only as far as under the bar at the top.
        let css_text = Value::from(css);
        self.script(&format!(
            "document.querySelector({css_text}).scrollIntoView({{ block: 'center' }})"
        ));
        self.call("POST", &format!("/element/{}/click", self.find(css)), &json!({}));
    }

    pub(crate) fn write(&self, css: &str, text: &str) {
        let path = format!("/element/{}/value", self.find(css));
        self.call("POST", &path, &json!({ "text": text }));
    }

    fn find(&self, css: &str) -> String {
        let found =
            self.call("POST", "/element", &json!({ "using": "css selector", "value": css }));
        let id = found.as_object().and_then(|found| found.values().next());
        id.and_then(Value::as_str).unwrap_or_else(|| panic!("no {css}: {found}")).to_owned()
    }

    /// Waits until the text of an element is as wanted, and returns it.
    #[track_caller]
    pub(crate) fn wait_for(&self, css: &str, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = self.text(css);
            if wanted(&text) {
                return text;
            }
            assert!(Instant::now() < end, "{css} is still {text:?}");
            // sleep: the browser cannot be asked to call us.
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The cookies of the page, with what the browser knows of each.
    pub(crate) fn cookies(&self) -> Vec<Value> {
        self.call("GET", "/cookie", &Value::Null).as_array().unwrap().clone()
    }

    /// Opens a tab and goes there; gives its handle.
    pub(crate) fn new_tab(&self) -> String {
        let tab = self.call("POST", "/window/new", &json!({ "type": "tab" }));
        let handle = tab["handle"].as_str().unwrap().to_owned();
        self.switch_to(&handle);
        handle
    }

    pub(crate) fn tab(&self) -> String {
        self.call("GET", "/window", &Value::Null).as_str().unwrap().to_owned()
    }

    pub(crate) fn switch_to(&self, handle: &str) {
        self.call("POST", "/window", &json!({ "handle": handle }));
    }

    /// A picture of the whole page, as wide as said.
    pub(crate) fn picture(&self, width: u32, scheme: &str) -> Vec<u8> {
        let mobile = width < 600;
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &media);
        let options = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.devtools("Page.captureScreenshot", &options);
        base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    fn devtools(&self, command: &str, params: &Value) -> Value {
        self.call("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": params }))
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = match self.session.as_str() {
            "" => "/session".to_owned(),
            session => format!("/session/{session}{path}"),
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = Ask::new(self.address, method, &path).body("application/json", &body).send();
        let value = answer.json()["value"].clone();
        assert!(answer.status == 200, "{method} {path}: {value}");
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        let _ = Ask::new(self.address, "DELETE", &path).try_send();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The program of that name in the path.
fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

fn start(driver: &PathBuf) -> (Child, SocketAddr) {
    let mut child = Command::new(driver).arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
    let (sender, ports) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let port = line
                .split_once("successfully on port ")
                .map(|(_, rest)| rest.trim_end_matches('.'));
            if let Some(port) = port.and_then(|port| port.parse::<u16>().ok()) {
                let _ = sender.send(port);
            }
        }
    });
    let port = ports.recv_timeout(PATIENCE).expect("chromedriver says its port");
    (child, (Ipv4Addr::LOCALHOST, port).into())
}

fn capabilities(chromium: &PathBuf, profile: &str) -> Value {
    let mut args: Vec<String> = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        // The driver clicks at where an element was when a smooth scroll began.
        "--force-prefers-reduced-motion",
        "--window-size=1280,900",
    ]
    .map(str::to_owned)
    .into();
    args.push(format!("--user-data-dir={profile}"));
    let options = json!({ "binary": chromium, "args": args });
    json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } })
}
