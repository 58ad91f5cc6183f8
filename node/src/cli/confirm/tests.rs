use super::*;
use crate::settle::testing::{Chain, INBOX};
use alloy_primitives::{Address, B256};
use rota_l1::{Fees, MemoryL1, TxChain, UnsignedTx};
use rota_types::Header;
use rota_verify::{Decided, Leader};

fn posted(header: &Header, domain: &Domain, l1_tx: B256, l1_block: u64) -> Verdict {
    let leader = Leader { index: 0, owner: Address::ZERO, stake_gwei: 1 };
    let value_id = header.value_id(domain);
    Verdict {
        stage: Stage::Decided,
        claimed: Stage::Posted,
        transaction_hash: B256::ZERO,
        g: 1,
        index: 0,
        height: 2,
        frame_hash: B256::ZERO,
        epoch: 0,
        leader,
        insured: None,
        acked: None,
        decided: Some(Decided {
            round: 0,
            value_id,
            signers: Vec::new(),
            weight_gwei: 3,
            total_gwei: 4,
        }),
        posted: Some(Posted {
            l1_tx,
            l1_block,
            last_height: header.height(),
            last_value_id: Some(value_id),
            finalized: false,
        }),
        worth: String::new(),
        lost_if: String::new(),
    }
}

async fn post(l1: &MemoryL1, chain: &Chain) {
    let sender = l1.sender(Address::repeat_byte(0xaa));
    let fees = Fees { max_fee: 10_000_000_000, tip: 5, blob_fee: 10 };
    let nonce = sender.observe(&[]).await.unwrap().next_nonce;
    let request = chain.post(1, 3).request(INBOX).unwrap();
    let signed = sender.sign(&UnsignedTx { request, nonce, fees }).await.unwrap();
    sender.broadcast(&signed).await.unwrap();
    l1.mine();
}

#[tokio::test]
async fn l1_confirms_the_batch_that_is_there_and_no_other() {
    let chain = Chain::new().grow(4);
    let l1 = chain.l1(2);
    post(&l1, &chain).await;
    let head = l1.block(At::Latest).await.unwrap().unwrap();
    let batch = l1.batches(0, head).await.unwrap().pop().unwrap();
    let header = &chain.at(3).header;
    let at = |tx, block| posted(header, &chain.domain, tx, block);
    let good = at(batch.tx_hash, batch.block.number);
    let ask = async |v: &Verdict| confirm(&l1, v, &chain.domain).await;
    assert_eq!(ask(&good).await.unwrap(), Stage::Posted);
    for _ in 0..3 {
        l1.mine();
    }
    assert_eq!(ask(&good).await.unwrap(), Stage::Finalized);

    let mut other = posted(&chain.at(4).header, &chain.domain, batch.tx_hash, batch.block.number);
    other.posted.as_mut().unwrap().last_height = 3;
    let mut before = good.clone();
    before.height = 0;
    for (bad, words) in [
        (at(B256::ZERO, batch.block.number), "no such batch"),
        (at(batch.tx_hash, batch.block.number + 1), "no such batch"),
        (at(batch.tx_hash, 9_999), "does not exist"),
        (other, "another certified height"),
        (before, "does not reach back"),
    ] {
        let failure = ask(&bad).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Verify);
        assert!(failure.message.contains(words), "{failure}");
    }
    let plain = Verdict { posted: None, ..good };
    assert_eq!(ask(&plain).await.unwrap(), Stage::Decided);
}
