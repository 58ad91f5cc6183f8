//! I-16: certificates count each signer once, with the set of their epoch, and more than two thirds.

mod common;

use common::four;
use rota_types::*;

const EPOCH: u64 = 3;

#[test]
fn two_of_four_are_no_quorum_and_nobody_counts_twice() {
    let f = four(EPOCH);
    let commit = f.certify(9, B256::repeat_byte(9), &[0, 1, 3]);
    assert_eq!(commit.verify(&f.set, &f.domain), Ok(100_000_000_000));
    let two = f.certify(9, commit.value_id, &[0, 1]);
    assert_eq!(
        two.verify(&f.set, &f.domain),
        Err(CertError::Quorum { weight: 65_000_000_000, total: 134_000_000_000 })
    );
    let twice = CommitCertificate {
        signatures: [commit.signatures.clone(), commit.signatures.clone()].concat(),
        ..commit.clone()
    };
    assert!(matches!(twice.verify(&f.set, &f.domain), Err(CertError::Count { .. })));
    let outside = CommitCertificate { signers: Bitmap::of([0, 1, 9]), ..commit.clone() };
    assert_eq!(outside.verify(&f.set, &f.domain), Err(CertError::Signer(9)));
    let swapped = CommitCertificate { signers: Bitmap::of([0, 1, 2]), ..commit.clone() };
    assert_eq!(swapped.verify(&f.set, &f.domain), Err(CertError::Signature(2)));
    let polka = PolkaCertificate {
        epoch: commit.epoch,
        height: commit.height,
        round: commit.round,
        value_id: commit.value_id,
        signers: commit.signers,
        signatures: commit.signatures,
    };
    assert!(polka.verify(&f.set, &f.domain).is_err(), "precommits are no polka");
}

#[test]
fn a_certificate_counts_only_with_the_set_of_its_epoch() {
    let f = four(EPOCH);
    let commit = f.certify(9, B256::repeat_byte(9), &[0, 1, 3]);
    let acks = f.acks((9, 0, 102), B256::repeat_byte(8), B256::ZERO, &[0, 2, 3]);
    assert_eq!(acks.verify(&f.set, &f.domain), Ok(101_000_000_000));
    let later = ValidatorSet::new(EPOCH + 1, f.set.iter().map(|(_, v)| v.clone()).collect());
    assert_eq!(
        commit.verify(&later, &f.domain),
        Err(CertError::Epoch { got: EPOCH, set: EPOCH + 1 })
    );
    assert!(acks.verify(&later, &f.domain).is_err());
}

#[test]
fn a_statement_counts_with_the_set_of_its_epoch_and_its_signers_key() {
    let f = four(3);
    let vote =
        Vote { epoch: 3, height: 9, round: 0, kind: VoteKind::Prevote, value_id: B256::ZERO };
    let signed = SignedVote::sign(vote, 2, &f.vote[2], &f.domain);
    let said = Signed::Vote(signed.clone());
    assert!(said.verify(&f.set, &f.domain).is_ok());
    assert!(said.verify(&four(4).set, &f.domain).is_err(), "another epoch");
    let other = Signed::Vote(SignedVote { signer: 1, ..signed });
    assert!(other.verify(&f.set, &f.domain).is_err(), "another member");
    let ack = Ack {
        epoch: 3,
        height: 9,
        round: 0,
        signer: 1,
        g: 4,
        frame_hash: B256::ZERO,
        init_hash: B256::ZERO,
    };
    let ack = SignedAck::sign(ack, &f.seq[1], &f.domain);
    assert!(Signed::Ack(ack.clone()).verify(&f.set, &f.domain).is_ok());
    let mut changed = ack;
    changed.ack.g += 1;
    assert!(Signed::Ack(changed).verify(&f.set, &f.domain).is_err());
}
