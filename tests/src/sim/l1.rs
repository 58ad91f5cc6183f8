//! After a run: everything decided goes through an L1 in memory and comes back by derivation alone.
//!
//! The inbox there checks certificates as the contract does. Between honest batches a griefer posts the same
//! headers and certificates with other data.

use super::{check::Violation, node::SimNode, sets::Sets};
use alloy_primitives::{Address, B256, Bytes};
use futures::executor::block_on;
use rota_consensus::Decided;
use rota_derive::{AcceptedBatch, L1Ref, Outcome, Pipeline, Start};
use rota_l1::{At, BatchPost, L1, MemoryJournal, MemoryL1, MemoryParams, Policy, TxManager};
use rota_types::{Batch, BatchHeight, Domain, Encode};

const INBOX: Address = Address::repeat_byte(0x1b);
/// Heights in one batch.
const RUN: usize = 9;

/// Posts what the node with the longest history decided and derives it again (I-10).
pub(super) fn round_trip(
    nodes: &[SimNode],
    sets: &Sets,
    domain: &Domain,
) -> Result<usize, Violation> {
    let Some(node) = nodes.iter().max_by_key(|n| n.disk.decided.len()) else { return Ok(0) };
    let decided: Vec<&Decided> = node.disk.decided.values().collect();
    if sets.len() > 1 {
        // The chain in memory freezes one set only.
        let batches = (1u64..).zip(decided.chunks(RUN)).map(|(at, run)| shown(at, &post(run)));
        return derive(batches.collect(), sets, domain, &decided);
    }
    let operators = sets.first().set().iter().map(|(_, v)| v.clone()).collect();
    let l1 = MemoryL1::new(MemoryParams::new(domain.clone(), INBOX), operators);
    let sender = l1.sender(Address::repeat_byte(0x99));
    let policy = Policy { confirmations: 0, ..Policy::default() };
    let mut manager = TxManager::open(sender, MemoryJournal::default(), policy).expect("opens");
    for (i, run) in decided.chunks(RUN).enumerate() {
        let honest = post(run);
        if i % 3 == 1 {
            let garbage = BatchPost { payload: Bytes::from(vec![1, 2, 3]), ..honest.clone() };
            submit(&mut manager, &l1, &garbage);
            submit(&mut manager, &l1, &BatchPost { repost: true, ..honest });
        } else {
            submit(&mut manager, &l1, &honest);
        }
    }
    derive(accepted(&l1), sets, domain, &decided)
}

fn post(run: &[&Decided]) -> BatchPost {
    let heights = run
        .iter()
        .map(|d| BatchHeight {
            header: d.header.clone(),
            txs: d.frames.iter().flat_map(|f| f.signed.body.txs.clone()).collect(),
        })
        .collect();
    let last = run[run.len() - 1];
    BatchPost {
        from_height: run[0].header.height(),
        repost: false,
        header: last.header.clone(),
        certificate: last.certificate.clone(),
        payload: Batch { heights }.compress().expect("compresses").into(),
    }
}

fn submit<C: rota_l1::TxChain>(
    manager: &mut TxManager<C, MemoryJournal>,
    l1: &MemoryL1,
    post: &BatchPost,
) {
    manager.submit(post.request(INBOX).expect("fits")).expect("is taken");
    block_on(manager.poll()).expect("is sent");
    l1.mine();
    block_on(manager.poll()).expect("is mined");
}

/// A batch as if an inbox had accepted it in this block.
fn shown(number: u64, batch: &BatchPost) -> AcceptedBatch {
    let hash = alloy_primitives::keccak256(number.to_be_bytes());
    AcceptedBatch {
        from_height: batch.from_height,
        to_height: batch.header.height(),
        value_id: batch.certificate.value_id,
        epoch: batch.header.close.epoch,
        certificate: batch.certificate.clone(),
        header: batch.header.encode().into(),
        data: batch.payload.clone(),
        l1: L1Ref { number, hash, tx_hash: hash },
    }
}

fn accepted(l1: &MemoryL1) -> Vec<AcceptedBatch> {
    let head = block_on(l1.block(At::Latest)).expect("answers").expect("has a block");
    let batches = block_on(l1.batches(0, head)).expect("answers");
    let accepted = batches.into_iter().map(|batch| AcceptedBatch {
        from_height: batch.from_height,
        to_height: batch.to_height,
        value_id: batch.certificate.value_id,
        epoch: batch.header.close.epoch,
        certificate: batch.certificate.clone(),
        header: batch.header.encode().into(),
        data: block_on(l1.payload(&batch)).expect("is there"),
        l1: L1Ref { number: batch.block.number, hash: batch.block.hash, tx_hash: batch.tx_hash },
    });
    accepted.collect()
}

fn derive(
    batches: Vec<AcceptedBatch>,
    sets: &Sets,
    domain: &Domain,
    decided: &[&Decided],
) -> Result<usize, Violation> {
    let mut pipeline = Pipeline::new(domain.clone(), Start::genesis(0, 0));
    (0u64..).map_while(|e| sets.set(e)).for_each(|set| pipeline.insert_set((**set).clone()));
    let mut derived: Vec<B256> = Vec::new();
    for batch in batches {
        match pipeline.accept(&batch).expect("derivation is total") {
            Outcome::Derived(new) => {
                derived.extend(new.heights.iter().map(|h| h.header.value_id(domain)));
            }
            Outcome::Skipped(_) => {}
        }
    }
    let want: Vec<B256> = decided.iter().map(|d| d.value_id).collect();
    if derived == want {
        Ok(derived.len())
    } else {
        let what = format!("{} heights of {} come back", derived.len(), want.len());
        Err(Violation { invariant: "I-10", at_ms: 0, what })
    }
}
