//! The accepted chain of frames above the last decided height, checked frame by frame
//! (`docs/protocol.md`, "Frame acceptance").
//!
//! Not for: signatures (a `Frame` is verified already), forks (`FramePool` keeps them), or checks that
//! depend on a clock or an L1 view: those only ever delay a frame and belong to the caller.
//! Invariant (I-8, I-9): positions are contiguous, each frame names the one before, and a header is a
//! pure function of the frames up to its CLOSE.

mod insured;

use crate::{Frame, HeightContext, Link, Rules, Stream, context::Closing};
use alloy_primitives::B256;
use rota_types::{
    Close, Env, Flags, FrameHeader, Header, MAX_ORIGIN_STEP, hash_list_root, tx_root,
};
use std::sync::Arc;

/// Why a frame cannot follow the tip. Its leader is at fault, unless it is early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// It names another parent than the tip.
    #[error("does not follow the tip")]
    NotNext,
    /// It is of another stream than the one that may continue.
    #[error("term, leader, sequence or init differ from the active stream")]
    Stream,
    /// Which set its origin stands for is not known here yet. Nobody's fault: it can only wait.
    #[error("the epoch of L1 block {0} is not known yet")]
    Origin(u64),
    /// It closes a height that names this checkpoint, and what execution gave there is not known here yet. Nobody's
    /// fault: it can only wait.
    #[error("what execution gave at height {0} is not known yet")]
    Lag(u64),
    /// It is of the first height of a set, and the height before is not decided.
    #[error("the last height of the set before is not decided")]
    Boundary,
    /// A field has another value than the rules give.
    #[error("{0}")]
    Rule(&'static str),
}

/// The accepted frames above the last decided height.
#[derive(Debug, Clone)]
pub struct Chain {
    base: HeightContext,
    /// Each closed height with the context of the height after it.
    closed: Vec<Closed>,
    frames: Vec<Arc<Frame>>,
    stream: Stream,
    tip: Link,
    open: Open,
}

#[derive(Debug, Clone)]
struct Closed {
    header: (Header, B256),
    next: HeightContext,
}

/// Progress inside the height that is open.
#[derive(Debug, Clone, Default)]
struct Open {
    env: Option<Env>,
    first_g: u64,
    gas_cum: u64,
    insured_cum: u128,
    /// Least stake of a leader in this height, gwei.
    least_gwei: Option<u64>,
    txs: Vec<B256>,
    frames: Vec<B256>,
}

impl Chain {
    /// The empty chain above a decided height.
    #[must_use]
    pub fn new(context: HeightContext) -> Self {
        let (stream, tip) = (context.stream, context.base);
        Self {
            base: context,
            closed: Vec::new(),
            frames: Vec::new(),
            stream,
            tip,
            open: Open::default(),
        }
    }

    /// Context of the lowest undecided height.
    #[must_use]
    pub const fn base(&self) -> &HeightContext {
        &self.base
    }
    /// Context of the height that the next frame belongs to.
    #[must_use]
    pub fn context(&self) -> &HeightContext {
        self.closed.last().map_or(&self.base, |c| &c.next)
    }
    /// The tip.
    #[must_use]
    pub const fn tip(&self) -> Link {
        self.tip
    }
    /// The stream that may continue.
    #[must_use]
    pub const fn stream(&self) -> &Stream {
        &self.stream
    }
    /// Environment of the open height, if its OPEN frame is here.
    #[must_use]
    pub const fn open_env(&self) -> Option<&Env> {
        self.open.env.as_ref()
    }
    /// Gas limits of the open height so far.
    #[must_use]
    pub const fn gas_cum(&self) -> u64 {
        self.open.gas_cum
    }
    /// Insured in the open height so far, wei.
    #[must_use]
    pub const fn insured_cum(&self) -> u128 {
        self.open.insured_cum
    }
    /// Transactions in the open height so far.
    #[must_use]
    pub fn open_txs(&self) -> usize {
        self.open.txs.len()
    }
    /// The accepted frames, in order.
    #[must_use]
    pub fn frames(&self) -> &[Arc<Frame>] {
        &self.frames
    }
    /// Header and value id of a closed height on this chain.
    #[must_use]
    pub fn header(&self, height: u64) -> Option<&(Header, B256)> {
        let at = height.checked_sub(self.base.height)?;
        self.closed.get(usize::try_from(at).ok()?).map(|c| &c.header)
    }
    /// The frame at a position.
    #[must_use]
    pub fn at(&self, g: u64) -> Option<&Arc<Frame>> {
        let at = g.checked_sub(self.base.base.g)?.checked_sub(1)?;
        self.frames.get(usize::try_from(at).ok()?)
    }
    /// Whether this chain has `hash` at `g` (the base included).
    #[must_use]
    pub fn contains(&self, g: u64, hash: &B256) -> bool {
        let base = self.base.base;
        (g == base.g && *hash == base.hash) || self.at(g).is_some_and(|f| f.hash == *hash)
    }

    /// Whether `append` would take the frame.
    pub fn check(&self, frame: &Frame, rules: &Rules) -> Result<(), BadFrame> {
        self.check_place(&frame.signed.header)?;
        self.check_open(frame, rules)?;
        self.check_sums(frame)?;
        self.check_close(frame, rules).map(drop)
    }

    /// Appends a frame; returns the header and value id if it closes a height.
    pub fn append(
        &mut self,
        frame: &Arc<Frame>,
        rules: &Rules,
    ) -> Result<Option<(Header, B256)>, BadFrame> {
        let h = &frame.signed.header;
        self.check_place(h)?;
        let env = self.check_open(frame, rules)?;
        self.check_sums(frame)?;
        let close = self.check_close(frame, rules)?;
        if let Some(env) = env {
            self.open = Open { env: Some(env), first_g: h.g, ..Open::default() };
        }
        self.open.gas_cum = h.gas_cum;
        self.note_insured(h);
        self.open.txs.extend(frame.txs.iter().map(|t| t.hash));
        self.open.frames.push(frame.hash);
        self.tip = Link { g: h.g, hash: frame.hash, timestamp_ms: h.timestamp_ms };
        self.stream.next_seq = h.seq.saturating_add(1);
        self.frames.push(Arc::clone(frame));
        let Some((close, jailed)) = close else { return Ok(None) };
        self.close_height(close, Closing { frame: h, jailed }, rules).map(Some)
    }

    /// Cuts back to the frame `hash` (or the base), and returns the frames that fell off.
    pub fn truncate(&mut self, hash: &B256, rules: &Rules) -> Option<Vec<Arc<Frame>>> {
        let keep = if *hash == self.base.base.hash {
            0
        } else {
            self.frames.iter().position(|f| f.hash == *hash)?.saturating_add(1)
        };
        let mut frames = std::mem::take(&mut self.frames);
        let dropped = frames.split_off(keep);
        let mut fresh = Self::new(self.base.clone());
        for frame in &frames {
            fresh.append_carried(frame, rules).ok()?;
        }
        *self = fresh;
        Some(dropped)
    }

    /// Appends a frame of a chain that is carried over a round change or was decided: it may open the
    /// term of another round of its height, whose leader the schedule must name.
    pub fn append_carried(
        &mut self,
        frame: &Arc<Frame>,
        rules: &Rules,
    ) -> Result<Option<(Header, B256)>, BadFrame> {
        let h = &frame.signed.header;
        let context = self.context();
        if h.term.height == context.height && h.term.round >= 1 && h.seq == 0 {
            if h.leader != context.epoch.schedule().leader(context.cursor, h.term.round) {
                return Err(BadFrame::Stream);
            }
            self.stream =
                Stream { term: h.term, leader: h.leader, init_hash: h.init_hash, next_seq: 0 };
        }
        self.append(frame, rules)
    }

    /// From here on only `stream` may continue (a term opened in a round above 0).
    pub const fn enter(&mut self, stream: Stream) {
        self.stream = stream;
    }

    /// Removes the lowest height, which is decided as closed here; returns its frames.
    pub fn pop_decided(&mut self) -> Vec<Arc<Frame>> {
        if self.closed.is_empty() {
            return Vec::new();
        }
        let Closed { header: (header, _), next } = self.closed.remove(0);
        self.base = next;
        let count = header.last_g.saturating_sub(header.first_g).saturating_add(1);
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.frames.len());
        self.frames.drain(..count).collect()
    }

    fn check_place(&self, h: &FrameHeader) -> Result<(), BadFrame> {
        if h.prev_hash != self.tip.hash || self.tip.g.checked_add(1) != Some(h.g) {
            return Err(BadFrame::NotNext);
        }
        let epoch = self.context().epoch.number();
        if epoch != self.base.epoch.number() {
            return Err(BadFrame::Boundary);
        }
        let s = &self.stream;
        if h.term != s.term
            || h.leader != s.leader
            || h.seq != s.next_seq
            || h.init_hash != s.init_hash
        {
            return Err(BadFrame::Stream);
        }
        if h.epoch != epoch || h.height != self.context().height {
            return Err(BadFrame::Rule("epoch or height is not the open one"));
        }
        if h.timestamp_ms < self.tip.timestamp_ms {
            return Err(BadFrame::Rule("timestamp falls"));
        }
        if h.flags.has(Flags::OPEN) != self.open.env.is_none() {
            return Err(BadFrame::Rule(
                "OPEN must be on the first frame of a height, and only there",
            ));
        }
        Ok(())
    }

    fn check_open(&self, frame: &Frame, rules: &Rules) -> Result<Option<Env>, BadFrame> {
        let Some(env) = &frame.signed.body.env else { return Ok(None) };
        if rules.epochs.at(env.l1_number).is_none() {
            return Err(BadFrame::Origin(env.l1_number));
        }
        let context = self.context();
        if env.timestamp_s != context.second(frame.signed.header.timestamp_ms) {
            return Err(BadFrame::Rule("timestamp_s is not the second of the frame"));
        }
        if env.gas_limit != rules.params.gas_limit || env.fee_vault != rules.params.fee_vault {
            return Err(BadFrame::Rule("gas limit or fee vault is not the network's"));
        }
        if let Some(parent) = &context.parent_env {
            if env.l1_number < parent.l1_number {
                return Err(BadFrame::Rule("the L1 origin falls"));
            }
            if context.resumed && env.l1_number == parent.l1_number {
                return Err(BadFrame::Rule("the L1 origin lies in the fallback"));
            }
            if env.l1_number.saturating_sub(parent.l1_number) > MAX_ORIGIN_STEP {
                return Err(BadFrame::Rule("the L1 origin skips too many blocks"));
            }
            let same_block = env.timestamp_s == parent.timestamp_s;
            if (same_block || env.l1_number == parent.l1_number)
                && (env.l1_hash != parent.l1_hash || env.prev_randao != parent.prev_randao)
            {
                return Err(BadFrame::Rule("the environment changes inside an execution block"));
            }
        }
        Ok(Some(env.clone()))
    }

    fn check_sums(&self, frame: &Frame) -> Result<(), BadFrame> {
        let h = &frame.signed.header;
        let start = if h.flags.has(Flags::OPEN) { 0 } else { self.open.gas_cum };
        let gas = frame.txs.iter().try_fold(start, |sum, tx| sum.checked_add(tx.gas_limit()));
        if gas != Some(h.gas_cum) {
            return Err(BadFrame::Rule("gas_cum is not the sum of the gas limits"));
        }
        self.check_insured(frame)?;
        if !h.exec_commit.is_zero() {
            return Err(BadFrame::Rule("result commitments are not in force in this version"));
        }
        Ok(())
    }

    /// The close body, and who is jailed after it.
    fn check_close(&self, frame: &Frame, rules: &Rules) -> Result<Option<(Close, u64)>, BadFrame> {
        let flags = frame.signed.header.flags;
        let Some(close) = &frame.signed.body.close else {
            if flags.has(Flags::TERM_END) || flags.has(Flags::SEAL) {
                return Err(BadFrame::Rule("TERM_END or SEAL without CLOSE"));
            }
            return Ok(None);
        };
        let context = self.context();
        let env = frame.signed.body.env.as_ref().or(self.open.env.as_ref());
        let env = env.ok_or(BadFrame::Rule("CLOSE of a height that is not open"))?;
        let insured_cum = frame.signed.header.insured_cum;
        let own = context.close(&self.stream, env, insured_cum, rules);
        let unknown = match rules.lags.at(context.height) {
            Some(_) => BadFrame::Origin(env.l1_number),
            None => BadFrame::Lag(rules.lags.named_by(context.height).unwrap_or_default()),
        };
        let mut own = own.ok_or(unknown)?;
        let jailed = context.convict(&mut own, &frame.convictions).ok_or(BadFrame::Rule(
            "evidence on the last height of an epoch, out of order, or against who is jailed",
        ))?;
        if *close != own {
            return Err(BadFrame::Rule("close body is not what the chain gives"));
        }
        if flags.has(Flags::TERM_END) != context.ends_term(close, jailed) {
            return Err(BadFrame::Rule(
                "TERM_END must be on the last CLOSE of a window or an epoch",
            ));
        }
        Ok(Some((close.clone(), jailed)))
    }

    fn close_height(
        &mut self,
        close: Close,
        closing: Closing<'_>,
        rules: &Rules,
    ) -> Result<(Header, B256), BadFrame> {
        let open = std::mem::take(&mut self.open);
        let header = Header {
            env: open.env.ok_or(BadFrame::Rule("CLOSE of a height that is not open"))?,
            close,
            first_g: open.first_g,
            last_g: closing.frame.g,
            txs_root: tx_root(&open.txs, &[]),
            frames_root: hash_list_root(&open.frames),
            last_frame_hash: self.tip.hash,
        };
        let value_id = header.value_id(&rules.domain);
        let unknown = BadFrame::Origin(header.env.l1_number);
        let mut next = self.context().after(&header, value_id, closing, rules).ok_or(unknown)?;
        if next.epoch.number() == self.context().epoch.number() {
            next.insured.least_gwei = open.least_gwei.unwrap_or(u64::MAX);
        }
        self.stream = next.stream;
        self.closed.push(Closed { header: (header.clone(), value_id), next });
        Ok((header, value_id))
    }
}
