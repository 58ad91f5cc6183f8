//! Which generation the rollup is in, and who goes on in it, by final L1 blocks.
//!
//! Invariant: only final blocks are read, so what is said here is never taken back.

use rota_l1::{At, L1, L1Block, L1Error, TurnKind};

/// L1 blocks read in one question: the strictest common limit of public endpoints.
const STRIDE: u64 = 500;

/// The set that goes on after a fallback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmergencySet {
    /// Its epoch.
    pub epoch: u64,
    /// First L1 block that is not in the fallback any more.
    pub start: u64,
}

/// Where the rollup stands with fallbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Era {
    /// How many there were.
    pub generation: u32,
    /// Who goes on after the newest, once that is known.
    pub set: Option<EmergencySet>,
}

/// Reads on where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Eras {
    next: u64,
    era: Era,
}

impl Eras {
    /// Goes on at an L1 block, before which nothing newer than `generation` was.
    #[must_use]
    pub const fn new(next: u64, generation: u32) -> Self {
        Self { next, era: Era { generation, set: None } }
    }

    /// The first L1 block that was not read yet.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// What is known now.
    #[must_use]
    pub const fn era(&self) -> Era {
        self.era
    }

    /// Reads on to the newest final L1 block, which it gives. After an error what was read stays read.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn read(&mut self, l1: &dyn L1) -> Result<Option<L1Block>, L1Error> {
        let Some(head) = l1.block(At::Finalized).await? else { return Ok(None) };
        while self.next <= head.number {
            let to = self.next.saturating_add(STRIDE).min(head.number);
            let to = match to == head.number {
                true => head,
                false => l1.block(At::Number(to)).await?.ok_or(L1Error::NoBlock(to))?,
            };
            for turn in l1.turns(self.next, to).await? {
                match turn.what {
                    TurnKind::Fallback { generation } if generation > self.era.generation => {
                        self.era = Era { generation, set: None };
                    }
                    TurnKind::EmergencySet { generation, epoch, start }
                        if generation == self.era.generation =>
                    {
                        self.era.set = Some(EmergencySet { epoch, start });
                    }
                    _ => {}
                }
            }
            self.next = to.number.saturating_add(1);
        }
        Ok(Some(head))
    }
}
