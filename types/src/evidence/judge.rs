//! Whether evidence shows what it says: the same steps as the contract's.
//!
//! Not for: how much it costs, nor whether it was already punished.

use super::{
    ACCUSED_MANY, AckAgainstVote, CertVotes, Evidence, EvidenceKind, OffenceClass, OffencePlace,
    OtherCut, Proof, Sealed, SealedAck, SealedFrame, SealedStatus, SealedVote, StatusHidesVote,
    sealed::{Content, seq_by, vote_by},
};
use crate::{
    Domain, Flags, FrameHeader, Header, KeyError, MerkleProof, Status, Validator, ValidatorSet,
    VoteKind, verify_tx,
};
use alloy_primitives::B256;

/// Why evidence was refused. Whoever gave it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// For another generation than the domain's.
    #[error("evidence of generation {got}, domain of generation {domain}")]
    Generation {
        /// Generation of the evidence.
        got: u32,
        /// Generation of the domain.
        domain: u32,
    },
    /// Not judged with the set of its epoch.
    #[error("evidence of epoch {got}, set of epoch {set}")]
    Epoch {
        /// Epoch of the evidence.
        got: u64,
        /// Epoch of the set.
        set: u64,
    },
    /// The accused is not in the set, or the evidence does not name whom its kind accuses.
    #[error("{0} is nobody that this evidence can accuse")]
    Accused(u16),
    /// A message of another epoch or of another signer.
    #[error("a message is not one of the accused in this epoch")]
    Foreign,
    /// A signature that does not verify.
    #[error("a signature does not verify")]
    Signature,
    /// Two certificates that are not both of more than two thirds.
    #[error("a certificate has no quorum")]
    Quorum,
    /// A chain or a branch that does not lead where it must, or is there without need.
    #[error("a chain or a branch does not lead where it must")]
    Path,
    /// It rests on this execution block, and L1 does not say, or was not asked, which hash of it slots agreed on.
    #[error("it rests on the proven hash of block {0}, which is not known")]
    NotProven(u64),
    /// The messages do not contradict each other.
    #[error("not an offence: {0}")]
    NotGuilty(&'static str),
}

impl From<KeyError> for EvidenceError {
    fn from(_: KeyError) -> Self {
        Self::Signature
    }
}

/// What evidence shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The row of the table.
    pub kind: EvidenceKind,
    /// What it costs.
    pub class: OffenceClass,
    /// Who is guilty, ascending; several only for certificates.
    pub accused: Vec<u16>,
    /// With an operator, the key that the contract counts once.
    pub place: OffencePlace,
}

impl Evidence {
    /// Judges the evidence with the set of its epoch. Costs at most two verifications of ed25519 or, for
    /// certificates, two recoveries a member.
    /// What rests on a proven block is refused: who has no L1 cannot tell.
    pub fn verify(&self, set: &ValidatorSet, domain: &Domain) -> Result<Verdict, EvidenceError> {
        self.verify_proven(set, domain, None)
    }

    /// As `verify`, with the hash on which slots agreed on L1 for the block that it rests on (`rests_on`).
    pub fn verify_proven(
        &self,
        set: &ValidatorSet,
        domain: &Domain,
        proven: Option<B256>,
    ) -> Result<Verdict, EvidenceError> {
        if self.generation != domain.generation {
            let (got, domain) = (self.generation, domain.generation);
            return Err(EvidenceError::Generation { got, domain });
        }
        if self.epoch != set.epoch() {
            return Err(EvidenceError::Epoch { got: self.epoch, set: set.epoch() });
        }
        let accused = match &self.proof {
            Proof::CertTwice(pair) => {
                guilty(self.accused == ACCUSED_MANY, EvidenceError::Accused(self.accused))?;
                in_both(pair, set, domain)?
            }
            Proof::FalseBlock(x) => {
                guilty(self.accused == ACCUSED_MANY, EvidenceError::Accused(self.accused))?;
                x.judge(set, domain, proven)?
            }
            proof => {
                let signer = set.get(self.accused).ok_or(EvidenceError::Accused(self.accused))?;
                Court { accused: self.accused, epoch: self.epoch, signer, domain }.judge(proof)?;
                vec![self.accused]
            }
        };
        let kind = self.kind();
        Ok(Verdict { kind, class: kind.class(), accused, place: self.place() })
    }
}

pub(super) const fn guilty(holds: bool, otherwise: EvidenceError) -> Result<(), EvidenceError> {
    if holds { Ok(()) } else { Err(otherwise) }
}

pub(super) const fn must(holds: bool, what: &'static str) -> Result<(), EvidenceError> {
    guilty(holds, EvidenceError::NotGuilty(what))
}

/// One accused before its judge.
struct Court<'a> {
    accused: u16,
    epoch: u64,
    signer: &'a Validator,
    domain: &'a Domain,
}

impl Court<'_> {
    fn judge(&self, proof: &Proof) -> Result<(), EvidenceError> {
        match proof {
            Proof::FrameTwice(pair) => {
                let [a, b] = self.frames(pair)?;
                let place = (a.term, a.seq) == (b.term, b.seq);
                must(place && a != b, "one frame for a place")
            }
            Proof::PastEnd(pair) => past_end(self.frames(pair)?),
            Proof::Unchained(pair) => self.unchained(self.frames(pair)?),
            Proof::InitTwice(pair) => {
                let [a, b] = self.seq_pair(pair)?;
                let place = (a.height, a.round) == (b.height, b.round);
                must(place && a != b, "one opening for a round")
            }
            Proof::StatusTwice(pair) => {
                let [a, b] = self.vote_pair(pair)?;
                let place = (a.height, a.round) == (b.height, b.round);
                must(place && a != b, "one report for a round")
            }
            Proof::VoteTwice(pair) => {
                let [a, b] = self.vote_pair(pair)?;
                let place = (a.height, a.round, a.kind) == (b.height, b.round, b.kind);
                must(place && a.value_id != b.value_id, "one vote of a kind for a round")
            }
            Proof::ProposalTwice(pair) => {
                let [a, b] = self.vote_pair(pair)?;
                let place = (a.height, a.round) == (b.height, b.round);
                must(place && a != b, "one proposal for a round")
            }
            Proof::OtherCut(x) => self.other_cut(x),
            Proof::AckTwice { acks, chain } => self.ack_twice(acks, chain),
            Proof::AckAgainstVote(x) => self.ack_against_vote(x),
            Proof::StatusHidesAck { ack, status, chain } => {
                self.status_hides_ack(ack, status, chain)
            }
            Proof::StatusHidesVote(x) => self.status_hides_vote(x),
            Proof::CertTwice(_) | Proof::FalseBlock(_) => Err(EvidenceError::Accused(self.accused)),
        }
    }

    /// A message signed with the sequencer key.
    fn seq<'m, T: Content>(&self, message: &'m Sealed<T, 64>) -> Result<&'m T, EvidenceError> {
        self.own(&message.content)?;
        seq_by(message, self.signer, self.domain)?;
        Ok(&message.content)
    }

    /// A message signed with the vote key.
    fn vote<'m, T: Content>(&self, message: &'m Sealed<T, 65>) -> Result<&'m T, EvidenceError> {
        self.own(&message.content)?;
        vote_by(message, self.signer, self.domain)?;
        Ok(&message.content)
    }

    fn own<T: Content>(&self, content: &T) -> Result<(), EvidenceError> {
        let signer = content.signer().is_none_or(|signer| signer == self.accused);
        guilty(signer && content.epoch() == self.epoch, EvidenceError::Foreign)
    }

    fn seq_pair<'m, T: Content>(
        &self,
        pair: &'m [Sealed<T, 64>; 2],
    ) -> Result<[&'m T; 2], EvidenceError> {
        Ok([self.seq(&pair[0])?, self.seq(&pair[1])?])
    }

    fn vote_pair<'m, T: Content>(
        &self,
        pair: &'m [Sealed<T, 65>; 2],
    ) -> Result<[&'m T; 2], EvidenceError> {
        Ok([self.vote(&pair[0])?, self.vote(&pair[1])?])
    }

    fn frames<'m>(
        &self,
        pair: &'m [SealedFrame; 2],
    ) -> Result<[&'m FrameHeader; 2], EvidenceError> {
        let [a, b] = self.seq_pair(pair)?;
        must(a.term == b.term, "frames of two terms")?;
        Ok([a, b])
    }

    fn unchained(&self, [a, b]: [&FrameHeader; 2]) -> Result<(), EvidenceError> {
        must(a.seq.checked_add(1) == Some(b.seq), "not in a row")?;
        let linked = b.prev_hash == a.hash(self.domain)
            && a.g.checked_add(1) == Some(b.g)
            && a.init_hash == b.init_hash;
        must(!linked, "the second frame follows the first")
    }

    fn other_cut(&self, x: &OtherCut) -> Result<(), EvidenceError> {
        let proposal = self.vote(&x.proposal)?;
        let frame = self.seq(&x.frame)?;
        must(proposal.pol_round == -1, "not a fresh proposal")?;
        self.names(&x.header, &proposal.value_id)?;
        let close = &x.header.close;
        must(
            close.closer == self.accused && close.term == frame.term,
            "the frame is not of the term that closes",
        )?;
        in_height(&x.header, frame.g, &x.leaf, &x.branch)?;
        must(x.leaf != frame.hash(self.domain), "the header has this frame")
    }

    fn ack_twice(&self, acks: &[SealedAck; 2], chain: &[FrameHeader]) -> Result<(), EvidenceError> {
        let [a, b] = self.seq_pair(acks)?;
        must((a.height, a.round) == (b.height, b.round), "acks of two rounds")?;
        if a.init_hash != b.init_hash {
            return guilty(chain.is_empty(), EvidenceError::Path);
        }
        must(a.g <= b.g, "the lower ack comes first")?;
        let there = self.descend((b.g, b.frame_hash), a.g, chain)?;
        must(there != a.frame_hash, "the higher ack contains the lower")
    }

    fn ack_against_vote(&self, x: &AckAgainstVote) -> Result<(), EvidenceError> {
        let ack = self.seq(&x.ack)?;
        let vote = self.prevote(&x.vote, &x.header)?;
        must(vote.height == ack.height, "two heights")?;
        must(vote.round <= ack.round, "the vote is of a later round")?;
        if ack.g <= x.header.last_g {
            guilty(x.chain.is_empty(), EvidenceError::Path)?;
            in_height(&x.header, ack.g, &x.leaf, &x.branch)?;
            return must(x.leaf != ack.frame_hash, "the value has the acked frame");
        }
        let empty = MerkleProof { index: 0, count: 0, siblings: Vec::new() };
        guilty(x.leaf.is_zero() && x.branch == empty, EvidenceError::Path)?;
        let there = self.descend((ack.g, ack.frame_hash), x.header.last_g, &x.chain)?;
        must(there != x.header.last_frame_hash, "the acked chain has the value")
    }

    fn status_hides_ack(
        &self,
        ack: &SealedAck,
        status: &SealedStatus,
        chain: &[FrameHeader],
    ) -> Result<(), EvidenceError> {
        let ack = self.seq(ack)?;
        let status = self.vote(status)?;
        must(status.height == ack.height, "two heights")?;
        self.hides(status, ack.round, (ack.g, ack.frame_hash), chain)
    }

    fn status_hides_vote(&self, x: &StatusHidesVote) -> Result<(), EvidenceError> {
        let vote = self.prevote(&x.vote, &x.header)?;
        let status = self.vote(&x.status)?;
        must(status.height == vote.height, "two heights")?;
        let tip = (x.header.last_g, x.header.last_frame_hash);
        self.hides(status, vote.round, tip, &x.chain)
    }

    /// Whether a report leaves out the chain to `(g, hash)` that its signer had in `round`.
    fn hides(
        &self,
        status: &Status,
        round: u32,
        (g, hash): (u64, B256),
        chain: &[FrameHeader],
    ) -> Result<(), EvidenceError> {
        must(status.round > round, "the report is not of a later round")?;
        let (best, round) = (i64::from(status.best_round), i64::from(round));
        must(best <= round, "the report is of what came later")?;
        if best < round || status.best_g < g {
            return guilty(chain.is_empty(), EvidenceError::Path);
        }
        let there = self.descend((status.best_g, status.best_hash), g, chain)?;
        must(there != hash, "the report contains it")
    }

    /// A prevote for the value of a header.
    fn prevote<'m>(
        &self,
        vote: &'m SealedVote,
        header: &Header,
    ) -> Result<&'m crate::Vote, EvidenceError> {
        let vote = self.vote(vote)?;
        must(vote.kind == VoteKind::Prevote && !vote.value_id.is_zero(), "not a prevote")?;
        self.names(header, &vote.value_id)?;
        Ok(vote)
    }

    fn names(&self, header: &Header, value_id: &B256) -> Result<(), EvidenceError> {
        must(header.value_id(self.domain) == *value_id, "the header is not the one named")
    }

    /// The hash at position `to` of the chain that ends with `tip`.
    fn descend(
        &self,
        tip: (u64, B256),
        to: u64,
        chain: &[FrameHeader],
    ) -> Result<B256, EvidenceError> {
        let length = u64::try_from(chain.len()).unwrap_or(u64::MAX);
        guilty(tip.0.checked_sub(to) == Some(length), EvidenceError::Path)?;
        let (mut g, mut hash) = tip;
        for header in chain {
            guilty(header.g == g && header.hash(self.domain) == hash, EvidenceError::Path)?;
            hash = header.prev_hash;
            g = g.saturating_sub(1);
        }
        Ok(hash)
    }
}

fn past_end([a, b]: [&FrameHeader; 2]) -> Result<(), EvidenceError> {
    must(b.seq > a.seq, "the second frame is not after the first")?;
    if a.flags.has(Flags::TERM_END) {
        return Ok(());
    }
    must(a.seq.checked_add(1) == Some(b.seq), "the term goes on between them")?;
    let next = a.height.checked_add(u64::from(a.flags.has(Flags::CLOSE)));
    must(next != Some(b.height), "the heights follow")
}

/// Whether `leaf` is the frame hash that the header has at `g`.
fn in_height(
    header: &Header,
    g: u64,
    leaf: &B256,
    branch: &MerkleProof,
) -> Result<(), EvidenceError> {
    let index = g.checked_sub(header.first_g).filter(|_| g <= header.last_g);
    let index = index.ok_or(EvidenceError::NotGuilty("outside the height"))?;
    let last = header.last_g.checked_sub(header.first_g);
    let right = u64::from(branch.index) == index
        && last.and_then(|l| l.checked_add(1)) == Some(branch.count.into())
        && verify_tx(&header.frames_root, leaf, 0, branch);
    guilty(right, EvidenceError::Path)
}

/// Who signed both certificates.
fn in_both(
    pair: &[CertVotes; 2],
    set: &ValidatorSet,
    domain: &Domain,
) -> Result<Vec<u16>, EvidenceError> {
    let [a, b] = pair;
    must((a.height, a.round) == (b.height, b.round), "certificates of two rounds")?;
    must(a.value_id != b.value_id, "one value")?;
    for votes in pair {
        let certificate = votes.certificate(set.epoch());
        certificate.verify(set, domain).map_err(|_| EvidenceError::Quorum)?;
    }
    Ok(a.signers.iter().filter(|i| b.signers.has(*i)).collect())
}
