//! With what a block was executed, and what a follower says of it for each.
//!
//! Invariant: what is said for a client outside was confirmed by that client: two slots of the oracle that are named after two
//! implementations never rest on one.

use super::{BlockAt, Completed};
use crate::external::{Chain, EngineHealth, EngineSeen};
use alloy_primitives::Address;
use clap::ValueEnum;
use rota_l1::SlotOnL1;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// With what blocks are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Implementation {
    /// revm, in the follower itself.
    Revm,
    /// A client outside that checks every block by the Engine API.
    Engine,
}

/// No slot stands for an implementation. The asker's fault, or that of who deployed the oracle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such slot of the oracle takes bonds and says that it is re-execution {0}")]
pub struct NoSlot(&'static str);

impl Implementation {
    /// The word used everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Revm => "revm",
            Self::Engine => "engine",
        }
    }

    /// The words in a slot's basis that are for it.
    const fn words(self) -> &'static str {
        match self {
            Self::Revm => "with revm",
            Self::Engine => "with an independent Ethereum client",
        }
    }

    /// The slot asked for, or the first that is named after this implementation.
    ///
    /// # Errors
    /// There is none, or the one asked for is named after another.
    pub fn slot(self, asked: Option<Address>, slots: &[SlotOnL1]) -> Result<Address, NoSlot> {
        let says = |s: &SlotOnL1| s.basis.contains(self.words());
        let fits = |s: &&SlotOnL1| asked.is_none_or(|a| a == s.address);
        let mut named = slots.iter().filter(fits).filter(|s| s.bonds.is_some() && says(s));
        named.next().map(|s| s.address).ok_or(NoSlot(self.words()))
    }
}

/// What a client outside has confirmed.
#[derive(Debug, Clone)]
pub struct Confirmed {
    health: Arc<EngineHealth>,
    chain: Arc<dyn Chain>,
}

impl Confirmed {
    /// Of the client that is led along this chain.
    #[must_use]
    pub fn new(health: Arc<EngineHealth>, chain: Arc<dyn Chain>) -> Self {
        Self { health, chain }
    }

    fn has(&self, number: u64) -> bool {
        has(&self.health.seen(), &*self.chain, number)
    }
}

/// A head that it called valid holds all blocks below, if it is on the chain as it is derived now.
fn has(seen: &EngineSeen, chain: &dyn Chain, number: u64) -> bool {
    seen.head >= number && chain.hash(seen.head) == Some(seen.hash)
}

/// What a follower computed, with revm and with the client that it leads, if there is one.
#[derive(Debug, Clone)]
pub struct Computed {
    completed: Completed,
    client: Option<Confirmed>,
}

impl Computed {
    /// From the derivation's book.
    #[must_use]
    pub const fn new(completed: Completed, client: Option<Confirmed>) -> Self {
        Self { completed, client }
    }

    /// The newest block that L1 up to this block completes, as an implementation computed it, or all that there are. None while
    /// it has not, or is not there.
    #[must_use]
    pub fn at(&self, l1_block: u64, by: Option<Implementation>) -> Option<BlockAt> {
        let block = self.completed.at(l1_block)?;
        let confirmed = |c: &Confirmed| c.has(block.block_number.to());
        let good = match by {
            Some(Implementation::Revm) => true,
            Some(Implementation::Engine) => self.client.as_ref().is_some_and(confirmed),
            None => self.client.as_ref().is_none_or(confirmed),
        };
        good.then_some(block)
    }

    /// What there is.
    #[must_use]
    pub fn implementations(&self) -> Vec<Implementation> {
        let client = self.client.as_ref().map(|_| Implementation::Engine);
        std::iter::once(Implementation::Revm).chain(client).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::external::{EngineBlock, Target};
    use alloy_primitives::{B256, U256};

    /// A derived chain of one block in each place.
    #[derive(Debug)]
    struct Derived;

    impl Chain for Derived {
        fn target(&self) -> Target {
            unreachable!("nobody asks for it")
        }
        fn genesis(&self) -> B256 {
            B256::ZERO
        }
        fn hash(&self, number: u64) -> Option<B256> {
            (number < 10).then(|| B256::from(U256::from(number)))
        }
        fn block(&self, _: u64) -> Option<Arc<EngineBlock>> {
            None
        }
    }

    #[test]
    fn a_client_stands_for_what_is_below_its_head_on_the_chain_as_it_is() {
        let seen = |head: u64, hash: u64| EngineSeen {
            head,
            hash: B256::from(U256::from(hash)),
            ..EngineSeen::default()
        };
        assert!(has(&seen(5, 5), &Derived, 5) && has(&seen(5, 5), &Derived, 4));
        assert!(!has(&seen(5, 5), &Derived, 6), "it has not come so far");
        assert!(!has(&seen(5, 77), &Derived, 4), "its head was taken back by L1");
        assert!(!has(&seen(12, 12), &Derived, 4), "nothing is derived there any more");
        assert!(!has(
            &EngineSeen { head: 0, hash: B256::repeat_byte(1), ..seen(0, 0) },
            &Derived,
            0
        ));
    }

    #[test]
    fn a_slot_is_found_by_what_it_says_of_itself() {
        let slot = |i: u8, basis: &str, bonds: bool| SlotOnL1 {
            address: Address::repeat_byte(i),
            basis: basis.into(),
            bonds: bonds.then_some((U256::from(1), 10)),
        };
        let revm = "re-execution with revm in this project's derivation, bonded";
        let client =
            "re-execution of the derived blocks with an independent Ethereum client, bonded";
        let all = [slot(1, "proofs", false), slot(2, revm, true), slot(3, client, true)];
        let found = |i: Implementation, asked| i.slot(asked, &all).ok();
        assert_eq!(found(Implementation::Revm, None), Some(all[1].address));
        assert_eq!(found(Implementation::Engine, None), Some(all[2].address));
        assert_eq!(found(Implementation::Engine, Some(all[2].address)), Some(all[2].address));
        assert_eq!(found(Implementation::Engine, Some(all[1].address)), None);
        assert_eq!(
            Implementation::Revm.slot(None, &[slot(4, revm, false)]),
            Err(NoSlot("with revm"))
        );
    }
}
