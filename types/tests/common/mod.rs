//! Values of every kind from one seed, and four validators with keys.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code"
)]
#![allow(dead_code, reason = "every test file uses a part of it")]

pub(crate) mod blocks;
pub(crate) mod innocent;
pub(crate) mod offences;
pub(crate) mod sample;

use rota_types::{wire::*, *};

/// A stream of pseudo-random values (splitmix64).
pub(crate) struct Gen(pub(crate) u64);

impl Gen {
    pub(crate) fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.u64() % u64::try_from(n).unwrap()).unwrap()
    }
    pub(crate) fn u32(&mut self) -> u32 {
        u32::try_from(self.u64() >> 32).unwrap()
    }
    pub(crate) fn u16(&mut self) -> u16 {
        u16::try_from(self.u64() >> 48).unwrap()
    }
    pub(crate) fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.u32().to_be_bytes())
    }
    pub(crate) fn u128(&mut self) -> u128 {
        u128::from(self.u64()) << 64 | u128::from(self.u64())
    }
    pub(crate) fn bool(&mut self) -> bool {
        self.u64() & 1 == 1
    }
    pub(crate) fn bytes(&mut self, max: usize) -> Bytes {
        let n = self.below(max + 1);
        (0..n).map(|_| self.u64().to_be_bytes()[0]).collect()
    }
    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.u64().to_be_bytes()[0])
    }
    pub(crate) fn hash(&mut self) -> B256 {
        B256::from(self.array::<32>())
    }
    pub(crate) fn list<T>(&mut self, max: usize, f: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.below(max + 1)).map(|_| f(self)).collect()
    }
    pub(crate) fn option<T>(&mut self, f: impl Fn(&mut Self) -> T) -> Option<T> {
        self.bool().then(|| f(self))
    }
    pub(crate) fn term(&mut self) -> Term {
        Term { height: self.u64(), round: self.u32() }
    }
    pub(crate) fn bitmap(&mut self) -> Bitmap {
        Bitmap::of(self.list(8, |g| g.u16() % 256))
    }
    pub(crate) fn ack(&mut self) -> Ack {
        Ack {
            epoch: self.u64(),
            height: self.u64(),
            round: self.u32(),
            signer: self.u16(),
            g: self.u64(),
            frame_hash: self.hash(),
            init_hash: self.hash(),
        }
    }
    pub(crate) fn signed_ack(&mut self) -> SignedAck {
        SignedAck { ack: self.ack(), signature: self.array() }
    }
    pub(crate) fn ack_cert(&mut self) -> AckCert {
        let signers = self.bitmap();
        AckCert {
            epoch: self.u64(),
            height: self.u64(),
            round: self.u32(),
            g: self.u64(),
            frame_hash: self.hash(),
            init_hash: self.hash(),
            signatures: (0..signers.count()).map(|_| self.array()).collect(),
            signers,
        }
    }
    pub(crate) fn commit(&mut self) -> CommitCertificate {
        let signers = self.bitmap();
        CommitCertificate {
            epoch: self.u64(),
            height: self.u64(),
            round: self.u32(),
            value_id: self.hash(),
            signatures: (0..signers.count()).map(|_| self.array()).collect(),
            signers,
        }
    }
    pub(crate) fn polka(&mut self) -> PolkaCertificate {
        let c = self.commit();
        PolkaCertificate {
            epoch: c.epoch,
            height: c.height,
            round: c.round,
            value_id: c.value_id,
            signers: c.signers,
            signatures: c.signatures,
        }
    }
    pub(crate) fn kind(&mut self) -> VoteKind {
        if self.bool() { VoteKind::Prevote } else { VoteKind::Precommit }
    }
    pub(crate) fn round_vote(&mut self) -> RoundVote {
        RoundVote {
            kind: self.kind(),
            value_id: self.hash(),
            signer: self.u16(),
            signature: self.array(),
        }
    }
    pub(crate) fn round_certificate(&mut self) -> RoundCertificate {
        RoundCertificate {
            epoch: self.u64(),
            height: self.u64(),
            round: self.u32(),
            precommits: self.bool(),
            votes: self.list(5, Self::round_vote),
        }
    }
    pub(crate) fn env(&mut self) -> Env {
        Env {
            timestamp_s: self.u64(),
            l1_number: self.u64(),
            l1_hash: self.hash(),
            gas_limit: self.u64(),
            prev_randao: self.hash(),
            fee_vault: Address::from(self.array::<20>()),
        }
    }
    pub(crate) fn close(&mut self) -> Close {
        Close {
            generation: self.u32(),
            epoch: self.u64(),
            height: self.u64(),
            parent_id: self.hash(),
            term: self.term(),
            closer: self.u16(),
            cursor: self.u64(),
            window_left: self.u16(),
            jailed_bitmap_hash: self.hash(),
            evidence_root: self.hash(),
            next_set_hash: self.hash(),
            insured_total: self.u128(),
            exec_lag_height: self.u64(),
            exec_lag_root: self.hash(),
            history_root: self.hash(),
        }
    }
    pub(crate) fn header(&mut self) -> Header {
        Header {
            env: self.env(),
            close: self.close(),
            first_g: self.u64(),
            last_g: self.u64(),
            txs_root: self.hash(),
            frames_root: self.hash(),
            last_frame_hash: self.hash(),
        }
    }
    pub(crate) fn frame_header(&mut self) -> FrameHeader {
        FrameHeader {
            epoch: self.u64(),
            term: self.term(),
            leader: self.u16(),
            g: self.u64(),
            seq: self.u32(),
            prev_hash: self.hash(),
            init_hash: self.hash(),
            height: self.u64(),
            flags: Flags::from_bits(u8::try_from(self.below(16)).unwrap()).unwrap(),
            timestamp_ms: self.u64(),
            tx_count: self.u32(),
            tx_root: self.hash(),
            gas_cum: self.u64(),
            exec_commit: self.hash(),
            insured_cum: self.u128(),
            env_hash: self.hash(),
            close_hash: self.hash(),
        }
    }
    pub(crate) fn body(&mut self) -> FrameBody {
        let txs = self.list(4, |g| g.bytes(40));
        let insured = if self.bool() { txs.iter().map(|_| self.u128()).collect() } else { vec![] };
        let (env, close) = (self.option(Self::env), self.option(Self::close));
        let evidence = match &close {
            Some(_) => self.list(MAX_FRAME_EVIDENCE, |g| g.bytes(300)),
            None => Vec::new(),
        };
        FrameBody { txs, insured, env, close, evidence }
    }
    pub(crate) fn frame(&mut self) -> SignedFrame {
        SignedFrame { header: self.frame_header(), signature: self.array(), body: self.body() }
    }
    pub(crate) fn merkle_proof(&mut self) -> MerkleProof {
        MerkleProof { index: self.u32(), count: self.u32(), siblings: self.list(32, Self::hash) }
    }
    pub(crate) fn mmr(&mut self) -> Mmr {
        let mut mmr = Mmr::default();
        for _ in 0..self.below(40) {
            mmr.push(self.hash());
        }
        mmr
    }
    pub(crate) fn proposal(&mut self) -> Proposal {
        Proposal {
            epoch: self.u64(),
            height: self.u64(),
            round: self.u32(),
            pol_round: self.i32(),
            proposer: self.u16(),
            value_id: self.hash(),
            init_hash: self.hash(),
        }
    }
    pub(crate) fn signed_proposal(&mut self) -> SignedProposal {
        SignedProposal {
            proposal: self.proposal(),
            signature: self.array(),
            header: self.header(),
            init: self.option(Self::signed_init),
        }
    }
    pub(crate) fn status(&mut self) -> Status {
        Status {
            epoch: self.u64(),
            height: self.u64(),
            round: self.u32(),
            signer: self.u16(),
            best_round: self.i32(),
            best_g: self.u64(),
            best_hash: self.hash(),
            best_ref: self.hash(),
        }
    }
    pub(crate) fn signed_status(&mut self) -> SignedStatus {
        SignedStatus { status: self.status(), signature: self.array() }
    }
    pub(crate) fn init(&mut self) -> TermInit {
        TermInit {
            epoch: self.u64(),
            height: self.u64(),
            round: self.u32(),
            leader: self.u16(),
            carry_g: self.u64(),
            carry_hash: self.hash(),
            carry_closed: self.bool(),
            j_root: self.hash(),
            j_count: self.u16(),
        }
    }
    pub(crate) fn signed_init(&mut self) -> SignedTermInit {
        SignedTermInit {
            init: self.init(),
            signature: self.array(),
            reports: self.list(3, Self::signed_status),
        }
    }
    pub(crate) fn vote(&mut self) -> Vote {
        Vote {
            epoch: self.u64(),
            height: self.u64(),
            round: self.u32(),
            kind: self.kind(),
            value_id: self.hash(),
        }
    }
    pub(crate) fn signed_vote(&mut self) -> SignedVote {
        SignedVote { vote: self.vote(), signer: self.u16(), signature: self.array() }
    }
    pub(crate) fn reproposal(&mut self) -> Justification {
        Justification::Reproposal { proposal: self.signed_proposal(), polka: self.polka() }
    }
    pub(crate) fn head(&mut self) -> Head {
        Head { height: self.u64(), value_id: self.hash(), oldest: self.u64() }
    }
    pub(crate) fn message(&mut self, kind: usize) -> Message {
        match kind % 12 {
            0 => Message::Frame(self.frame()),
            1 => Message::Ack(self.signed_ack()),
            2 => Message::AckCert(self.ack_cert()),
            3 => Message::Vote(self.signed_vote()),
            4 => Message::Proposal(Box::new(self.signed_proposal())),
            5 => Message::Polka(self.polka()),
            6 => Message::RoundCertificate(self.round_certificate()),
            7 => Message::Status(self.signed_status()),
            8 => Message::TermInit(self.signed_init()),
            9 => Message::Txs(self.list(4, |g| g.bytes(30))),
            10 => Message::InsuredTxs(self.list(4, |g| InsuredTx {
                raw: g.bytes(30),
                insured: u128::from(g.u64()).saturating_add(1),
            })),
            _ => Message::Head(self.head()),
        }
    }
    pub(crate) fn signed(&mut self, kind: usize) -> Signed {
        match kind % 6 {
            0 => Signed::Frame(self.frame_header(), self.array()),
            1 => Signed::Init(self.init(), self.array()),
            2 => Signed::Ack(self.signed_ack()),
            3 => Signed::Vote(self.signed_vote()),
            4 => {
                let p = self.signed_proposal();
                Signed::Proposal(p.proposal, p.signature, Box::new(p.header))
            }
            _ => Signed::Status(self.signed_status()),
        }
    }
    pub(crate) fn decided(&mut self) -> DecidedHeight {
        DecidedHeight {
            header: self.header(),
            certificate: self.commit(),
            frames: self.list(3, Self::frame),
        }
    }
    pub(crate) fn domain(&mut self) -> Domain {
        let registry = Address::from(self.array::<20>());
        Domain::new(self.u64(), self.u64(), registry, self.hash(), self.u32())
    }
}

/// Four validators with known keys and different stakes.
pub(crate) struct Four {
    pub(crate) domain: Domain,
    pub(crate) seq: Vec<SeqKey>,
    pub(crate) vote: Vec<VoteKey>,
    pub(crate) set: ValidatorSet,
}

pub(crate) fn seq_seed(i: u8) -> [u8; 32] {
    [0x10 + i; 32]
}

pub(crate) fn vote_secret(i: u8) -> [u8; 32] {
    [0x20 + i; 32]
}

pub(crate) fn four(epoch: u64) -> Four {
    let seq: Vec<SeqKey> = (0..4).map(|i| SeqKey::from_seed(&seq_seed(i))).collect();
    let vote: Vec<VoteKey> =
        (0..4).map(|i| VoteKey::from_secret(&vote_secret(i)).unwrap()).collect();
    let ether = U256::from(1_000_000_000_000_000_000u64);
    let validators = (0u8..4)
        .map(|i| Validator {
            owner: Address::repeat_byte(0x40 + i),
            seq_key: seq[usize::from(i)].public(),
            vote_key: vote[usize::from(i)].address(),
            stake: ether * U256::from(32 + i),
            fee_recipient: Address::repeat_byte(0x50 + i),
            peer: format!("/ip4/127.0.0.1/tcp/{}", 27_000 + u16::from(i)),
        })
        .collect();
    let domain = Domain::new(1, 42_069, Address::repeat_byte(0x11), B256::repeat_byte(0x22), 0);
    Four { domain, seq, vote, set: ValidatorSet::new(epoch, validators) }
}

impl Four {
    /// A certificate of some signers.
    pub(crate) fn certify(
        &self,
        height: u64,
        value_id: B256,
        signers: &[u16],
    ) -> CommitCertificate {
        let vote =
            Vote { epoch: self.set.epoch(), height, round: 0, kind: VoteKind::Precommit, value_id };
        let sign = |i: &u16| {
            SignedVote::sign(vote.clone(), *i, &self.vote[usize::from(*i)], &self.domain).signature
        };
        CommitCertificate {
            epoch: vote.epoch,
            height,
            round: 0,
            value_id,
            signers: Bitmap::of(signers.iter().copied()),
            signatures: signers.iter().map(sign).collect(),
        }
    }

    /// Acks of some signers for a frame, at a height, round and position.
    pub(crate) fn acks(
        &self,
        (height, round, g): (u64, u32, u64),
        frame_hash: B256,
        init_hash: B256,
        signers: &[u16],
    ) -> AckCert {
        let epoch = self.set.epoch();
        let sign = |i: &u16| {
            let ack = Ack { epoch, height, round, signer: *i, g, frame_hash, init_hash };
            SignedAck::sign(ack, &self.seq[usize::from(*i)], &self.domain).signature
        };
        AckCert {
            epoch,
            height,
            round,
            g,
            frame_hash,
            init_hash,
            signers: Bitmap::of(signers.iter().copied()),
            signatures: signers.iter().map(sign).collect(),
        }
    }
}
