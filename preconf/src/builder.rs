//! The leader's side: when to cut a frame or a height, and what the frame says.
//!
//! Not for: choosing transactions (the executor hands them over, executed) and not for sending.
//! Invariant: a builder signs the frames of one term that this process opened, each place once; it is
//! dropped at the term's end and never restored from disk.

use crate::{Chain, Conviction, Frame, Rules};
use alloy_primitives::B256;
use rota_types::{
    Close, Env, Flags, FrameBody, FrameHeader, MAX_ORIGIN_STEP, Millis, SeqKey, SeqSignature,
    SignError, SignedFrame, Term, Tx,
};
use std::sync::Arc;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing before this time.
    Wait(Millis),
    /// A frame in the open height.
    Frame,
    /// A frame that closes the height.
    Close,
}

/// When a leader cuts (architecture: frames are a log, heights are cuts, blocks are seconds).
#[derive(Debug, Clone, Copy)]
pub struct Pacing {
    last_frame: Millis,
    opened: Millis,
    first_work: Option<Millis>,
}

impl Pacing {
    /// Pacing of a stream that starts now.
    #[must_use]
    pub const fn new(now: Millis) -> Self {
        Self { last_frame: 0, opened: now, first_work: None }
    }

    /// Decides. `ready` says that transactions wait, `may_close` that the height before is decided.
    #[must_use]
    pub fn decide(&self, now: Millis, ready: bool, may_close: bool, rules: &Rules) -> Cut {
        let p = &rules.params;
        let boundary = |from: Millis, step: u64| {
            let step = step.max(1);
            from.checked_div(step).unwrap_or(0).saturating_add(1).saturating_mul(step)
        };
        let close_at = match self.first_work.or(ready.then_some(now)) {
            Some(at) => boundary(at.max(self.opened), p.block_ms),
            None => boundary(self.opened, p.idle_block_ms),
        };
        if may_close && now >= close_at {
            return Cut::Close;
        }
        let frame_at = if ready {
            self.last_frame.saturating_add(p.frame_min_ms)
        } else {
            self.last_frame.saturating_add(p.heartbeat_ms)
        };
        if now >= frame_at {
            return Cut::Frame;
        }
        Cut::Wait(if may_close { frame_at.min(close_at) } else { frame_at })
    }

    /// Notes a frame that was cut.
    pub const fn cut(&mut self, now: Millis, txs: usize, closed: bool) {
        self.last_frame = now;
        if closed {
            self.opened = now;
            self.first_work = None;
        } else if txs > 0 && self.first_work.is_none() {
            self.first_work = Some(now);
        }
    }
}

/// Signs the frames of one term.
#[derive(Debug)]
pub struct FrameBuilder {
    term: Term,
    leader: u16,
    pacing: Pacing,
}

impl FrameBuilder {
    /// A builder for the term that `chain` lets `leader` continue, opened by this process now.
    #[must_use]
    pub const fn new(term: Term, leader: u16, now: Millis) -> Self {
        Self { term, leader, pacing: Pacing::new(now) }
    }

    /// The term.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.term
    }
    /// The pacing.
    #[must_use]
    pub const fn pacing(&self) -> &Pacing {
        &self.pacing
    }

    /// Builds and signs the next frame with a key that is here.
    pub fn build(
        &mut self,
        chain: &Chain,
        cut: &FrameCut<'_>,
        key: &SeqKey,
        rules: &Rules,
    ) -> Option<Frame> {
        let sign = |header: &FrameHeader| Ok(key.sign(&header.hash(&rules.domain)));
        self.build_with(chain, cut, rules, sign).ok().flatten()
    }

    /// Builds the next frame on `chain`, which must be in this builder's stream, and has it signed.
    /// `origin` is the environment to open a height with; its second is set here.
    pub fn build_with(
        &mut self,
        chain: &Chain,
        cut: &FrameCut<'_>,
        rules: &Rules,
        sign: impl FnOnce(&FrameHeader) -> Result<SeqSignature, SignError>,
    ) -> Result<Option<Frame>, SignError> {
        let stream = chain.stream();
        if stream.term != self.term || stream.leader != self.leader {
            return Ok(None);
        }
        let context = chain.context();
        let timestamp_ms = cut.now.max(chain.tip().timestamp_ms);
        let opens = chain.open_env().is_none();
        let env = opens.then(|| environment(chain, cut.origin, timestamp_ms));
        let Some(running) = env.as_ref().or(chain.open_env()) else { return Ok(None) };
        let Some(insured_cum) = insured_cum(chain, cut, running) else { return Ok(None) };
        let mut close = match context.close(stream, running, insured_cum, rules) {
            Some(close) => cut.close.then_some(close),
            // Until execution has come so far the height stays open.
            None if !cut.close && context.next_epoch(running, rules).is_some() => None,
            None => return Ok(None),
        };
        let mut jailed = context.cursor.jailed;
        let convict = |close: &mut Close| context.convict(close, cut.evidence);
        let convictions = match close.as_mut().and_then(convict) {
            Some(after) => {
                jailed = after;
                cut.evidence
            }
            None => &[],
        };
        let mut flags = if opens { Flags::OPEN } else { Flags::default() };
        if let Some(close) = &close {
            flags = flags.with(Flags::CLOSE);
            if context.ends_term(close, jailed) {
                flags = flags.with(Flags::TERM_END);
            }
            if timestamp_ms / 1000 > running.timestamp_s {
                flags = flags.with(Flags::SEAL);
            }
        }
        let insured = cut.txs.iter().any(|t| t.insured > 0);
        let amounts = cut.txs.iter().filter(|_| insured).map(|t| t.insured);
        let body = FrameBody {
            txs: cut.txs.iter().map(|t| t.raw.clone()).collect(),
            insured: amounts.collect(),
            env,
            close,
            evidence: convictions.iter().map(|c| c.bytes().clone()).collect(),
        };
        let Some(header) = self.header(chain, cut, timestamp_ms, flags, &body) else {
            return Ok(None);
        };
        let signature = sign(&header)?;
        let signed = SignedFrame { header, signature, body };
        let hash = signed.header.hash(&rules.domain);
        self.pacing.cut(cut.now, cut.txs.len(), cut.close);
        let convictions = convictions.to_vec();
        Ok(Some(Frame { convictions, ..Frame::own(signed, hash, cut.txs.to_vec()) }))
    }

    #[expect(clippy::too_many_arguments, reason = "what one frame header is made of")]
    fn header(
        &self,
        chain: &Chain,
        cut: &FrameCut<'_>,
        timestamp_ms: Millis,
        flags: Flags,
        body: &FrameBody,
    ) -> Option<FrameHeader> {
        use alloy_primitives::keccak256;
        use rota_types::Encode;
        let stream = chain.stream();
        let start = if flags.has(Flags::OPEN) { 0 } else { chain.gas_cum() };
        let hash = |bytes: Option<Vec<u8>>| bytes.map_or(B256::ZERO, keccak256);
        let hashes: Vec<B256> = cut.txs.iter().map(|t| t.hash).collect();
        let env = body.env.as_ref().or(chain.open_env())?;
        Some(FrameHeader {
            epoch: chain.context().epoch.number(),
            term: self.term,
            leader: self.leader,
            g: chain.tip().g.checked_add(1)?,
            seq: stream.next_seq,
            prev_hash: chain.tip().hash,
            init_hash: stream.init_hash,
            height: chain.context().height,
            flags,
            timestamp_ms,
            tx_count: u32::try_from(cut.txs.len()).ok()?,
            tx_root: rota_types::tx_root(&hashes, &body.insured),
            gas_cum: cut.txs.iter().try_fold(start, |s, t| s.checked_add(t.gas_limit()))?,
            exec_commit: B256::ZERO,
            insured_cum: insured_cum(chain, cut, env)?,
            env_hash: hash(body.env.as_ref().map(Encode::encode)),
            close_hash: hash(body.close.as_ref().map(Encode::encode)),
        })
    }
}

/// What is insured in the height with these transactions; `None` if the caps do not allow it.
fn insured_cum(chain: &Chain, cut: &FrameCut<'_>, env: &Env) -> Option<u128> {
    let added = cut.txs.iter().try_fold(0u128, |sum, tx| sum.checked_add(tx.insured))?;
    let fits = added == 0 || added <= chain.room(Some(env)).free();
    fits.then_some(chain.insured_cum().saturating_add(added))
}

/// What goes into the next frame.
#[derive(Debug)]
pub struct FrameCut<'a> {
    /// Local time.
    pub now: Millis,
    /// Transactions in order, executed already.
    pub txs: &'a [Arc<Tx>],
    /// Whether to close the height.
    pub close: bool,
    /// L1 origin, gas limit and fee vault for a height that opens: at most [`MAX_ORIGIN_STEP`] above the
    /// one before, or it is not used.
    pub origin: &'a Env,
    /// What a CLOSE takes in; left out where the rules do not allow it.
    pub evidence: &'a [Conviction],
}

/// The environment of a height that opens at `timestamp_ms`: the running execution block's if the
/// second is the same, else the origin given, unless the chain may not step to it.
fn environment(chain: &Chain, origin: &Env, timestamp_ms: Millis) -> Env {
    let context = chain.context();
    let timestamp_s = context.second(timestamp_ms);
    match &context.parent_env {
        Some(p)
            if p.timestamp_s == timestamp_s
                || p.l1_number >= origin.l1_number
                || origin.l1_number.saturating_sub(p.l1_number) > MAX_ORIGIN_STEP =>
        {
            Env { timestamp_s, ..p.clone() }
        }
        _ => Env { timestamp_s, ..origin.clone() },
    }
}
