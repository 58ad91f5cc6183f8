//! What a sequencer starts from: its files as the run before left them.
//!
//! Not for: starting anything. Invariant: a decided height that is in the frame log but not in the database is in
//! the database afterwards, and frames that are not decided are handed on.

mod doubt;

use super::Setup;
use crate::{
    chain::{self, ChainThread, ForcedBook},
    disk::{Disk, FrameRecord, read_record},
    engine::ReplicaInput,
    inbound::Verifier,
    sets::Sets,
    slash::Tape,
};
use crossbeam_channel::Sender;
use eyre::{WrapErr, eyre};
use rota_consensus::Restored;
use rota_p2p::Handle;
use rota_preconf::{BadFrame, Chain, Epoch, Frame, HeightContext, Lags, Rules};
use rota_store::{AppendLog, BlockBatch, Blocks, SignGuard, Tree};
use rota_types::{Header, Millis, wire::DecidedHeight};
use std::sync::Arc;

/// How long a node listens before it signs (`docs/operations.md`): with an empty guard and an empty database for anyone
/// who is ahead of it.
const LISTEN_MS: Millis = 3_000;

/// The open files and what was in them.
pub(super) struct Recovered {
    pub(super) store: Blocks,
    /// One for each pair of keys.
    pub(super) guards: Vec<SignGuard>,
    pub(super) wal: AppendLog,
    pub(super) frames: AppendLog,
    /// Entries of the write-ahead log.
    pub(super) entries: Vec<Vec<u8>>,
    /// Frames above the newest decided height.
    pub(super) undecided: Vec<Arc<Frame>>,
    pub(super) chain: chain::Restored,
    /// The newest checkpoints of execution.
    pub(super) lags: Lags,
    pub(super) verifier: Verifier,
}

impl Recovered {
    /// Opens the files and reads them.
    pub(super) fn open(setup: &Setup) -> eyre::Result<Self> {
        let Setup { dir, identity, sets, rules, genesis, .. } = setup;
        let store = setup.store.clone();
        let voters: Vec<_> = identity.pairs.iter().map(|pair| pair.vote_key()).collect();
        let mut guards = Vec::new();
        for voter in &voters {
            guards.push(doubt::open_guard(&dir.sign_state(), *voter, &rules.domain)?);
        }
        for (guard, marks) in guards.iter_mut().zip(&setup.marks) {
            guard.learn(marks)?;
        }
        let wal = AppendLog::open(dir.wal().join("consensus.log"))?;
        let frames = AppendLog::open(dir.wal().join("frames.log"))?;
        let (sets, domain) = (Arc::clone(sets), rules.domain.clone());
        let verifier = Verifier { sets, domain, cache: Arc::default() };
        let mut rules = rules.clone();
        rules.lags = chain::load_lags(&store)?;
        let undecided = catch_up_store(&store, &frames.records, &verifier, &mut rules)?;
        for (guard, voter) in guards.iter_mut().zip(voters) {
            doubt::check(guard, &store, &undecided, (setup, voter))?;
        }
        let chain = chain::restore(&store, genesis, &verifier)?;
        Ok(Self {
            store,
            guards,
            wal: wal.log,
            frames: frames.log,
            entries: wal.records,
            undecided,
            chain,
            lags: rules.lags,
            verifier,
        })
    }

    /// What the disk thread and the replica go on from.
    pub(super) fn hand_on(
        self,
        p2p: Handle,
        (replica, tape): (Sender<ReplicaInput>, Arc<Tape>),
        sets: &Sets,
    ) -> (Disk, Restored) {
        let peers = |epoch: &Arc<Epoch>| (epoch.number(), sets.peers(epoch.number()));
        let restored = Restored {
            context: self.chain.context,
            peers: sets.book().iter().map(peers).collect(),
            guards: self.guards.iter().map(|g| g.watermarks().clone()).collect(),
            wal: self.entries,
            frames: self.undecided.clone(),
            listen_ms: LISTEN_MS,
        };
        let disk = Disk {
            tape,
            guards: self.guards,
            pair: 0,
            wal: self.wal,
            frames: self.frames,
            p2p,
            replica,
            me: sets.me(),
            undecided: self.undecided,
            intents: Vec::new(),
        };
        (disk, restored)
    }
}

/// Heights that were decided but had not reached the database are put there from the frame log; what is
/// left are the undecided frames.
fn catch_up_store(
    store: &Blocks,
    records: &[Vec<u8>],
    verifier: &Verifier,
    rules: &mut Rules,
) -> eyre::Result<Vec<Arc<Frame>>> {
    let mut frames = Vec::new();
    let mut decided = Vec::new();
    for bytes in records {
        match read_record(bytes).wrap_err("the frame log is damaged")? {
            FrameRecord::Frame(frame) => frames.push(Arc::new(verifier.verify(*frame)?)),
            FrameRecord::Decided(height) => decided.push(*height),
        }
    }
    decided.sort_by_key(|(h, _)| h.height());
    let mut context = chain::load_context(store, verifier)?;
    let mut head = context.height.saturating_sub(1);
    // Without its database a node reads L1 anew; until then a height above cannot be executed, and is fetched later.
    let known = ForcedBook::new(store.clone()).upto()?;
    for (header, certificate) in decided {
        if header.height() != head.saturating_add(1) {
            continue;
        }
        if known.is_none_or(|known| known < header.env.l1_number) {
            break;
        }
        let own: Vec<Arc<Frame>> = path(&frames, &context, &header);
        if own.is_empty() {
            break;
        }
        let value_id = header.value_id(&rules.domain);
        rules.lags.certified(&header)?;
        let next = context_after(context, &own, rules)?;
        let height = DecidedHeight {
            header,
            certificate,
            frames: own.iter().map(|f| (*f.signed).clone()).collect(),
        };
        let mut batch = BlockBatch::default();
        batch.height(&height, value_id);
        let meta = chain::encode_context(&next);
        batch.put(Tree::Meta, chain::CONTEXT, meta);
        store.commit(batch)?;
        head = head.saturating_add(1);
        context = next;
        tracing::info!(height = head, "decided height restored from the frame log");
    }
    store.flush()?;
    frames.retain(|f| f.g() > context.base.g);
    Ok(frames)
}

/// The context after the height of these frames.
fn context_after(
    context: HeightContext,
    frames: &[Arc<Frame>],
    rules: &Rules,
) -> eyre::Result<HeightContext> {
    let mut log = Chain::new(context);
    for frame in frames {
        let height = frame.height();
        log.append_carried(frame, rules).map_err(|e| match e {
            BadFrame::Origin(_) => eyre!("the set after height {height} is not in sets/"),
            other => eyre!("the frame log is damaged at height {height}: {other}"),
        })?;
    }
    log.pop_decided();
    Ok(log.base().clone())
}

/// The frames of a decided height, by their links.
fn path(frames: &[Arc<Frame>], context: &HeightContext, header: &Header) -> Vec<Arc<Frame>> {
    let mut out = Vec::new();
    let mut at = header.last_frame_hash;
    while at != context.base.hash {
        let Some(frame) = frames.iter().rev().find(|f| f.hash == at) else { return Vec::new() };
        at = frame.prev();
        out.push(Arc::clone(frame));
    }
    out.reverse();
    out
}

/// Executes decided heights above the newest settled block again. What it gives must be what the set certified; the
/// rules know all of it afterwards.
pub(super) fn replay_heights(
    chain: &mut ChainThread,
    recovered: &mut Recovered,
    rules: &mut Rules,
) -> eyre::Result<Vec<Arc<chain::Sealed>>> {
    let mut settled = Vec::new();
    rules.lags = std::mem::take(&mut recovered.lags);
    let lags = &mut rules.lags;
    for (decided, frames) in &recovered.chain.heights {
        let value_id = decided.certificate.value_id;
        for frame in frames {
            let closes = frame.g() == decided.header.last_g;
            chain.accept(frame, closes.then_some(value_id))?;
        }
        lags.certified(&decided.header)?;
        if let Some(point) = chain.point(decided.header.height()) {
            lags.executed(point.height, point.root())?;
        }
        settled.extend(chain.decide(&decided.header, &decided.certificate));
    }
    Ok(settled)
}

#[cfg(test)]
mod tests {
    use crate::chain;
    use std::sync::Arc;

    #[test]
    fn a_context_survives_the_store() {
        let set = Arc::new(rota_types::ValidatorSet::new(3, Vec::new()));
        let epoch = Arc::new(rota_preconf::Epoch::new(70, set, 6));
        let context = rota_preconf::HeightContext {
            height: 9,
            epoch: Arc::clone(&epoch),
            parent_id: Default::default(),
            cursor: rota_preconf::Cursor { cursor: 3, window_left: 2, jailed: 5 },
            history: Default::default(),
            parent_env: None,
            resumed: false,
            sealed: true,
            base: rota_preconf::Link { g: 77, hash: Default::default(), timestamp_ms: 5 },
            stream: rota_preconf::Stream {
                term: rota_types::Term { height: 4, round: 1 },
                leader: 2,
                init_hash: Default::default(),
                next_seq: 8,
            },
            insured: rota_preconf::Insured { total: 11, before: 7, least_gwei: 5 },
        };
        let bytes = chain::encode_context(&context);
        assert_eq!(chain::context_epoch(&bytes).unwrap(), 3);
        assert_eq!(chain::decode_context(&bytes, epoch).unwrap(), context);
    }
}
