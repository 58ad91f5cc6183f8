//! Reversions and claims from a receipt: what holds, what does not, their bytes, and the vectors that the contract
//! is held to (`tests/vectors/claims.json`; `UPDATE_VECTORS=1` writes it).
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
use common::offences::{Fork, HEIGHT, guilty};
use proptest::prelude::*;
use rota_types::*;
use serde_json::{Map, Value, json};

const CHAIN: u64 = 42_069;
const ETH: u128 = 1_000_000_000_000_000_000;

fn user(n: u8) -> VoteKey {
    VoteKey::from_secret(&[0x70 + n; 32]).unwrap()
}

fn sign<T>(n: u8, tx: T) -> Bytes
where
    T: SignableTransaction<Signature>,
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let signature = Signature::from_raw_array(&user(n).sign(&tx.signature_hash())).unwrap();
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}

/// One transaction of each type, each by another user; the first has much data.
fn txs() -> Vec<Bytes> {
    let to = TxKind::Call(Address::repeat_byte(1));
    let auth = Authorization { chain_id: U256::from(CHAIN), address: Address::ZERO, nonce: 0 };
    let auth = SignedAuthorization::new_unchecked(auth, 0, U256::from(1), U256::from(1));
    let value = U256::from(1_000_000_007u64);
    let input = Bytes::from(vec![7; 700]);
    let chain_id = CHAIN;
    vec![
        sign(
            0,
            TxLegacy { chain_id: Some(CHAIN), gas_limit: 90_000, to, input, ..TxLegacy::default() },
        ),
        sign(1, TxEip2930 { chain_id, gas_limit: 21_000, to, value, ..TxEip2930::default() }),
        sign(2, TxEip1559 { chain_id, nonce: 300, gas_limit: 21_000, to, ..TxEip1559::default() }),
        sign(
            3,
            TxEip7702 {
                chain_id,
                gas_limit: 46_000,
                authorization_list: vec![auth],
                ..TxEip7702::default()
            },
        ),
        sign(4, TxLegacy { chain_id: Some(CHAIN), gas_limit: 21_000, to, ..TxLegacy::default() }),
    ]
}

/// Frames 102 to 104 of branch b are not on the log, which has branch a. Frame 103 of b has the transactions.
struct Case {
    x: Fork,
    b: Vec<FrameHeader>,
    txs: Vec<Bytes>,
    insured: Vec<u128>,
}

impl Case {
    fn new() -> Self {
        let x = Fork::new();
        let txs = txs();
        let insured = vec![ETH, 2 * ETH, 3 * ETH, ETH / 2, 0];
        let body = FrameBody { txs: txs.clone(), insured: insured.clone(), ..FrameBody::default() };
        let mut b = x.b.clone();
        for at in 2..5 {
            b[at].prev_hash = x.hash(&b[at - 1]);
            if at == 3 {
                b[at].tx_count = 5;
                b[at].tx_root = body.root();
                b[at].insured_cum = insured.iter().sum();
            }
        }
        Self { x, b, txs, insured }
    }
    fn domain(&self) -> &Domain {
        &self.x.four.domain
    }
    /// The receipt of a transaction, with acks for the frame at `acked` of branch b.
    fn receipt(&self, at: u32, acked: usize, signers: &[u16]) -> Receipt {
        let f = &self.x.four;
        let hashes: Vec<B256> = self.txs.iter().map(keccak256).collect();
        let set = ReceiptSet::of(&f.set);
        let tip = &self.b[acked];
        let place = (HEIGHT, 0, tip.g);
        let acks = f.acks(place, self.x.hash(tip), B256::ZERO, signers);
        let slot = usize::try_from(at).unwrap();
        Receipt {
            v: RECEIPT_VERSION,
            ctx: f.domain.ctx(),
            set_id: set.id(),
            domain: ReceiptDomain::of(&f.domain),
            set,
            transaction_hash: hashes[slot],
            insured: self.insured[slot],
            transaction: Some(self.txs[slot].clone()),
            frame: (&self.b[3]).into(),
            signature: self.x.frame(&self.b[3]).signature.into(),
            position: tx_proof(&hashes, &self.insured, at).unwrap(),
            acked: Some(AckProof {
                certificate: acks.encode().into(),
                headers: self.b[4..=acked].iter().map(Bytes::from).collect(),
                init: None,
            }),
            decided: None,
            posted: None,
        }
    }
    fn reversion(&self, receipt: &Receipt) -> Reversion {
        let header = self.x.header(&self.x.a);
        let commit = self.x.four.certify(HEIGHT, self.x.id(&header), &[0, 1, 3]);
        let (_, branch) = self.x.place(&self.x.a, 102);
        let fork = rota_types::Fork { frame: self.x.a[2].clone(), branch, header, commit };
        Reversion::of(receipt, &self.b[2..3], fork).unwrap()
    }
    fn good(&self) -> Reversion {
        self.reversion(&self.receipt(0, 4, &[0, 2, 3]))
    }
    fn check(&self, reversion: &Reversion) -> Result<(), ClaimError> {
        reversion.verify(&self.x.four.set, &self.x.four.set, self.domain())
    }
    fn tip(&self, at: usize) -> (u64, B256) {
        (self.b[at].g, self.x.hash(&self.b[at]))
    }
}

#[test]
fn an_insured_receipt_gives_a_reversion_and_a_claim() {
    let case = Case::new();
    for acked in [3, 4] {
        for at in 0..4 {
            let receipt = case.receipt(at, acked, &[0, 2, 3]);
            let reversion = case.reversion(&receipt);
            case.check(&reversion).unwrap();
            let claim = Claim::of(&receipt).unwrap();
            claim.verify(case.tip(acked), 102, case.domain()).unwrap();
            assert_eq!(claim.insured, case.insured[usize::try_from(at).unwrap()]);
            assert_eq!(Reversion::decode(&reversion.encode(), case.domain()).unwrap(), reversion);
            assert_eq!(Claim::decode(&claim.encode()).unwrap(), claim);
        }
    }
}

#[test]
fn receipts_without_acks_amount_or_transaction_claim_nothing() {
    let case = Case::new();
    let good = case.receipt(0, 4, &[0, 2, 3]);
    let of = |change: &dyn Fn(&mut Receipt)| {
        let mut receipt = good.clone();
        change(&mut receipt);
        Claim::of(&receipt).unwrap_err()
    };
    assert_eq!(of(&|r| r.acked = None), ClaimError::NotAcked);
    assert_eq!(of(&|r| r.insured = 0), ClaimError::NotInsured);
    assert_eq!(of(&|r| r.transaction = None), ClaimError::Transaction);
    assert_eq!(of(&|r| r.transaction = Some(case.txs[1].clone())), ClaimError::Transaction);
    assert!(matches!(of(&|r| r.frame = Bytes::new()), ClaimError::Receipt(_)));
}

/// The list without one of them.
fn without(chain: &[FrameHeader], place: usize) -> Vec<FrameHeader> {
    chain.iter().enumerate().filter(|(i, _)| *i != place).map(|(_, f)| f.clone()).collect()
}

/// Each with the error that it must give.
#[expect(clippy::too_many_lines, reason = "one line for each fault")]
fn wrong(case: &Case) -> Vec<(&'static str, Reversion, ClaimError)> {
    let good = case.good();
    let f = &case.x.four;
    let with = |change: &dyn Fn(&mut Reversion)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    let two = f.acks((HEIGHT, 0, 104), case.x.hash(&case.b[4]), B256::ZERO, &[2, 3]);
    let certify = |header: &Header, signers: &[u16]| f.certify(HEIGHT, case.x.id(header), signers);
    let on_b = case.x.header(&case.b);
    let shifted = Header { first_g: 99, ..good.fork.header.clone() };
    let mut older = good.fork.header.clone();
    older.close.epoch = 1;
    let place = |frames: &[FrameHeader], g: u64| case.x.place(frames, g).1;
    use ClaimError::{Acks, Chain, Commit, NotExcluded};
    vec![
        ("acks of two of four", with(&|r| r.acks = two.clone()), Acks),
        ("another round of acks", with(&|r| r.acks.round = 1), Acks),
        ("another opening", with(&|r| r.acks.init_hash = keccak256("init")), Acks),
        ("acks of another epoch", with(&|r| r.acks.epoch = 1), Acks),
        ("acks of another position", with(&|r| r.acks.g = 103), Chain),
        ("acks of another frame", with(&|r| r.acks.frame_hash = case.x.hash(&case.b[3])), Chain),
        ("no chain", with(&|r| r.chain.clear()), Chain),
        ("a hole in the chain", with(&|r| r.chain = without(&r.chain, 1)), Chain),
        ("a frame of the log in the chain", with(&|r| r.chain[1] = case.x.a[3].clone()), Chain),
        ("frames of the log", with(&|r| r.chain.push(case.b[1].clone())), NotExcluded),
        (
            "not from the first reverted frame on",
            with(&|r| r.chain.truncate(r.chain.len() - 1)),
            NotExcluded,
        ),
        (
            "another frame of the log",
            with(&|r| {
                r.chain.pop();
                r.fork.frame = case.x.a[3].clone();
                r.fork.branch = place(&case.x.a, 103);
            }),
            NotExcluded,
        ),
        (
            "a decided height that has the frame",
            with(&|r| {
                r.fork = rota_types::Fork {
                    frame: case.b[2].clone(),
                    branch: place(&case.b, 102),
                    header: on_b.clone(),
                    commit: certify(&on_b, &[0, 1, 3]),
                };
            }),
            NotExcluded,
        ),
        ("another place", with(&|r| r.fork.branch = place(&case.x.a, 103)), NotExcluded),
        ("a frame of nobody", with(&|r| r.fork.frame.timestamp_ms += 1), NotExcluded),
        (
            "a height with other positions",
            with(&|r| {
                r.fork.commit = certify(&shifted, &[0, 1, 3]);
                r.fork.header = shifted.clone();
            }),
            NotExcluded,
        ),
        (
            "a certificate of two of four",
            with(&|r| r.fork.commit = certify(&r.fork.header, &[1, 3])),
            Commit,
        ),
        (
            "a header that was not decided",
            with(&|r| r.fork.header.txs_root = keccak256("txs")),
            Commit,
        ),
        (
            "a height of another set",
            with(&|r| {
                r.fork.commit = certify(&older, &[0, 1, 3]);
                r.fork.header = older.clone();
            }),
            Commit,
        ),
    ]
}

#[test]
fn what_does_not_show_a_reversion_is_refused() {
    let case = Case::new();
    for (name, bad, error) in wrong(&case) {
        let again = Reversion::decode(&bad.encode(), case.domain()).unwrap();
        assert!(case.check(&again).is_err(), "{name}, by its bytes");
        // The value id and the acked frame follow from the bytes.
        if !matches!(error, ClaimError::Commit) {
            assert_eq!(case.check(&bad), Err(error), "{name}");
        }
    }
}

/// Each with the error that it must give, against the reversion from the fork.
fn wrong_claims(case: &Case) -> Vec<(&'static str, Claim, ClaimError)> {
    let good = Claim::of(&case.receipt(2, 4, &[0, 2, 3])).unwrap();
    let with = |change: &dyn Fn(&mut Claim)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    let uninsured = Claim {
        insured: 0,
        raw: case.txs[4].clone(),
        position: case.receipt(4, 4, &[0, 2, 3]).position,
        ..good.clone()
    };
    vec![
        ("a wei more", with(&|c| c.insured += 1), ClaimError::Position),
        ("another transaction", with(&|c| c.raw = case.txs[1].clone()), ClaimError::Position),
        ("another place", with(&|c| c.position.index = 1), ClaimError::Position),
        ("a longer list", with(&|c| c.position.count = 6), ClaimError::Position),
        ("nothing insured", uninsured, ClaimError::NotInsured),
        ("frames of the log", with(&|c| c.chain[0] = case.x.a[4].clone()), ClaimError::Chain),
        ("another tip", with(&|c| c.chain = without(&c.chain, 0)), ClaimError::Chain),
        ("a frame below", with(&|c| c.chain.push(case.b[2].clone())), ClaimError::Position),
        (
            "a frame that was not shown to be off the log",
            with(&|c| c.chain.extend([case.b[2].clone(), case.b[1].clone()])),
            ClaimError::NotExcluded,
        ),
    ]
}

#[test]
fn what_was_not_insured_there_is_not_paid() {
    let case = Case::new();
    for (name, bad, error) in wrong_claims(&case) {
        let again = Claim::decode(&bad.encode()).unwrap();
        assert_eq!(again.verify(case.tip(4), 102, case.domain()), Err(error), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Nothing panics, what decodes has one form, and no changed bit passes.
    #[test]
    fn bytes_have_one_meaning(at in 0usize..5000, bit in 0u8..8, cut in 0usize..4, which in any::<bool>()) {
        let case = Case::new();
        let mut bytes = if which {
            case.good().encode()
        } else {
            Claim::of(&case.receipt(2, 4, &[0, 2, 3])).unwrap().encode()
        };
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        bytes.truncate(bytes.len() - cut);
        if which {
            if let Ok(changed) = Reversion::decode(&bytes, case.domain()) {
                prop_assert_eq!(changed.encode(), bytes);
                prop_assert!(case.check(&changed).is_err());
            }
        } else if let Ok(changed) = Claim::decode(&bytes) {
            prop_assert_eq!(changed.encode(), bytes);
            prop_assert!(changed.verify(case.tip(4), 102, case.domain()).is_err());
        }
    }
}

#[test]
fn the_vectors_are_what_this_code_makes_and_judges() {
    let case = Case::new();
    let f = &case.x.four;
    let mut o = Map::new();
    let enc = |bytes: Vec<u8>| json!(hex::encode_prefixed(bytes));
    o.insert("about".into(), json!("Of the set, domain and evidence of evidence.json: `offence` is its FrameTwice. Reversions with what they show, then claims against the first of them. A wrong one has the same fields with another byte."));
    let (_, offence) = guilty(&case.x).into_iter().find(|(n, _)| *n == "FrameTwice").unwrap();
    o.insert("offence".into(), enc(offence.encode()));
    o.insert("genesis_hash".into(), json!(f.domain.genesis_hash));
    let all = case.reversion(&case.receipt(0, 3, &[0, 1, 2, 3]));
    let good = [("acked above", case.good()), ("acked there, by all", all)];
    o.insert("reversion_names".into(), good.iter().map(|(n, _)| json!(n)).collect());
    o.insert("reversions".into(), good.iter().map(|(_, r)| enc(r.encode())).collect());
    o.insert("reversion_from_g".into(), json!(102));
    let tips = good.iter().map(|(_, r)| json!(r.acks.frame_hash));
    o.insert("reversion_tips".into(), tips.collect());
    let claims: Vec<Claim> =
        (0..4).map(|at| Claim::of(&case.receipt(at, 4, &[0, 2, 3])).unwrap()).collect();
    o.insert("claims".into(), claims.iter().map(|c| enc(c.encode())).collect());
    let insured = |c: &Claim| json!(B256::from(U256::from(c.insured)));
    o.insert("claim_insured".into(), claims.iter().map(insured).collect());
    let sender = |c: &Claim| json!(Tx::decode(&c.raw, CHAIN).unwrap().sender);
    o.insert("claim_senders".into(), claims.iter().map(sender).collect());
    let (bad, bad_claims) = (wrong(&case), wrong_claims(&case));
    o.insert("wrong_reversion_names".into(), bad.iter().map(|(n, ..)| json!(n)).collect());
    o.insert("wrong_reversions".into(), bad.iter().map(|(_, r, _)| enc(r.encode())).collect());
    o.insert("wrong_claim_names".into(), bad_claims.iter().map(|(n, ..)| json!(n)).collect());
    o.insert("wrong_claims".into(), bad_claims.iter().map(|(_, c, _)| enc(c.encode())).collect());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/claims.json");
    let text = serde_json::to_string_pretty(&Value::Object(o)).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == text, "the recorded vectors differ");
}
