//! Between the wire's types and Malachite's.
//!
//! Invariant: lossless both ways for what is signed; the epoch is the only thing Malachite does not carry
//! and is given by the caller.

use crate::context::{Ballot, Ctx, Cut, H, Index, Prop, Sig};
use alloy_primitives::B256;
use malachite_types::{
    self as mal, NilOrVal, PolkaSignature, Round, RoundCertificateType, RoundSignature, VoteType,
};
use rota_types::{
    Bitmap, CommitCertificate, PolkaCertificate, Proposal, RoundCertificate, RoundVote,
    SignedProposal, SignedVote, Vote, VoteKind,
};
use std::sync::Arc;

pub(crate) const fn round(r: u32) -> Round {
    Round::new(r)
}

pub(crate) fn pol(r: i32) -> Round {
    u32::try_from(r).map_or(Round::Nil, Round::new)
}

pub(crate) fn unpol(r: Round) -> i32 {
    r.as_u32().and_then(|r| i32::try_from(r).ok()).unwrap_or(-1)
}

pub(crate) fn unround(r: Round) -> u32 {
    r.as_u32().unwrap_or(0)
}

const fn kind(k: VoteKind) -> VoteType {
    match k {
        VoteKind::Prevote => VoteType::Prevote,
        VoteKind::Precommit => VoteType::Precommit,
    }
}

const fn unkind(k: VoteType) -> VoteKind {
    match k {
        VoteType::Prevote => VoteKind::Prevote,
        VoteType::Precommit => VoteKind::Precommit,
    }
}

const fn nil_or(id: B256) -> NilOrVal<B256> {
    if id.const_is_zero() { NilOrVal::Nil } else { NilOrVal::Val(id) }
}

const fn un_nil(v: &NilOrVal<B256>) -> B256 {
    match v {
        NilOrVal::Nil => B256::ZERO,
        NilOrVal::Val(id) => *id,
    }
}

pub(crate) fn vote_in(v: &SignedVote) -> mal::SignedVote<Ctx> {
    let ballot = Ballot {
        kind: kind(v.vote.kind),
        height: H(v.vote.height),
        round: round(v.vote.round),
        value: nil_or(v.vote.value_id),
        voter: Index(v.signer),
    };
    mal::SignedVote::new(ballot, Sig(v.signature))
}

pub(crate) fn vote_of(b: &Ballot, epoch: u64) -> Vote {
    Vote {
        epoch,
        height: b.height.0,
        round: unround(b.round),
        kind: unkind(b.kind),
        value_id: un_nil(&b.value),
    }
}

pub(crate) fn vote_out(v: &mal::SignedVote<Ctx>, epoch: u64) -> SignedVote {
    SignedVote {
        vote: vote_of(&v.message, epoch),
        signer: v.message.voter.0,
        signature: v.signature.0,
    }
}

pub(crate) fn proposal_in(p: SignedProposal) -> mal::SignedProposal<Ctx> {
    let cut = Cut::new(p.proposal.value_id, Arc::new(p.header), p.init.map(Arc::new));
    let prop = Prop {
        height: H(p.proposal.height),
        round: round(p.proposal.round),
        cut,
        pol: pol(p.proposal.pol_round),
        proposer: Index(p.proposal.proposer),
    };
    mal::SignedProposal::new(prop, Sig(p.signature))
}

/// The signed part of a proposal. The TermInit counts only for a fresh value in a round above 0.
pub(crate) fn proposal_of(p: &Prop, epoch: u64, init_hash: B256) -> Proposal {
    Proposal {
        epoch,
        height: p.height.0,
        round: unround(p.round),
        pol_round: unpol(p.pol),
        proposer: p.proposer.0,
        value_id: p.cut.id,
        init_hash,
    }
}

pub(crate) fn proposal_out(
    p: &mal::SignedProposal<Ctx>,
    epoch: u64,
    init_hash: B256,
) -> SignedProposal {
    SignedProposal {
        proposal: proposal_of(&p.message, epoch, init_hash),
        signature: p.signature.0,
        header: (*p.message.cut.header).clone(),
        init: fresh_init(&p.message).map(|i| (*i).clone()),
    }
}

/// The TermInit that justifies a proposal, if it needs one.
pub(crate) fn fresh_init(p: &Prop) -> Option<Arc<rota_types::SignedTermInit>> {
    (p.pol == Round::Nil && p.round != Round::new(0)).then(|| p.cut.init.clone()).flatten()
}

pub(crate) fn commit_out(c: &mal::CommitCertificate<Ctx>, epoch: u64) -> CommitCertificate {
    let mut votes: Vec<(u16, [u8; 65])> =
        c.commit_signatures.iter().map(|s| (s.address.0, s.signature.0)).collect();
    votes.sort_unstable_by_key(|v| v.0);
    votes.dedup_by_key(|v| v.0);
    CommitCertificate {
        epoch,
        height: c.height.0,
        round: unround(c.round),
        value_id: c.value_id,
        signers: Bitmap::of(votes.iter().map(|v| v.0)),
        signatures: votes.into_iter().map(|v| v.1).collect(),
    }
}

pub(crate) fn commit_in(c: &CommitCertificate) -> mal::ExtendedCommitCertificate<Ctx> {
    mal::ExtendedCommitCertificate {
        height: H(c.height),
        round: round(c.round),
        value_id: c.value_id,
        commit_signatures: c
            .signers
            .iter()
            .zip(&c.signatures)
            .map(|(i, s)| mal::ExtendedCommitSignature::new(Index(i), Sig(*s), None))
            .collect(),
    }
}

pub(crate) fn commit_trim(
    c: &mal::ExtendedCommitCertificate<Ctx>,
    epoch: u64,
) -> CommitCertificate {
    commit_out(&c.trim_vote_extensions(), epoch)
}

pub(crate) fn polka_out(c: &mal::PolkaCertificate<Ctx>, epoch: u64) -> PolkaCertificate {
    let mut votes: Vec<(u16, [u8; 65])> =
        c.polka_signatures.iter().map(|s| (s.address.0, s.signature.0)).collect();
    votes.sort_unstable_by_key(|v| v.0);
    votes.dedup_by_key(|v| v.0);
    PolkaCertificate {
        epoch,
        height: c.height.0,
        round: unround(c.round),
        value_id: c.value_id,
        signers: Bitmap::of(votes.iter().map(|v| v.0)),
        signatures: votes.into_iter().map(|v| v.1).collect(),
    }
}

pub(crate) fn polka_in(c: &PolkaCertificate) -> mal::PolkaCertificate<Ctx> {
    mal::PolkaCertificate {
        height: H(c.height),
        round: round(c.round),
        value_id: c.value_id,
        polka_signatures: c
            .signers
            .iter()
            .zip(&c.signatures)
            .map(|(i, s)| PolkaSignature::new(Index(i), Sig(*s)))
            .collect(),
    }
}

pub(crate) fn round_out(c: &mal::RoundCertificate<Ctx>, epoch: u64) -> RoundCertificate {
    RoundCertificate {
        epoch,
        height: c.height.0,
        round: unround(c.round),
        precommits: c.cert_type == RoundCertificateType::Precommit,
        votes: c
            .round_signatures
            .iter()
            .map(|s| RoundVote {
                kind: unkind(s.vote_type),
                value_id: un_nil(&s.value_id),
                signer: s.address.0,
                signature: s.signature.0,
            })
            .collect(),
    }
}

pub(crate) fn round_in(c: &RoundCertificate) -> mal::RoundCertificate<Ctx> {
    mal::RoundCertificate {
        height: H(c.height),
        round: round(c.round),
        cert_type: if c.precommits {
            RoundCertificateType::Precommit
        } else {
            RoundCertificateType::Skip
        },
        round_signatures: c
            .votes
            .iter()
            .map(|v| {
                RoundSignature::new(
                    kind(v.kind),
                    nil_or(v.value_id),
                    Index(v.signer),
                    Sig(v.signature),
                )
            })
            .collect(),
    }
}
