//! I-39: evidence in a CLOSE, from both sides: what a builder puts in is what every chain takes, and nothing else is taken.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "test code")]

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use rota_preconf::{
    BadFrame, Chain, Conviction, Epoch, Epochs, Frame, FrameBuilder, FrameCut, HeightContext,
    InvalidFrame, Rules, is_jailed,
};
use rota_types::{
    ChainParams, Domain, Encode, Env, Evidence, Flags, Header, Proof, Sealed, SeqKey, SignedFrame,
    SignedVote, Validator, ValidatorSet, Vote, VoteKey, VoteKind, jailed_hash,
};
use std::sync::Arc;

const NOW: u64 = 1_800_000_000_000;
/// L1 block from which the second set is in force.
const SECOND: u64 = 40;
const WINDOW: u16 = 3;

struct World {
    rules: Rules,
    keys: Vec<(SeqKey, VoteKey)>,
    chain: Chain,
    l1: u64,
}

impl World {
    fn new() -> Self {
        let keys: Vec<_> = (0..4)
            .map(|i| {
                let seed = |tag: &str| keccak256(format!("{tag}/{i}")).0;
                (SeqKey::from_seed(&seed("seq")), VoteKey::from_secret(&seed("vote")).unwrap())
            })
            .collect();
        let validator = |((seq, vote), i): (&(SeqKey, VoteKey), u8)| Validator {
            owner: Address::with_last_byte(i),
            seq_key: seq.public(),
            vote_key: vote.address(),
            stake: U256::from(1_000_000_000_000_000_000u64),
            fee_recipient: Address::ZERO,
            peer: String::new(),
        };
        let set = |epoch| {
            Arc::new(ValidatorSet::new(epoch, keys.iter().zip(1..).map(validator).collect()))
        };
        let epoch = Arc::new(Epoch::new(0, set(0), WINDOW));
        let mut epochs = Epochs::new(Arc::clone(&epoch));
        epochs.insert(Arc::new(Epoch::new(SECOND, set(1), WINDOW)));
        epochs.reach(SECOND + 10);
        let domain = Domain::new(1, 2, Address::repeat_byte(3), B256::repeat_byte(4), 0);
        let params = ChainParams { window_heights: WINDOW, ..ChainParams::default() };
        let rules = Rules::new(epochs, params, domain);
        let context = HeightContext::genesis(&epoch, rules.domain.genesis_hash);
        Self { rules, keys, chain: Chain::new(context), l1: 33 }
    }

    fn set(&self) -> &ValidatorSet {
        self.chain.context().epoch.set()
    }

    /// Two prevotes of a member for one round; of one value, that shows nothing.
    fn evidence(&self, accused: u16, values: [u8; 2]) -> Evidence {
        let epoch = self.set().epoch();
        let vote = |value: u8| {
            let value_id = B256::repeat_byte(value);
            let vote = Vote { epoch, height: 9, round: 1, kind: VoteKind::Prevote, value_id };
            let key = &self.keys[usize::from(accused)].1;
            let signed = SignedVote::sign(vote, accused, key, &self.rules.domain);
            Sealed { content: signed.vote, signature: signed.signature }
        };
        let proof = Proof::VoteTwice(Box::new(values.map(vote)));
        Evidence { generation: 0, epoch, accused, proof }
    }

    fn guilt(&self, accused: u16) -> Conviction {
        let evidence = self.evidence(accused, [1, 2]);
        Conviction::judge(&evidence, self.set(), &self.rules.domain).unwrap()
    }

    /// The CLOSE of a height of one frame.
    fn build(&self, evidence: &[Conviction]) -> Frame {
        let stream = *self.chain.stream();
        let origin = Env {
            timestamp_s: 0,
            l1_number: self.l1,
            l1_hash: keccak256(self.l1.to_be_bytes()),
            gas_limit: self.rules.params.gas_limit,
            prev_randao: B256::ZERO,
            fee_vault: self.rules.params.fee_vault,
        };
        let now = NOW.saturating_add(self.chain.context().height.saturating_mul(1_000));
        let mut builder = FrameBuilder::new(stream.term, stream.leader, now);
        let cut = FrameCut { now, txs: &[], close: true, origin: &origin, evidence };
        let key = &self.keys[usize::from(stream.leader)].0;
        builder.build(&self.chain, &cut, key, &self.rules).unwrap()
    }

    /// As a peer receives it.
    fn received(&self, frame: &Frame) -> Result<Frame, InvalidFrame> {
        Frame::decode(&frame.signed.encode(), self.set(), &self.rules.domain)
    }

    /// A frame of a leader whose own node does not count: with this evidence, and what the rules would make of it.
    fn force(&self, pieces: &[Evidence], jailed: u64) -> Result<Frame, InvalidFrame> {
        let mut signed = (*self.build(&[]).signed).clone();
        signed.body.evidence = pieces.iter().map(|e| Bytes::from(e.encode())).collect();
        let root = signed.body.evidence_root();
        let close = signed.body.close.as_mut().unwrap();
        close.evidence_root = root;
        close.jailed_bitmap_hash = jailed_hash(jailed);
        signed.header.close_hash = keccak256(close.encode());
        let key = &self.keys[usize::from(signed.header.leader)].0;
        let signed = SignedFrame::sign(signed.header, signed.body, key, &self.rules.domain);
        Frame::decode(&signed.encode(), self.set(), &self.rules.domain)
    }

    fn close(&mut self, evidence: &[Conviction]) -> (Header, Frame) {
        let frame = self.received(&self.build(evidence)).unwrap();
        let (header, _) =
            self.chain.append(&Arc::new(frame.clone()), &self.rules).unwrap().unwrap();
        self.chain.pop_decided();
        (header, frame)
    }

    fn refused(&self, frame: Result<Frame, InvalidFrame>) -> bool {
        let refused = self.chain.check(&frame.unwrap(), &self.rules);
        matches!(refused, Err(BadFrame::Rule(_)))
    }
}

#[test]
fn who_is_convicted_leads_no_more_and_windows_of_others_stay_whole() {
    let mut world = World::new();
    let present = world.chain.stream().leader;
    let (first, second) = ((present + 1) % 4, (present + 2) % 4);
    world.close(&[]);
    let mut guilt = [world.guilt(first), world.guilt(second)];
    guilt.sort_by_key(Conviction::members);
    let (header, frame) = world.close(&guilt);
    let jailed = 1 << first | 1 << second;
    assert_eq!(header.close.jailed_bitmap_hash, jailed_hash(jailed));
    assert_eq!(header.close.evidence_root, frame.signed.body.evidence_root());
    assert!(!frame.signed.header.flags.has(Flags::TERM_END), "the window of who convicts goes on");
    assert_eq!(world.chain.context().cursor.jailed, jailed);
    let mut led = vec![0u32; 4];
    for _ in 0..60 {
        let leader = world.chain.stream().leader;
        led[usize::from(leader)] += 1;
        let window_left = world.chain.context().cursor.window_left;
        let (header, frame) = world.close(&guilt);
        assert_eq!(header.close.jailed_bitmap_hash, jailed_hash(jailed));
        assert!(frame.signed.body.evidence.is_empty(), "convicted already");
        assert_eq!(frame.signed.header.flags.has(Flags::TERM_END), window_left == 1);
    }
    assert_eq!((led[usize::from(first)], led[usize::from(second)]), (0, 0));
    assert!(led.iter().filter(|heights| **heights > 12).count() == 2, "{led:?}");
}

#[test]
fn a_leader_that_convicts_itself_ends_its_window() {
    let mut world = World::new();
    let present = world.chain.stream().leader;
    let (_, frame) = world.close(&[world.guilt(present)]);
    assert!(frame.signed.header.flags.has(Flags::TERM_END));
    let next = world.chain.context();
    assert_ne!(next.stream.leader, present);
    assert_eq!((next.stream.term.height, next.cursor.window_left), (2, WINDOW));
}

#[test]
fn evidence_that_convicts_nobody_new_makes_a_frame_invalid() {
    let mut world = World::new();
    let shows_nothing = world.force(&[world.evidence(1, [1, 1])], 2);
    assert!(matches!(shows_nothing, Err(InvalidFrame::Evidence(_))), "{shows_nothing:?}");
    let (one, two) = (world.evidence(1, [1, 2]), world.evidence(2, [1, 2]));
    let right = world.force(&[one.clone(), two.clone()], 6).unwrap();
    assert_eq!(world.chain.check(&right, &world.rules), Ok(()));
    assert!(world.refused(world.force(&[two.clone(), one.clone()], 6)), "out of order");
    assert!(world.refused(world.force(&[one.clone(), one.clone()], 2)), "twice");
    assert!(world.refused(world.force(std::slice::from_ref(&one), 6)), "another bitmap");
    assert!(world.refused(world.force(&[], 2)), "a bitmap without evidence");
    world.close(&[world.guilt(1)]);
    assert!(world.refused(world.force(std::slice::from_ref(&one), 2)), "jailed already");
    let right = world.force(&[two], 6).unwrap();
    assert_eq!(world.chain.check(&right, &world.rules), Ok(()));
}

#[test]
fn the_jail_is_empty_in_the_next_epoch_and_its_last_height_takes_no_evidence() {
    let mut world = World::new();
    let present = world.chain.stream().leader;
    world.close(&[world.guilt((present + 1) % 4)]);
    world.l1 = SECOND;
    let guilt = world.guilt(present);
    let late = world.force(&[world.evidence(present, [1, 2])], 1 << present);
    assert!(world.refused(late), "evidence on the last height of an epoch");
    let (header, frame) = world.close(&[guilt]);
    assert!(!header.close.next_set_hash.is_zero() && frame.signed.body.evidence.is_empty());
    assert!(header.close.jailed_bitmap_hash.is_zero(), "nobody is jailed in the next height");
    let next = world.chain.context();
    assert_eq!((next.epoch.number(), next.cursor.jailed), (1, 0));
    assert!((0..4).all(|index| !is_jailed(next.cursor.jailed, index)));
    // What was signed in the epoch before convicts nobody in this one.
    let old = World::new().evidence(1, [1, 2]);
    assert!(matches!(world.force(&[old], 2), Err(InvalidFrame::Evidence(_))));
}
