//! Leading: opening a term once it is on disk, and cutting frames at its pace.
//!
//! Invariant: frames are signed only in a term that this process opened (guard intent first, durable
//! before the first frame); a round change or a restart ends it for good.

use super::{Batch, Output, Replica, To};
use crate::machine::Fatal;
use rota_preconf::{Cut, Frame, FrameBuilder, FrameCut, Mutation};
use rota_store::Intent;
use rota_types::{
    FrameHeader, MAX_BODY_BYTES, MAX_FRAME_TXS, Millis, SeqMessage, SignError, Term, wire::Message,
};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Lead {
    builder: Option<FrameBuilder>,
    opening: Option<(Term, u64)>,
    refused: Option<Term>,
    /// The newest frame that this process signed: its term and its place there.
    signed: Option<(Term, u32)>,
    batch: Batch,
    asked: bool,
    /// When the replica was last stepped.
    stepped: Millis,
    /// The height in which this process stood still for so long that the others have given it up.
    paused: Option<u64>,
    /// Since when frames with transactions have had no ack.
    unacked: Option<Millis>,
    /// Position of the newest of them.
    promised: u64,
}

impl Lead {
    pub(super) const fn builder(&self) -> Option<&FrameBuilder> {
        self.builder.as_ref()
    }
    /// The newest frame that this process signed: its term and its place there.
    pub(super) const fn signed(&self) -> Option<(Term, u32)> {
        self.signed
    }
}

impl Replica {
    /// A process that stood still does not know what the others did meanwhile: it leads again in the height after
    /// this one, if the term is still its own then.
    pub(super) fn notice_pause(&mut self, now: Millis, out: &mut Vec<Output>) {
        let still = now.saturating_sub(self.lead.stepped) > self.rules.params.propose_ms;
        if still
            && self.lead.stepped > 0
            && (self.builder().is_some() || self.lead.opening.is_some())
        {
            tracing::warn!(height = self.height, "stood still too long to go on leading");
            self.lead.paused = Some(self.height);
            self.stop_leading(out);
        }
        self.lead.stepped = now;
    }

    /// Whether nobody acks: then no user may be promised more.
    fn unheard(&self, now: Millis) -> bool {
        let patience = self.rules.params.propose_ms.saturating_mul(2);
        self.lead.unacked.is_some_and(|since| now > since.saturating_add(patience))
    }

    /// The acks got on, up to `g`.
    pub(super) fn heard_acks(&mut self, now: Millis, g: u64) {
        self.lead.unacked = self.lead.unacked.and((self.lead.promised > g).then_some(now));
    }

    /// Opens the term that the chain gives to this replica, in round 0.
    pub(super) fn open_term(&mut self, now: Millis, out: &mut Vec<Output>) {
        self.drop_stale_lead(out);
        self.resume_term(now, out);
        let stream = *self.chain.stream();
        let ours = Some(stream.leader) == self.index() && stream.next_seq == 0;
        let next = self.chain.context().height;
        // A set's first term opens when its height begins.
        let ahead = next > self.height && self.chain.context().epoch == self.epoch;
        let now_or_next = next == self.height && self.round == 0 || ahead;
        if !ours
            || !now_or_next
            || stream.term.round != 0
            || self.lead.builder.is_some()
            || self.lead.opening.is_some()
            || self.lead.refused == Some(stream.term)
            || self.lead.paused.is_some_and(|height| height >= self.height)
            // Its frames fell off with the CLOSE below them: another first frame would be a second history.
            || self.lead.signed.is_some_and(|(term, _)| term == stream.term)
            || !self.machine.votes()
        {
            return;
        }
        let Term { height, round } = stream.term;
        let intent = Intent::Term { height, round, init_hash: stream.init_hash };
        match self.guard.check_and_record(&intent) {
            Ok(_) => {
                out.push(Output::Guard(intent));
                self.open_own(stream.term, out);
            }
            Err(refused) => {
                tracing::info!(%refused, "not leading this term");
                self.lead.refused = Some(stream.term);
            }
        }
    }

    /// A round change that carried this leader's own CLOSE leaves its term active: it goes on, exactly after
    /// the last frame that this process signed, or not at all.
    fn resume_term(&mut self, now: Millis, out: &mut Vec<Output>) {
        let stream = *self.chain.stream();
        let last = stream.next_seq.checked_sub(1).map(|seq| (stream.term, seq));
        // Within a round above 0 nothing of it may be cut: it goes on when the height is decided.
        let paused = self.lead.paused.is_some_and(|height| height >= self.height);
        let ours = self.index().filter(|i| *i == stream.leader && self.round == 0 && !paused);
        let Some(index) = ours.filter(|_| self.lead.refused != Some(stream.term)) else { return };
        if last.is_some() && self.lead.signed == last && self.lead.builder.is_none() {
            self.lead.builder = Some(FrameBuilder::new(stream.term, index, now));
            out.push(Output::Leading(true));
        }
    }

    /// Leads `term` once everything so far is durable.
    pub(super) fn open_own(&mut self, term: Term, out: &mut Vec<Output>) {
        let token = self.next_token();
        self.lead.opening = Some((term, token));
        out.push(Output::Durable(token));
    }

    pub(super) fn on_durable(&mut self, now: Millis, token: u64, out: &mut Vec<Output>) {
        let Some((term, waiting)) = self.lead.opening else { return };
        if waiting != token {
            return;
        }
        self.lead.opening = None;
        let stream = *self.chain.stream();
        let Some(index) = self.index() else { return };
        if stream.term == term && stream.leader == index && stream.next_seq == 0 {
            self.lead.builder = Some(FrameBuilder::new(term, index, now));
            out.push(Output::Leading(true));
        }
    }

    /// Ends what this replica leads.
    pub(super) fn stop_leading(&mut self, out: &mut Vec<Output>) {
        self.lead.opening = None;
        self.lead.unacked = None;
        if self.lead.builder.take().is_some() {
            out.push(Output::Leading(false));
        }
        if !self.lead.batch.is_empty() {
            out.push(Output::ReturnTxs(std::mem::take(&mut self.lead.batch)));
        }
    }

    fn drop_stale_lead(&mut self, out: &mut Vec<Output>) {
        let term = self.chain.stream().term;
        let next = self.chain.stream().next_seq;
        // Frames of this term that fell off the chain were signed all the same: their places are taken.
        let taken = self.lead.signed.is_some_and(|(t, seq)| t == term && next <= seq);
        if self.builder().is_some_and(|b| b.term() != term) || taken {
            self.stop_leading(out);
        }
    }

    pub(super) fn on_txs(&mut self, txs: Batch, out: &mut Vec<Output>) {
        self.lead.asked = false;
        if self.builder().is_some() {
            self.lead.batch.extend(txs);
        } else if !txs.is_empty() {
            out.push(Output::ReturnTxs(txs));
        }
    }

    /// When the next cut may be due.
    pub(super) fn cut_at(&self, now: Millis) -> Option<Millis> {
        let builder = self.builder()?;
        self.origins.next(self.chain.context())?;
        let (may_frame, may_close) = self.may_cut();
        if !may_frame {
            return None;
        }
        match builder.pacing().decide(now, !self.lead.batch.is_empty(), may_close, &self.rules) {
            Cut::Wait(until) => Some(until),
            Cut::Frame | Cut::Close => Some(now),
        }
    }

    /// At most one height ahead of what is decided, and none after a CLOSE in a round above 0.
    fn may_cut(&self) -> (bool, bool) {
        let open = self.chain.context().height;
        let ahead = open > self.height;
        let past = self.round == 0 || self.rules.off(Mutation::SpeculativeAck);
        let same_set = self.chain.context().epoch == self.epoch;
        let frame = open <= self.height.saturating_add(1) && same_set && (!ahead || past);
        // What its CLOSE must name may not be executed here yet.
        (frame, !ahead && self.rules.lags.at(open).is_some())
    }

    /// Cuts what is due.
    pub(super) fn cut(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Fatal> {
        self.drop_stale_lead(out);
        let Some(keys) = self.keys.clone() else { return Ok(()) };
        let (may_frame, may_close) = self.may_cut();
        let unheard = self.unheard(now);
        if unheard && !self.lead.batch.is_empty() {
            out.push(Output::ReturnTxs(std::mem::take(&mut self.lead.batch)));
        }
        let origin = self.origins.next(self.chain.context());
        let (Some(builder), Some(origin)) = (self.lead.builder.as_mut(), origin) else {
            return Ok(());
        };
        let ready = !self.lead.batch.is_empty();
        let mut cut = builder.pacing().decide(now, ready, may_close, &self.rules);
        // A term opened by a round change closes at once: its height is late already.
        if builder.term().round > 0 && may_close && builder.term().height == self.height {
            cut = Cut::Close;
        }
        if may_frame && cut == Cut::Frame || cut == Cut::Close {
            let txs = fill(&mut self.lead.batch, self.chain.room(None).free(), out);
            let close = cut == Cut::Close;
            let evidence = if close { self.docket.next(&self.chain) } else { Vec::new() };
            let evidence = evidence.as_slice();
            let frame_cut = FrameCut { now, txs: &txs, close, origin: &origin, evidence };
            let domain = &self.rules.domain;
            let sign =
                |h: &FrameHeader| keys.signer.sign_seq(&SeqMessage::Frame(h.clone()), domain);
            let term = builder.term();
            match builder.build_with(&self.chain, &frame_cut, &self.rules, sign) {
                Ok(Some(frame)) => self.say_frame(now, Arc::new(frame), out),
                Ok(None) => drop(self.lead.batch.splice(0..0, txs)),
                // The signer does not know what was signed in this term: nothing more of it is.
                Err(SignError::Refused(why)) => {
                    tracing::warn!(why, "not leading on: the signer refused");
                    drop(self.lead.batch.splice(0..0, txs));
                    self.lead.refused = Some(term);
                    self.stop_leading(out);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !unheard {
            self.take_more(now, out);
        }
        Ok(())
    }

    /// Shows and sends a frame that this replica signed.
    fn say_frame(&mut self, now: Millis, frame: Arc<Frame>, out: &mut Vec<Output>) {
        let header = &frame.signed.header;
        self.lead.signed = Some((header.term, header.seq));
        if header.tx_count > 0 {
            self.lead.unacked.get_or_insert(now);
            self.lead.promised = header.g;
        }
        let message = Message::Frame((*frame.signed).clone());
        self.timers.heard(now);
        self.pool.insert(frame);
        // Executed and shown here first: sending wakes as many threads as there are peers.
        self.extend(now, out);
        out.push(Output::Send { to: To::Others, message, durable: false });
    }

    /// Asks for transactions when the next frame could carry them.
    fn take_more(&mut self, now: Millis, out: &mut Vec<Output>) {
        let Some(builder) = self.builder() else { return };
        let due = !matches!(builder.pacing().decide(now, true, false, &self.rules), Cut::Wait(_));
        if self.lead.batch.is_empty() && !self.lead.asked && (due || self.lead.batch.is_empty()) {
            self.lead.asked = true;
            out.push(Output::TakeTxs);
        }
    }
}

/// What the next frame takes. If it cannot take the first, which is insured above caps that have shrunk since, all of
/// them go back to the queue.
fn fill(batch: &mut Batch, insurable: u128, out: &mut Vec<Output>) -> Batch {
    let txs = take(batch, insurable);
    if txs.is_empty() && !batch.is_empty() {
        out.push(Output::ReturnTxs(std::mem::take(batch)));
    }
    txs
}

/// As many of the waiting transactions as fit into one frame.
fn take(batch: &mut Batch, insurable: u128) -> Batch {
    let (mut bytes, mut insured) = (0usize, 0u128);
    let fit = batch.iter().take(MAX_FRAME_TXS).take_while(|tx| {
        bytes = bytes.saturating_add(tx.raw.len());
        insured = insured.saturating_add(tx.insured);
        bytes <= MAX_BODY_BYTES && insured <= insurable
    });
    let count = fit.count();
    let rest = batch.split_off(count.min(batch.len()));
    std::mem::replace(batch, rest)
}
