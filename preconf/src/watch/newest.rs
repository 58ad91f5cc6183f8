//! What the watch has of one signer, for that signer: whoever lost what it signed asks the others.

use super::{AtHeight, Watch};
use rota_types::{Signed, SignedAck, SignedStatus, SignedVote};

impl Watch {
    /// A statement of the newest height at which the watch knows one of this signer. It was verified. Proposals are left
    /// out: who proposes prevotes as well.
    #[must_use]
    pub fn newest_of(&self, epoch: u64, signer: u16) -> Option<Signed> {
        let who = (epoch, signer);
        let log = self.signers.get(&who)?;
        let said = log.heights.values().rev().find_map(|at| of_height(at, signer));
        let frames = log.terms.values().flat_map(|term| term.frames.values());
        let framed = frames
            .max_by_key(|(_, frame)| frame.content.height)
            .map(|(_, frame)| Signed::Frame(frame.content.clone(), frame.signature));
        said.into_iter().chain(framed).max_by_key(Signed::height)
    }
}

fn of_height(at: &AtHeight, signer: u16) -> Option<Signed> {
    let vote = || {
        let vote = at.votes.values().next_back()?;
        let (vote, signature) = (vote.content.clone(), vote.signature);
        Some(Signed::Vote(SignedVote { vote, signer, signature }))
    };
    let ack = || {
        let (_, acked) = at.acks.values().next_back()?.last_key_value()?;
        let (ack, signature) = (acked.ack.content.clone(), acked.ack.signature);
        Some(Signed::Ack(SignedAck { ack, signature }))
    };
    let status = || {
        let status = at.statuses.values().next_back()?;
        let (status, signature) = (status.content.clone(), status.signature);
        Some(Signed::Status(SignedStatus { status, signature }))
    };
    let init = || {
        let init = at.inits.values().next_back()?;
        Some(Signed::Init(init.content.clone(), init.signature))
    };
    vote().or_else(ack).or_else(status).or_else(init)
}
