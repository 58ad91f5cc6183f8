//! I-21: on every accepted chain both caps hold, every node counts the same, and a builder never goes over them.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code"
)]

use alloy_consensus::{Signed, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, keccak256};
use proptest::prelude::*;
use rota_preconf::{
    BadFrame, Chain, Epoch, Epochs, Frame, FrameBuilder, FrameCut, HeightContext, Rules,
};
use rota_types::{
    ChainParams, Domain, Encode, Env, Flags, SeqKey, SignedFrame, Tx, Validator, ValidatorSet,
};
use std::{collections::BTreeSet, sync::Arc};

const ETH: u128 = 1_000_000_000_000_000_000;
const NOW: u64 = 1_800_000_000_000;
/// L1 block from which the second set is in force.
const SECOND: u64 = 60;

/// Wei that 80 % of some ETH are.
fn kappa(eth: u64) -> u128 {
    u128::from(eth) * ETH * 8 / 10
}

fn key(epoch: u64, index: usize) -> SeqKey {
    SeqKey::from_seed(&keccak256(format!("{epoch}/{index}")).0)
}

fn set(epoch: u64, stakes: &[u64]) -> Arc<ValidatorSet> {
    let validator = |(i, eth): (usize, &u64)| Validator {
        owner: Address::with_last_byte(u8::try_from(i).unwrap()),
        seq_key: key(epoch, i).public(),
        vote_key: Address::repeat_byte(u8::try_from(i).unwrap() + 1),
        stake: U256::from(u128::from(*eth) * ETH),
        fee_recipient: Address::ZERO,
        peer: String::new(),
    };
    Arc::new(ValidatorSet::new(epoch, stakes.iter().enumerate().map(validator).collect()))
}

fn tx(n: usize, insured: u128) -> Arc<Tx> {
    let raw = Bytes::from(n.to_be_bytes().to_vec());
    let hash = keccak256(&raw);
    let inner = TxEip1559 { gas_limit: 21_000, ..TxEip1559::default() };
    let signed = Signed::new_unchecked(inner, Signature::test_signature(), hash);
    Arc::new(Tx { raw, envelope: signed.into(), sender: Address::ZERO, hash, insured })
        .insuring(insured)
}

/// What one frame does.
#[derive(Debug, Clone)]
struct Step {
    /// Insured amounts, in thousandths of what the greatest stake covers.
    amounts: Vec<u16>,
    close: bool,
    l1: u64,
    ms: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let amounts = prop_oneof![
        2 => Just(Vec::new()),
        3 => proptest::collection::vec(0u16..300, 1..4),
        1 => proptest::collection::vec(0u16..1_300, 1..3),
    ];
    let close = prop::bool::weighted(0.4);
    (amounts, close, 0u64..9, 1u64..900).prop_map(|(amounts, close, l1, ms)| Step {
        amounts,
        close,
        l1,
        ms,
    })
}

/// The caps, counted by themselves: sums and leaders of the open height and of the one before.
#[derive(Debug, Default)]
struct Book {
    open: (u128, BTreeSet<u16>),
    before: (u128, BTreeSet<u16>),
    total: u128,
    l1: u64,
}

struct World {
    rules: Rules,
    stakes: [Vec<u64>; 2],
    chain: Chain,
    book: Book,
    frames: Vec<Arc<Frame>>,
    now: u64,
    l1: u64,
    txs: usize,
}

impl World {
    fn new(stakes: [Vec<u64>; 2]) -> Self {
        let params = ChainParams { window_heights: 2, ..ChainParams::default() };
        let epochs = [0, 1].map(|n: u64| {
            let start = n * SECOND;
            let set = set(n, &stakes[usize::try_from(n).unwrap()]);
            Arc::new(Epoch::new(start, set, params.window_heights))
        });
        let mut known = Epochs::new(Arc::clone(&epochs[0]));
        assert!(known.insert(Arc::clone(&epochs[1])));
        known.reach(u64::MAX);
        let domain = Domain::new(1, 2, Address::repeat_byte(3), B256::repeat_byte(4), 0);
        let rules = Rules::new(known, params, domain);
        let chain = Chain::new(HeightContext::genesis(&epochs[0], rules.domain.genesis_hash));
        let (book, frames) = (Book::default(), Vec::new());
        Self { rules, stakes, chain, book, frames, now: NOW, l1: 1, txs: 0 }
    }

    fn stakes(&self) -> &[u64] {
        &self.stakes[usize::try_from(self.chain.context().epoch.number()).unwrap()]
    }

    /// What the leader may still add in the open height, or in one that opens with an origin at `l1`.
    fn free(&self, l1: u64) -> u128 {
        let leader = self.chain.stream().leader;
        let leaders = self.book.open.1.iter().chain(&self.book.before.1).chain([&leader]);
        let least = leaders.map(|i| self.stakes()[usize::from(*i)]).min().unwrap();
        let undecided = self.book.open.0 + self.book.before.0;
        let cap = kappa(self.stakes().iter().sum()) / 6;
        let total = self.drained(l1) + self.book.open.0;
        kappa(least).saturating_sub(undecided).min(cap.saturating_sub(total))
    }

    fn drained(&self, l1: u64) -> u128 {
        let cap = kappa(self.stakes().iter().sum()) / 6;
        let l1 = self.chain.open_env().map_or(l1, |e| e.l1_number);
        let blocks = if self.book.l1 == 0 { 0 } else { l1 - self.book.l1 };
        self.book.total.saturating_sub(cap * u128::from(blocks) / 96)
    }

    fn origin(&self) -> Env {
        Env {
            timestamp_s: 0,
            l1_number: self.l1,
            l1_hash: keccak256(self.l1.to_be_bytes()),
            gas_limit: self.rules.params.gas_limit,
            prev_randao: B256::ZERO,
            fee_vault: self.rules.params.fee_vault,
        }
    }

    /// Builds the frame of a step with these amounts, if the builder does.
    fn build(&self, step: &Step, amounts: &[u128]) -> Option<Arc<Frame>> {
        let txs: Vec<_> = amounts.iter().zip(self.txs..).map(|(wei, n)| tx(n, *wei)).collect();
        let stream = self.chain.stream();
        let mut builder = FrameBuilder::new(stream.term, stream.leader, self.now);
        let origin = self.origin();
        let cut = FrameCut {
            now: self.now,
            txs: &txs,
            close: step.close,
            origin: &origin,
            evidence: &[],
        };
        let epoch = self.chain.context().epoch.number();
        let key = key(epoch, usize::from(stream.leader));
        builder.build(&self.chain, &cut, &key, &self.rules).map(Arc::new)
    }

    /// A frame of a leader whose own node does not count.
    fn force(&self, step: &Step, amounts: &[u128]) -> Frame {
        let plain = self.build(step, &vec![0; amounts.len()]).unwrap();
        let mut signed = (*plain.signed).clone();
        let added: u128 = amounts.iter().sum();
        signed.header.insured_cum += added;
        signed.body.insured = amounts.to_vec();
        signed.header.tx_root = signed.body.root();
        if let Some(close) = &mut signed.body.close {
            close.insured_total += added;
            signed.header.close_hash = keccak256(close.encode());
        }
        self.sign(signed)
    }

    fn sign(&self, signed: SignedFrame) -> Frame {
        let epoch = self.chain.context().epoch.number();
        let key = key(epoch, usize::from(signed.header.leader));
        let signed = SignedFrame::sign(signed.header, signed.body, &key, &self.rules.domain);
        signed.check_body().unwrap();
        let hash = signed.header.hash(&self.rules.domain);
        let txs = signed.body.txs.iter().zip(&signed.body.insured);
        let txs = txs.map(|(raw, wei)| Tx { hash: keccak256(raw), ..(*tx(0, *wei)).clone() });
        Frame::own(signed.clone(), hash, txs.map(Arc::new).collect())
    }

    fn take(&mut self, frame: &Arc<Frame>) {
        let h = &frame.signed.header;
        let leader = h.leader;
        let l1 = frame.signed.body.env.as_ref().map_or(0, |e| e.l1_number);
        let drained = self.drained(l1);
        let closed = self.chain.append(frame, &self.rules).unwrap();
        self.frames.push(Arc::clone(frame));
        self.txs += frame.txs.len();
        self.book.open.0 += frame.signed.body.insured.iter().sum::<u128>();
        self.book.open.1.insert(leader);
        assert_eq!(self.book.open.0, h.insured_cum);
        let Some((header, _)) = closed else { return };
        let total = drained + self.book.open.0;
        assert_eq!(header.close.insured_total, total, "height {}", header.height());
        let before = std::mem::take(&mut self.book.open);
        self.book = Book { before, total, l1: header.env.l1_number, ..Book::default() };
        if !header.close.next_set_hash.is_zero() {
            // Nothing follows before all of it is decided.
            self.book.before = Default::default();
            while !self.chain.pop_decided().is_empty() {}
        }
    }

    /// One step: what is above a cap is refused by the builder and by everyone else, what is below is accepted.
    fn step(&mut self, step: &Step) {
        self.now += step.ms;
        self.l1 += step.l1;
        let unit = kappa(*self.stakes().iter().max().unwrap()) / 1_000;
        let amounts: Vec<u128> = step.amounts.iter().map(|n| u128::from(*n) * unit).collect();
        let added: u128 = amounts.iter().sum();
        let probe = self.build(step, &[]).unwrap();
        let env = probe.signed.body.env.as_ref();
        let l1 = env.map_or(0, |e| e.l1_number);
        let fits = added <= self.free(l1);
        assert_eq!(self.chain.room(env).free(), self.free(l1));
        let built = self.build(step, &amounts);
        assert_eq!(built.is_some(), fits || added == 0);
        if added > 0 {
            let forced = self.force(step, &amounts);
            assert_eq!(self.chain.check(&forced, &self.rules).is_ok(), fits);
        }
        self.take(&built.unwrap_or(probe));
    }
}

fn stakes() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(32u64..200, 2..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn both_caps_hold_on_every_chain_and_every_node_counts_the_same(
        first in stakes(), second in stakes(), steps in proptest::collection::vec(step(), 1..80),
        pops in proptest::collection::vec(any::<bool>(), 80)
    ) {
        let mut world = World::new([first, second]);
        for step in &steps {
            world.step(step);
        }
        // Another node, which hears of decisions at other times.
        let genesis = Arc::clone(world.rules.epochs.get(0).unwrap());
        let base = HeightContext::genesis(&genesis, world.rules.domain.genesis_hash);
        let mut other = Chain::new(base);
        for (frame, pop) in world.frames.iter().zip(pops.iter().cycle()) {
            let last = frame.signed.body.close.as_ref().is_some_and(|c| !c.next_set_hash.is_zero());
            other.append_carried(frame, &world.rules).unwrap();
            if *pop || last {
                while !other.pop_decided().is_empty() {}
            }
        }
        prop_assert_eq!(other.context(), world.chain.context());
        prop_assert_eq!(other.room(None), world.chain.room(None));
    }
}

#[test]
fn amounts_are_in_their_one_form_or_the_frame_is_refused() {
    let world = World::new([vec![100; 4], vec![100; 4]]);
    let step = Step { amounts: Vec::new(), close: false, l1: 0, ms: 1 };
    let check = |frame: &Frame| world.chain.check(frame, &world.rules);
    let good = world.force(&step, &[ETH, 0]);
    assert_eq!(check(&good), Ok(()));
    let zero = world.force(&step, &[0, 0]);
    assert_eq!(
        check(&zero),
        Err(BadFrame::Rule("insured amounts are not one for each, or all zero"))
    );
    let mut wrong = (*good.signed).clone();
    wrong.header.insured_cum += 1;
    let sum = Err(BadFrame::Rule("insured_cum is not the sum of the insured amounts"));
    assert_eq!(check(&world.sign(wrong)), sum);
    let huge = world.build(&step, &[u128::MAX, u128::MAX]);
    assert!(huge.is_none(), "a sum that overflows fits nowhere");
    assert!(good.signed.header.flags.has(Flags::OPEN));
}

/// A leader with little stake lowers what may be insured on top of the frames of one with more.
#[test]
fn whoever_contradicts_itself_covers_all_of_it_alone() {
    let mut world = World::new([vec![200, 40], vec![1, 1]]);
    let step = |amounts: Vec<u16>| Step { amounts, close: true, l1: 0, ms: 300 };
    let mut least = u128::MAX;
    for _ in 0..12 {
        world.step(&step(vec![]));
        let room = world.chain.room(None);
        least = least.min(room.leader_cap);
    }
    assert_eq!(
        least,
        kappa(40),
        "also while the leader with 200 ETH goes on from the other's frames"
    );
    assert!(world.chain.context().epoch.number() == 0);
}
