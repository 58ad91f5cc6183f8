//! Plans in which L1 takes back what nodes were told is final, for some of them or for all: a reorganisation below
//! finality, or endpoints that lie and are replaced.
//!
//! Invariant: every branch is given up before the calm begins, so that liveness can be judged.

use super::{Plan, dice::Dice};

/// A branch of L1 that is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Who sees it.
    pub nodes: Vec<u16>,
    /// Blocks that come from then on are of the branch, virtual milliseconds.
    pub from_ms: u64,
    /// From then on all see the other one's blocks, at the same numbers.
    pub until_ms: u64,
}

impl Plan {
    /// The plan with one to three such branches, of one node, a few, or all.
    #[must_use]
    pub fn with_branches(mut self) -> Self {
        let dice = &mut Dice::new(self.seed ^ 0x4e06);
        if self.sets.is_empty() {
            self.l1_ms = dice.pick(&[150, 300, 600]);
        }
        let end = self.calm_ms.unwrap_or(self.length_ms);
        let seats = self.sets.iter().flat_map(|set| &set.members).map(|seat| seat.node + 1);
        let first = u16::try_from(self.stakes.len()).unwrap_or(0);
        let mut nodes: Vec<u16> = (0..seats.max().unwrap_or(0).max(first)).collect();
        for _ in 0..dice.between(1, 4) {
            dice.shuffle(&mut nodes);
            let all = nodes.len() as u64;
            let most = dice.pick(&[2, all.div_ceil(2) + 1, all + 1]);
            let count = usize::try_from(dice.between(1, most)).unwrap_or(1);
            let from_ms = dice.below(end.saturating_sub(500));
            let until_ms = (from_ms + dice.between(200, 3_000)).min(end.saturating_sub(1));
            let nodes = nodes.iter().take(count).copied().collect();
            self.branches.push(Branch { nodes, from_ms, until_ms });
        }
        self
    }
}
