//! An insured transaction that was acked and reverted is paid to its sender from the stake of the leader who signed
//! two histories: frames by the real builder and rules, the proof by the real types, the contracts in a virtual machine.

use alloy_primitives::{B256, U256};
use rota_preconf::{Chain, Frame, FrameBuilder, FrameCut, HeightContext, Rules};
use rota_tests::{
    evm::Court,
    make::{self, ETH},
};
use rota_types::*;
use rota_verify::{Anchor, covered, verify};
use std::sync::Arc;

const NOW: u64 = 1_800_000_000_000;
/// What the user insures: 80 % of a sixth of 128 ETH are 17.07.
const INSURED: u128 = 15 * ETH;

/// One height with two histories of its leader: the user's frame is acked, the other one is decided.
struct Case {
    set: ValidatorSet,
    rules: Rules,
    leader: u16,
    /// With the insured transaction.
    lost: Arc<Frame>,
    /// The log.
    log: Vec<Arc<Frame>>,
    header: Header,
}

impl Case {
    fn new() -> Self {
        let set = make::set(&[32; 4]);
        let params = ChainParams::default();
        let epoch = make::epoch(&set, &params);
        let rules = make::rules(&epoch, params);
        let mut chain = Chain::new(HeightContext::genesis(&epoch, rules.domain.genesis_hash));
        let leader = chain.stream().leader;
        append(&mut chain, &rules, (NOW, false), &[]);
        let mut other = chain.clone();
        let tx = make::transfer(7, 0).insuring(INSURED);
        let lost = append(&mut other, &rules, (NOW + 20, false), &[tx]);
        append(&mut chain, &rules, (NOW + 25, true), &[]);
        let (header, _) = chain.header(1).unwrap().clone();
        Self { set, leader, lost, log: chain.frames().to_vec(), header, rules }
    }

    fn domain(&self) -> &Domain {
        &self.rules.domain
    }

    /// What the user kept: more than two thirds stored the frame.
    fn receipt(&self) -> Receipt {
        let (set, frame) = (ReceiptSet::of(&self.set), &self.lost.signed);
        let body = &frame.body;
        let hashes: Vec<B256> = self.lost.txs.iter().map(|t| t.hash).collect();
        let mut acks = AckCert {
            epoch: 0,
            height: 1,
            round: 0,
            g: self.lost.g(),
            frame_hash: self.lost.hash,
            init_hash: B256::ZERO,
            signers: Bitmap::of([0, 1, 2]),
            signatures: Vec::new(),
        };
        acks.signatures.extend(acks.signers.iter().map(|signer| {
            let (epoch, height, round, g) = (0, 1, 0, acks.g);
            let (frame_hash, init_hash) = (acks.frame_hash, acks.init_hash);
            let ack = Ack { epoch, height, round, signer, g, frame_hash, init_hash };
            SignedAck::sign(ack, &make::keys(signer).0, self.domain()).signature
        }));
        Receipt {
            v: RECEIPT_VERSION,
            ctx: self.domain().ctx(),
            set_id: set.id(),
            domain: ReceiptDomain::of(self.domain()),
            set,
            transaction_hash: hashes[0],
            insured: body.insured[0],
            transaction: Some(body.txs[0].clone()),
            frame: (&frame.header).into(),
            signature: frame.signature.to_vec().into(),
            position: tx_proof(&hashes, &body.insured, 0).unwrap(),
            acked: Some(AckProof {
                certificate: acks.encode().into(),
                headers: Vec::new(),
                init: None,
            }),
            decided: None,
            posted: None,
        }
    }

    /// Where the log parts from the user's frame.
    fn fork(&self) -> Fork {
        let hashes: Vec<B256> = self.log.iter().map(|f| f.hash).collect();
        let value_id = self.header.value_id(self.domain());
        let vote = Vote { epoch: 0, height: 1, round: 1, kind: VoteKind::Precommit, value_id };
        let signers = [1u16, 2, 3];
        let sign =
            |i: u16| SignedVote::sign(vote.clone(), i, &make::keys(i).1, self.domain()).signature;
        let commit = CommitCertificate {
            epoch: 0,
            height: 1,
            round: 1,
            value_id,
            signers: Bitmap::of(signers),
            signatures: signers.map(sign).to_vec(),
        };
        Fork {
            frame: self.log[1].signed.header.clone(),
            branch: tx_proof(&hashes, &[], 1).unwrap(),
            header: self.header.clone(),
            commit,
        }
    }

    fn evidence(&self) -> Evidence {
        let sealed =
            |f: &Frame| Sealed { content: f.signed.header.clone(), signature: f.signed.signature };
        let proof = Proof::FrameTwice(Box::new([sealed(&self.lost), sealed(&self.log[1])]));
        Evidence { generation: 0, epoch: 0, accused: self.leader, proof }
    }
}

fn append(
    chain: &mut Chain,
    rules: &Rules,
    (now, close): (u64, bool),
    txs: &[Arc<Tx>],
) -> Arc<Frame> {
    let stream = *chain.stream();
    let origin = Env {
        timestamp_s: 0,
        l1_number: 0,
        l1_hash: B256::repeat_byte(1),
        gas_limit: rules.params.gas_limit,
        prev_randao: B256::ZERO,
        fee_vault: rules.params.fee_vault,
    };
    let cut = FrameCut { now, txs, close, origin: &origin, evidence: &[] };
    let mut builder = FrameBuilder::new(stream.term, stream.leader, now);
    let frame = builder.build(chain, &cut, &make::keys(stream.leader).0, rules).unwrap();
    let frame = Arc::new(frame);
    chain.append(&frame, rules).unwrap();
    frame
}

#[test]
fn the_sender_of_a_reverted_insured_transaction_is_paid_from_the_leaders_stake() {
    let case = Case::new();
    let mut court = Court::new(&case.set, case.domain(), make::keys);
    let receipt = case.receipt();
    let anchor = Anchor { ctx: case.domain().ctx(), set_id: receipt.set_id };
    let verdict = verify(&receipt, &anchor).unwrap();
    assert_eq!(verdict.insured.unwrap().covered_wei, INSURED);
    assert!(covered(&verdict).unwrap().starts_with("15 ETH are insured"));

    let evidence = case.evidence();
    court.report(&evidence).unwrap();
    assert!(court.jailed(u64::from(case.leader)));
    let id: U256 = evidence.place().key(U256::from(case.leader)).into();
    assert_eq!(court.penalty_bps(id), 1_000, "two histories that harmed nobody");

    let reversion = Reversion::of(&receipt, &[], case.fork()).unwrap();
    reversion.verify(&case.set, &case.set, case.domain()).unwrap();
    let claim = Claim::of(&receipt).unwrap();
    assert!(court.claim(id, &claim.encode()).is_err(), "nothing was shown to be reverted yet");
    court.prove_reverted(id, &reversion.encode()).unwrap();
    assert_eq!(court.penalty_bps(id), 10_000);
    let more = Claim { insured: INSURED + 1, ..claim.clone() };
    assert!(court.claim(id, &more.encode()).is_err(), "not what the frame commits to");
    let claimed = court.claim(id, &claim.encode()).unwrap();
    assert!(court.claim(id, &claim.encode()).is_err(), "once");

    assert!(court.settle(id).is_err() && court.collect(claimed).is_err(), "others may claim too");
    court.wait_for(id);
    court.settle(id).unwrap();
    court.collect(claimed).unwrap();
    let sender = case.lost.txs[0].sender;
    assert_eq!(court.withdraw(sender).unwrap(), U256::from(INSURED));
    assert!(court.withdraw(sender).is_err(), "once");
}

/// The leader's own node would not sign more than its stake covers, and nobody would accept it.
#[test]
fn a_frame_never_insures_more_than_the_penalty_pays() {
    let set = make::set(&[32; 4]);
    let params = ChainParams::default();
    let epoch = make::epoch(&set, &params);
    let rules = make::rules(&epoch, params);
    let mut chain = Chain::new(HeightContext::genesis(&epoch, rules.domain.genesis_hash));
    append(&mut chain, &rules, (NOW, false), &[]);
    let free = chain.room(None).free();
    assert_eq!(free, set_cap(set.total()));
    append(&mut chain, &rules, (NOW + 20, false), &[make::transfer(7, 0).insuring(free)]);
    assert_eq!(chain.room(None).free(), 0);
    assert!(free < leader_cap(set.get(0).unwrap().power()));
}
