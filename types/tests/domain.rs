//! I-18: no bytes are valid as two kinds of message, on two chains or in two generations; and the EIP-712
//! digests agree with an independent implementation.
#![expect(clippy::redundant_clone, reason = "test code")]

mod common;

use alloy_primitives::Signature;
use alloy_sol_types::{Eip712Domain, SolStruct, sol};
use common::{Gen, four};
use proptest::prelude::*;
use rota_types::{Address, B256, Domain, Tag, VoteKind, recover_vote, verify_seq};
use std::collections::BTreeSet;

sol! {
    struct Vote { uint64 epoch; uint64 height; uint32 round; uint8 kind; bytes32 valueId; }
    struct Proposal {
        uint64 epoch; uint64 height; uint32 round; int32 polRound; uint16 proposer; bytes32 valueId;
        bytes32 initHash;
    }
    struct Status {
        uint64 epoch; uint64 height; uint32 round; uint16 signer; int32 bestRound; uint64 bestG;
        bytes32 bestHash; bytes32 bestRef;
    }
    struct Possession { bytes32 digest; }
}

const TAGS: [Tag; 5] = [Tag::Frame, Tag::Init, Tag::Ack, Tag::Header, Tag::Possession];

/// The same domain with one of its five parts changed.
fn variants(d: &Domain) -> Vec<Domain> {
    let other = |n: u64| n.wrapping_add(1);
    vec![
        d.clone(),
        Domain::new(other(d.l1_chain_id), d.l2_chain_id, d.registry, d.genesis_hash, d.generation),
        Domain::new(d.l1_chain_id, other(d.l2_chain_id), d.registry, d.genesis_hash, d.generation),
        Domain::new(d.l1_chain_id, d.l2_chain_id, Address::ZERO, d.genesis_hash, d.generation),
        Domain::new(d.l1_chain_id, d.l2_chain_id, d.registry, B256::ZERO, d.generation),
        Domain::new(
            d.l1_chain_id,
            d.l2_chain_id,
            d.registry,
            d.genesis_hash,
            d.generation.wrapping_add(1),
        ),
    ]
}

proptest! {
    #[test]
    fn the_same_bytes_have_another_digest_for_every_kind_chain_and_generation(
        seed: u64, bytes in prop::collection::vec(any::<u8>(), 0..300)
    ) {
        let domains = variants(&Gen(seed).domain());
        let mut seen = BTreeSet::new();
        for domain in &domains {
            for tag in TAGS {
                prop_assert!(seen.insert(domain.digest(tag, &bytes)));
            }
            prop_assert!(seen.insert(domain.eip712(alloy_primitives::keccak256(&bytes))));
        }
    }

    #[test]
    fn eip712_digests_agree_with_alloy(seed: u64) {
        let mut g = Gen(seed);
        let d = g.domain();
        let domain = Eip712Domain::new(
            Some("Rota".into()),
            Some("1".into()),
            Some(alloy_primitives::U256::from(d.l1_chain_id)),
            Some(d.registry),
            Some(d.ctx()),
        );
        prop_assert_eq!(d.separator(), domain.separator());
        let v = g.vote();
        let vote = Vote {
            epoch: v.epoch, height: v.height, round: v.round, kind: v.kind as u8, valueId: v.value_id,
        };
        prop_assert_eq!(v.digest(&d), vote.eip712_signing_hash(&domain));
        let p = g.proposal();
        let proposal = Proposal {
            epoch: p.epoch, height: p.height, round: p.round, polRound: p.pol_round,
            proposer: p.proposer, valueId: p.value_id, initHash: p.init_hash,
        };
        prop_assert_eq!(p.digest(&d), proposal.eip712_signing_hash(&domain));
        let s = g.status();
        let status = Status {
            epoch: s.epoch, height: s.height, round: s.round, signer: s.signer,
            bestRound: s.best_round, bestG: s.best_g, bestHash: s.best_hash, bestRef: s.best_ref,
        };
        prop_assert_eq!(s.digest(&d), status.eip712_signing_hash(&domain));
        let digest = g.hash();
        prop_assert_eq!(d.possession_vote(digest), Possession { digest }.eip712_signing_hash(&domain));
    }

    #[test]
    fn every_part_of_a_possession_counts(seed: u64) {
        let mut g = Gen(seed);
        let d = g.domain();
        let (a, b, c) = (Address::from(g.array::<20>()), Address::from(g.array::<20>()), Address::from(g.array::<20>()));
        let (key, peer) = (g.array::<32>(), g.bytes(40));
        let other = Address::ZERO;
        let all = [
            d.possession(a, b, &key, c, &peer),
            d.possession(other, b, &key, c, &peer),
            d.possession(a, other, &key, c, &peer),
            d.possession(a, b, &[0; 32], c, &peer),
            d.possession(a, b, &key, other, &peer),
            d.possession(a, b, &key, c, b"elsewhere"),
        ];
        prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}

#[test]
fn a_signature_is_good_on_its_own_network_only() {
    let f = four(3);
    let mut g = Gen(5);
    let header = g.frame_header();
    let frame = rota_types::SignedFrame::sign(header, g.body(), &f.seq[0], &f.domain);
    let vote = rota_types::SignedVote::sign(g.vote(), 0, &f.vote[0], &f.domain);
    let status = rota_types::SignedStatus::sign(g.status(), &f.vote[0], &f.domain);
    let ack = rota_types::SignedAck::sign(g.ack(), &f.seq[0], &f.domain);
    for (i, domain) in variants(&f.domain).iter().enumerate() {
        let good = i == 0;
        assert_eq!(frame.verify(&f.seq[0].public(), domain).is_ok(), good);
        assert_eq!(ack.verify(&f.seq[0].public(), domain).is_ok(), good);
        assert_eq!(vote.verify(f.vote[0].address(), domain).is_ok(), good);
        assert_eq!(status.verify(f.vote[0].address(), domain).is_ok(), good);
    }
    assert!(frame.verify(&f.seq[1].public(), &f.domain).is_err());
    assert!(vote.verify(f.vote[1].address(), &f.domain).is_err());
    let other = rota_types::Vote { kind: VoteKind::Prevote, ..vote.vote.clone() };
    let third = rota_types::Vote { kind: VoteKind::Precommit, ..vote.vote };
    assert_ne!(other.digest(&f.domain), third.digest(&f.domain));
}

#[test]
fn recovery_agrees_with_alloy_and_refuses_what_ecrecover_would_read_differently() {
    let f = four(0);
    let digest = B256::repeat_byte(7);
    let sig = f.vote[2].sign(&digest);
    let alloy = Signature::from_raw_array(&sig).unwrap();
    assert_eq!(alloy.recover_address_from_prehash(&digest).unwrap(), f.vote[2].address());
    for v in [0, 1, 2, 26, 29, 35] {
        let mut other = sig;
        other[64] = v;
        assert!(recover_vote(&digest, &other).is_err(), "v = {v}");
    }
    for zero in [0..32, 32..64] {
        let mut other = sig;
        other[zero].fill(0);
        assert!(recover_vote(&digest, &other).is_err());
    }
}

#[test]
fn a_strict_signature_has_one_form() {
    let f = four(0);
    let digest = B256::repeat_byte(9);
    let sig = f.seq[0].sign(&digest);
    verify_seq(&f.seq[0].public(), &digest, &sig).unwrap();
    // S + L is the same scalar, and must not be the same signature.
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut other = sig;
    let mut carry = 0u16;
    for (b, l) in other[32..].iter_mut().zip(L) {
        let [hi, lo] = (u16::from(*b) + u16::from(l) + carry).to_be_bytes();
        (*b, carry) = (lo, u16::from(hi));
    }
    assert!(verify_seq(&f.seq[0].public(), &digest, &other).is_err());
}
