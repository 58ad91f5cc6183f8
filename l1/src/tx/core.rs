//! What to do about the transaction under way, given what the chain shows. No IO, no clock: time is the L1 block number.
//!
//! Invariants: all attempts share one nonce until it is seen used by another transaction; a replacement at least doubles
//! all three fees; nothing exceeds the policy's cap.

use super::Status;
use super::journal::Record;
use super::types::{Attempt, Fees, Inclusion, Observation, Outcome, SendFault, TxRequest};
use alloy_primitives::B256;

/// How a transaction is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// L1 blocks without inclusion before the fees are doubled.
    pub bump_after: u64,
    /// Blocks on top of the including block before the transaction is done; 0 takes the first sight.
    pub confirmations: u64,
    /// Blocks to wait for a receipt of ours once the nonce is used, before another nonce is taken.
    pub nonce_grace: u64,
    /// Least tip, wei per gas.
    pub min_tip: u128,
    /// Most to offer.
    pub cap: Fees,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            bump_after: 3,
            confirmations: 2,
            nonce_grace: 2,
            min_tip: 1_000_000,
            cap: Fees {
                max_fee: 2_000_000_000_000,
                tip: 100_000_000_000,
                blob_fee: 2_000_000_000_000,
            },
        }
    }
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing is under way.
    Idle,
    /// Nothing to do at this block.
    Wait,
    /// Sign with these and broadcast. The same fees as before mean: broadcast again.
    Sign {
        /// The nonce.
        nonce: u64,
        /// The fees.
        fees: Fees,
    },
    /// It is over; the core is free.
    Done(Outcome),
}

/// The decision core of `TxManager`.
#[derive(Debug, Clone)]
pub struct TxCore {
    policy: Policy,
    record: Option<Record>,
    bump_now: bool,
    /// After a restart: what the pool holds is unknown, and sending the same again is harmless.
    resend: bool,
    at_cap: bool,
}

impl TxCore {
    /// A core that takes up `record`.
    #[must_use]
    pub const fn new(policy: Policy, record: Option<Record>) -> Self {
        Self { policy, record, bump_now: false, resend: true, at_cap: false }
    }

    /// The transaction under way.
    #[must_use]
    pub const fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// Takes a request; false while another is under way.
    pub fn submit(&mut self, request: TxRequest) -> bool {
        let free = self.record.is_none();
        if free {
            self.record = Some(Record::new(request));
            self.bump_now = false;
            self.resend = false;
            self.at_cap = false;
        }
        free
    }

    /// Gives up a request of which nothing was signed.
    pub fn withdraw(&mut self) -> bool {
        let unsigned = self.record.as_ref().is_some_and(|r| r.attempts.is_empty());
        if unsigned {
            self.record = None;
        }
        unsigned
    }

    /// Hashes that may be mined, newest first.
    #[must_use]
    pub fn hashes(&self) -> Vec<B256> {
        self.record.iter().flat_map(|r| r.attempts.iter().rev()).map(|a| a.hash).collect()
    }

    /// Decides on one look at the chain.
    pub fn step(&mut self, seen: &Observation) -> Action {
        let Some(record) = self.record.as_mut() else { return Action::Idle };
        if let Some(inclusion) = seen.inclusion {
            record.inclusion = Some(inclusion);
            record.nonce_off_since = None;
            return self.included(inclusion, seen.block);
        }
        // Seen mined before and not now: a reorganisation took it out, and the pool need not have it.
        let reorganised = record.inclusion.take().is_some();
        let market = self.policy.market(seen);
        let (Some(nonce), Some(last)) = (record.nonce, record.attempts.last().copied()) else {
            record.nonce = Some(seen.next_nonce);
            return Action::Sign { nonce: seen.next_nonce, fees: market };
        };
        if seen.next_nonce != nonce && !(reorganised && seen.next_nonce < nonce) {
            return self.nonce_off(seen, market);
        }
        record.nonce_off_since = None;
        if std::mem::take(&mut self.resend) || reorganised {
            return Action::Sign { nonce, fees: last.fees };
        }
        let due = seen.block >= last.block.saturating_add(self.policy.bump_after);
        // A chain below the block of the last attempt lost blocks: the pool may have lost the transaction too.
        let rewound = seen.block < last.block;
        if rewound {
            Action::Sign { nonce, fees: last.fees }
        } else if due || std::mem::take(&mut self.bump_now) {
            Action::Sign { nonce, fees: self.bumped(market) }
        } else {
            Action::Wait
        }
    }

    /// Notes what is about to be broadcast.
    pub fn signed(&mut self, attempt: Attempt) {
        let Some(record) = self.record.as_mut() else { return };
        match record.attempts.iter_mut().find(|a| a.hash == attempt.hash) {
            Some(known) => *known = attempt,
            None => record.attempts.push(attempt),
        }
    }

    /// Notes how the broadcast went.
    pub fn sent(&mut self, fault: Option<&SendFault>) {
        use SendFault as F;
        // Underpriced: a dearer transaction holds the nonce (of ours, from before a lost journal). Double again.
        self.bump_now = matches!(fault, Some(F::Underpriced | F::FeeTooLow | F::Funds(_)));
        let last = self.record.as_mut().and_then(|r| r.attempts.last_mut());
        if let (Some(F::Funds(_)), Some(last)) = (fault, last) {
            last.taken = false;
        }
    }

    /// Where the transaction stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let Some(record) = &self.record else { return Status::Idle };
        if let Some(inclusion) = record.inclusion {
            return Status::Included(inclusion);
        }
        Status::Waiting {
            attempts: record.attempts.len(),
            fees: record.attempts.last().map(|a| a.fees).unwrap_or_default(),
            at_cap: self.at_cap,
        }
    }

    fn included(&mut self, inclusion: Inclusion, block: u64) -> Action {
        if block < inclusion.block.saturating_add(self.policy.confirmations) {
            return Action::Wait;
        }
        let attempts = self.record.take().map_or(0, |r| r.attempts.len());
        Action::Done(Outcome { inclusion, attempts })
    }

    /// The account's nonce is not ours, and none of ours is mined as far as the endpoint knows: it is used by another
    /// program, or a reorganisation took away an earlier transaction. Wait for a receipt, then take the nonce that is due.
    /// Posting twice is harmless (the inbox refuses what it has), so a wrong guess costs gas and nothing else.
    fn nonce_off(&mut self, seen: &Observation, market: Fees) -> Action {
        let Some(record) = self.record.as_mut() else { return Action::Idle };
        let since = *record.nonce_off_since.get_or_insert(seen.block);
        if seen.block < since.saturating_add(self.policy.nonce_grace) {
            return Action::Wait;
        }
        record.nonce = Some(seen.next_nonce);
        record.nonce_off_since = None;
        record.attempts.clear();
        self.at_cap = false;
        Action::Sign { nonce: seen.next_nonce, fees: market }
    }

    /// Twice the last fees that a pool took and at least the market's; the same again if that exceeds the cap.
    fn bumped(&mut self, market: Fees) -> Fees {
        let mut attempts = self.record.iter().flat_map(|r| r.attempts.iter().rev());
        let Some(last) = attempts.find(|a| a.taken).map(|a| a.fees) else { return market };
        let next = last.doubled().max(market);
        self.at_cap = !next.within(self.policy.cap);
        if self.at_cap { last } else { next }
    }
}

impl Policy {
    /// What to offer now: room for the base fees to double.
    fn market(&self, seen: &Observation) -> Fees {
        let tip = seen.tip.max(self.min_tip).min(self.cap.tip);
        let fees = Fees {
            max_fee: seen.base_fee.saturating_mul(2).saturating_add(tip),
            tip,
            blob_fee: seen.blob_base_fee.saturating_mul(2).max(1),
        };
        fees.min(self.cap)
    }
}
