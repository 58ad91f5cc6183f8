//! What the chain thread says. One thread only; readers never wait for more than the pointer work here.
//!
//! Order inside each call: tables, then waiters, then the stream, so that whoever is woken finds the fact.

use super::{
    BlockView, Decision, EventKind, Finalization, FrameView, HeadRef, HeightRecord, Notice,
    Posting, ProblemKind, Retraction, View,
    inner::{Inner, problem},
    status::AckInfo,
};
use alloy_primitives::B256;
use rota_types::{AckCert, Millis, Stage, TermInit, Tx, Validator, ValidatorSet};
use std::sync::Arc;

/// Openings of terms kept: one for each round change lately.
const MAX_INITS: usize = 64;

impl View {
    /// The set of an epoch: names leaders' stakes and goes into promises. Old sets stay for old promises.
    pub fn validators(&self, set: Arc<ValidatorSet>) {
        self.inner.write().sets.insert(set.epoch(), set);
    }

    /// At start: a decided block from the store, oldest first.
    pub fn restore_block(&self, block: Arc<BlockView>) {
        let mut inner = self.inner.write();
        inner.place_restored(&block);
        inner.decided_height = inner.decided_height.max(block.span.last_height);
        inner.undecided_g = inner.undecided_g.max(block.span.last_g.saturating_add(1));
        inner.add_block(block);
        inner.advance();
        inner.evict(self.config.retain_blocks);
    }

    /// This node has a transaction that waits to be framed.
    pub fn received(&self, tx: &Arc<Tx>, now_ms: Millis) {
        self.inner.write().receive(tx, now_ms, self.config.retain_loose);
        self.waiters.tell(std::iter::once(tx.hash), &Notice::Reached(Stage::Received));
        self.stream.announce(tx);
    }

    /// A waiting transaction was refused or thrown out.
    pub fn rejected(&self, hash: B256, reason: impl Into<String>, now_ms: Millis) {
        self.fail(hash, ProblemKind::Rejected, reason.into(), None, now_ms);
    }

    /// A waiting transaction gave way to another with the same nonce.
    pub fn replaced(&self, hash: B256, by: B256, now_ms: Millis) {
        let reason = format!("replaced by {by}, which has the same nonce and pays more");
        self.fail(hash, ProblemKind::Replaced, reason, Some(by), now_ms);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one problem")]
    fn fail(
        &self,
        hash: B256,
        kind: ProblemKind,
        reason: String,
        by: Option<B256>,
        now_ms: Millis,
    ) {
        if let Some(record) = self.inner.write().txs.get_mut(&hash) {
            if record.place.is_some() {
                return;
            }
            let found = problem(kind, reason.clone(), Some(now_ms));
            record.problem = Some(super::Problem { replaced_by: by, ..found });
        }
        self.waiters.tell(std::iter::once(hash), &Notice::Failed);
        self.stream.send(now_ms, EventKind::Rejected { hash, reason });
    }

    /// A frame was executed. `pending` is now the state after it.
    pub fn frame(&self, view: FrameView) {
        let at_ms = view.now_ms;
        let (record, head, decided) = {
            let mut inner = self.inner.write();
            let record = inner.add_frame(view, self.config.retain_loose);
            let decided = record.g() < inner.undecided_g;
            (record, inner.heads().pending, decided)
        };
        // A node that catches up may execute what the set has decided long ago.
        let stage = if decided { Stage::Decided } else { Stage::Preconfirmed };
        let included = record.included().map(|r| *r.transaction.tx_hash());
        self.waiters.tell(included, &Notice::Reached(stage));
        let skipped =
            record.txs.iter().filter(|t| matches!(t.outcome, rota_execution::Outcome::Skipped(_)));
        self.waiters.tell(skipped.map(|t| t.tx.hash), &Notice::Failed);
        self.stream.send(at_ms, EventKind::Frame(record));
        self.stream.send(at_ms, EventKind::Head { stage: Stage::Preconfirmed, head });
    }

    /// The open block has its final content and hash. It is `latest` once its heights are decided.
    pub fn sealed(&self, block: Arc<BlockView>, now_ms: Millis) {
        let moved = {
            let mut inner = self.inner.write();
            inner.add_block(block.clone());
            inner.advance()
        };
        self.stream.send(now_ms, EventKind::Sealed(block));
        self.heads_moved(moved, now_ms);
    }

    /// Frames above `to_g` are taken back (`round_change`, `equivocation` or `leader_lost`). Decided frames
    /// stay, whatever is asked. Gives the transactions that are waiting again, in log order.
    pub fn rewind(&self, to_g: u64, reason: &'static str, now_ms: Millis) -> Vec<Arc<Tx>> {
        let broken = reason == "equivocation";
        let kind = if broken { ProblemKind::Broken } else { ProblemKind::Retracted };
        let (retraction, txs) = {
            let mut inner = self.inner.write();
            let to_g = to_g.max(inner.undecided_g.saturating_sub(1));
            let lost = problem(kind, reason.to_owned(), Some(now_ms));
            let (gone, blocks) = inner.retract(to_g, self.config.retain_loose, &lost);
            let promised =
                gone.values().map(|f| f.included().count()).fold(0, usize::saturating_add);
            inner.stats.lost(promised, broken);
            let (Some(first), Some(last)) = (gone.first_key_value(), gone.last_key_value()) else {
                return Vec::new();
            };
            let txs = gone.values().flat_map(|f| &f.txs).map(|t| t.tx.clone());
            let txs: Vec<Arc<Tx>> = txs.collect();
            let retraction = Arc::new(Retraction {
                to_g,
                frames: (*first.0, *last.0),
                leader: first.1.leader,
                reason,
                txs: txs.iter().map(|t| t.hash).collect(),
                blocks,
                hashes: gone.values().map(|f| f.hash).collect(),
                at_ms: now_ms,
            });
            // In the same moment as the tables: a reader sees both or neither.
            inner.note_retraction(retraction.clone());
            (retraction, txs)
        };
        self.waiters.tell(retraction.txs.iter().copied(), &Notice::Retracted);
        self.stream.send(now_ms, EventKind::Retract(retraction));
        txs
    }

    /// Validators with this much stake stored everything up to `g`. Below a quorum nothing is noted.
    pub fn acked(&self, g: u64, weight_gwei: u64, total_gwei: u64, now_ms: Millis) {
        let info = AckInfo { weight_gwei, total_gwei, at_ms: now_ms };
        let (told, head) = {
            let mut inner = self.inner.write();
            let known = inner.acks.last_key_value().map(|(g, _)| *g);
            if !info.is_quorum() || known.is_some_and(|k| k >= g) || !inner.frames.contains_key(&g)
            {
                return;
            }
            let from = known.map_or(0, |k| k.saturating_add(1));
            inner.acks.insert(g, info);
            let frames: Vec<_> = inner.frames.range(from..=g).map(|(_, f)| f.clone()).collect();
            for frame in frames.iter().filter(|f| !f.txs.is_empty()) {
                inner.stats.acked(now_ms.saturating_sub(frame.at_ms));
            }
            (frames, inner.heads().acked)
        };
        let hashes = told.iter().flat_map(|f| f.included()).map(|r| *r.transaction.tx_hash());
        self.waiters.tell(hashes, &Notice::Reached(Stage::Acked));
        self.stream.send(now_ms, EventKind::Head { stage: Stage::Acked, head });
    }

    /// The proof behind [`Self::acked`], for promises.
    pub fn ack_cert(&self, cert: AckCert) {
        let mut inner = self.inner.write();
        let Some(set) = inner.sets.get(&cert.epoch) else { return };
        let power = |i: u16| set.get(i).map_or(0, Validator::power);
        let weight = cert.signers.iter().map(power).fold(0, u64::saturating_add);
        let is_here = inner.frames.get(&cert.g).is_some_and(|f| f.hash == cert.frame_hash);
        let known = inner.ack_certs.get(&cert.g).map_or(0, |(_, weight)| *weight);
        if is_here && weight > known {
            inner.ack_certs.insert(cert.g, (Arc::new(cert), weight));
        }
    }

    /// The opening of a term, for the promises whose acks name it. Not verified: acks name it by its hash.
    pub fn term_init(&self, init: TermInit) {
        let hash = init.hash(&self.config.domain);
        let mut inner = self.inner.write();
        if inner.inits.iter().all(|(known, _)| *known != hash) {
            if inner.inits.len() >= MAX_INITS {
                inner.inits.pop_front();
            }
            inner.inits.push_back((hash, init));
        }
    }

    /// A height is decided, with every frame up to its CLOSE.
    pub fn decided(&self, decision: Decision, now_ms: Millis) {
        let (told, moved) = {
            let mut inner = self.inner.write();
            let told = inner.decide(decision, now_ms);
            let moved = inner.advance();
            inner.evict(self.config.retain_blocks);
            (told, moved)
        };
        self.waiters.tell(told.into_iter(), &Notice::Reached(Stage::Decided));
        self.stream.touch();
        self.heads_moved(moved, now_ms);
    }

    /// Every height up to `height` is in a batch on L1.
    pub fn posted(&self, height: u64, l1_tx: B256, l1_block: u64, now_ms: Millis) {
        let moved = {
            let mut inner = self.inner.write();
            inner.postings.insert(height, Posting { height, l1_tx, l1_block, at_ms: now_ms });
            inner.advance()
        };
        self.l1_moved(moved, Stage::Posted, now_ms);
    }

    /// An L1 reorg took the batches from this height on out again.
    pub fn unposted(&self, from_height: u64, now_ms: Millis) {
        let moved = {
            let mut inner = self.inner.write();
            inner.postings.split_off(&from_height);
            // `advance` only goes forward: start again from what is final.
            let before = inner.safe;
            inner.safe = inner.finalized;
            inner.advance();
            let head = inner.heads().safe;
            (inner.safe != before).then_some((Stage::Posted, head))
        };
        self.heads_moved(moved.into_iter().collect(), now_ms);
    }

    /// The L1 block with the batches up to `height` is final.
    pub fn finalized(&self, height: u64, l1_block: u64, now_ms: Millis) {
        let moved = {
            let mut inner = self.inner.write();
            inner.finals.insert(height, Finalization { height, l1_block, at_ms: now_ms });
            let moved = inner.advance();
            inner.evict(self.config.retain_blocks);
            moved
        };
        self.l1_moved(moved, Stage::Finalized, now_ms);
    }

    /// Once a second, so that readers can tell quiet from dead.
    pub fn heartbeat(&self, now_ms: Millis) {
        self.stream.send(now_ms, EventKind::Heartbeat(Box::new(self.heads())));
    }

    fn l1_moved(&self, moved: Vec<(Stage, HeadRef)>, stage: Stage, now_ms: Millis) {
        if self.waiters.any() {
            // Those who wait for L1 are few, and L1 moves every few seconds.
            let hashes = self.waiters.hashes();
            let reached = self.inner.read().reached_of(&hashes, stage);
            self.waiters.tell(reached.into_iter(), &Notice::Reached(stage));
        }
        self.heads_moved(moved, now_ms);
    }

    pub(super) fn heads_moved(&self, moved: Vec<(Stage, HeadRef)>, now_ms: Millis) {
        for (stage, head) in moved {
            self.stream.send(now_ms, EventKind::Head { stage, head });
        }
    }
}

impl Inner {
    /// Notes a decision; gives the transactions that it decides.
    fn decide(&mut self, decision: Decision, now_ms: Millis) -> Vec<B256> {
        let Decision { height, last_g, .. } = decision;
        self.heights.insert(height, Arc::new(HeightRecord { decision, at_ms: now_ms }));
        self.height_ends.insert(last_g, height);
        if height <= self.decided_height {
            return Vec::new();
        }
        let from = self.undecided_g;
        self.decided_height = height;
        self.undecided_g = from.max(last_g.saturating_add(1));
        // Only an undecided frame can become the tip again, and the newest decided one.
        self.frame_states = self.frame_states.split_off(&last_g);
        let mut told = Vec::new();
        for frame in self.frames.range(from..self.undecided_g).map(|(_, f)| f) {
            if !frame.txs.is_empty() {
                self.stats.kept(frame, now_ms);
                told.extend(frame.included().map(|r| *r.transaction.tx_hash()));
            }
        }
        told
    }
}
