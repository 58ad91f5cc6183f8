//! The L1's program: found, or installed from npm.
//!
//! Invariant: what is started is anvil itself. npm's wrapper starts it as a child of its own, which then outlives a kill.

use rota_node::exit::{Exit, Failure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

/// Names the packages and their versions.
const PACKAGE: &str = include_str!("../tools/package.json");

/// The anvil to start: `$ROTA_ANVIL`, or the one in the tools directory, installed first if it is not there.
///
/// # Errors
/// npm is missing or fails.
pub(crate) async fn anvil(tools: &Path) -> Result<PathBuf, Failure> {
    if let Some(given) = std::env::var_os("ROTA_ANVIL").map(PathBuf::from) {
        if given.is_file() {
            return Ok(given);
        }
        return Err(Failure::new(
            Exit::Config,
            format!("ROTA_ANVIL: there is no {}", given.display()),
        )
        .hint("unset it, and anvil is installed from npm"));
    }
    let path = binary(tools, "anvil");
    if !path.is_file() || !current(tools) {
        install(tools).await?;
    }
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::new(Exit::Config, format!("npm did not install {}", path.display()))
        .hint("set ROTA_ANVIL to the path of an anvil 1.7.1"))
}

/// The program itself, in the package for this platform.
pub(crate) fn binary(tools: &Path, name: &str) -> PathBuf {
    let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => "darwin-arm64",
        ("macos", _) => "darwin-amd64",
        (_, "aarch64") => "linux-arm64",
        _ => "linux-amd64",
    };
    tools.join(format!("node_modules/@foundry-rs/{name}-{platform}/bin/{name}"))
}

/// Whether what is installed is what this program wants.
fn current(tools: &Path) -> bool {
    fs::read_to_string(tools.join("package.json")).is_ok_and(|text| text == PACKAGE)
}

async fn install(tools: &Path) -> Result<(), Failure> {
    let hint = "install Node.js with npm, or set ROTA_ANVIL to the path of an anvil 1.7.1";
    let wrong = |what: String| Failure::new(Exit::Config, what).hint(hint);
    eprintln!("installing anvil and cast 1.7.1 from npm into {} ..", tools.display());
    fs::create_dir_all(tools)
        .map_err(|e| wrong(format!("cannot create {}: {e}", tools.display())))?;
    fs::write(tools.join("package.json"), PACKAGE)
        .map_err(|e| wrong(format!("cannot write to {}: {e}", tools.display())))?;
    let run = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"])
        .current_dir(tools)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|e| wrong(format!("cannot run npm: {e}")))?;
    if run.status.success() {
        return Ok(());
    }
    // Not to be taken for a finished installation the next time.
    let _ = fs::remove_file(tools.join("package.json"));
    let said = String::from_utf8_lossy(&run.stderr);
    let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no reason given");
    Err(wrong(format!("npm install failed: {last}")))
}
