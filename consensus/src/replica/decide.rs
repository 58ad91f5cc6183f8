//! Messages of consensus, offering values, and what follows from a decision.

use super::{Decided, Output, PeerNo, Replica, Retract};
use crate::machine::{Fatal, Offer};
use rota_preconf::BadFrame;
use rota_types::{CommitCertificate, Header, Millis, wire::Message};
use std::sync::Arc;

/// Heights ahead for which messages are kept, and how many of each sender and height.
const AHEAD: u64 = 4;
const AHEAD_MAX: usize = 48;
/// Heights for which it is remembered that the leader of a term signed two histories.
const KEEP_TERMS: u64 = 1_024;

impl Replica {
    pub(super) fn on_message(
        &mut self,
        now: Millis,
        from: PeerNo,
        message: Message,
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        match message {
            Message::Ack(ack) => self.on_ack(&ack, from, out),
            Message::Head(head) => self.on_head(now, from, &head, out),
            Message::Status(status) => self.on_status(from, status, out),
            Message::TermInit(init) => self.on_init(now, from, Arc::new(init), out),
            Message::Proposal(_)
            | Message::Vote(_)
            | Message::Polka(_)
            | Message::RoundCertificate(_) => return self.on_consensus(now, from, message, out),
            // Frames come as `Input::Frame`; certificates of acks are built from acks here; transactions
            // are not the replica's.
            Message::Frame(_) | Message::AckCert(_) | Message::Txs(_) | Message::InsuredTxs(_) => {}
        }
        Ok(())
    }

    fn on_consensus(
        &mut self,
        now: Millis,
        from: PeerNo,
        message: Message,
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        let height = match &message {
            Message::Proposal(p) => p.proposal.height,
            Message::Vote(v) => v.vote.height,
            Message::Polka(c) => c.height,
            Message::RoundCertificate(c) => c.height,
            _ => return Ok(()),
        };
        // What this node says it says itself. The core takes messages in its own name as its own work and does
        // not verify them again: nobody else may give it one.
        if height < self.height {
            return Ok(());
        }
        if height > self.height {
            self.sync.ahead(now, from, height);
            self.keep_for(height, from, message);
            return Ok(());
        }
        if speaker(&message).is_some_and(|who| Some(who) == self.index()) {
            return Ok(());
        }
        if let Message::Proposal(proposal) = message {
            if proposal.proposal.proposer == self.leader && Some(from) == self.peer(self.leader) {
                self.timers.heard(now);
            }
            self.on_proposal(from, *proposal, out);
            return Ok(());
        }
        self.note_nil(from, &message);
        self.feed(now, message, out)?;
        self.hurry_on(now);
        Ok(())
    }

    /// Keeps a message for one of the next heights: what it says is judged there, with the set of that height.
    pub(super) fn keep_for(&mut self, height: u64, from: PeerNo, message: Message) {
        if height > self.height && height <= self.height.saturating_add(AHEAD) {
            let kept = self.future.entry(height).or_default();
            if kept.iter().filter(|(sender, _)| *sender == from).count() < AHEAD_MAX {
                kept.push((from, message));
            }
        }
    }

    /// Hands a message to the machine.
    pub(super) fn feed(
        &mut self,
        now: Millis,
        message: Message,
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        let mut acts = Vec::new();
        self.machine.message(message, &mut self.guard, &mut acts)?;
        self.perform(now, acts, out)
    }

    /// Gives the machine the value that the accepted chain closes the height with.
    pub(super) fn offer(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<bool, Fatal> {
        let Some((header, id)) = self.chain.header(self.height) else { return Ok(false) };
        if !self.open.offered.insert(*id) {
            return Ok(false);
        }
        let header = Arc::new(header.clone());
        self.offer_value(now, header, self.round, false, out)?;
        Ok(true)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one offer, and where effects go")]
    pub(super) fn offer_value(
        &mut self,
        now: Millis,
        header: Arc<Header>,
        round: u32,
        synced: bool,
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        let base = self.chain.base();
        let proposer = base.epoch.schedule().leader(base.cursor, round);
        let offer = Offer { height: self.height, round, proposer, header, synced };
        let mut acts = Vec::new();
        self.machine.value(offer, &mut self.guard, &mut acts)?;
        self.perform(now, acts, out)
    }

    /// Proposes when the machine asked for a value and the chain has one.
    pub(super) fn propose(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<bool, Fatal> {
        if self.open.need_value != Some(self.round) || (self.round > 0 && self.open.init.is_none())
        {
            return Ok(false);
        }
        let Some((header, _)) = self.chain.header(self.height) else { return Ok(false) };
        let header = Arc::new(header.clone());
        let init = self.open.init.clone().filter(|_| self.round > 0);
        self.open.need_value = None;
        let mut acts = Vec::new();
        let place = (self.height, self.round);
        self.machine.propose(place, header, init, &mut self.guard, &mut acts)?;
        self.perform(now, acts, out)?;
        Ok(true)
    }

    pub(super) fn on_decided(
        &mut self,
        now: Millis,
        certificate: CommitCertificate,
        header: Option<Arc<Header>>,
        out: &mut Vec<Output>,
    ) -> Result<(), Fatal> {
        let header = header.ok_or_else(|| Fatal::Core("decided without a value".to_owned()))?;
        let value_id = certificate.value_id;
        self.rules.lags.certified(&header)?;
        let ours = self.chain.header(self.height).map(|(_, id)| *id);
        if ours != Some(value_id) {
            let base = self.chain.base().base.hash;
            let Ok(path) = self.pool.path(&base, &header.last_frame_hash) else {
                return self.follow_until_synced(now, out);
            };
            match self.switch(&path, Retract::Decided, out) {
                Ok(()) => {}
                Err(BadFrame::Origin(_)) => return self.follow_until_synced(now, out),
                Err(e) => return Err(Fatal::Core(format!("decided frames do not chain: {e}"))),
            }
        }
        let frames = self.chain.pop_decided();
        let next = self.chain.base().clone();
        if next.parent_id != value_id {
            return Err(Fatal::Core("the decided header is not what its frames give".to_owned()));
        }
        let header = (*header).clone();
        let decided = Decided { header, value_id, certificate, frames, next };
        out.push(Output::Decided(Box::new(decided)));
        Ok(())
    }

    /// A crash can keep the votes of a height and lose its frames. The decision stands, but this replica
    /// cannot apply it: it follows until it has got the height from a peer, and signs nothing meanwhile.
    fn follow_until_synced(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Fatal> {
        tracing::warn!(
            height = self.height,
            "frames of a decided height are missing; fetching them"
        );
        self.observing = true;
        self.listen.frames_missing = true;
        self.abandoned = true;
        let members = self.members();
        self.machine = self.new_machine(false);
        self.open.offered.clear();
        let mut acts = Vec::new();
        self.machine.start(self.height, members, &mut self.guard, &mut acts)?;
        self.perform(now, acts, out)
    }

    /// Starts the next height once the last one is over.
    pub(super) fn begin_next(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<bool, Fatal> {
        if !std::mem::take(&mut self.finished) {
            return Ok(false);
        }
        let base = self.chain.base().clone();
        self.height = base.height;
        self.round = 0;
        self.open = super::open::Open::default();
        self.equivocators
            .retain(|(term, _, _)| term.height.saturating_add(KEEP_TERMS) > base.height);
        self.acks.prune(base.base.g);
        self.pool.prune(base.base.g);
        self.statuses.prune(base.height);
        self.timers.clear();
        self.timers.heard(now);
        self.sync.decided(now, base.height);
        out.push(Output::WalReset);
        let changed = self.change_set(out);
        self.settle_docket(changed);
        let members = self.members();
        if !self.resume_voting(out) && changed {
            self.machine = self.new_machine(!self.observing);
        }
        let mut acts = Vec::new();
        self.machine.start(self.height, members, &mut self.guard, &mut acts)?;
        self.perform(now, acts, out)?;
        self.extend(now, out);
        self.future.retain(|h, _| *h >= base.height);
        for (from, message) in self.future.remove(&base.height).unwrap_or_default() {
            self.on_message(now, from, message, out)?;
        }
        Ok(true)
    }

    /// A replica that followed because its log was missing votes again above what its key signed.
    /// Says whether it does.
    pub(super) fn resume_voting(&mut self, out: &mut Vec<Output>) -> bool {
        let signed = super::restore::signed_at(&self.guard, self.height);
        if !self.observing || self.keys.is_none() || signed || self.too_early() {
            return false;
        }
        self.observing = false;
        self.signs_again(out);
        self.machine = self.new_machine(true);
        true
    }
}

/// In whose name a vote or proposal is.
const fn speaker(message: &Message) -> Option<u16> {
    match message {
        Message::Vote(v) => Some(v.signer),
        Message::Proposal(p) => Some(p.proposal.proposer),
        _ => None,
    }
}
