//! What a replica signs for of execution: what it executed, not what it was told.
#![expect(clippy::unwrap_used, reason = "test code")]

mod four;

use alloy_primitives::{Address, B256};
use four::{NOW, domain, keys, replica_at};
use rota_consensus::{Fatal, Input, Output, PeerNo, Synced};
use rota_store::Watermarks;
use rota_types::{Bitmap, Close, CommitCertificate, EXEC_LAG, Env, Header, Term, Vote, VoteKind};

/// The first height that names a checkpoint.
const HEIGHT: u64 = 2 * EXEC_LAG;

/// A height that three of four certified, without the frames that give it.
fn certified(root: B256, signers: &[u16]) -> Synced {
    let (l1_hash, prev_randao, fee_vault) = (B256::ZERO, B256::ZERO, Address::ZERO);
    let term = Term { height: HEIGHT, round: 0 };
    let (height, exec_lag_height) = (HEIGHT, EXEC_LAG);
    let close = Close { height, term, exec_lag_height, exec_lag_root: root, ..Close::default() };
    let header = Header {
        env: Env { timestamp_s: 0, l1_number: 0, l1_hash, gas_limit: 0, prev_randao, fee_vault },
        close,
        first_g: 1,
        last_g: 2,
        txs_root: B256::ZERO,
        frames_root: B256::ZERO,
        last_frame_hash: B256::ZERO,
    };
    let value_id = header.value_id(&domain());
    let vote = Vote { epoch: 0, height, round: 0, kind: VoteKind::Precommit, value_id };
    let sign = |i: &u16| keys(*i).1.sign(&vote.digest(&domain()));
    let certificate = CommitCertificate {
        epoch: 0,
        height,
        round: 0,
        value_id,
        signers: Bitmap::of(signers.iter().copied()),
        signatures: signers.iter().map(sign).collect(),
    };
    Synced { header, certificate, frames: Vec::new() }
}

/// With the root kept, the replica would go on to vote for a CLOSE that names it, and be accused with those who lied.
#[test]
fn a_root_of_a_height_that_was_not_taken_is_forgotten() {
    let mut replica = replica_at(HEIGHT, &Watermarks::default(), &[], 0);
    let mut out = Vec::new();
    replica.start(NOW, &[], &mut out).unwrap();
    let heights = vec![certified(B256::repeat_byte(7), &[1, 2, 3])];
    replica.step(NOW, Input::Synced { from: PeerNo(2), heights }, &mut out).unwrap();
    assert!(out.iter().any(|o| matches!(o, Output::Fault { .. })), "its frames are missing");
    let own = Input::Lag { height: EXEC_LAG, root: B256::repeat_byte(8) };
    replica.step(NOW, own, &mut out).unwrap();
    // What was executed here stays, and another root in a certificate stops it.
    let heights = vec![certified(B256::repeat_byte(7), &[1, 2, 3])];
    let told = replica.step(NOW, Input::Synced { from: PeerNo(2), heights }, &mut out);
    assert!(matches!(told, Err(Fatal::Execution(_))), "{told:?}");
}
