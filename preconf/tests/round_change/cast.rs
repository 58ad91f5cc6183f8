//! A set with keys, and what its members can sign.

use alloy_primitives::{Address, B256, U256, keccak256};
use rota_preconf::{
    Chain, Epoch, Epochs, Frame, FrameBuilder, FrameCut, FramePool, HeightContext, InitView, Rules,
    make_init,
};
use rota_types::{
    ChainParams, Domain, Env, Flags, FrameBody, FrameHeader, SeqKey, SignedFrame, SignedStatus,
    SignedTermInit, Status, Term, Validator, ValidatorSet, VoteKey,
};
use std::sync::Arc;

const NOW: u64 = 1_800_000_000_000;
/// L1 block of the origin.
const ORIGIN: u64 = 5;

pub(crate) struct Cast {
    pub(crate) set: Arc<ValidatorSet>,
    pub(crate) rules: Rules,
    pub(crate) keys: Vec<(SeqKey, VoteKey)>,
    /// The empty chain of height 1.
    pub(crate) chain: Chain,
}

impl Cast {
    pub(crate) fn new(stakes: &[u64]) -> Self {
        let keys: Vec<_> = (0..stakes.len())
            .map(|i| {
                let seed = |tag: &str| keccak256(format!("{tag}/{i}")).0;
                (SeqKey::from_seed(&seed("seq")), VoteKey::from_secret(&seed("vote")).unwrap())
            })
            .collect();
        let validators =
            stakes.iter().zip(&keys).zip(1u8..).map(|((stake, (seq, vote)), i)| Validator {
                owner: Address::with_last_byte(i),
                seq_key: seq.public(),
                vote_key: vote.address(),
                stake: U256::from(*stake) * U256::from(1_000_000_000_000_000_000u64),
                fee_recipient: Address::ZERO,
                peer: String::new(),
            });
        let set = Arc::new(ValidatorSet::new(0, validators.collect()));
        let params = ChainParams::default();
        let epoch = Arc::new(Epoch::new(0, Arc::clone(&set), params.window_heights));
        let mut epochs = Epochs::new(Arc::clone(&epoch));
        epochs.reach(ORIGIN);
        let domain = Domain::new(1, 2, Address::repeat_byte(3), B256::repeat_byte(4), 0);
        let rules = Rules::new(epochs, params, domain);
        let context = HeightContext::genesis(&epoch, rules.domain.genesis_hash);
        Self { set, rules, keys, chain: Chain::new(context) }
    }

    pub(crate) fn view<'a>(&'a self, pool: &'a FramePool) -> InitView<'a> {
        InitView { chain: &self.chain, pool, rules: &self.rules }
    }

    pub(crate) fn leader(&self, round: u32) -> u16 {
        let base = self.chain.base();
        base.epoch.schedule().leader(base.cursor, round)
    }

    /// `n` frames of the active stream, `salt` milliseconds late.
    pub(crate) fn history(&self, n: u64, salt: u64) -> (Vec<Arc<Frame>>, FramePool) {
        let leader = self.leader(0);
        let mut builder = FrameBuilder::new(Term { height: 1, round: 0 }, leader, NOW);
        let mut chain = self.chain.clone();
        let origin = Env {
            timestamp_s: 0,
            l1_number: ORIGIN,
            l1_hash: B256::repeat_byte(5),
            gas_limit: self.rules.params.gas_limit,
            prev_randao: B256::repeat_byte(6),
            fee_vault: self.rules.params.fee_vault,
        };
        let mut pool = FramePool::default();
        for i in 0..n {
            let now = NOW + 10 * i + if i == 0 { 0 } else { salt };
            let cut = FrameCut { now, txs: &[], close: false, origin: &origin, evidence: &[] };
            let key = &self.keys[usize::from(leader)].0;
            let frame = Arc::new(builder.build(&chain, &cut, key, &self.rules).unwrap());
            chain.append(&frame, &self.rules).unwrap();
            pool.insert(frame);
        }
        (chain.frames().to_vec(), pool)
    }

    /// Two branches of `n` frames that part after the first, and all frames of both.
    pub(crate) fn fork(&self, n: u64) -> ([Vec<Arc<Frame>>; 2], Vec<Arc<Frame>>) {
        let (a, _) = self.history(n, 0);
        let (b, _) = self.history(n, 1);
        assert!(a[0].hash == b[0].hash && a[1].hash != b[1].hash);
        let all = a.iter().chain(&b[1..]).cloned().collect();
        ([a, b], all)
    }

    /// A frame on `parent` that the leader of `round` signs in the stream of round 0.
    pub(crate) fn stray(&self, parent: &Frame, round: u32) -> Frame {
        let leader = (0..8).map(|r| self.leader(round + r)).find(|l| *l != self.leader(0)).unwrap();
        let h = &parent.signed.header;
        let header = FrameHeader {
            leader,
            g: h.g + 1,
            seq: h.seq + 1,
            prev_hash: parent.hash,
            flags: Flags::default(),
            env_hash: B256::ZERO,
            ..h.clone()
        };
        self.signed(header, leader)
    }

    /// A frame of `leader` at `g`, on nothing.
    pub(crate) fn far(&self, leader: u16, g: u64) -> Frame {
        let (frames, _) = self.history(1, 0);
        let header = FrameHeader {
            leader,
            g,
            prev_hash: keccak256(g.to_be_bytes()),
            ..frames[0].signed.header.clone()
        };
        self.signed(header, leader)
    }

    fn signed(&self, header: FrameHeader, leader: u16) -> Frame {
        let body = FrameBody::default();
        let key = &self.keys[usize::from(leader)].0;
        let signed = SignedFrame::sign(header, body, key, &self.rules.domain);
        let hash = signed.header.hash(&self.rules.domain);
        Frame::own(signed, hash, Vec::new())
    }

    /// What `signer` reports on entering `round`; `best` is round, position, hash and reference.
    pub(crate) fn status(&self, signer: u16, round: u32, best: (i32, u64, B256, B256)) -> Status {
        let (best_round, best_g, best_hash, best_ref) = best;
        Status { epoch: 0, height: 1, round, signer, best_round, best_g, best_hash, best_ref }
    }

    pub(crate) fn sign(&self, status: Status, signer: u16) -> SignedStatus {
        SignedStatus::sign(status, &self.keys[usize::from(signer)].1, &self.rules.domain)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a report")]
    pub(crate) fn report(
        &self,
        signer: u16,
        round: u32,
        best_round: i32,
        tip: &Frame,
        best_ref: B256,
    ) -> SignedStatus {
        self.sign(self.status(signer, round, (best_round, tip.g(), tip.hash, best_ref)), signer)
    }

    pub(crate) fn init(
        &self,
        round: u32,
        carry: (u64, B256, bool),
        reports: &[SignedStatus],
    ) -> SignedTermInit {
        let leader = self.leader(round);
        let pool = FramePool::default();
        let init = make_init((1, round), leader, carry, reports, &self.view(&pool));
        let key = &self.keys[usize::from(leader)].0;
        SignedTermInit::sign(init, reports.to_vec(), key, &self.rules.domain)
    }
}
