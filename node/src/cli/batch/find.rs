//! Finds batches among the events of the Inbox.
//!
//! Invariant: read in steps that every public endpoint allows, from the newest back.

use super::failed;
use crate::exit::{Exit, Failure};
use rota_l1::{At, L1, L1Block, L1Error, PostedBatch, TurnKind};
use rota_types::B256;

/// L1 blocks of one question.
const STEP: u64 = 500;

/// The batches of one Inbox.
pub(super) struct Posts<'a> {
    l1: &'a dyn L1,
    /// No batch is older.
    start: u64,
}

impl<'a> Posts<'a> {
    pub(super) fn new(l1: &'a dyn L1, start: u64) -> Self {
        Self { l1, start: start.max(1) }
    }

    /// The newest batches, newest first, and the newest final L1 block.
    pub(super) async fn newest(&self, limit: usize) -> Result<(Vec<PostedBatch>, u64), Failure> {
        let finalized = self.l1.block(At::Finalized).await.map_err(failed)?;
        let mut out = Vec::new();
        let mut to = self.block(At::Latest).await?;
        while out.len() < limit {
            let (from, mut found) = self.step(to).await?;
            found.reverse();
            out.extend(found);
            match self.before(from).await? {
                Some(next) => to = next,
                None => break,
            }
        }
        out.truncate(limit);
        Ok((out, finalized.map_or(0, |b| b.number)))
    }

    /// The batch with a height, or of a transaction. Of several with one height, the first on L1.
    pub(super) async fn find(&self, what: &str) -> Result<PostedBatch, Failure> {
        let height = what.parse::<u64>().ok();
        let tx = what.parse::<B256>().ok();
        if height.is_none() && tx.is_none() {
            return Err(Failure::new(Exit::Config, format!("{what} is no height and no hash"))
                .hint(
                    "give a height, or the hash of the L1 transaction; rota batch list has both",
                ));
        }
        let is_it = |b: &PostedBatch| {
            tx == Some(b.tx_hash)
                || height.is_some_and(|h| (b.from_height..=b.to_height).contains(&h))
        };
        let mut to = self.block(At::Latest).await?;
        let mut found = None;
        loop {
            let (from, batches) = self.step(to).await?;
            // A height may be posted again later, so reading goes back while it is still above.
            let below =
                height.is_some_and(|h| batches.iter().any(|b| !b.repost && b.to_height < h));
            found = batches.into_iter().find(is_it).or(found);
            let next = self.before(from).await?;
            match next {
                Some(next) if !(below || (tx.is_some() && found.is_some())) => to = next,
                _ => break,
            }
        }
        found.ok_or_else(|| {
            Failure::new(Exit::Failed, format!("the Inbox accepted no batch with {what}"))
                .hint("rota status says how far it is posted; rota batch list shows the newest")
        })
    }

    /// The batches of the blocks up to `to`, in order, and the first of these blocks.
    async fn step(&self, to: L1Block) -> Result<(u64, Vec<PostedBatch>), Failure> {
        let from = to.number.saturating_sub(STEP.saturating_sub(1)).max(self.start);
        let mut all = self.l1.batches(from, to).await.map_err(failed)?;
        for turn in self.l1.turns(from, to).await.map_err(failed)? {
            if let TurnKind::Uncertified(batch) = turn.what {
                all.push(*batch);
            }
        }
        all.sort_by_key(|b| (b.block.number, b.log_index));
        Ok((from, all))
    }

    async fn before(&self, from: u64) -> Result<Option<L1Block>, Failure> {
        match from.checked_sub(1).filter(|to| *to >= self.start) {
            Some(to) => self.block(At::Number(to)).await.map(Some),
            None => Ok(None),
        }
    }

    async fn block(&self, at: At) -> Result<L1Block, Failure> {
        let block = self.l1.block(at).await.map_err(failed)?;
        block.ok_or_else(|| failed(L1Error::NoBlock(0)))
    }
}
