//! Running the Python side of a judgement.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::process::Command;

/// A vendor's tests take a few seconds; one that hangs shall not take the whole run with it.
const PATIENCE: Duration = Duration::from_secs(150);

/// A folder for what the two sides tell each other. It is gone with its owner.
pub struct Desk {
    folder: PathBuf,
}

impl Desk {
    /// A folder of its own for this vendor and process.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn new(vendor: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("conformance-{vendor}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)
            .unwrap_or_else(|error| panic!("{} could not be made: {error}", folder.display()));
        Self { folder }
    }

    /// Where the paper of this name lies, as text for an environment variable.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Writes entries as lines of JSON, and gives the path.
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn write<T: Serialize>(&self, name: &str, entries: impl IntoIterator<Item = T>) -> String {
        let mut text = String::new();
        for entry in entries {
            text.push_str(&serde_json::to_string(&entry).expect("invariant: entries have string keys"));
            text.push('\n');
        }
        let path = self.path(name);
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{path} could not be written: {error}"));
        path
    }

    /// Reads the lines of JSON that the Python side wrote.
    ///
    /// # Panics
    /// If there are none: a judge that says nothing has not judged.
    #[must_use]
    pub fn read(&self, name: &str) -> Vec<serde_json::Value> {
        let path = self.path(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path} was not written: {error}"));
        let lines: Vec<_> = text.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect();
        assert!(!lines.is_empty(), "{path} is empty");
        lines
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // A folder that stays behind in the system's own place for such things harms nobody.
        let _left_behind = std::fs::remove_dir_all(&self.folder);
    }
}

/// Lets every `<vendor>…_test.py` judge.
///
/// # Panics
/// If anything is not as the vendor would have it, with what `pytest` printed; or if there is no Python environment.
pub async fn judge(vendor: &str, environment: &[(&str, String)]) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(interpreter());
    command
        .current_dir(here)
        .args(["-m", "pytest", "-q", "--no-header", "--durations=3", "-p", "no:cacheprovider"])
        .args(tests_of(vendor, here))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // All that is talked to is on this machine.
        .env("NO_PROXY", "*")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .kill_on_drop(true);
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(proxy);
    }
    let output = match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(output) => output.unwrap_or_else(|error| panic!("python could not be started: {error}")),
        Err(_) => panic!("the tests of {vendor} were not done after {PATIENCE:?}"),
    };
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the tests of {vendor} say:\n{said}");
    // Seen with --nocapture: what was judged, and how long it took.
    print(&said);
}

/// The Python that knows the vendors' packages.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn interpreter() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    assert!(python.exists(), "there is no Python environment: run ./test, which makes it");
    python
}

/// A script that stands beside the tests.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn tests_of(vendor: &str, folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("invariant: the tests lie beside the manifest");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut tests: Vec<String> = names.filter(|name| name.starts_with(vendor) && name.ends_with("_test.py")).collect();
    tests.sort();
    assert!(!tests.is_empty(), "there are no tests of {vendor} in {}", folder.display());
    tests
}

#[expect(clippy::print_stdout, reason = "the judges' own words, for whoever runs a test with --nocapture")]
fn print(text: &str) {
    println!("{text}");
}
