//! Follows the chain of L1 blocks by parent hashes, with the batches accepted in them.
//!
//! Log filters do not tell what a reorganisation took away, so every block that is not final is linked to the
//! one before it here. Invariant: the batches given belong to one chain, in order, without gap; what is not on
//! it any more is taken back first.

use alloy_primitives::B256;
use rota_l1::{At, Deposited, Enqueued, L1, L1Block, L1Error, PostedBatch, Turn};
use std::collections::BTreeMap;

/// Blocks read in one step while catching up: the strictest common limit of public endpoints.
const STRIDE: u64 = 500;
/// Hashes remembered.
const REMEMBERED: usize = 4096;

/// What a step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Everything in L1 blocks above this one is gone. Comes before `batches`.
    pub rolled_back_to: Option<u64>,
    /// Newly accepted batches, in L1 order.
    pub batches: Vec<PostedBatch>,
    /// New entries of the forced queue, in its order.
    pub forced: Vec<Enqueued>,
    /// New deposits, by index.
    pub deposits: Vec<Deposited>,
    /// What the inbox said besides, in L1 order.
    pub turns: Vec<Turn>,
    /// The newest block read.
    pub tip: L1Block,
    /// The newest final block, at most the tip.
    pub finalized: u64,
    /// Whether there is more to read at once.
    pub more: bool,
}

/// Where the reading is.
#[derive(Debug, Clone)]
pub struct Walker {
    start: u64,
    tip: u64,
    hashes: BTreeMap<u64, B256>,
}

impl Walker {
    /// Reads from `start` on. Blocks before it are taken for final.
    #[must_use]
    pub fn new(start: u64) -> Self {
        // Block 0 of L1 holds no transactions.
        let start = start.max(1);
        Self { start, tip: start.saturating_sub(1), hashes: BTreeMap::new() }
    }

    /// Reads on. After an error nothing has changed.
    pub async fn step(&mut self, l1: &dyn L1) -> Result<Option<Progress>, L1Error> {
        let Some(head) = l1.block(At::Latest).await? else { return Ok(None) };
        let finalized = l1.block(At::Finalized).await?.map_or(0, |b| b.number);
        if head.number < self.start {
            return Ok(None);
        }
        if self.tip < finalized && finalized <= head.number {
            return self.stride(l1, finalized).await.map(Some);
        }
        let Some((common, path)) = self.path(l1, head).await? else {
            return Ok(Some(self.still(l1, head, finalized).await?));
        };
        let found = Found::read(l1, common.saturating_add(1), head).await?;
        let rolled_back_to = (common < self.tip).then_some(common);
        self.hashes.split_off(&common.saturating_add(1));
        self.hashes.extend(path);
        self.trim();
        self.tip = head.number;
        let finalized = finalized.min(head.number);
        Ok(Some(found.progress(rolled_back_to, (head, finalized), false)))
    }

    /// An endpoint that is behind, on our chain: nothing new.
    async fn still(&self, l1: &dyn L1, head: L1Block, finalized: u64) -> Result<Progress, L1Error> {
        let tip = match self.tip == head.number {
            true => head,
            false => l1.block(At::Number(self.tip)).await?.unwrap_or(head),
        };
        let finalized = finalized.min(self.tip);
        Ok(Found::default().progress(None, (tip, finalized), false))
    }

    /// Final blocks are read in large steps: they need no links.
    async fn stride(&mut self, l1: &dyn L1, finalized: u64) -> Result<Progress, L1Error> {
        let mut rolled_back_to = None;
        if let Some(known) = self.hashes.get(&self.tip) {
            let found = l1.block(At::Number(self.tip)).await?.map(|b| b.hash);
            if found.is_some_and(|hash| hash != *known) {
                let common = self.shared(l1).await?;
                rolled_back_to = Some(common);
            }
        }
        let from = rolled_back_to.unwrap_or(self.tip);
        let to = finalized.min(from.saturating_add(STRIDE));
        let tip = l1.block(At::Number(to)).await?.ok_or(L1Error::NoBlock(to))?;
        let found = Found::read(l1, from.saturating_add(1), tip).await?;
        self.hashes.split_off(&from.saturating_add(1));
        self.hashes.insert(to, tip.hash);
        self.trim();
        self.tip = to;
        Ok(found.progress(rolled_back_to, (tip, to), true))
    }

    /// The newest remembered block that is still on the chain, or the one before the first read.
    async fn shared(&self, l1: &dyn L1) -> Result<u64, L1Error> {
        for (number, hash) in self.hashes.iter().rev() {
            if l1.block(At::Number(*number)).await?.is_some_and(|b| b.hash == *hash) {
                return Ok(*number);
            }
        }
        Ok(self.start.saturating_sub(1))
    }

    /// Links `head` to what is known: the newest common block, and the hashes after it. None if `head` is
    /// known already.
    async fn path(
        &self,
        l1: &dyn L1,
        head: L1Block,
    ) -> Result<Option<(u64, BTreeMap<u64, B256>)>, L1Error> {
        if self.hashes.get(&head.number) == Some(&head.hash) {
            return Ok(None);
        }
        let mut path = BTreeMap::from([(head.number, head.hash)]);
        let (mut number, mut expected) = (head.number.saturating_sub(1), head.parent_hash);
        loop {
            if number < self.start || self.hashes.get(&number) == Some(&expected) {
                return Ok(Some((number, path)));
            }
            let is_lost = self.hashes.first_key_value().is_some_and(|(first, _)| number < *first);
            if is_lost {
                // Deeper than anything remembered: read everything again.
                return Ok(Some((self.start.saturating_sub(1), path)));
            }
            let block = l1.block(At::Number(number)).await?.ok_or(L1Error::NoBlock(number))?;
            if block.hash != expected {
                return Err(L1Error::NotCanonical { number, hash: expected });
            }
            path.insert(number, expected);
            (number, expected) = (number.saturating_sub(1), block.parent_hash);
        }
    }

    fn trim(&mut self) {
        while self.hashes.len() > REMEMBERED {
            self.hashes.pop_first();
        }
    }
}

/// What some blocks hold.
#[derive(Debug, Default)]
struct Found {
    batches: Vec<PostedBatch>,
    forced: Vec<Enqueued>,
    deposits: Vec<Deposited>,
    turns: Vec<Turn>,
}

impl Found {
    async fn read(l1: &dyn L1, from: u64, to: L1Block) -> Result<Self, L1Error> {
        Ok(Self {
            batches: l1.batches(from, to).await?,
            forced: l1.forced(from, to).await?,
            deposits: l1.deposits(from, to).await?,
            turns: l1.turns(from, to).await?,
        })
    }

    fn progress(
        self,
        rolled_back_to: Option<u64>,
        (tip, finalized): (L1Block, u64),
        more: bool,
    ) -> Progress {
        let Self { batches, forced, deposits, turns } = self;
        Progress { rolled_back_to, batches, forced, deposits, turns, tip, finalized, more }
    }
}
