//! A proven block, and certificates of headers that say something of it.

use super::{
    offences::{Fork, evidence},
    sample::{digest_of, header},
};
use alloy_consensus::Header as BlockHeader;
use alloy_primitives::keccak256;
use rota_types::*;

/// Number and second of the proven block.
const NUMBER: u64 = 17;
const SECOND: u64 = 1_760_000_100;

/// RLP of a block that ends with the height of this value id.
pub(crate) fn block(number: u64, timestamp: u64, last: B256) -> Bytes {
    let header = BlockHeader {
        number,
        timestamp,
        gas_limit: 60_000_000,
        gas_used: 21_000,
        extra_data: last.into(),
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(digest_of(60)),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(digest_of(61)),
        requests_hash: Some(digest_of(62)),
        ..BlockHeader::default()
    };
    let rlp = alloy_rlp::encode(&header);
    assert_eq!(keccak256(&rlp), header.hash_slow());
    rlp.into()
}

fn last() -> B256 {
    digest_of(63)
}

/// What the oracle of the vectors holds: the block, and one that does not end with a height.
pub(crate) fn proven() -> [(u64, Bytes); 2] {
    let queue = BlockHeader { extra_data: vec![1].into(), number: 18, ..BlockHeader::default() };
    let queue = alloy_rlp::encode(&queue);
    [(NUMBER, block(NUMBER, SECOND, last())), (18, queue.into())]
}

/// What the oracle has for the block that evidence rests on.
pub(crate) fn proven_for(evidence: &Evidence) -> Option<B256> {
    let number = evidence.rests_on()?;
    proven().into_iter().find(|(n, _)| *n == number).map(|(_, rlp)| keccak256(rlp))
}

/// A certified header over a history; what is wrong with it is changed before it is signed.
pub(crate) struct Story {
    pub(crate) height: u64,
    pub(crate) header: Header,
    pub(crate) next: Header,
    pub(crate) point: LagPoint,
    pub(crate) block: Bytes,
    pub(crate) signers: Vec<u16>,
    pub(crate) hashes: Vec<B256>,
    pub(crate) certified: Option<B256>,
}

impl Story {
    /// The height `next` follows the proven block in a history below `height`.
    pub(crate) fn new(x: &Fork, height: u64, next: u64) -> Self {
        Self::with(x, height, (next, 0), |_| ())
    }

    pub(crate) fn with(
        x: &Fork,
        height: u64,
        (next, generation): (u64, u32),
        change: impl FnOnce(&mut Header),
    ) -> Self {
        let mut after = header();
        after.env.timestamp_s = SECOND + 1;
        (after.close.height, after.close.generation) = (next, generation);
        after.close.parent_id = last();
        change(&mut after);
        let Domain { l1_chain_id, l2_chain_id, registry, genesis_hash, .. } = x.four.domain;
        let then = Domain::new(l1_chain_id, l2_chain_id, registry, genesis_hash, generation);
        let ids: Vec<B256> = (1..height)
            .map(|h| if h == next { after.value_id(&then) } else { keccak256(h.to_be_bytes()) })
            .collect();
        let (mut range, mut nodes) = (Mmr::default(), std::collections::BTreeMap::new());
        for (i, id) in (0u64..).zip(&ids) {
            range.push(*id);
            let grown = MmrPlace::grow(i, id, |at| Ok::<_, ()>(nodes.get(&at).copied()));
            nodes.extend(grown.unwrap());
        }
        let place = MmrProof::of(next - 1, height - 1, |at| Ok::<_, ()>(nodes.get(&at).copied()));
        let place = place.unwrap().unwrap();
        let point = LagPoint {
            height: height - 64,
            block_number: NUMBER,
            block_hash: digest_of(64),
            rewards_root: digest_of(65),
        };
        let mut top = header();
        (top.close.epoch, top.close.height) = (0, height);
        top.close.history_root = range.root();
        let hashes = place.siblings.into_iter().chain(place.peaks).collect();
        let [(_, block), _] = proven();
        let signers = vec![0, 1, 2];
        Self { height, header: top, next: after, point, block, signers, hashes, certified: None }
            .naming()
    }

    /// The header names the point as it is now.
    pub(crate) fn naming(mut self) -> Self {
        self.header.close.exec_lag_height = self.point.height;
        self.header.close.exec_lag_root = self.point.root();
        self
    }

    /// Evidence of it, and against all signers.
    pub(crate) fn told(self, x: &Fork) -> Evidence {
        let id = self.certified.unwrap_or_else(|| self.header.value_id(&x.four.domain));
        let certificate = x.four.certify(self.height, id, &self.signers);
        let place = MmrProof { index: 0, count: 0, siblings: self.hashes, peaks: Vec::new() };
        let below = (self.next, &place);
        let lie = FalseBlock::new((self.header, &certificate), self.point, below, self.block);
        evidence(ACCUSED_MANY, Proof::FalseBlock(Box::new(lie)))
    }
}

/// Named evidence that shows an offence.
pub(crate) fn guilty(x: &Fork) -> Vec<(&'static str, Evidence)> {
    let all = Story { signers: vec![0, 1, 2, 3], ..Story::new(x, 129, 61) };
    vec![
        ("FalseBlock", Story::new(x, 128, 61).told(x)),
        ("FalseBlock by all", all.told(x)),
        ("FalseBlock in the smallest mountain", Story::new(x, 128, 127).told(x)),
        ("FalseBlock at the first height", Story::new(x, 192, 1).told(x)),
        ("FalseBlock before a fallback", Story::with(x, 128, (61, 3), |_| ()).told(x)),
    ]
}

/// Named evidence of what is no offence.
pub(crate) fn innocent(x: &Fork) -> Vec<(&'static str, Evidence)> {
    let new = || Story::new(x, 128, 61);
    let point = |f: &dyn Fn(&mut LagPoint)| {
        let mut story = new();
        f(&mut story.point);
        story.naming()
    };
    let next = |f: &dyn Fn(&mut Header)| Story::with(x, 128, (61, 0), f);
    let [(_, right), (_, queue)] = proven();
    let mut names_none = new();
    (names_none.header.close.exec_lag_height, names_none.header.close.exec_lag_root) =
        (0, B256::ZERO);
    let mut other_point = new();
    other_point.point.rewards_root = digest_of(66);
    let mut other_height = new();
    other_height.header.close.exec_lag_height += 64;
    let mut elsewhere = new();
    elsewhere.next.close.cursor += 1;
    let mut short = new();
    short.hashes.pop();
    let mut long = new();
    long.hashes.push(digest_of(67));
    let same = keccak256(&right);
    vec![
        ("the proven block", point(&|p| p.block_hash = same).told(x)),
        ("a block that is not proven", point(&|p| p.block_number = 16).told(x)),
        ("a block of the queue", Story { block: queue, ..point(&|p| p.block_number = 18) }.told(x)),
        ("a header that names none", names_none.told(x)),
        ("another checkpoint", other_point.told(x)),
        ("a checkpoint of another height", other_height.told(x)),
        ("no quorum", Story { signers: vec![0, 1], ..new() }.told(x)),
        ("an outsider", {
            let mut e = new().told(x);
            let Proof::FalseBlock(lie) = &mut e.proof else { unreachable!() };
            lie.votes.signers = Bitmap::of([0, 1, 4]);
            e
        }),
        (
            "a certificate of another header",
            Story { certified: Some(digest_of(68)), ..new() }.told(x),
        ),
        ("a height that is not in the log", elsewhere.told(x)),
        ("a log that goes on in that block", next(&|h| h.env.timestamp_s = SECOND).told(x)),
        ("a log with another last height", next(&|h| h.close.parent_id = digest_of(69)).told(x)),
        ("a hash too few", short.told(x)),
        ("a hash too many", long.told(x)),
        ("another block", Story { block: block(NUMBER, SECOND - 1, last()), ..new() }.told(x)),
        ("the certified height itself", {
            let story = new();
            Story { next: story.header.clone(), ..story }.told(x)
        }),
        ("a height without a number", next(&|h| h.close.height = 0).told(x)),
    ]
}
