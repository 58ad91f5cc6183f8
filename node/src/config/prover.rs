//! What a prover needs besides what a follower does.

use super::Dur;
use crate::outputs::Implementation;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Proving on L1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProverSettings {
    /// For which slot of the oracle: the first that is named after this.
    pub implementation: Implementation,
    /// Address of another slot that is named after it; empty for the first.
    pub slot: String,
    /// File with the key of the account that pays bonds and gas (encrypted, or 32 bytes in hex with mode 0600), relative to the data
    /// directory.
    pub key_file: PathBuf,
    /// File with the password of that key file; empty if it is not encrypted.
    pub key_password_file: PathBuf,
    /// Between two looks at the oracle.
    pub poll: Dur,
}

impl Default for ProverSettings {
    fn default() -> Self {
        Self {
            implementation: Implementation::Revm,
            slot: String::new(),
            key_file: PathBuf::new(),
            key_password_file: PathBuf::new(),
            poll: Dur::from_millis(12_000),
        }
    }
}
