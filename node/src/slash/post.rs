//! Evidence as files that anyone can check: written when it is found, read when it is brought.
//!
//! Invariant: a file that is read was judged before anything is done with it; an offence has one file.

use super::Found;
use alloy_primitives::{B256, U256};
use rota_types::{Domain, EvidenceFile};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Names an offence on this machine: the contract's own name needs the operator's number, which L1 has.
#[must_use]
pub fn local_name(found: &Found) -> B256 {
    let first = found.verdict.accused.first().copied().unwrap_or(u16::MAX);
    found.verdict.place.key(U256::from(first))
}

/// Where `keep` puts evidence.
#[must_use]
pub(super) fn place(dir: &Path, found: &Found) -> PathBuf {
    dir.join(format!("{}-{}.json", found.verdict.kind.name(), local_name(found)))
}

/// Writes evidence into a directory and says where. An offence that is there already stays as it is: `None`.
///
/// # Errors
/// The disk's fault.
pub fn keep(dir: &Path, found: &Found, domain: &Domain) -> io::Result<Option<PathBuf>> {
    fs::create_dir_all(dir)?;
    let path = place(dir, found);
    if path.exists() {
        return Ok(None);
    }
    let file = EvidenceFile::of(&found.evidence, &found.set, domain);
    let text = serde_json::to_string_pretty(&file).map_err(io::Error::other)?;
    let unfinished = path.with_extension("new");
    fs::write(&unfinished, text + "\n")?;
    fs::File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, &path)?;
    Ok(Some(path))
}

/// The files that `keep` has written into a directory; none if it is not there.
///
/// # Errors
/// The disk's fault.
pub(super) fn kept(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let paths = entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    let mut files: Vec<_> =
        paths.into_iter().filter(|p| p.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    Ok(files)
}

/// Reads a file of evidence.
///
/// # Errors
/// No such file, or not evidence.
pub fn read(path: &Path) -> io::Result<EvidenceFile> {
    let text = fs::read_to_string(path)?;
    serde_json::from_str(&text).map_err(io::Error::other)
}
