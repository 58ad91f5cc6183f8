//! The loop of the chain thread.
//!
//! Queue: `chain`, bounded, policy wait: the replica's thread waits rather than lose a frame.

use super::{
    building::Sealed,
    stack::{Done, Executed, Stack, StackError},
};
use crate::{
    sets::Sets,
    submit::Submitter,
    view::{BlockView, Decision, FORCED, FrameTx, FrameView, OpenHeader, Span, View},
};
use alloy_primitives::{Address, B256};
use crossbeam_channel::{Receiver, select};
use rota_consensus::Decided;
use rota_execution::{Outcome, Skip};
use rota_preconf::{Frame, Room, TakeLimits};
use rota_types::{
    AckCert, CommitCertificate, EXEC_LAG, Encode, Header, LagPoint, Millis, TermInit, Tx,
    leader_cap,
};
use std::{sync::Arc, time::Duration};

/// What the chain thread is told.
#[derive(Debug)]
pub enum ChainInput {
    /// A frame joined the accepted chain; with the height that it closes, and what can be insured on top.
    Accepted(Arc<Frame>, Option<B256>, Room),
    /// Frames above fell off.
    Rewound(u64, &'static str),
    /// Stored by more than two thirds up to here: position; gwei, of how many.
    Acked(u64, (u64, u64), Option<AckCert>),
    /// The opening of a term, not verified.
    Init(Box<TermInit>),
    /// A height is decided.
    Decided(Box<Decided>),
    /// The replica wants transactions for its next frame.
    Take,
    /// The replica will not frame these.
    Return(Vec<Arc<Tx>>),
    /// Stop.
    Stop,
}

/// What the chain thread gives away.
#[derive(Debug)]
pub enum ChainOutput {
    /// Executed transactions for the next frame.
    Txs(Vec<Arc<Tx>>),
    /// A block is sealed and decided: write it down.
    Settled(Arc<Sealed>),
    /// What execution gave at a checkpoint that is decided.
    Lag(LagPoint),
}

/// Executes, drafts and tells the view.
pub struct ChainThread {
    /// Blocks.
    pub stack: Stack,
    /// What readers see.
    pub view: Arc<View>,
    /// The queue of transactions.
    pub submitter: Arc<Submitter>,
    /// The sets.
    pub sets: Arc<Sets>,
    /// The clock.
    pub now: fn() -> Millis,
    /// Whether the replica waits for transactions.
    pub wanted: bool,
}

impl std::fmt::Debug for ChainThread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("ChainThread");
        out.field("stack", &self.stack).field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

/// How long a frame waits for what L1 forces in, milliseconds.
const L1_PATIENCE_MS: Millis = 600_000;
/// A frame's worth of drafting.
const LIMITS: TakeLimits = TakeLimits { txs: 1024, bytes: 192 * 1024, gas: 30_000_000, insured: 0 };

impl ChainThread {
    /// Runs until told to stop. `wake` says that the queue of transactions has grown.
    pub fn run(
        mut self,
        inputs: &Receiver<ChainInput>,
        wake: &Receiver<()>,
        mut output: impl FnMut(ChainOutput),
    ) -> Result<(), StackError> {
        loop {
            select! {
                recv(inputs) -> input => match input {
                    Ok(ChainInput::Stop) | Err(_) => return Ok(()),
                    Ok(input) => self.take(input, &mut output)?,
                },
                recv(wake) -> _ => {}
            }
            // Whatever else is waiting comes first: a draft on an old state would be thrown away.
            while let Ok(input) = inputs.try_recv() {
                if matches!(input, ChainInput::Stop) {
                    return Ok(());
                }
                self.take(input, &mut output)?;
            }
            self.draft(&mut output)?;
        }
    }

    fn take(
        &mut self,
        input: ChainInput,
        output: &mut impl FnMut(ChainOutput),
    ) -> Result<(), StackError> {
        match input {
            ChainInput::Accepted(frame, closed, room) => {
                self.accept(&frame, closed)?;
                self.note_room(room);
            }
            ChainInput::Rewound(g, reason) => {
                // Not known before the next frame: nothing is insured until then.
                self.view.set_room(None);
                self.stack.rewind(g)?;
                let now = (self.now)();
                let lost = self.view.rewind(g, reason, now);
                self.put_back(lost, now);
            }
            ChainInput::Acked(g, (weight, total), certificate) => {
                self.view.acked(g, weight, total, (self.now)());
                if let Some(certificate) = certificate {
                    self.view.ack_cert(certificate);
                }
            }
            ChainInput::Decided(decided) => {
                if let Some(point) = self.point(decided.header.height()) {
                    output(ChainOutput::Lag(point));
                }
                for sealed in self.decide(&decided.header, &decided.certificate) {
                    output(ChainOutput::Settled(sealed));
                }
            }
            ChainInput::Init(init) => self.view.term_init(*init),
            ChainInput::Take => self.wanted = true,
            ChainInput::Return(txs) => self.put_back(txs, (self.now)()),
            ChainInput::Stop => {}
        }
        Ok(())
    }

    /// What can be insured, for the next draft and for users; and the most that ever can with this set.
    fn note_room(&self, room: Room) {
        let known = self.view.room().is_some_and(|old| old.epoch == room.epoch);
        if let Some(set) = self.view.set(room.epoch).filter(|_| !known) {
            let most = set.iter().map(|(_, v)| leader_cap(v.power())).max().unwrap_or(0);
            self.submitter.intake().set_insurable(most.min(room.set_cap));
        }
        self.view.set_room(Some(room));
    }

    /// What execution gave at a height, if that is a checkpoint. Asked before it is settled.
    #[must_use]
    pub fn point(&self, height: u64) -> Option<LagPoint> {
        height.is_multiple_of(EXEC_LAG).then(|| self.stack.point(height)).flatten()
    }

    /// A height is decided; gives the blocks that are settled by it.
    pub fn decide(&mut self, header: &Header, certificate: &CommitCertificate) -> Vec<Arc<Sealed>> {
        let decision = Decision {
            height: header.height(),
            last_g: header.last_g,
            round: certificate.round,
            certificate: certificate.encode().into(),
            header: header.encode().into(),
        };
        self.view.decided(decision, (self.now)());
        self.stack.settle(header.height())
    }

    fn put_back(&self, txs: Vec<Arc<Tx>>, now: Millis) {
        let dropped = self.submitter.intake().put_back(txs, now);
        for tx in dropped {
            self.view.rejected(tx.hash, "its place in the queue was taken", now);
        }
    }

    /// Executes a frame and shows it.
    pub fn accept(&mut self, frame: &Arc<Frame>, closed: Option<B256>) -> Result<(), StackError> {
        for done in self.execute(frame, closed)? {
            match done {
                Done::Sealed(sealed) => self.show_sealed(&sealed),
                Done::Executed(executed) => {
                    let Executed { forced, outcomes, state, block } = *executed;
                    let settled = senders(&forced).chain(senders(&outcomes)).collect::<Vec<_>>();
                    let forced = forced.into_iter().map(|(tx, outcome)| FrameTx {
                        position: FORCED,
                        tx,
                        outcome,
                    });
                    let forced = forced.collect();
                    let txs = (0u32..)
                        .zip(outcomes)
                        .map(|(position, (tx, outcome))| FrameTx { position, tx, outcome })
                        .collect();
                    let header = &frame.signed.header;
                    let epoch = self.sets.get(header.epoch);
                    let leader = epoch.and_then(|e| e.set().get(header.leader).map(|v| v.owner));
                    self.view.frame(FrameView {
                        frame: Arc::clone(&frame.signed),
                        hash: frame.hash,
                        leader: leader.unwrap_or_default(),
                        forced,
                        txs,
                        block: OpenHeader::of(&block),
                        state,
                        now_ms: (self.now)(),
                    });
                    self.settle(&settled);
                }
            }
        }
        Ok(())
    }

    /// Frames wait for L1 before they are accepted; should one have come too early, it waits here instead.
    fn execute(
        &mut self,
        frame: &Arc<Frame>,
        closed: Option<B256>,
    ) -> Result<Vec<Done>, StackError> {
        let until = (self.now)().saturating_add(L1_PATIENCE_MS);
        loop {
            match self.stack.accept(frame, closed) {
                Err(why @ StackError::Forced { .. }) if (self.now)() < until => {
                    tracing::warn!(%why, g = frame.g(), "waiting for L1");
                    std::thread::sleep(Duration::from_millis(250));
                }
                done => return done,
            }
        }
    }

    fn show_sealed(&self, sealed: &Sealed) {
        let span = Span {
            first_g: sealed.g.0,
            last_g: sealed.g.1,
            first_height: sealed.heights.0,
            last_height: sealed.heights.1,
        };
        let block = Arc::new(BlockView::from_executed(&sealed.block, span));
        self.view.sealed(block, (self.now)());
    }

    /// The queue forgets what a frame executed. After the view shows that: whoever finds nothing of an account in the queue
    /// goes by its nonce in the view.
    fn settle(&self, done: &[(Address, u64, bool)]) {
        if done.is_empty() {
            return;
        }
        let mut intake = self.submitter.intake();
        for (sender, nonce, included) in done.iter().copied() {
            if included {
                intake.settled(sender, nonce);
            } else {
                intake.skipped(sender, nonce);
            }
        }
    }

    fn draft(&mut self, output: &mut impl FnMut(ChainOutput)) -> Result<(), StackError> {
        while self.wanted {
            let txs = {
                let mut intake = self.submitter.intake();
                if !intake.has_ready() {
                    return Ok(());
                }
                let insured = self.view.room().map_or(0, |room| room.free());
                intake.take(TakeLimits { insured, ..LIMITS })
            };
            if txs.is_empty() {
                return Ok(());
            }
            let draft = self.stack.draft(txs)?;
            let now = (self.now)();
            let mut later = Vec::new();
            for (tx, reason) in draft.bad {
                if matches!(reason, Skip::BlockGasExceeded { .. } | Skip::NonceTooHigh { .. }) {
                    later.push(tx);
                } else {
                    self.submitter.intake().skipped(tx.sender, tx.nonce());
                    self.view.rejected(tx.hash, reason.to_string(), now);
                }
            }
            let blocked = !later.is_empty();
            self.put_back(later, now);
            if !draft.good.is_empty() {
                self.wanted = false;
                output(ChainOutput::Txs(draft.good));
            } else if blocked {
                // The block is full: the next frame opens another one.
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Sender, nonce, and whether it is in the block.
fn senders(outcomes: &[(Arc<Tx>, Outcome)]) -> impl Iterator<Item = (Address, u64, bool)> {
    let one = |(tx, outcome): &(Arc<Tx>, Outcome)| {
        (tx.sender, tx.nonce(), matches!(outcome, Outcome::Included(_)))
    };
    outcomes.iter().map(one)
}

#[cfg(test)]
mod tests;
