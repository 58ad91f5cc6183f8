//! Indexes become nodes: an index is another node in another set, and everything here is judged by node.
//!
//! Also what is independent of `preconf` about sets (I-16): each height has one set, the same for all.

use super::Checker;
use alloy_primitives::B256;
use rota_consensus::Decided;
use rota_types::{
    Ack, FrameHeader, Header, Proposal, SignedProposal, SignedStatus, SignedTermInit, Status,
    wire::Message,
};

impl Checker {
    pub(super) fn named_frame(&self, h: &FrameHeader) -> Option<FrameHeader> {
        let leader = self.sets.node(h.epoch, h.leader)?;
        Some(FrameHeader { leader, ..h.clone() })
    }
    pub(super) fn named_ack(&self, ack: &Ack) -> Option<Ack> {
        let signer = self.sets.node(ack.epoch, ack.signer)?;
        Some(Ack { signer, ..ack.clone() })
    }
    pub(super) fn named_status(&self, status: &Status) -> Option<Status> {
        let signer = self.sets.node(status.epoch, status.signer)?;
        Some(Status { signer, ..status.clone() })
    }
    pub(super) fn named_proposal(&self, p: &SignedProposal) -> Option<(Proposal, Header)> {
        let proposer = self.sets.node(p.proposal.epoch, p.proposal.proposer)?;
        let mut header = p.header.clone();
        header.close.closer = self.sets.node(header.close.epoch, header.close.closer)?;
        Some((Proposal { proposer, ..p.proposal.clone() }, header))
    }
    /// Reports of nobody keep their index: they count for nothing, and the TermInit is not valid.
    pub(super) fn named_init(&self, signed: &SignedTermInit) -> Option<SignedTermInit> {
        let leader = self.sets.node(signed.init.epoch, signed.init.leader)?;
        let mut named = signed.clone();
        named.init.leader = leader;
        for SignedStatus { status, .. } in &mut named.reports {
            status.signer = self.sets.node(status.epoch, status.signer).unwrap_or(u16::MAX);
        }
        Some(named)
    }

    /// The newest epoch of a height.
    pub(in crate::sim) fn epoch(&self) -> u64 {
        self.epochs.last_key_value().map_or(0, |(_, epoch)| *epoch)
    }

    /// Whether this is the epoch of the height, as far as the heights before it are decided.
    pub(super) fn is_of(&self, height: u64, epoch: u64) -> bool {
        self.epochs.get(&height) == Some(&epoch)
    }

    /// I-16: a correct node signs for a height with the set of that height alone, once the height before is decided;
    /// frames may be one height ahead, within one set.
    pub(super) fn in_force(&mut self, what: &str, height: u64, epoch: u64) {
        let known = self.epochs.get(&height).copied();
        let ahead = what == "frame" && known.is_none();
        let before = self.epochs.get(&height.saturating_sub(1)).copied();
        if known != Some(epoch) && !(ahead && before == Some(epoch)) {
            let text = format!("{what} of epoch {epoch} at height {height}, which is of {known:?}");
            self.broke("I-16", text);
        }
    }

    /// I-16: the set of the next height follows from the origin of this one; certificate, frames and the hash of the
    /// next set agree with that.
    pub(super) fn switched(&mut self, d: &Decided) {
        let height = d.header.height();
        let next = self.sets.at(d.header.env.l1_number);
        let there = *self.epochs.entry(height + 1).or_insert(next);
        let now = self.epochs.get(&height).copied();
        let say = |what: &str| Err(format!("height {height} of epoch {now:?}: {what}"));
        let hash = self.sets.set(next).map(|set| set.hash()).filter(|_| Some(next) != now);
        let close = d.frames.last().map(|f| &f.signed.header);
        let weight = |c: &rota_types::CommitCertificate| {
            let roll = self.roll(height);
            let nodes = c.signers.iter().filter_map(|i| self.sets.node(c.epoch, i));
            roll.is_quorum(nodes.map(|node| roll.power(node)).sum())
        };
        let verdict = if there != next {
            say(&format!("followed by {there} and by {next}"))
        } else if Some(d.header.close.epoch) != now || Some(d.certificate.epoch) != now {
            say("decided in another epoch")
        } else if d.frames.iter().any(|f| Some(f.signed.header.epoch) != now) {
            say("has frames of another epoch")
        } else if d.header.close.next_set_hash != hash.unwrap_or(B256::ZERO) {
            say("names another next set")
        } else if hash.is_some() && close.is_some_and(|c| !c.flags.has(rota_types::Flags::TERM_END))
        {
            say("is the last one of its epoch and does not end its term")
        } else if d.next.epoch.number() != next {
            say(&format!("goes on with {}", d.next.epoch.number()))
        } else if !weight(&d.certificate) {
            say("is decided by too little stake of its set")
        } else {
            Ok(())
        };
        self.must("I-16", verdict);
    }
}

/// One line about a message.
pub(super) fn brief(message: &Message) -> String {
    let short = |hash: &B256| format!("{:.6}", format!("{hash:x}"));
    match message {
        Message::Frame(f) => {
            let h = &f.header;
            format!(
                "frame g{} h{} seq{} of {:?}",
                h.g,
                h.height,
                h.seq,
                (h.term.height, h.term.round)
            )
        }
        Message::Ack(a) => {
            let a = &a.ack;
            format!("ack {}/{} g{} {}", a.height, a.round, a.g, short(&a.frame_hash))
        }
        Message::Vote(v) => {
            let v = &v.vote;
            format!("{:?} {}/{} {}", v.kind, v.height, v.round, short(&v.value_id))
        }
        Message::Proposal(p) => {
            let p = &p.proposal;
            format!("proposal {}/{} pol {} {}", p.height, p.round, p.pol_round, short(&p.value_id))
        }
        Message::Status(s) => {
            let s = &s.status;
            let best = short(&s.best_hash);
            format!("status {}/{} best {} g{} {best}", s.height, s.round, s.best_round, s.best_g)
        }
        Message::TermInit(t) => {
            let i = &t.init;
            let who: Vec<u16> = t.reports.iter().map(|r| r.status.signer).collect();
            let tip = short(&i.carry_hash);
            format!("init {}/{} carries g{} {tip} of {who:?}", i.height, i.round, i.carry_g)
        }
        Message::Head(h) => format!("head {}", h.height),
        other => other.name().to_owned(),
    }
}
