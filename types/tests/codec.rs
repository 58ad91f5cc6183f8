//! I-19 and I-26: one encoding per value, exact lengths, and decoders that refuse everything else.
#![expect(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "test code")]

mod common;

use common::{Gen, sample};
use proptest::prelude::*;
use rota_types::{wire::*, *};
use std::fmt::Debug;

/// What every encoding promises.
fn check<T: Encode + Decode + PartialEq + Debug>(value: &T, seed: u64) {
    let bytes = value.encode();
    assert_eq!(T::decode(&bytes).as_ref(), Ok(value));
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(T::decode(&longer), Err(DecodeError::Trailing(1)));
    let step = (bytes.len() / 64).max(1);
    for cut in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
        let short = T::decode(&bytes[..cut]);
        assert!(short.is_err(), "{cut} of {} bytes decode as {short:?}", bytes.len());
    }
    // A changed byte decodes to something else or not at all: the encoding is injective.
    let mut r#gen = Gen(seed);
    for _ in 0..16 {
        let mut other = bytes.clone();
        let at = r#gen.below(other.len());
        other[at] ^= 1 << r#gen.below(8);
        if let Ok(changed) = T::decode(&other) {
            assert_ne!(&changed, value);
            assert_eq!(changed.encode(), other, "two encodings of one value");
        }
    }
}

macro_rules! round_trips {
    ($($test:ident: $make:ident),* $(,)?) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(32))]
            $(#[test] fn $test(seed: u64) { check(&Gen(seed).$make(), seed); })*
        }
    };
}

round_trips!(
    ack: ack, signed_ack: signed_ack, ack_cert: ack_cert, commit_certificate: commit,
    polka_certificate: polka, round_vote: round_vote, round_certificate: round_certificate,
    env: env, close: close, header: header, frame_header: frame_header, frame_body: body,
    signed_frame: frame, merkle_proof: merkle_proof, mmr: mmr, proposal: proposal,
    signed_proposal: signed_proposal, status: status, signed_status: signed_status,
    term_init: init, signed_term_init: signed_init, vote: vote, signed_vote: signed_vote,
    head: head, decided_height: decided, bitmap: bitmap, hash: hash,
);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_message_request_and_response(seed: u64) {
        let mut g = Gen(seed);
        for kind in 0..11 {
            let message = g.message(kind);
            check(&message, seed);
            prop_assert!(message.encode().len() <= message.lane().max());
        }
        check(&Request::Frames { from_g: g.u64(), tip: g.hash() }, seed);
        check(&Request::Heights { from: g.u64(), count: g.u32() }, seed);
        check(&Response::Frames(g.list(3, Gen::frame)), seed);
        check(&Response::Heights(g.list(2, Gen::decided)), seed);
        check(&Request::Justification { height: g.u64(), reference: g.hash() }, seed);
        check(&Response::Justification(None), seed);
        check(&Request::SignedBy { epoch: g.u64(), signer: g.u16() }, seed);
        check(&Request::Witness { from: g.u64(), count: g.u32() }, seed);
        let statements = (0..6).map(|kind| g.signed(kind)).collect();
        check(&Response::Witness { from: g.u64(), statements }, seed);
        for justification in [Justification::Init(g.signed_init()), g.reproposal()] {
            check(&Response::Justification(Some(Box::new(justification))), seed);
        }
    }

    #[test]
    fn lengths_are_the_stated_constants(seed: u64) {
        let mut g = Gen(seed);
        prop_assert_eq!(g.frame_header().encode().len(), FRAME_LEN);
        prop_assert_eq!(g.init().encode().len(), INIT_LEN);
        prop_assert_eq!(g.ack().encode().len(), ACK_LEN);
        prop_assert_eq!(g.env().encode().len(), ENV_LEN);
        prop_assert_eq!(g.close().encode().len(), CLOSE_LEN);
        prop_assert_eq!(g.header().encode().len(), HEADER_LEN);
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600), zeros in 0usize..64) {
        // Small counts are reached only if the upper bytes are zero.
        for b in bytes.iter_mut().step_by(2).take(zeros) { *b = 0; }
        fn any<T: Decode + Encode>(bytes: &[u8]) {
            if let Ok(value) = T::decode(bytes) { assert_eq!(value.encode(), bytes); }
        }
        any::<SignedAck>(&bytes); any::<AckCert>(&bytes); any::<CommitCertificate>(&bytes);
        any::<RoundCertificate>(&bytes); any::<FrameHeader>(&bytes); any::<FrameBody>(&bytes);
        any::<SignedFrame>(&bytes); any::<Header>(&bytes); any::<MerkleProof>(&bytes);
        any::<Mmr>(&bytes); any::<SignedProposal>(&bytes); any::<SignedStatus>(&bytes);
        any::<SignedTermInit>(&bytes); any::<SignedVote>(&bytes); any::<DecidedHeight>(&bytes);
        any::<Request>(&bytes); any::<Response>(&bytes); any::<Bitmap>(&bytes);
        any::<Signed>(&bytes);
        for kind in 0u8..13 {
            let mut message = vec![kind];
            message.extend_from_slice(&bytes);
            any::<Message>(&message);
        }
        let _ = Batch::decompress(&bytes);
    }
}

#[test]
fn a_count_above_its_bound_is_refused_before_anything_is_read() {
    let too_many = |tag: Option<u8>, count: usize| {
        let mut w = Writer::default();
        if let Some(tag) = tag {
            w.u8(tag);
        }
        w.u32(u32::try_from(count).unwrap());
        w.finish()
    };
    let bounded = |result: Option<DecodeError>, max: usize| {
        assert_eq!(
            result.map(|e| matches!(e, DecodeError::Bound { max: m, .. } if m == max)),
            Some(true)
        );
    };
    bounded(Message::decode(&too_many(Some(10), MAX_BUNDLE + 1)).err(), MAX_BUNDLE);
    bounded(Response::decode(&too_many(Some(1), MAX_FRAMES + 1)).err(), MAX_FRAMES);
    bounded(Response::decode(&too_many(Some(2), MAX_HEIGHTS + 1)).err(), MAX_HEIGHTS);
    bounded(FrameBody::decode(&too_many(Some(0), MAX_FRAME_TXS + 1)).err(), MAX_FRAME_TXS);
    bounded(Bitmap::decode(&too_many(None, 33)).err(), 32);
    // A count within its bound but without the data behind it.
    for tag in [1, 2] {
        let lie = Response::decode(&too_many(Some(tag), 60));
        assert!(matches!(lie, Err(DecodeError::Short { .. })));
    }
}

#[test]
fn a_frame_body_above_its_bytes_is_refused() {
    let half = Bytes::from(vec![0; MAX_BODY_BYTES / 2]);
    let full = FrameBody { txs: vec![half.clone(), half.clone()], ..FrameBody::default() };
    assert_eq!(FrameBody::decode(&full.encode()), Ok(full));
    let over =
        FrameBody { txs: vec![half.clone(), half, Bytes::from(vec![0])], ..FrameBody::default() };
    assert!(matches!(FrameBody::decode(&over.encode()), Err(DecodeError::Bound { .. })));
}

#[test]
fn evidence_in_a_frame_is_bounded_bound_and_of_a_close_alone() {
    let mut g = Gen(3);
    let piece = |len: usize| Bytes::from(vec![7; len]);
    let with = |evidence: Vec<Bytes>, close: Option<Close>| FrameBody {
        close,
        evidence,
        ..FrameBody::default()
    };
    let close = || Some(sample::close());
    let read = |body: &FrameBody| FrameBody::decode(&body.encode());
    let full = with(vec![piece(MAX_EVIDENCE_BYTES / 4); 4], close());
    assert_eq!(read(&full), Ok(full));
    let bound = |body: FrameBody| matches!(read(&body), Err(DecodeError::Bound { .. }));
    assert!(bound(with(vec![piece(1); 5], close())), "five pieces");
    assert!(bound(with(vec![piece(MAX_EVIDENCE + 1)], close())), "one piece too long");
    let half = piece(MAX_EVIDENCE_BYTES / 2);
    assert!(bound(with(vec![half.clone(), half, piece(1)], close())), "too much together");
    let refused = |body: &[u8]| matches!(FrameBody::decode(body), Err(DecodeError::Invalid(_)));
    assert!(refused(&with(vec![piece(1)], None).encode()), "without CLOSE");
    let mut none = with(Vec::new(), close()).encode();
    none[0] |= 8;
    none.push(0);
    assert!(refused(&none), "none where some is said");

    let sealed = |evidence: Vec<Bytes>, root: Vec<Bytes>| {
        let evidence_root = with(root, None).evidence_root();
        let body = with(evidence, Some(Close { evidence_root, ..sample::close() }));
        let close_hash = keccak256(body.close.as_ref().unwrap().encode());
        let header = FrameHeader {
            flags: Flags::CLOSE,
            tx_count: 0,
            tx_root: B256::ZERO,
            env_hash: B256::ZERO,
            close_hash,
            ..sample::frame()
        };
        SignedFrame { header, signature: [0; 64], body }.check_body()
    };
    let (a, b) = (g.bytes(40), g.bytes(50));
    assert_eq!(sealed(vec![a.clone(), b.clone()], vec![a.clone(), b.clone()]), Ok(()));
    for other in [vec![], vec![a.clone()], vec![b.clone(), a.clone()]] {
        assert!(sealed(other, vec![a.clone(), b.clone()]).is_err(), "another list");
    }
}

#[test]
fn what_a_format_does_not_allow_is_refused() {
    let mut g = Gen(1);
    let refused = |bytes: &[u8], f: fn(&[u8]) -> bool| assert!(f(bytes));
    let mut frame = g.frame_header().encode();
    frame[108] = 16;
    refused(&frame, |b| FrameHeader::decode(b).is_err());
    frame[108] = 0;
    frame[1] = 2;
    refused(&frame, |b| FrameHeader::decode(b).is_err());
    let mut ack = g.ack().encode();
    ack[1] = 0;
    refused(&ack, |b| Ack::decode(b).is_err());
    let mut vote = g.vote().encode();
    for kind in [0, 3] {
        vote[20] = kind;
        refused(&vote, |b| Vote::decode(b).is_err());
    }
    let mut init = g.init().encode();
    init[64] = 2;
    refused(&init, |b| TermInit::decode(b).is_err());
    refused(&[0, 0, 0, 2, 1, 0], |b| Bitmap::decode(b).is_err());
    refused(&[4, 0, 0, 0, 0], |b| FrameBody::decode(b).is_err());
    refused(&[8, 0, 0, 0, 0], |b| FrameBody::decode(b).is_err());
}
