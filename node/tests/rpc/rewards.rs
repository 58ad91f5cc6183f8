//! `rota_getRewards`: a claim that holds, from the newest checkpoint that the contract can know.

use crate::{call, support::*};
use alloy_primitives::{Address, B256, Bytes, U64};
use rota_node::view::{Archive, BlockView, TxLocation};
use rota_types::{Decode, Encode, Header, LagPoint, MerkleProof, RewardsBook, wire::DecidedHeight};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

/// Two checkpoints, and the heights that name them.
struct Kept {
    points: BTreeMap<u64, (LagPoint, RewardsBook)>,
    heights: BTreeMap<u64, DecidedHeight>,
}

impl Archive for Kept {
    fn block(&self, _: u64) -> Option<Arc<BlockView>> {
        None
    }
    fn block_number(&self, _: &B256) -> Option<u64> {
        None
    }
    fn height(&self, height: u64) -> Option<DecidedHeight> {
        self.heights.get(&height).cloned()
    }
    fn tx_location(&self, _: &B256) -> Option<TxLocation> {
        None
    }
    fn rewards(&self, upto: u64) -> Option<(LagPoint, RewardsBook)> {
        self.points.range(..=upto).next_back().map(|(_, kept)| kept.clone())
    }
}

fn kept(leader: &Leader) -> Kept {
    let mut kept = Kept { points: BTreeMap::new(), heights: leader.stored.clone() };
    for (height, wei) in [(64u64, 5u128), (128, 7)] {
        let book: RewardsBook =
            (1..=3).map(|i| (Address::repeat_byte(i), wei + u128::from(i))).collect();
        let (block_number, block_hash) = (height - 1, B256::repeat_byte(9));
        let point = LagPoint { height, block_number, block_hash, rewards_root: book.root() };
        let close = &mut kept.heights.get_mut(&(height + 64)).unwrap().header.close;
        (close.exec_lag_height, close.exec_lag_root) = (height, point.root());
        kept.points.insert(height, (point, book));
    }
    kept
}

#[tokio::test]
async fn it_is_what_a_claim_on_l1_needs() {
    let mut leader = Leader::new();
    for _ in 0..200 {
        leader.whole_block();
    }
    let methods = leader.methods();
    let ask = |n: u8| json!([Address::repeat_byte(n)]);
    let none = call(&methods, "rota_getRewards", ask(2)).await.unwrap_err();
    assert!(none["message"].as_str().unwrap().contains("does not keep"), "{none}");

    let kept = kept(&leader);
    let headers = kept.heights.clone();
    leader.view.set_archive(Arc::new(kept));
    let earned = call(&methods, "rota_getRewards", ask(2)).await.unwrap();
    let field = |name: &str| earned[name].clone();
    assert_eq!((field("height"), field("headerHeight")), (json!("0x80"), json!("0xc0")));
    assert_eq!((field("amountWei"), field("posted")), (json!("9"), json!(false)));
    let number = |name: &str| {
        u32::try_from(serde_json::from_value::<U64>(field(name)).unwrap().to::<u64>()).unwrap()
    };
    let siblings = serde_json::from_value(field("proof")).unwrap();
    let proof = MerkleProof { index: number("index"), count: number("count"), siblings };
    let root: B256 = serde_json::from_value(field("rewardsRoot")).unwrap();
    assert!(RewardsBook::verify(&root, &Address::repeat_byte(2), 9, &proof));
    let header: Bytes = serde_json::from_value(field("header")).unwrap();
    let header = Header::decode(&header).unwrap();
    let point = LagPoint {
        height: 128,
        block_number: 127,
        block_hash: B256::repeat_byte(9),
        rewards_root: root,
    };
    assert_eq!((header.close.exec_lag_height, header.close.exec_lag_root), (128, point.root()));
    let certificate: Bytes = serde_json::from_value(field("certificate")).unwrap();
    let of = &headers[&192].certificate;
    assert_eq!(certificate[..4], of.round.to_be_bytes());
    assert!(certificate.ends_with(of.packed_signatures().as_ref()));
    assert_eq!(header.encode().len(), rota_types::HEADER_LEN);
    let nobody = call(&methods, "rota_getRewards", ask(77)).await.unwrap();
    assert!(nobody.is_null());
}
