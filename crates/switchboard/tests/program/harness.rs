//! Starting the binary in a directory of its own, and asking it things.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

pub(crate) const THEIRS: &str = "+12025550123";

/// A data directory that goes away at the end.
pub(crate) struct DataDir(pub(crate) PathBuf);

impl DataDir {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("switchboard-program-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        Self(path)
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The binary, knowing nothing but this directory and these variables.
pub(crate) fn program(data_dir: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.env_clear().env("DATA_DIR", data_dir).env("PORT", "0").env("DRAIN_SECONDS", "1");
    command.envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(data_dir: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    program(data_dir, variables).args(arguments).output().expect("the binary is built")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running `dev`. Dropped, it is killed.
pub(crate) struct Dev {
    child: Child,
    pub(crate) url: String,
    token: String,
    http: Client,
}

impl Dev {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[]).await
    }

    /// Starts it with variables and waits until it answers.
    pub(crate) async fn start_with(data_dir: &Path, variables: &[(&str, &str)]) -> Self {
        // What an earlier one said of itself is not to be believed.
        drop(std::fs::remove_file(data_dir.join("running.json")));
        let mut child = program(data_dir, variables)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary is built");
        let http = Client::builder().no_proxy().build().unwrap();
        let since = Instant::now();
        loop {
            assert!(since.elapsed() < Duration::from_secs(30), "it did not start");
            assert!(child.try_wait().unwrap().is_none(), "it ended");
            let place = std::fs::read(data_dir.join("running.json")).ok();
            if let Some(place) = place.and_then(|place| serde_json::from_slice::<Value>(&place).ok()) {
                let url = place["url"].as_str().unwrap().to_owned();
                let token = std::fs::read_to_string(data_dir.join("api-token")).unwrap();
                return Self { child, url, token, http };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("Idempotency-Key", "a key of this test").json(&body);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.ask(Method::GET, path, None).await;
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap()
    }

    pub(crate) async fn bytes(&self, path: &str, range: Option<&str>) -> (u16, Vec<u8>) {
        let mut request = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(range) = range {
            request = request.header("Range", range);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
    }

    /// Places a call to somebody who behaves so, and returns its id.
    pub(crate) async fn place(&self, to: &str, scenario: &str) -> String {
        let callee = json!({ "scenario": scenario });
        let set = self.ask(Method::PUT, &format!("/local/callees/{}", to.replace('+', "%2B")), Some(callee)).await;
        assert!(set.status().is_success(), "{}", set.status());
        let placed = self.ask(Method::POST, "/v1/calls", Some(json!({ "to": to }))).await;
        assert_eq!(placed.status(), 202, "{}", placed.text().await.unwrap());
        placed.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Waits until something is true of a call.
    pub(crate) async fn until(&self, id: &str, within: Duration, is: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            let call = self.get(&format!("/v1/calls/{id}")).await;
            if is(&call) {
                return call;
            }
            assert!(since.elapsed() < within, "still {call}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and once more as soon as it says that it is ending; returns its exit code.
    pub(crate) fn terminate_twice(mut self) -> Option<i32> {
        self.signal("-TERM");
        let Some(stdout) = self.child.stdout.take() else { panic!("its output is piped") };
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stdout));
        assert!(lines.any(|line| line.unwrap().contains("Ending")));
        self.signal("-INT");
        self.child.wait().unwrap().code()
    }

    fn signal(&self, signal: &str) {
        let asked = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
    }

    /// Asks it to end, waits for that, and returns its exit code and what it wrote.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        let mut written = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            std::io::Read::read_to_string(&mut stdout, &mut written).unwrap();
        }
        (self.child.wait().unwrap().code(), written)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
