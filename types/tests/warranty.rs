//! Refunds for frames that died with their leader: what shows a loss, what does not, the bytes, and the vectors that the
//! contract is held to (`tests/vectors/warranty.json`; `UPDATE_VECTORS=1` writes it).
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code"
)]

mod common;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxEnvelope, TxLegacy};
use alloy_eips::{
    eip2718::Encodable2718,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Signature, TxKind, hex};
use common::offences::{Fork, HEIGHT, LEADER};
use proptest::prelude::*;
use rota_types::*;
use serde_json::{Map, Value, json};

const CHAIN: u64 = 42_069;
const GWEI: u128 = 1_000_000_000;
/// Ten times the offer; the caps are above what all but one of the transactions get.
const OFFER: WarrantyOffer =
    WarrantyOffer { bps: 100_000, claim_cap: 1_000_000 * GWEI, term_cap: 100_000_000 * GWEI };

fn sign<T>(n: u8, tx: T) -> Bytes
where
    T: SignableTransaction<Signature>,
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let user = VoteKey::from_secret(&[0x70 + n; 32]).unwrap();
    let signature = Signature::from_raw_array(&user.sign(&tx.signature_hash())).unwrap();
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}

/// One transaction of each type with its refund, each by another user.
fn txs() -> Vec<(Bytes, u128)> {
    let to = TxKind::Call(Address::repeat_byte(1));
    let auth = Authorization { chain_id: U256::from(CHAIN), address: Address::ZERO, nonce: 0 };
    let auth = SignedAuthorization::new_unchecked(auth, 0, U256::from(1), U256::from(1));
    let (chain_id, most) = (CHAIN, 90 * GWEI);
    let (legacy, fees) = (
        TxLegacy { chain_id: Some(CHAIN), nonce: 300, gas_price: GWEI, to, ..TxLegacy::default() },
        TxEip1559 {
            chain_id,
            max_fee_per_gas: most,
            max_priority_fee_per_gas: 2 * GWEI,
            to,
            ..TxEip1559::default()
        },
    );
    vec![
        (sign(0, TxLegacy { gas_limit: 30_000, ..legacy }), 300_000 * GWEI),
        (
            sign(
                1,
                TxEip2930 { chain_id, gas_price: 3, gas_limit: 21_000, to, ..TxEip2930::default() },
            ),
            630_000,
        ),
        (sign(2, TxEip1559 { gas_limit: 21_000, nonce: 7, ..fees.clone() }), 420_000 * GWEI),
        (
            sign(
                3,
                TxEip7702 {
                    chain_id,
                    max_fee_per_gas: most,
                    max_priority_fee_per_gas: GWEI,
                    gas_limit: 46_000,
                    authorization_list: vec![auth],
                    ..TxEip7702::default()
                },
            ),
            460_000 * GWEI,
        ),
        // More gas than counts, and more than the cap of a claim.
        (sign(4, TxEip1559 { gas_limit: 9_000_000, ..fees.clone() }), 1_000_000 * GWEI),
        // Nothing offered.
        (sign(5, TxEip1559 { max_priority_fee_per_gas: 0, gas_limit: 21_000, ..fees.clone() }), 0),
        // More than counts alone: 100,000 gas.
        (sign(6, TxEip1559 { max_priority_fee_per_gas: 5, gas_limit: 200_000, ..fees }), 5_000_000),
    ]
}

/// Frames 102 to 104 of branch b, all with the transactions, are not on the log, which went on with round 1 after 101.
struct Case {
    x: Fork,
    lost: Vec<FrameHeader>,
    log: Vec<FrameHeader>,
    body: FrameBody,
}

impl Case {
    fn new() -> Self {
        let x = Fork::new();
        let mut body =
            FrameBody { txs: txs().into_iter().map(|t| t.0).collect(), ..FrameBody::default() };
        body.insured = vec![0; body.txs.len()];
        body.insured[2] = GWEI;
        let (mut lost, mut log) = (x.b.clone(), x.a.clone());
        for at in 2..5 {
            lost[at].prev_hash = x.hash(&lost[at - 1]);
            lost[at].tx_count = 7;
            lost[at].tx_root = body.root();
            lost[at].insured_cum = GWEI;
            log[at].prev_hash = x.hash(&log[at - 1]);
            log[at].term = Term { height: HEIGHT, round: 1 };
            log[at].leader = LEADER + 1;
        }
        Self { x, lost, log, body }
    }
    fn domain(&self) -> &Domain {
        &self.x.four.domain
    }
    fn hashes(&self) -> Vec<B256> {
        self.body.txs.iter().map(keccak256).collect()
    }
    /// The leader's promise alone, for a transaction of the frame at `frame` of branch b.
    fn receipt(&self, at: u32, frame: usize) -> Receipt {
        let (f, slot) = (&self.x.four, usize::try_from(at).unwrap());
        let set = ReceiptSet::of(&f.set);
        Receipt {
            v: RECEIPT_VERSION,
            ctx: f.domain.ctx(),
            set_id: set.id(),
            domain: ReceiptDomain::of(&f.domain),
            set,
            transaction_hash: self.hashes()[slot],
            insured: self.body.insured[slot],
            transaction: None,
            frame: (&self.lost[frame]).into(),
            signature: self.x.frame(&self.lost[frame]).signature.into(),
            position: tx_proof(&self.hashes(), &self.body.insured, at).unwrap(),
            acked: None,
            decided: None,
            posted: None,
        }
    }
    fn fork(&self, log: &[FrameHeader], g: u64) -> rota_types::Fork {
        let header = self.x.header(log);
        let commit = self.x.four.certify(HEIGHT, self.x.id(&header), &[0, 1, 3]);
        let (_, branch) = self.x.place(log, g);
        let frame = log[usize::try_from(g - 100).unwrap()].clone();
        rota_types::Fork { frame, branch, header, commit }
    }
    /// The frame at `frame` is lost, with those from 102 to it.
    fn loss(&self, frame: usize) -> LostFrame {
        let below: Vec<FrameHeader> = self.lost[2..frame].iter().rev().cloned().collect();
        LostFrame::of(&self.receipt(0, frame), &below, self.fork(&self.log, 102)).unwrap()
    }
    fn tx(&self, at: u32) -> LostTx {
        let raw = self.body.txs[usize::try_from(at).unwrap()].clone();
        LostTx::of(&self.receipt(at, 3), raw).unwrap()
    }
    fn check<'a>(&self, lost: &'a LostFrame) -> Result<&'a FrameHeader, WarrantyError> {
        lost.verify(&self.x.four.set, &self.x.four.set, self.domain())
    }
    /// Signed again by `signer` after a change of the first header.
    fn signed(&self, chain: Vec<FrameHeader>, signer: u16, fork: rota_types::Fork) -> LostFrame {
        let digest = chain[0].hash(self.domain());
        let signature = self.x.four.seq[usize::from(signer)].sign(&digest);
        LostFrame { signature, chain, fork }
    }
}

#[test]
fn a_frame_that_a_later_term_replaced_is_lost_and_so_are_those_after_it() {
    let case = Case::new();
    for frame in 2..5 {
        let lost = case.loss(frame);
        assert_eq!(case.check(&lost).unwrap(), &case.lost[frame]);
        assert_eq!(LostFrame::decode(&lost.encode(), case.domain()).unwrap(), lost);
    }
    for (at, (raw, refund)) in (0u32..).zip(txs()) {
        let lost = case.tx(at);
        lost.verify(&case.lost[3]).unwrap();
        assert_eq!(LostTx::decode(&lost.encode()).unwrap(), lost);
        assert_eq!(OFFER.refund(&Tx::decode(&raw, CHAIN).unwrap()), refund, "{at}");
    }
    let other = LostTx::of(&case.receipt(0, 3), case.body.txs[1].clone());
    assert_eq!(other, Err(ClaimError::Transaction));
}

/// Each with the error that it must give.
#[expect(clippy::too_many_lines, reason = "one entry for each fault")]
fn wrong(case: &Case) -> Vec<(&'static str, LostFrame, WarrantyError)> {
    use WarrantyError::{Equivocation, NotLater, OtherTerm, Signature};
    let good = case.loss(3);
    let (x, lost) = (&case.x, &case.lost);
    let with = |change: &dyn Fn(&mut LostFrame)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    let chain = || vec![lost[3].clone(), lost[2].clone()];
    let fork = || case.fork(&case.log, 102);
    let mut earlier = chain();
    earlier[1].term.round = 2;
    earlier[0].term.round = 2;
    earlier[0].prev_hash = x.hash(&earlier[1]);
    let mut successor = chain();
    successor[0].term.height = HEIGHT + 1;
    let shifted = Header { first_g: 99, ..good.fork.header.clone() };
    let claim = WarrantyError::Claim;
    use ClaimError::{Chain, Commit, NotExcluded};
    let not_excluded = || claim(NotExcluded);
    vec![
        ("signed by another member", case.signed(chain(), 2, fork()), Signature),
        (
            "the signature of another frame",
            with(&|l| l.signature = case.loss(2).signature),
            Signature,
        ),
        (
            "a leader that is none",
            with(&|l| {
                let mut alone = lost[2].clone();
                alone.leader = 9;
                *l = case.signed(vec![alone], 1, fork());
            }),
            Signature,
        ),
        (
            "a frame of another epoch",
            with(&|l| {
                let mut alone = lost[2].clone();
                alone.epoch = 1;
                *l = case.signed(vec![alone], 1, fork());
            }),
            Signature,
        ),
        (
            "the leader's own other history",
            case.signed(chain(), 1, case.fork(&x.a, 102)),
            Equivocation,
        ),
        ("the log went on with an earlier term", case.signed(earlier, 1, fork()), NotLater),
        ("a frame of another term below", case.signed(successor, 1, fork()), OtherTerm),
        ("no chain", with(&|l| l.chain.clear()), claim(Chain)),
        (
            "a hole in the chain",
            case.signed(vec![lost[4].clone(), lost[2].clone()], 1, fork()),
            claim(Chain),
        ),
        (
            "not down to the first lost frame",
            case.signed(vec![lost[3].clone()], 1, fork()),
            not_excluded(),
        ),
        (
            "not down to it, and the log's frame at that place",
            case.signed(vec![lost[3].clone()], 1, case.fork(&case.log, 103)),
            not_excluded(),
        ),
        ("a frame of the log below", with(&|l| l.chain.push(lost[1].clone())), not_excluded()),
        (
            "a decided height that has the frame",
            with(&|l| l.fork = case.fork(lost, 102)),
            not_excluded(),
        ),
        ("another place", with(&|l| l.fork.branch = x.place(&case.log, 103).1), not_excluded()),
        ("a frame of nobody", with(&|l| l.fork.frame.timestamp_ms += 1), not_excluded()),
        (
            "a height with other positions",
            with(&|l| {
                l.fork.commit = x.four.certify(HEIGHT, x.id(&shifted), &[0, 1, 3]);
                l.fork.header = shifted.clone();
            }),
            not_excluded(),
        ),
        (
            "a certificate of two of four",
            with(&|l| {
                l.fork.commit = x.four.certify(HEIGHT, x.id(&l.fork.header), &[1, 3]);
            }),
            claim(Commit),
        ),
        (
            "a header that was not decided",
            with(&|l| l.fork.header.txs_root = keccak256("txs")),
            claim(Commit),
        ),
    ]
}

#[test]
fn what_does_not_show_a_loss_is_refused() {
    let case = Case::new();
    for (name, bad, error) in wrong(&case) {
        let again = LostFrame::decode(&bad.encode(), case.domain()).unwrap();
        assert!(case.check(&again).is_err(), "{name}, by its bytes");
        if !matches!(error, WarrantyError::Claim(ClaimError::Commit)) {
            assert_eq!(case.check(&bad), Err(error), "{name}");
        }
    }
}

fn wrong_txs(case: &Case) -> Vec<(&'static str, LostTx)> {
    let good = case.tx(2);
    let with = |change: &dyn Fn(&mut LostTx)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    vec![
        ("another insured amount", with(&|t| t.insured += 1)),
        ("another transaction", with(&|t| t.raw = case.body.txs[1].clone())),
        ("another place", with(&|t| t.position.index = 1)),
        ("a longer list", with(&|t| t.position.count = 8)),
        ("a sibling less", with(&|t| t.position.siblings.truncate(2))),
    ]
}

#[test]
fn a_transaction_that_is_not_in_the_frame_is_not_refunded() {
    let case = Case::new();
    for (name, bad) in wrong_txs(&case) {
        let again = LostTx::decode(&bad.encode()).unwrap();
        assert_eq!(again.verify(&case.lost[3]), Err(ClaimError::Position), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Nothing panics, what decodes has one form, and no changed bit passes.
    #[test]
    fn bytes_have_one_meaning(at in 0usize..5000, bit in 0u8..8, cut in 0usize..4, which in any::<bool>()) {
        let case = Case::new();
        let mut bytes = if which { case.loss(3).encode() } else { case.tx(2).encode() };
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        bytes.truncate(bytes.len() - cut);
        if which {
            if let Ok(changed) = LostFrame::decode(&bytes, case.domain()) {
                prop_assert_eq!(changed.encode(), bytes);
                prop_assert!(case.check(&changed).is_err());
            }
        } else if let Ok(changed) = LostTx::decode(&bytes) {
            prop_assert_eq!(changed.encode(), bytes);
            prop_assert!(changed.verify(&case.lost[3]).is_err());
        }
    }
}

#[test]
fn the_vectors_are_what_this_code_makes_and_judges() {
    let case = Case::new();
    let f = &case.x.four;
    let mut o = Map::new();
    let enc = |bytes: Vec<u8>| json!(hex::encode_prefixed(bytes));
    let word = |wei: u128| json!(B256::from(U256::from(wei)));
    o.insert("about".into(), json!("Of the set and domain of evidence.json. Lost frames, each with all the transactions, and what each transaction is refunded by the offer. A wrong one has the same fields with another byte."));
    o.insert("genesis_hash".into(), json!(f.domain.genesis_hash));
    o.insert("bps".into(), json!(OFFER.bps));
    o.insert("claim_cap".into(), word(OFFER.claim_cap));
    o.insert("term_cap".into(), word(OFFER.term_cap));
    o.insert("operator".into(), json!(LEADER));
    let good: Vec<LostFrame> = (2..5).map(|frame| case.loss(frame)).collect();
    o.insert("lost".into(), good.iter().map(|l| enc(l.encode())).collect());
    let txs: Vec<LostTx> = (0..7).map(|at| case.tx(at)).collect();
    o.insert("txs".into(), txs.iter().map(|t| enc(t.encode())).collect());
    let decoded: Vec<Tx> = txs.iter().map(|t| Tx::decode(&t.raw, CHAIN).unwrap()).collect();
    o.insert("senders".into(), decoded.iter().map(|t| json!(t.sender)).collect());
    o.insert("refunds".into(), decoded.iter().map(|t| word(OFFER.refund(t))).collect());
    let (bad, bad_txs) = (wrong(&case), wrong_txs(&case));
    o.insert("wrong_lost_names".into(), bad.iter().map(|(n, ..)| json!(n)).collect());
    o.insert("wrong_lost".into(), bad.iter().map(|(_, l, _)| enc(l.encode())).collect());
    o.insert("wrong_tx_names".into(), bad_txs.iter().map(|(n, _)| json!(n)).collect());
    o.insert("wrong_txs".into(), bad_txs.iter().map(|(_, t)| enc(t.encode())).collect());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/warranty.json");
    let text = serde_json::to_string_pretty(&Value::Object(o)).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == text, "the recorded vectors differ");
}
