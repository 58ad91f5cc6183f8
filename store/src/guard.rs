//! The sign guard: a locked file that remembers what a key has signed, over restarts and crashes.
//!
//! Not for: chain data. The file lies in `sign-state/`, never in the database, and no reset touches it.
//! Copying it to a second machine that signs with the same key defeats it.
//! Invariant (I-7): a signature may leave only after `check_and_record` accepted its intent and `sync`
//! returned; then no later run of the program accepts a contradiction of it.

mod moving;

pub use moving::{ImportError, Imported};

use crate::{
    AppendLog, Intent, Refused, StoreError, TornTail, Watermarks, dir::FileLock, log::Opened,
};
use alloy_primitives::{Address, B256, hex};
use rota_types::{Decode, DecodeError, Domain, Encode, Reader, Writer};
use std::path::Path;

/// Records in the file beyond which opening rewrites it.
const MAX_RECORDS: usize = 4096;
/// Bytes in the file beyond which `sync` rewrites it (about 80,000 acks).
const MAX_BYTES: u64 = 5 * 1024 * 1024;
const VERSION: u8 = 1;
/// Records that are no intents: exported to another machine, and taken back.
const EXPORTED: &[u8] = &[0x10];
const REOPENED: &[u8] = &[0x11];

/// Why the guard did not let a signature through.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Signing could be slashed. The caller does not sign.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The disk failed. Ours: halt.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How the guard's memory compares to the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardAge {
    /// It knows signatures up to the chain's head.
    Current,
    /// It knows nothing although the chain has run: a new machine, or a lost file.
    Empty,
    /// It ends `behind` heights below the head: the node was down, or the disk is an old copy.
    Old {
        /// Highest height it knows.
        newest: u64,
        /// Heights missing.
        behind: u64,
    },
}

/// What one key has signed, on disk.
#[derive(Debug)]
pub struct SignGuard {
    binding: Binding,
    marks: Watermarks,
    exported: bool,
    log: AppendLog,
    torn: Option<TornTail>,
    _lock: FileLock,
}

/// What a guard's file says, read without taking it.
#[derive(Debug, Clone)]
pub struct GuardView {
    /// What the key has signed.
    pub marks: Watermarks,
    /// Whether another machine signs with the key now.
    pub exported: bool,
}

/// The first record: which key and which network the file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Binding {
    voter: Address,
    generation: u32,
    ctx: B256,
}

impl SignGuard {
    /// Opens or creates the guard of `voter` in `dir`, for the network of `domain`.
    ///
    /// A guard of an earlier generation of the same rollup starts afresh: nothing signed before a
    /// fallback counts after it. What it knew is kept beside it, and if it was exported it still is: another machine
    /// signs. Another network, or an earlier generation, is refused.
    pub fn open(dir: &Path, voter: Address, domain: &Domain) -> Result<Self, StoreError> {
        let name = hex::encode(voter);
        let lock = FileLock::take(&dir.join(format!("{name}.lock")))?;
        let path = dir.join(format!("{name}.log"));
        let Opened { mut log, records, torn, .. } = AppendLog::open(&path).map_err(as_guard)?;
        let binding = Binding { voter, generation: domain.generation, ctx: domain.ctx() };
        let view = match read(&path, &records, &binding, domain)? {
            Found::Guard(view) => *view,
            Found::Nothing => {
                log.reset([binding.encode().as_slice()])?;
                GuardView { marks: Watermarks::default(), exported: false }
            }
            Found::Earlier { generation, exported } => {
                keep_beside(&path, generation, &records)?;
                let marker = exported.then_some(EXPORTED);
                log.reset([binding.encode().as_slice()].into_iter().chain(marker))?;
                GuardView { marks: Watermarks::default(), exported }
            }
        };
        let GuardView { marks, exported } = view;
        let mut guard = Self { binding, marks, exported, log, torn, _lock: lock };
        if records.len() > MAX_RECORDS {
            guard.rewrite()?;
        }
        Ok(guard)
    }

    /// Reads the guard of `voter` in `dir` without locking or changing it, as it is on disk now. `None` if there is
    /// none, or only one of an earlier generation that was not exported.
    pub fn peek(
        dir: &Path,
        voter: Address,
        domain: &Domain,
    ) -> Result<Option<GuardView>, StoreError> {
        let path = dir.join(format!("{}.log", hex::encode(voter)));
        let Some(records) = AppendLog::read(&path).map_err(as_guard)? else { return Ok(None) };
        let binding = Binding { voter, generation: domain.generation, ctx: domain.ctx() };
        Ok(match read(&path, &records, &binding, domain)? {
            Found::Guard(view) => Some(*view),
            Found::Earlier { exported: true, .. } => {
                Some(GuardView { marks: Watermarks::default(), exported: true })
            }
            Found::Nothing | Found::Earlier { .. } => None,
        })
    }

    /// The generation that the guard of `voter` in `dir` is of; none if there is no guard.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn generation_in(dir: &Path, voter: Address) -> Result<Option<u32>, StoreError> {
        let path = dir.join(format!("{}.log", hex::encode(voter)));
        let records = AppendLog::read(&path).map_err(as_guard)?.unwrap_or_default();
        let Some(first) = records.first() else { return Ok(None) };
        Binding::decode(first).map(|b| Some(b.generation)).map_err(|e| damaged(&path, &e))
    }

    /// Accepts or refuses an intent. Accepted is not yet durable: call `sync` before the signature leaves.
    pub fn check_and_record(&mut self, intent: Intent) -> Result<(), GuardError> {
        self.log.usable()?;
        if self.exported {
            return Err(Refused::Exported(intent.name()).into());
        }
        if self.marks.check_and_record(&intent)? {
            self.log.append(&intent.encode())?;
        }
        Ok(())
    }

    /// Makes everything accepted so far durable. One `fdatasync` for many intents; free if none is new.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        if self.log.len() > MAX_BYTES && self.log.is_dirty() {
            return self.rewrite();
        }
        self.log.sync()
    }

    /// Replaces the file by what it amounts to.
    fn rewrite(&mut self) -> Result<(), StoreError> {
        let intents = self.marks.snapshot();
        let mut records = vec![self.binding.encode()];
        records.extend(intents.iter().map(Encode::encode));
        if self.exported {
            records.push(EXPORTED.to_vec());
        }
        self.log.reset(records.iter().map(Vec::as_slice))
    }

    /// Whether something accepted is not durable yet.
    #[must_use]
    pub const fn is_dirty(&self) -> bool {
        self.log.is_dirty()
    }
    /// Highest height signed for.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.marks.newest()
    }
    /// The decisions without the disk.
    #[must_use]
    pub const fn watermarks(&self) -> &Watermarks {
        &self.marks
    }
    /// Whether another machine signs with this key now: nothing is signed here.
    #[must_use]
    pub const fn exported(&self) -> bool {
        self.exported
    }
    /// The guard's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.log.path()
    }
    /// Set if the end of the file was unfinished when it was opened. After a power loss that is an
    /// unsynced signature, which never left.
    #[must_use]
    pub const fn torn(&self) -> Option<TornTail> {
        self.torn
    }
    /// Compares with the chain's head height, so that a node can start without signing when it does not
    /// know what it signed. A node that signs is at most `slack` heights behind the head.
    #[must_use]
    pub fn age(&self, head: u64, slack: u64) -> GuardAge {
        match self.newest() {
            None if head == 0 => GuardAge::Current,
            None => GuardAge::Empty,
            Some(newest) => match head.saturating_sub(newest) {
                behind if behind <= slack => GuardAge::Current,
                behind => GuardAge::Old { newest, behind },
            },
        }
    }
}

impl Binding {
    fn is_earlier_generation_of(&self, now: &Self, domain: &Domain) -> bool {
        let then = domain.of_generation(self.generation);
        self.voter == now.voter && self.generation < now.generation && self.ctx == then.ctx()
    }
}

impl std::fmt::Display for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "key {} on network {} generation {}", self.voter, self.ctx, self.generation)
    }
}

impl Encode for Binding {
    fn encode_to(&self, w: &mut Writer) {
        w.u8(VERSION).raw(self.voter.as_slice()).u32(self.generation).hash(&self.ctx);
    }
}

impl Decode for Binding {
    fn decode_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if r.u8("guard version")? != VERSION {
            return Err(DecodeError::Invalid("unknown version of the sign guard"));
        }
        Ok(Self {
            voter: r.address("voter")?,
            generation: r.u32("generation")?,
            ctx: r.hash("ctx")?,
        })
    }
}

/// What a file says.
enum Found {
    /// It has no records.
    Nothing,
    /// It is the guard that is wanted.
    Guard(Box<GuardView>),
    /// It is of a generation that is over.
    Earlier { generation: u32, exported: bool },
}

/// What the records say.
fn read(
    path: &Path,
    records: &[Vec<u8>],
    binding: &Binding,
    domain: &Domain,
) -> Result<Found, StoreError> {
    let Some((first, rest)) = records.split_first() else { return Ok(Found::Nothing) };
    let found = Binding::decode(first).map_err(|e| damaged(path, &e))?;
    if found.is_earlier_generation_of(binding, domain) {
        let marker = rest.iter().rev().find(|r| [EXPORTED, REOPENED].contains(&r.as_slice()));
        let exported = marker.is_some_and(|r| r == EXPORTED);
        return Ok(Found::Earlier { generation: found.generation, exported });
    }
    if found != *binding {
        return Err(StoreError::OtherNetwork {
            path: path.to_path_buf(),
            found: found.to_string(),
            expected: binding.to_string(),
        });
    }
    let (mut marks, mut exported) = (Watermarks::default(), false);
    for record in rest {
        match record.as_slice() {
            EXPORTED => exported = true,
            REOPENED => exported = false,
            bytes => {
                let intent = Intent::decode(bytes).map_err(|e| damaged(path, &e))?;
                marks.restarted();
                marks.check_and_record(&intent).map_err(|e| damaged(path, &e))?;
            }
        }
    }
    marks.restarted();
    Ok(Found::Guard(Box::new(GuardView { marks, exported })))
}

/// What a key signed in a generation that is over may still be evidence, or prove that it is none.
fn keep_beside(path: &Path, generation: u32, records: &[Vec<u8>]) -> Result<(), StoreError> {
    let mut kept = AppendLog::open(path.with_extension(format!("generation-{generation}")))?.log;
    kept.reset(records.iter().map(Vec::as_slice))
}

/// The guard is not chain data: damage is never answered by starting afresh, so this is not `Corrupt`.
fn damaged(path: &Path, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::GuardDamaged { path: path.to_path_buf(), detail: why.to_string() }
}

/// A damaged record means more here than in another log.
fn as_guard(error: StoreError) -> StoreError {
    match error {
        StoreError::CorruptRecord { path, offset } => {
            damaged(&path, &format!("the record at offset {offset} is wrong and valid ones follow"))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
