//! Final L1 blocks become origins for the replica.
//!
//! Invariant: only final blocks are given, each once, the newest first and then what is before it, so that a
//! node can order at once and check older frames soon after.

use super::pace::{Backoff, L1Health, Pace, Throttle, complain};
use alloy_primitives::Address;
use rota_l1::{At, L1, L1Block, L1Error};
use rota_types::Env;
use std::sync::Arc;

/// What goes into each environment besides the L1 block, and how far back to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OriginSettings {
    /// No earlier L1 block is given.
    pub start: u64,
    /// Blocks given before the newest one at start.
    pub backlog: u64,
    /// Gas limit of an execution block.
    pub gas_limit: u64,
    /// Receives the priority fees.
    pub fee_vault: Address,
}

/// Follows the final head.
#[derive(Debug)]
pub struct Origins {
    settings: OriginSettings,
    newest: Option<L1Block>,
    /// What of the backlog is left: next, and the first one not in it.
    back: (u64, u64),
}

impl Origins {
    /// Nothing given yet.
    #[must_use]
    pub const fn new(settings: OriginSettings) -> Self {
        Self { settings, newest: None, back: (0, 0) }
    }

    /// The newest origin given.
    #[must_use]
    pub const fn newest(&self) -> Option<&L1Block> {
        self.newest.as_ref()
    }

    /// Gives every origin that is new. After an error what was given stays given.
    pub async fn step(
        &mut self,
        l1: &dyn L1,
        send: &mut (dyn FnMut(Env) + Send),
    ) -> Result<(), L1Error> {
        let Some(head) = l1.block(At::Finalized).await? else { return Ok(()) };
        match self.newest {
            None if head.number < self.settings.start => return Ok(()),
            None => {
                send(self.env(&head));
                self.newest = Some(head);
                let from = head.number.saturating_sub(self.settings.backlog);
                self.back = (from.max(self.settings.start), head.number);
            }
            Some(newest) if newest.number == head.number && newest.hash != head.hash => {
                self.start_over(&head);
                return Ok(());
            }
            Some(newest) => self.forward(l1, newest, head, send).await?,
        }
        while self.back.0 < self.back.1 {
            let Some(block) = l1.block(At::Number(self.back.0)).await? else { return Ok(()) };
            send(self.env(&block));
            self.back.0 = self.back.0.saturating_add(1);
        }
        Ok(())
    }

    async fn forward(
        &mut self,
        l1: &dyn L1,
        mut newest: L1Block,
        head: L1Block,
        send: &mut (dyn FnMut(Env) + Send),
    ) -> Result<(), L1Error> {
        while newest.number < head.number {
            let number = newest.number.saturating_add(1);
            let block = if number == head.number {
                head
            } else {
                match l1.block(At::Number(number)).await? {
                    Some(block) => block,
                    None => return Ok(()),
                }
            };
            if block.parent_hash != newest.hash {
                self.start_over(&block);
                return Ok(());
            }
            send(self.env(&block));
            newest = block;
            self.newest = Some(block);
        }
        Ok(())
    }

    fn start_over(&mut self, found: &L1Block) {
        tracing::error!(number = found.number, hash = %found.hash, "L1 replaced a final block");
        self.newest = None;
    }

    const fn env(&self, block: &L1Block) -> Env {
        Env {
            timestamp_s: 0,
            l1_number: block.number,
            l1_hash: block.hash,
            gas_limit: self.settings.gas_limit,
            prev_randao: block.prev_randao,
            fee_vault: self.settings.fee_vault,
        }
    }
}

/// Runs until told to stop.
pub async fn follow_origins(
    l1: Arc<dyn L1>,
    settings: OriginSettings,
    health: Arc<L1Health>,
    pace: Pace,
    mut send: impl FnMut(Env) + Send,
) {
    let mut origins = Origins::new(settings);
    let (mut throttle, mut backoff) = (Throttle::default(), Backoff::default());
    loop {
        let Some(done) = pace.step(origins.step(&*l1, &mut send)).await else { return };
        let wait = match done {
            Ok(()) => {
                health.ok();
                throttle.reset();
                backoff.ok(pace.every)
            }
            Err(why) => complain("origins", &why, &pace, (&health, &mut throttle, &mut backoff)),
        };
        if !pace.wait(wait).await {
            return;
        }
    }
}
