//! What the set of one says: acks and decisions.

use super::{Leader, Said};
use alloy_primitives::B256;
use rota_node::view::Decision;
use rota_types::{
    AckCert, Bitmap, CommitCertificate, Encode, SignedAck, SignedVote, wire::DecidedHeight,
};

impl Leader {
    /// The set decides the oldest height that is closed.
    pub(crate) fn decide(&mut self) -> u64 {
        let (height, last_g) = self.chain.heights.remove(0);
        let header = self.headers.get(&height).unwrap().clone();
        let mut certificate = CommitCertificate {
            epoch: 1,
            height,
            round: 0,
            value_id: header.value_id(&self.domain),
            signers: Bitmap::of([0]),
            signatures: Vec::new(),
        };
        let vote = SignedVote::sign(certificate.vote(), 0, &self.vote, &self.domain);
        certificate.signatures.push(vote.signature);
        let decision = Decision {
            height,
            last_g,
            round: 0,
            certificate: certificate.encode().into(),
            header: header.encode().into(),
        };
        self.say(Said::Decided(decision, self.time()));
        let frames = self.framed.range(header.first_g..=last_g).map(|(_, f)| f.clone()).collect();
        let stored = DecidedHeight { header, certificate, frames };
        self.stored.insert(height, stored);
        height
    }

    /// The set acks the newest frame.
    pub(crate) fn ack(&mut self) {
        let ack = rota_types::Ack {
            epoch: 1,
            height: self.chain.height,
            round: 0,
            signer: 0,
            g: self.chain.g,
            frame_hash: self.chain.prev,
            init_hash: B256::ZERO,
        };
        let signed = SignedAck::sign(ack.clone(), &self.seq, &self.domain);
        let certificate = AckCert {
            epoch: 1,
            height: ack.height,
            round: 0,
            g: ack.g,
            frame_hash: ack.frame_hash,
            init_hash: B256::ZERO,
            signers: Bitmap::of([0]),
            signatures: vec![signed.signature],
        };
        self.say(Said::Acked(certificate, self.set.total(), self.time()));
    }
}
