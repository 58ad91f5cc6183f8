//! Keys, headers and certificates for this crate's tests.

use super::{MemoryL1, MemoryParams};
use crate::BatchPost;
use alloy_primitives::{Address, B256, U256, keccak256};
use rota_types::{
    Bitmap, Close, CommitCertificate, Domain, Env, Header, SeqKey, SignedVote, Term, Validator,
    Vote, VoteKey, VoteKind,
};

pub(crate) const INBOX: Address = Address::repeat_byte(0x1b);

pub(crate) struct World {
    pub(crate) domain: Domain,
    pub(crate) votes: Vec<VoteKey>,
    pub(crate) seqs: Vec<SeqKey>,
}

impl World {
    pub(crate) fn new(operators: u8) -> Self {
        let domain = Domain::new(1, 2, Address::repeat_byte(0x9e), B256::repeat_byte(7), 0);
        let votes = (1..=operators).map(|i| VoteKey::from_secret(&[i; 32]).unwrap()).collect();
        let seqs = (1..=operators).map(|i| SeqKey::from_seed(&[i; 32])).collect();
        Self { domain, votes, seqs }
    }

    pub(crate) fn validators(&self) -> Vec<Validator> {
        (self.votes.iter().zip(&self.seqs))
            .map(|(vote, seq)| Validator {
                owner: vote.address(),
                seq_key: seq.public(),
                vote_key: vote.address(),
                stake: U256::from(10u64).pow(U256::from(18u64)),
                fee_recipient: vote.address(),
                peer: "/memory/1".into(),
            })
            .collect()
    }

    pub(crate) fn l1(&self) -> MemoryL1 {
        let l1 = MemoryL1::new(MemoryParams::new(self.domain.clone(), INBOX), self.validators());
        // The origins of `header` are in the past.
        while l1.mine().number < 20 {}
        l1
    }

    /// Heights `from..=to`, certified by everyone in `round`.
    pub(crate) fn post(&self, from: u64, to: u64, round: u32) -> BatchPost {
        self.post_of(from, header(to), round, self.votes.len())
    }

    /// Heights `from..=header.height()`, certified by the first `signers`.
    pub(crate) fn post_of(
        &self,
        from: u64,
        header: Header,
        round: u32,
        signers: usize,
    ) -> BatchPost {
        let vote = Vote {
            epoch: header.close.epoch,
            height: header.height(),
            round,
            kind: VoteKind::Precommit,
            value_id: header.value_id(&self.domain),
        };
        let signatures = (0u16..)
            .zip(&self.votes)
            .take(signers)
            .map(|(i, key)| SignedVote::sign(vote.clone(), i, key, &self.domain).signature);
        let certificate = CommitCertificate {
            epoch: vote.epoch,
            height: vote.height,
            round,
            value_id: vote.value_id,
            signatures: signatures.collect(),
            signers: Bitmap::of(0..u16::try_from(signers).unwrap()),
        };
        let payload = format!("heights {from} to {}", header.height()).into_bytes().into();
        BatchPost { from_height: from, repost: false, header, certificate, payload }
    }
}

pub(crate) fn header(height: u64) -> Header {
    Header {
        env: Env {
            timestamp_s: 1_700_000_000u64.saturating_add(height),
            l1_number: height,
            l1_hash: keccak256(height.to_be_bytes()),
            gas_limit: 30_000_000,
            prev_randao: B256::repeat_byte(3),
            fee_vault: Address::repeat_byte(4),
        },
        close: Close {
            generation: 0,
            epoch: 0,
            height,
            parent_id: B256::repeat_byte(5),
            term: Term { height, round: 0 },
            closer: 0,
            cursor: 0,
            window_left: 1,
            jailed_bitmap_hash: B256::ZERO,
            evidence_root: B256::ZERO,
            next_set_hash: B256::ZERO,
            insured_total: 0,
            exec_lag_height: 0,
            exec_lag_root: B256::ZERO,
            history_root: B256::repeat_byte(6),
        },
        first_g: height,
        last_g: height,
        txs_root: B256::ZERO,
        frames_root: B256::repeat_byte(8),
        last_frame_hash: B256::repeat_byte(9),
    }
}
