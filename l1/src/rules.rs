//! What a deployment fixes for ever, besides its identity: times, limits and prices on L1.
//!
//! Invariant: the same values make the contracts and their model in memory.

/// Rules of the contracts (`docs/protocol.md`, "Parameters").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L1Rules {
    /// Largest share of one operator in a set, hundredths of a percent.
    pub max_share_bps: u16,
    /// L1 blocks of an epoch.
    pub epoch_blocks: u32,
    /// Epochs between leaving the sets and the stake's release.
    pub unbond_epochs: u32,
    /// Epochs for which evidence is taken after the last use of a set.
    pub evidence_epochs: u32,
    /// L1 blocks without a newer certified origin after which a fallback may start.
    pub fallback_blocks: u64,
    /// L1 blocks of the roll call after that.
    pub roll_call_blocks: u64,
    /// Seconds by which a certified height may be later than a forced transaction it does not yet include.
    pub forced_window_s: u64,
    /// Wei for any forced transaction.
    pub forced_fee: u64,
    /// Wei for each unit of its gas.
    pub forced_gas_price: u64,
    /// L1 blocks in which evidence that was committed to may be revealed.
    pub reveal_blocks: u64,
    /// L1 blocks in which an earlier committer may claim the reward.
    pub contest_blocks: u64,
    /// L1 blocks in which insured claims against a slashed stake are taken.
    pub claims_blocks: u64,
    /// L1 blocks between two checkpoints of the oracle, at least.
    pub checkpoint_blocks: u64,
    /// L1 blocks after which the oracle takes a checkpoint's block for final.
    pub output_final_blocks: u64,
    /// L1 blocks in which a bonded output can be contradicted before its slot stands for it.
    pub output_window_blocks: u64,
    /// What is at stake with a bonded output, wei.
    pub output_bond: u64,
    /// Seconds between showing a withdrawal and its payment: whoever may stop payments has so long to do it.
    pub maturity_s: u64,
}

impl Default for L1Rules {
    fn default() -> Self {
        Self {
            max_share_bps: 1_000,
            epoch_blocks: 1_800,
            unbond_epochs: 60,
            evidence_epochs: 56,
            fallback_blocks: 3_600,
            roll_call_blocks: 600,
            forced_window_s: 3_600,
            forced_fee: 100_000_000_000_000,
            forced_gas_price: 1_000_000_000,
            reveal_blocks: 256,
            contest_blocks: 50,
            claims_blocks: 50_400,
            checkpoint_blocks: 300,
            output_final_blocks: 96,
            output_window_blocks: 21_600,
            output_bond: 10_000_000_000_000_000_000,
            maturity_s: 259_200,
        }
    }
}
