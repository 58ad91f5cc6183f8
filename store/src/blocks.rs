//! Decided heights, execution blocks and state over a `Kv`, one atomic batch per block.
//!
//! Not for: what a block means; blocks, receipts and state are opaque bytes here.
//! Invariant: the heads are written in the batch that they describe, with a checksum, and never skip a
//! number; so after any crash the store is exactly at some committed batch.

use crate::{Batch, Kv, Scan, StoreError, Tree};
use alloy_primitives::B256;
use rota_types::{Decode, DecodeError, Encode, Reader, Writer, wire::DecidedHeight};
use std::{fmt, path::PathBuf, sync::Arc};

const SCHEMA: &[u8] = b"schema";
const SCHEMA_VERSION: &[u8] = &[1];
const DECIDED: &[u8] = b"head/decided";
const EXECUTED: &[u8] = b"head/executed";

/// The newest decided height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecidedHead {
    /// The height.
    pub height: u64,
    /// Its value id.
    pub value_id: B256,
}

/// The newest executed block; the state in the store is the state after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutedHead {
    /// The block number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

/// Where a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxPlace {
    /// Block number.
    pub block: u64,
    /// Index in the block.
    pub index: u32,
}

/// Blocks and state of one node. Cheap to clone; one writer.
#[derive(Clone)]
pub struct Blocks {
    kv: Arc<dyn Kv>,
}

/// What one commit writes. The heads follow from the heights and blocks put in.
#[derive(Debug, Default)]
pub struct BlockBatch {
    batch: Batch,
    heights: Vec<(u64, B256)>,
    blocks: Option<(u64, ExecutedHead)>,
    disordered: bool,
}

impl BlockBatch {
    /// Adds a decided height. Several must be given in order.
    pub fn height(&mut self, decided: &DecidedHeight, value_id: B256) -> &mut Self {
        let height = decided.header.height();
        self.batch.put(Tree::Heights, height.to_be_bytes(), decided.encode());
        self.batch.put(Tree::HeightIds, value_id.as_slice(), height.to_be_bytes());
        let last = self.heights.last();
        self.disordered |= last.is_some_and(|(last, _)| last.checked_add(1) != Some(height));
        self.heights.push((height, value_id));
        self
    }
    /// Adds an execution block as opaque bytes. Several must be given in order.
    pub fn block(&mut self, number: u64, hash: B256, bytes: &[u8]) -> &mut Self {
        let mut stored = hash.to_vec();
        stored.extend_from_slice(bytes);
        self.batch.put(Tree::Blocks, number.to_be_bytes(), stored);
        self.batch.put(Tree::BlockHashes, hash.as_slice(), number.to_be_bytes());
        let first = match self.blocks {
            Some((first, last)) => {
                self.disordered |= last.number.checked_add(1) != Some(number);
                first
            }
            None => number,
        };
        self.blocks = Some((first, ExecutedHead { number, hash }));
        self
    }
    /// Adds a transaction to the index.
    pub fn tx(&mut self, hash: B256, place: TxPlace) -> &mut Self {
        let mut w = Writer::with_capacity(12);
        w.u64(place.block).u32(place.index);
        self.batch.put(Tree::Txs, hash.as_slice(), w.finish());
        self
    }
    /// Sets any key: receipts, state, code, metadata.
    pub fn put(
        &mut self,
        tree: Tree,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> &mut Self {
        self.batch.put(tree, key, value);
        self
    }
    /// Removes any key.
    pub fn delete(&mut self, tree: Tree, key: impl Into<Vec<u8>>) -> &mut Self {
        self.batch.delete(tree, key);
        self
    }
}

impl Blocks {
    /// Opens the store and checks its schema and heads; what does not fit is `StoreError::Corrupt`.
    pub fn open(kv: Arc<dyn Kv>) -> Result<Self, StoreError> {
        match kv.get(Tree::Meta, SCHEMA)? {
            None => {
                let mut batch = Batch::default();
                batch.put(Tree::Meta, SCHEMA, SCHEMA_VERSION);
                kv.apply(batch)?;
            }
            Some(v) if v == SCHEMA_VERSION => {}
            Some(v) => return Err(corrupt(format!("unknown schema version {v:?}"))),
        }
        let blocks = Self { kv };
        if let Some(head) = blocks.decided_head()?
            && blocks.height_of(head.value_id)? != Some(head.height)
        {
            return Err(corrupt("the decided head names a height that is not there".to_owned()));
        }
        if let Some(head) = blocks.executed_head()?
            && blocks.block(head.number)?.map(|b| b.0) != Some(head.hash)
        {
            return Err(corrupt("the executed head names a block that is not there".to_owned()));
        }
        Ok(blocks)
    }

    /// Writes a batch with the heads that follow from it, all or nothing. Durable after `flush`.
    pub fn commit(&self, mut batch: BlockBatch) -> Result<(), StoreError> {
        if batch.disordered {
            return Err(StoreError::Gap { what: "a batch out of order, number", got: 0, head: 0 });
        }
        if let (Some((first, _)), Some((last, id))) = (batch.heights.first(), batch.heights.last())
        {
            if let Some(head) = self.decided_head()? {
                follows("height", *first, head.height)?;
            }
            batch.batch.put(Tree::Meta, DECIDED, sealed(*last, *id));
            self.grow_history(&batch.heights, &mut batch.batch)?;
        }
        if let Some((first, last)) = batch.blocks {
            if let Some(head) = self.executed_head()? {
                follows("block", first, head.number)?;
            }
            batch.batch.put(Tree::Meta, EXECUTED, sealed(last.number, last.hash));
        }
        self.kv.apply(batch.batch)
    }

    /// Makes all commits durable.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.kv.flush()
    }

    /// The newest decided height.
    pub fn decided_head(&self) -> Result<Option<DecidedHead>, StoreError> {
        let head = self.head(DECIDED)?;
        Ok(head.map(|(height, value_id)| DecidedHead { height, value_id }))
    }
    /// The newest executed block.
    pub fn executed_head(&self) -> Result<Option<ExecutedHead>, StoreError> {
        Ok(self.head(EXECUTED)?.map(|(number, hash)| ExecutedHead { number, hash }))
    }
    /// A decided height.
    pub fn height(&self, height: u64) -> Result<Option<DecidedHeight>, StoreError> {
        let bytes = self.kv.get(Tree::Heights, &height.to_be_bytes())?;
        bytes
            .map(|b| DecidedHeight::decode(&b).map_err(|e| broken("a decided height", &e)))
            .transpose()
    }
    /// At most `count` decided heights from `from` on, in order.
    pub fn heights(&self, from: u64, count: usize) -> Result<Vec<DecidedHeight>, StoreError> {
        let scan = Scan { from: from.to_be_bytes().to_vec(), limit: count, ..Scan::prefix(&[], 0) };
        let entries = self.kv.scan(Tree::Heights, &scan)?;
        entries
            .iter()
            .map(|(_, b)| DecidedHeight::decode(b).map_err(|e| broken("a decided height", &e)))
            .collect()
    }
    /// The oldest height stored.
    pub fn oldest_height(&self) -> Result<Option<u64>, StoreError> {
        let first = self.kv.scan(Tree::Heights, &Scan::prefix(&[], 1))?;
        Ok(first.first().and_then(|(k, _)| number(k)))
    }
    /// The height with a value id.
    pub fn height_of(&self, value_id: B256) -> Result<Option<u64>, StoreError> {
        Ok(self.kv.get(Tree::HeightIds, value_id.as_slice())?.as_deref().and_then(number))
    }
    /// Hash and bytes of an execution block.
    pub fn block(&self, number: u64) -> Result<Option<(B256, Vec<u8>)>, StoreError> {
        let Some(stored) = self.kv.get(Tree::Blocks, &number.to_be_bytes())? else {
            return Ok(None);
        };
        let (hash, bytes) = stored
            .split_first_chunk::<32>()
            .ok_or_else(|| corrupt("a block is too short".to_owned()))?;
        Ok(Some((B256::from(*hash), bytes.to_vec())))
    }
    /// The number of a block.
    pub fn block_number(&self, hash: B256) -> Result<Option<u64>, StoreError> {
        Ok(self.kv.get(Tree::BlockHashes, hash.as_slice())?.as_deref().and_then(number))
    }
    /// Where a transaction is.
    pub fn tx(&self, hash: B256) -> Result<Option<TxPlace>, StoreError> {
        let Some(bytes) = self.kv.get(Tree::Txs, hash.as_slice())? else { return Ok(None) };
        let mut r = Reader::new(&bytes);
        let place = r.u64("block").and_then(|block| Ok(TxPlace { block, index: r.u32("index")? }));
        place.map(Some).map_err(|e| broken("a transaction's place", &e))
    }
    /// Any value: receipts, state, code, metadata.
    pub fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.kv.get(tree, key)
    }
    /// The store below.
    #[must_use]
    pub fn kv(&self) -> &Arc<dyn Kv> {
        &self.kv
    }

    fn head(&self, key: &[u8]) -> Result<Option<(u64, B256)>, StoreError> {
        let Some(bytes) = self.kv.get(Tree::Meta, key)? else { return Ok(None) };
        let read = || -> Result<(u64, B256), DecodeError> {
            let mut r = Reader::new(&bytes);
            let head = (r.u64("number")?, r.hash("hash")?);
            r.u32("checksum")?;
            r.end()?;
            Ok(head)
        };
        let (number, hash) = read().map_err(|e| broken("a head", &e))?;
        if sealed(number, hash) == bytes {
            Ok(Some((number, hash)))
        } else {
            Err(corrupt("the checksum of a head is wrong".to_owned()))
        }
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks").field("kv", &self.kv).finish()
    }
}

fn follows(what: &'static str, got: u64, head: u64) -> Result<(), StoreError> {
    if head.checked_add(1) == Some(got) { Ok(()) } else { Err(StoreError::Gap { what, got, head }) }
}

fn sealed(number: u64, hash: B256) -> Vec<u8> {
    let mut w = Writer::with_capacity(44);
    w.u64(number).hash(&hash);
    let crc = crc32fast::hash(&w.clone().finish());
    w.u32(crc);
    w.finish()
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn broken(what: &str, e: &DecodeError) -> StoreError {
    corrupt(format!("{what} does not decode: {e}"))
}

fn corrupt(detail: String) -> StoreError {
    StoreError::Corrupt { path: PathBuf::from("db"), detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemKv, SledKv};
    use alloy_primitives::Address;
    use rota_types::{Bitmap, Close, CommitCertificate, Env, Header, Term};

    fn decided(height: u64) -> DecidedHeight {
        let env = Env {
            timestamp_s: height,
            l1_number: 1,
            l1_hash: B256::ZERO,
            gas_limit: 30_000_000,
            prev_randao: B256::ZERO,
            fee_vault: Address::ZERO,
        };
        let close = Close {
            generation: 0,
            epoch: 0,
            height,
            parent_id: id(height.saturating_sub(1)),
            term: Term::default(),
            closer: 0,
            cursor: 0,
            window_left: 1,
            jailed_bitmap_hash: B256::ZERO,
            evidence_root: B256::ZERO,
            next_set_hash: B256::ZERO,
            insured_total: 0,
            exec_lag_height: 0,
            exec_lag_root: B256::ZERO,
            history_root: B256::ZERO,
        };
        let header = Header {
            env,
            close,
            first_g: 0,
            last_g: 0,
            txs_root: B256::ZERO,
            frames_root: B256::ZERO,
            last_frame_hash: B256::ZERO,
        };
        let certificate = CommitCertificate {
            epoch: 0,
            height,
            round: 0,
            value_id: id(height),
            signers: Bitmap::default(),
            signatures: vec![],
        };
        DecidedHeight { header, certificate, frames: vec![] }
    }

    fn id(n: u64) -> B256 {
        B256::left_padding_from(&n.to_be_bytes())
    }

    fn round_trip(kv: Arc<dyn Kv>) {
        let blocks = Blocks::open(kv.clone()).unwrap();
        assert_eq!(blocks.decided_head().unwrap(), None);
        let mut batch = BlockBatch::default();
        batch.height(&decided(1), id(1)).height(&decided(2), id(2)).block(1, id(11), b"block");
        batch.tx(id(21), TxPlace { block: 1, index: 3 }).put(Tree::Accounts, [5], [6]);
        blocks.commit(batch).unwrap();
        let blocks = Blocks::open(kv).unwrap();
        assert_eq!(
            blocks.decided_head().unwrap(),
            Some(DecidedHead { height: 2, value_id: id(2) })
        );
        assert_eq!(blocks.executed_head().unwrap(), Some(ExecutedHead { number: 1, hash: id(11) }));
        assert_eq!(blocks.height(2).unwrap(), Some(decided(2)));
        assert_eq!(blocks.heights(1, 10).unwrap(), [decided(1), decided(2)]);
        assert_eq!(blocks.oldest_height().unwrap(), Some(1));
        assert_eq!(blocks.height_of(id(1)).unwrap(), Some(1));
        assert_eq!(blocks.block(1).unwrap(), Some((id(11), b"block".to_vec())));
        assert_eq!(blocks.block_number(id(11)).unwrap(), Some(1));
        assert_eq!(blocks.tx(id(21)).unwrap(), Some(TxPlace { block: 1, index: 3 }));
        assert_eq!(blocks.get(Tree::Accounts, &[5]).unwrap(), Some(vec![6]));
        assert_eq!(blocks.tx(id(22)).unwrap(), None);
        let mut range = rota_types::Mmr::default();
        [1, 2].iter().for_each(|n| range.push(id(*n)));
        assert!(blocks.history_proof(2, 3).unwrap().unwrap().verifies(&range.root(), &id(2)));
    }

    #[test]
    fn everything_written_is_found_again_in_both_stores() {
        round_trip(Arc::new(MemKv::default()));
        let tmp = tempfile::tempdir().unwrap();
        round_trip(Arc::new(SledKv::open(tmp.path(), 1 << 20).unwrap()));
    }

    #[test]
    fn a_gap_is_refused_and_writes_nothing() {
        let blocks = Blocks::open(Arc::new(MemKv::default())).unwrap();
        let commit = |heights: &[u64]| {
            let mut batch = BlockBatch::default();
            for h in heights {
                batch.height(&decided(*h), id(*h));
            }
            blocks.commit(batch)
        };
        commit(&[1]).unwrap();
        for bad in [&[3][..], &[1], &[2, 4]] {
            assert!(matches!(commit(bad), Err(StoreError::Gap { .. })), "{bad:?}");
            assert_eq!(blocks.decided_head().unwrap().unwrap().height, 1);
            assert_eq!(blocks.height(bad[0]).unwrap().is_some(), bad[0] == 1);
        }
    }

    #[test]
    fn a_damaged_head_is_noticed_on_open() {
        for at in [3, 20, 43] {
            let kv = Arc::new(MemKv::default());
            let mut batch = BlockBatch::default();
            batch.block(7, id(7), b"x");
            Blocks::open(kv.clone()).unwrap().commit(batch).unwrap();
            let mut head = kv.get(Tree::Meta, EXECUTED).unwrap().unwrap();
            head[at] ^= 1;
            let mut batch = Batch::default();
            batch.put(Tree::Meta, EXECUTED, head);
            kv.apply(batch).unwrap();
            assert!(Blocks::open(kv).unwrap_err().is_corrupt());
        }
    }
}
