//! What the slasher reads of L1 at every look: new sets, and what batches certify.
//!
//! Invariant: what two certificates show together is told also when the look ends in trouble, or with another generation.

use super::{Slasher, peers};
use crate::slash::{Certificates, Found, WatchInput};
use eyre::eyre;
use rota_l1::{At, L1, TurnKind};
use rota_types::Domain;

/// L1 blocks of batches read at the start.
const BACK: u64 = 5_000;

/// What was posted, as far as it was read.
#[derive(Debug)]
pub(super) struct Posted {
    /// The first L1 block that was not read.
    next: u64,
    /// L1 may show a second one much later than the watch remembers, and of an earlier generation.
    certificates: Certificates,
    found: Vec<Found>,
}

impl Posted {
    pub(super) fn new(domain: &Domain, head: u64) -> Self {
        let certificates = Certificates::new(domain.clone());
        Self { next: head.saturating_sub(BACK), certificates, found: Vec::new() }
    }

    /// The contradictions that nobody was told of yet.
    pub(super) fn take(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.found)
    }
}

impl Slasher {
    /// New sets, and the heights that batches certify; the generation that L1 is in.
    pub(super) async fn read_l1(&mut self) -> eyre::Result<u32> {
        let generation = self.deployment.generation_now(&self.l1.endpoints()).await?;
        let head = self.l1.block(At::Latest).await?.ok_or_else(|| eyre!("L1 has no block"))?;
        if self.sets.refresh(&self.l1, head.number).await? {
            self.p2p.set_peers(peers(&self.sets))?;
        }
        let posted = &mut self.posted;
        if head.number < posted.next {
            return Ok(generation);
        }
        let mut batches = self.l1.batches(posted.next, head).await?;
        for turn in self.l1.turns(posted.next, head).await? {
            if let TurnKind::Forked(second) = turn.what {
                batches.push(*second);
            }
        }
        for batch in batches {
            if let Some(set) = self.sets.of(batch.certificate.epoch) {
                let found = posted.certificates.look(&batch.header, &batch.certificate, &set);
                posted.found.extend(found);
            }
            let height = Box::new((batch.header, batch.certificate));
            if self.to_watcher.send(WatchInput::Decided(height)).await.is_err() {
                return Err(eyre!("the watcher ended"));
            }
        }
        posted.next = head.number.saturating_add(1);
        Ok(generation)
    }
}
