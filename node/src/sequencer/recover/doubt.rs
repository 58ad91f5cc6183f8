//! At the start: may this directory sign, and does its guard know what its own data says that the key signed?
//!
//! Not for: what the network says; the replica listens for that. The rule: the guard is an old copy if a frame of this
//! key is in a term that the guard does not know, or if a certificate in the database holds this key's vote for a height
//! more than [`UNSENT`] above everything in the guard. Then nothing is signed until two windows above it.
//! Invariant: a crash at any point is never taken for an old copy.

use crate::{
    exit::{Exit, Failure},
    sequencer::Setup,
    sets::Sets,
};
use alloy_primitives::{Address, hex};
use rota_preconf::Frame;
use rota_store::{Blocks, GuardAge, Intent, Known, SignGuard, StoreError, Watermarks};
use rota_types::{CommitCertificate, Domain, FrameHeader, VoteKind};
use std::{path::Path, sync::Arc};

/// Heights for which the database may hold an own vote that was never sent: a decision is stored without waiting for
/// the sync of the vote that is in it. A frame is different: its term is on disk before it is signed.
const UNSENT: u64 = 8;
/// Heights looked at, from the newest down.
const LOOK_BACK: u64 = 4_096;
/// Read at once.
const BATCH: u64 = 64;

/// Whose signatures are looked for.
struct Own<'a> {
    sets: &'a Sets,
    voter: Address,
}

impl Own<'_> {
    /// Its index in the set of an epoch.
    fn index(&self, epoch: u64) -> Option<u16> {
        self.sets.get(epoch)?.set().by_vote_key(self.voter)
    }
    fn is(&self, epoch: u64, index: u16) -> bool {
        self.index(epoch) == Some(index)
    }
}

/// Opens the guard for signing.
pub(super) fn open_guard(
    dir: &Path,
    voter: Address,
    domain: &Domain,
) -> Result<SignGuard, StoreError> {
    let guard = SignGuard::open(dir, voter, domain)?;
    if guard.exported() {
        return Err(StoreError::GuardExported { path: guard.path().to_path_buf() });
    }
    if let Some(torn) = guard.torn() {
        tracing::warn!(
            bytes = torn.bytes,
            "the sign guard ends in an unfinished record: a signature that never left, if the machine lost power"
        );
    }
    let own = hex::encode(voter);
    for other in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = other.file_name().to_string_lossy().into_owned();
        if name.ends_with(".log") && !name.starts_with(&own) && guard.newest().is_none() {
            tracing::warn!(
                file = %other.path().display(),
                "the sign guard of this key is empty, and there is one of another key: were the right keys copied?"
            );
        }
    }
    Ok(guard)
}

/// Compares the guard with what the own data names as signed by this key.
pub(super) fn check(
    guard: &mut SignGuard,
    store: &Blocks,
    undecided: &[Arc<Frame>],
    (setup, voter): (&Setup, Address),
) -> eyre::Result<()> {
    let me = &Own { sets: &setup.sets, voter };
    let head = store.decided_head()?.map_or(0, |h| h.height);
    let frames = undecided.iter().map(|f| &f.signed.header);
    let mut beyond = None;
    for header in frames {
        beyond = beyond.max(unknown_frame(guard.watermarks(), header, me)?);
    }
    let beyond = beyond.max(newest_unknown(guard.watermarks(), store, head, me)?);
    if let GuardAge::Old { newest, behind } = guard.age(head, UNSENT) {
        tracing::info!(
            newest,
            behind,
            "the sign guard ends below the decided head of the database"
        );
    }
    // What lies at the floor or below is accounted for.
    let floor = guard.watermarks().floor();
    let Some(height) = beyond.filter(|h| *h > floor) else { return Ok(()) };
    let windows = u64::from(setup.rules.params.window_heights).saturating_mul(2);
    let floor = height.max(head).saturating_add(windows);
    tracing::error!(
        signed = height,
        guard = guard.newest().unwrap_or(0),
        until_height = floor,
        "the sign guard is an old copy: the database holds newer signatures of this key. Following without signing"
    );
    guard.check_and_record(Intent::Floor { height: floor })?;
    Ok(guard.sync()?)
}

/// The newest decided height that holds a signature of this key which its guard does not know.
fn newest_unknown(
    marks: &Watermarks,
    store: &Blocks,
    head: u64,
    me: &Own<'_>,
) -> eyre::Result<Option<u64>> {
    let oldest = marks.newest().unwrap_or(0).max(head.saturating_sub(LOOK_BACK));
    let mut top = head;
    while top > oldest {
        let from = top.saturating_sub(BATCH).max(oldest).saturating_add(1);
        let count = usize::try_from(top.saturating_sub(from).saturating_add(1))?;
        let mut found = None;
        for height in store.heights(from, count)? {
            found = found.max(unknown_vote(marks, &height.certificate, me)?);
            for frame in &height.frames {
                found = found.max(unknown_frame(marks, &frame.header, me)?);
            }
        }
        if found.is_some() {
            return Ok(found);
        }
        top = from.saturating_sub(1);
    }
    Ok(None)
}

fn unknown_frame(
    marks: &Watermarks,
    header: &FrameHeader,
    me: &Own<'_>,
) -> Result<Option<u64>, Failure> {
    let (height, round) = (header.term.height, header.term.round);
    let intent = Intent::Term { height, round, init_hash: header.init_hash };
    judge(me.is(header.epoch, header.leader), marks, &intent)
        .map(|unknown| unknown.then_some(header.height))
}

fn unknown_vote(
    marks: &Watermarks,
    certificate: &CommitCertificate,
    me: &Own<'_>,
) -> Result<Option<u64>, Failure> {
    let CommitCertificate { epoch, height, round, value_id, ref signers, .. } = *certificate;
    let intent = Intent::Vote { height, round, kind: VoteKind::Precommit, value_id };
    let unsent = height <= marks.newest().unwrap_or(0).saturating_add(UNSENT);
    let unknown = judge(me.index(epoch).is_some_and(|i| signers.has(i)), marks, &intent)?;
    Ok((unknown && !unsent).then_some(height))
}

/// Whether an own signature is unknown to the guard. One that contradicts it ends the start.
fn judge(own: bool, marks: &Watermarks, intent: &Intent) -> Result<bool, Failure> {
    if !own {
        return Ok(false);
    }
    let (height, round) = intent.position();
    match marks.known(intent) {
        Known::Yes => Ok(false),
        Known::No => Ok(true),
        Known::Contradicts { signed } => {
            let what = intent.name();
            let message = format!(
                "the database holds a {what} of this key at height {height} round {round} that contradicts the sign guard, which knows {signed} there"
            );
            Err(Failure::new(Exit::Slashable, message).hint(
                "this key signed twice, or the guard was put together by hand: do not sign with it; see docs/operations.md",
            ))
        }
    }
}
