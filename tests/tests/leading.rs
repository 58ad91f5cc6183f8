//! When a leader promises nothing more: after it stood still, and while nobody acks. And what it convicts with.

use alloy_primitives::B256;
use rota_consensus::{Identity, Input, Output, PeerNo, Replica, Restored, To};
use rota_preconf::HeightContext;
use rota_store::Watermarks;
use rota_tests::make;
use rota_types::{
    Ack, ChainParams, Decode, Env, Evidence, Proof, Sealed, SignedAck, SignedFrame, SignedVote, Tx,
    Vote, VoteKind, wire::Message,
};
use std::sync::Arc;

const NOW: u64 = 1_800_000_000_000;

/// The leader of the first window, with a disk that is always done at once.
struct Leader {
    replica: Replica,
    index: u16,
    rules: rota_preconf::Rules,
    now: u64,
    frames: Vec<SignedFrame>,
    returned: Vec<Arc<Tx>>,
    wants: bool,
    leads: bool,
}

impl Leader {
    fn new() -> Self {
        let params = ChainParams::default();
        let epoch = make::epoch(&make::set(&[1; 4]), &params);
        let rules = make::rules(&epoch, params);
        let context = HeightContext::genesis(&epoch, rules.domain.genesis_hash);
        let index = epoch.schedule().leader(context.cursor, 0);
        let (seq, vote) = make::keys(index);
        let restored = Restored {
            context,
            peers: [(0, (0..4).map(PeerNo).collect())].into(),
            guards: vec![Watermarks::default()],
            wal: Vec::new(),
            frames: Vec::new(),
            listen_ms: 0,
        };
        let identity = Identity::local(PeerNo(index), seq, vote);
        let replica = Replica::new(identity, rules.clone(), &restored);
        let (frames, returned) = (Vec::new(), Vec::new());
        let mut leader =
            Self { replica, index, rules, now: NOW, frames, returned, wants: false, leads: false };
        let mut out = Vec::new();
        leader.replica.start(NOW, &[], &mut out).unwrap();
        leader.take(out);
        let origin = Env {
            timestamp_s: 0,
            l1_number: 1,
            l1_hash: B256::repeat_byte(1),
            gas_limit: leader.rules.params.gas_limit,
            prev_randao: B256::repeat_byte(2),
            fee_vault: leader.rules.params.fee_vault,
        };
        leader.input(Input::Origin(origin));
        assert!(leader.leads);
        leader
    }

    fn input(&mut self, input: Input) {
        let mut out = Vec::new();
        self.replica.step(self.now, input, &mut out).unwrap();
        self.replica.flush(self.now, &mut out).unwrap();
        self.take(out);
    }

    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Durable(token) => self.input(Input::Durable(token)),
                Output::Send { message: Message::Frame(frame), .. } => self.frames.push(frame),
                Output::Send { to: To::All, message, .. } => {
                    self.input(Input::Message { from: PeerNo(self.index), message });
                }
                Output::TakeTxs => self.wants = true,
                Output::ReturnTxs(txs) => self.returned.extend(txs),
                Output::Leading(leads) => self.leads = leads,
                _ => {}
            }
        }
    }

    /// Goes on in steps of 10 ms.
    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.now += 10;
            self.input(Input::Tick);
        }
    }

    /// Transactions framed so far.
    fn promised(&self) -> u32 {
        self.frames.iter().map(|f| f.header.tx_count).sum()
    }

    /// Hands over a transaction if the leader asks for one.
    fn offer(&mut self, who: u64) {
        if std::mem::take(&mut self.wants) {
            self.input(Input::Txs(vec![make::transfer(who, 0)]));
            self.run(20);
        }
    }

    /// Two others ack the newest frame.
    fn acked(&mut self) {
        let newest = &self.frames.last().unwrap().header;
        let (g, frame_hash) = (newest.g, newest.hash(&self.rules.domain));
        let me = self.index;
        for signer in (0..4).filter(|i| *i != me).take(2) {
            let (height, round, init_hash) = (1, 0, B256::ZERO);
            let ack = Ack { epoch: 0, height, round, signer, g, frame_hash, init_hash };
            let ack = SignedAck::sign(ack, &make::keys(signer).0, &self.rules.domain);
            self.input(Input::Message { from: PeerNo(signer), message: Message::Ack(ack) });
        }
    }
}

#[test]
fn a_leader_that_nobody_acks_promises_nothing_more_until_somebody_does() {
    let mut leader = Leader::new();
    leader.offer(1);
    assert_eq!(leader.promised(), 1);
    leader.acked();
    // Quiet time is not silence of the others: nothing is waiting for an ack.
    leader.run(1_500);
    leader.offer(2);
    assert_eq!(leader.promised(), 2);
    leader.run(600);
    leader.offer(3);
    assert_eq!(leader.promised(), 2, "the second one got no ack");
    let heartbeats = leader.frames.len();
    leader.run(300);
    assert!(leader.frames.len() > heartbeats, "it still shows that it is alive");
    leader.acked();
    leader.run(20);
    leader.offer(4);
    assert!(leader.promised() >= 3, "the others are back");
}

#[test]
fn a_leader_that_stood_still_does_not_go_on() {
    let mut leader = Leader::new();
    leader.offer(1);
    leader.acked();
    let before = leader.frames.len();
    leader.now += 5_000;
    leader.input(Input::Txs(vec![make::transfer(2, 0)]));
    leader.run(300);
    assert_eq!(leader.frames.len(), before, "no frame of a term that others have given up");
    assert!(!leader.leads);
    assert_eq!(leader.returned.len(), 1, "its transaction goes to somebody else");
}

#[test]
fn a_slow_step_is_no_pause() {
    let mut leader = Leader::new();
    leader.now += 150;
    leader.offer(1);
    assert!(leader.leads);
    assert_eq!(leader.promised(), 1);
}

impl Leader {
    /// Two votes of a member in one round; of one value, that shows nothing.
    fn votes(&self, accused: u16, epoch: u64, values: [u8; 2]) -> Evidence {
        let vote = |value: u8| {
            let value_id = B256::repeat_byte(value);
            let vote = Vote { epoch, height: 1, round: 3, kind: VoteKind::Precommit, value_id };
            let signed =
                SignedVote::sign(vote, accused, &make::keys(accused).1, &self.rules.domain);
            Sealed { content: signed.vote, signature: signed.signature }
        };
        let proof = Proof::VoteTwice(Box::new(values.map(vote)));
        Evidence { generation: self.rules.domain.generation, epoch, accused, proof }
    }

    fn show(&mut self, evidence: Evidence) {
        self.input(Input::Evidence(Box::new(evidence)));
    }
}

/// I-39: once for each member, of this epoch, and only what shows something.
#[test]
fn a_leader_convicts_in_its_next_close_with_what_it_was_shown() {
    let mut leader = Leader::new();
    let others: Vec<u16> = (0..4).filter(|i| *i != leader.index).collect();
    for evidence in [
        leader.votes(others[2], 0, [1, 2]),
        leader.votes(others[0], 0, [1, 1]),
        leader.votes(others[0], 1, [1, 2]),
        leader.votes(others[0], 0, [1, 2]),
        leader.votes(others[0], 0, [3, 4]),
    ] {
        leader.show(evidence);
    }
    leader.run(1_500);
    let closed = leader.frames.iter().find(|f| f.body.close.is_some()).expect("an idle height");
    let pieces = closed.body.evidence.iter().map(|bytes| Evidence::decode(bytes).unwrap());
    let wanted = [leader.votes(others[0], 0, [1, 2]), leader.votes(others[2], 0, [1, 2])];
    assert_eq!(pieces.collect::<Vec<_>>(), wanted);
    let next = leader.replica.chain().context();
    assert_eq!((next.height, next.cursor.jailed), (2, 1 << others[0] | 1 << others[2]));
}
