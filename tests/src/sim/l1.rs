//! After a run: everything decided goes through an L1 in memory and comes back by derivation alone.
//!
//! The inbox there checks certificates as the contract does. Between honest batches a griefer posts the same
//! headers and certificates with other data.

use super::{check::Violation, node::SimNode};
use alloy_primitives::{Address, B256, Bytes};
use futures::executor::block_on;
use rota_consensus::Decided;
use rota_derive::{AcceptedBatch, L1Ref, Outcome, Pipeline, Start};
use rota_l1::{At, BatchPost, L1, MemoryJournal, MemoryL1, MemoryParams, Policy, TxManager};
use rota_types::{Batch, BatchHeight, Domain, Encode, ValidatorSet};

const INBOX: Address = Address::repeat_byte(0x1b);
/// Heights in one batch.
const RUN: usize = 9;

/// Posts what the node with the longest history decided and derives it again (I-10).
pub(super) fn round_trip(
    nodes: &[SimNode],
    set: &ValidatorSet,
    domain: &Domain,
) -> Result<usize, Violation> {
    let Some(node) = nodes.iter().max_by_key(|n| n.disk.decided.len()) else { return Ok(0) };
    let decided: Vec<&Decided> = node.disk.decided.values().collect();
    let operators = set.iter().map(|(_, v)| v.clone()).collect();
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
    derive(&l1, set, domain, &decided)
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

fn derive(
    l1: &MemoryL1,
    set: &ValidatorSet,
    domain: &Domain,
    decided: &[&Decided],
) -> Result<usize, Violation> {
    let mut pipeline = Pipeline::new(domain.clone(), Start::genesis(0, 0));
    pipeline.insert_set(set.clone());
    let head = block_on(l1.block(At::Latest)).expect("answers").expect("has a block");
    let mut derived: Vec<B256> = Vec::new();
    for batch in block_on(l1.batches(0, head)).expect("answers") {
        let data = block_on(l1.payload(&batch)).expect("is there");
        let accepted = AcceptedBatch {
            from_height: batch.from_height,
            to_height: batch.to_height,
            value_id: batch.certificate.value_id,
            epoch: batch.header.close.epoch,
            certificate: batch.certificate.clone(),
            header: batch.header.encode().into(),
            data,
            l1: L1Ref {
                number: batch.block.number,
                hash: batch.block.hash,
                tx_hash: batch.tx_hash,
            },
        };
        match pipeline.accept(&accepted).expect("derivation is total") {
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
        {
            let what = format!("{} heights of {} come back", derived.len(), want.len());
            Err(Violation { invariant: "I-10", at_ms: 0, what })
        }
    }
}
