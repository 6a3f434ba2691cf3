//! Where the running program is: a small file in the data directory, by which the other commands find it.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file's name.
const FILE: &str = "running.json";

/// What a running program says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Where its API answers this machine's programs.
    pub url: String,
    /// Its process.
    pub pid: u32,
    /// This start of it, told from others at the same address.
    pub run: String,
}

impl Place {
    /// Says where the program is.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn announce(&self, data_dir: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string(self).map_err(std::io::Error::other)?;
        // Moved into its place: nobody reads half of it.
        let beside = data_dir.join("running.new");
        std::fs::write(&beside, text)?;
        std::fs::rename(beside, data_dir.join(FILE))
    }

    /// Takes back what was said.
    pub fn withdraw(data_dir: &Path) {
        if let Err(error) = std::fs::remove_file(data_dir.join(FILE)) {
            tracing::debug!(%error, "the file that says where the program is was not removed");
        }
    }

    /// Where a program says it is. It may have been killed since.
    #[must_use]
    pub fn announced(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data_dir.join(FILE)).ok()?).ok()
    }
}
