//! Real signed transactions of every type, and every reason to refuse one.
#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

use alloy_consensus::{
    SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxEnvelope, TxLegacy,
};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Signature, TxKind, keccak256};
use proptest::prelude::*;
use rota_types::*;

const CHAIN: u64 = 42_069;

fn key() -> VoteKey {
    VoteKey::from_secret(&[0x77; 32]).unwrap()
}

fn sign<T>(tx: T) -> Bytes
where
    T: SignableTransaction<Signature>,
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let sig = Signature::from_raw_array(&key().sign(&tx.signature_hash())).unwrap();
    TxEnvelope::from(tx.into_signed(sig)).encoded_2718().into()
}

fn transfer() -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN,
        nonce: 3,
        gas_limit: 21_000,
        max_fee_per_gas: 100,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::repeat_byte(1)),
        value: U256::from(5),
        ..TxEip1559::default()
    }
}

fn decode(raw: &Bytes) -> Result<Tx, TxError> {
    Tx::decode(raw, CHAIN)
}

#[test]
fn every_type_decodes_with_its_sender_and_hash() {
    let to = TxKind::Call(Address::repeat_byte(1));
    let legacy = TxLegacy { chain_id: Some(CHAIN), gas_limit: 21_000, to, ..TxLegacy::default() };
    let list = TxEip2930 { chain_id: CHAIN, gas_limit: 21_000, to, ..TxEip2930::default() };
    let auth = Authorization { chain_id: U256::from(CHAIN), address: Address::ZERO, nonce: 0 };
    let auth = SignedAuthorization::new_unchecked(auth, 0, U256::from(1), U256::from(1));
    let set_code = TxEip7702 {
        chain_id: CHAIN,
        gas_limit: 46_000,
        authorization_list: vec![auth],
        ..TxEip7702::default()
    };
    for (raw, gas) in [
        (sign(legacy), 21_000),
        (sign(list), 21_000),
        (sign(transfer()), 21_000),
        (sign(set_code.clone()), 46_000),
    ] {
        let tx = decode(&raw).unwrap();
        assert_eq!((tx.sender, tx.hash), (key().address(), keccak256(&raw)));
        assert_eq!((tx.gas_limit(), &tx.raw), (gas, &raw));
    }
    let low = sign(TxEip7702 { gas_limit: 45_999, ..set_code });
    assert_eq!(decode(&low), Err(TxError::IntrinsicGas { got: 45_999, need: 46_000 }));
}

#[test]
fn what_is_no_transaction_is_malformed() {
    let good = sign(transfer());
    for bad in [&[][..], &[0x02], &[0x02, 0xc0], &[0x7f, 1], &[0xc0], &good[..good.len() - 1]] {
        let bad = Bytes::copy_from_slice(bad);
        assert!(matches!(decode(&bad), Err(TxError::Malformed(_))), "{bad}");
    }
    let longer: Bytes = [&good[..], &[0]].concat().into();
    assert!(matches!(decode(&longer), Err(TxError::Malformed(_))));
}

#[test]
fn size_type_and_chain_are_checked() {
    let max = MAX_TX_BYTES;
    let big = Bytes::from(vec![2; max + 1]);
    assert_eq!(decode(&big), Err(TxError::TooLarge { got: max + 1, max }));
    let blob = TxEip4844 { chain_id: CHAIN, gas_limit: 21_000, ..TxEip4844::default() };
    assert_eq!(decode(&sign(blob)), Err(TxError::Blob));
    let other = sign(TxEip1559 { chain_id: 1, ..transfer() });
    assert_eq!(decode(&other), Err(TxError::WrongChain { got: "1".into(), want: CHAIN }));
    let any =
        TxLegacy { gas_limit: 21_000, to: TxKind::Call(Address::ZERO), ..TxLegacy::default() };
    assert_eq!(decode(&sign(any)), Err(TxError::WrongChain { got: "none".into(), want: CHAIN }));
}

#[test]
fn fees_and_gas_are_checked() {
    let low = sign(TxEip1559 { gas_limit: 20_999, ..transfer() });
    assert_eq!(decode(&low), Err(TxError::IntrinsicGas { got: 20_999, need: 21_000 }));
    let max = TX_GAS_CAP;
    decode(&sign(TxEip1559 { gas_limit: max, ..transfer() })).unwrap();
    let over = sign(TxEip1559 { gas_limit: max + 1, ..transfer() });
    assert_eq!(decode(&over), Err(TxError::GasCap { got: max + 1, max }));
    let tip = sign(TxEip1559 { max_priority_fee_per_gas: 101, ..transfer() });
    assert_eq!(decode(&tip), Err(TxError::TipAboveFee));
    let code = |n: usize| {
        let input = Bytes::from(vec![0; n]);
        sign(TxEip1559 { to: TxKind::Create, input, gas_limit: max, ..transfer() })
    };
    decode(&code(49_152)).unwrap();
    assert_eq!(decode(&code(49_153)), Err(TxError::InitCode { got: 49_153, max: 49_152 }));
}

/// The exact limits by the rules of Prague, computed by hand.
#[test]
fn intrinsic_gas_is_exact() {
    let need = |tx: TxEip1559, gas: u64| {
        decode(&sign(TxEip1559 { gas_limit: gas, ..tx.clone() })).unwrap();
        let low = decode(&sign(TxEip1559 { gas_limit: gas - 1, ..tx }));
        assert_eq!(low, Err(TxError::IntrinsicGas { got: gas - 1, need: gas }));
    };
    let input = Bytes::from_static(&[0, 0, 1]);
    // Floor of EIP-7623: 21,000 + 10 x (2 + 4).
    need(TxEip1559 { input: input.clone(), ..transfer() }, 21_060);
    // 21,000 + 32,000 + 4 x 6 + 2 x 1 word.
    need(TxEip1559 { input, to: TxKind::Create, ..transfer() }, 53_026);
    let item = AccessListItem { address: Address::ZERO, storage_keys: vec![B256::ZERO; 3] };
    // 21,000 + 2 x (2,400 + 3 x 1,900).
    need(TxEip1559 { access_list: AccessList(vec![item.clone(), item]), ..transfer() }, 37_200);
}

#[test]
fn a_signature_that_is_high_or_recovers_to_nobody_is_refused() {
    let tx = transfer();
    let good = Signature::from_raw_array(&key().sign(&tx.signature_hash())).unwrap();
    let n = U256::from_str_radix(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        16,
    )
    .unwrap();
    let high = Signature::new(good.r(), n - good.s(), !good.v());
    let zero = Signature::new(U256::ZERO, good.s(), good.v());
    let none = Signature::new(good.r(), U256::ZERO, good.v());
    for sig in [high, zero, none] {
        let raw: Bytes = TxEnvelope::from(tx.clone().into_signed(sig)).encoded_2718().into();
        assert_eq!(decode(&raw), Err(TxError::Signature));
    }
}

proptest! {
    #[test]
    fn there_is_one_encoding_and_no_change_keeps_the_hash(at in 0usize..200, bit in 0u8..8) {
        let good = sign(transfer());
        let mut bad = good.to_vec();
        let at = at % bad.len();
        bad[at] ^= 1 << bit;
        let bad = Bytes::from(bad);
        if let Ok(tx) = decode(&bad) {
            prop_assert_eq!(tx.hash, keccak256(&bad));
            prop_assert_eq!(tx.envelope.encoded_2718(), bad.to_vec());
            prop_assert_ne!(tx.hash, keccak256(&good));
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..5) {
        let mut raw = vec![kind];
        raw.extend_from_slice(&bytes);
        let _ = decode(&raw.into());
        let _ = decode(&bytes.into());
    }
}
