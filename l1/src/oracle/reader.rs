//! Asking the oracle and its slots.
//!
//! Invariant: `view` is of one block of one endpoint; every other answer is of the newest block that the endpoint asked has, and
//! two of them need not be of the same.

use super::{BondedOutput, Checkpoint, FinalOutput, OpenStep, OracleView, ProvenTip, SlotOnL1};
use crate::L1Error;
use crate::bindings::{BondedSlot, Oracle, Safe};
use crate::endpoints::{Endpoints, Fault};
use alloy::eips::BlockId;
use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{Filter, Log};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use std::sync::Arc;

/// Blocks in one log query: the strictest of the common public limits.
const LOG_RANGE: u64 = 500;
/// What a council needs, as in `Council.sol`.
const MEMBERS: usize = 8;

/// Reads an oracle.
#[derive(Debug, Clone)]
pub struct Outputs {
    endpoints: Arc<Endpoints>,
    oracle: Address,
}

impl Outputs {
    /// The contract at an address.
    #[must_use]
    pub const fn new(endpoints: Arc<Endpoints>, oracle: Address) -> Self {
        Self { endpoints, oracle }
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.oracle
    }

    /// What hashes of outputs cover besides them.
    ///
    /// # Errors
    /// L1 does not answer, or there is no such contract.
    pub async fn domain(&self) -> Result<B256, L1Error> {
        let at = self.oracle;
        let ask = move |p: RootProvider<Ethereum>| async move {
            Ok(Oracle::new(at, p).domain().call().await?)
        };
        self.endpoints.ask(ask).await
    }

    /// L1 blocks between checkpoints, and those after which one counts.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn rules(&self) -> Result<(u64, u64), L1Error> {
        let at = self.oracle;
        let ask = move |p: RootProvider<Ethereum>| async move {
            let oracle = Oracle::new(at, p);
            Ok((oracle.intervalBlocks().call().await?, oracle.finalBlocks().call().await?))
        };
        self.endpoints.ask(ask).await
    }

    /// Everything as of the newest L1 block.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn view(&self) -> Result<OracleView, L1Error> {
        let at = self.oracle;
        let ask = move |p: RootProvider<Ethereum>| async move {
            let block = p.get_block_number().await?;
            let id = BlockId::number(block);
            let oracle = Oracle::new(at, p.clone());
            let council = oracle.council().block(id).call().await?;
            let standing = oracle.standing().block(id).call().await?;
            let open = (standing.step > 0).then_some(OpenStep {
                step: standing.step,
                candidates: standing.candidates,
                disputed: standing.disputed,
                stuck_at_s: standing.stuckAt,
            });
            let is_paused = oracle.withdrawalsPaused().block(id).call().await?;
            let until: u64 = oracle.pausedUntil().block(id).call().await?.saturating_to();
            Ok(OracleView {
                block,
                tip: Self::tip(&p, at, id).await?,
                open,
                last_checkpoint: oracle.lastCheckpoint().block(id).call().await?,
                slots: Self::slots(&p, at, id).await?,
                paused_until_s: if is_paused { until } else { 0 },
                council: (council, Self::is_council(&p, council, id).await?),
            })
        };
        self.endpoints.ask(ask).await
    }

    async fn tip(p: &RootProvider<Ethereum>, at: Address, id: BlockId) -> Result<ProvenTip, Fault> {
        let oracle = Oracle::new(at, p);
        let tip = oracle.tip().block(id).call().await?;
        Ok(ProvenTip {
            step: tip.step,
            output: oracle.outputOf(tip.step).block(id).call().await?,
            l2_block: tip.l2Block,
            l2_hash: oracle.provenHash(tip.l2Block).block(id).call().await?,
            height: tip.height,
            time_s: tip.time,
        })
    }

    async fn slots(
        p: &RootProvider<Ethereum>,
        at: Address,
        id: BlockId,
    ) -> Result<Vec<SlotOnL1>, Fault> {
        let mut slots = Vec::new();
        for address in Oracle::new(at, p).slots().block(id).call().await? {
            let slot = BondedSlot::new(address, p);
            let basis = slot.basis().block(id).call().await?;
            // Other kinds of slots take no bonds.
            let bonds = match slot.bond().block(id).call().await {
                Ok(bond) => Some((bond, slot.windowBlocks().block(id).call().await?)),
                Err(e) if is_absent(&e) => None,
                Err(e) => return Err(e.into()),
            };
            slots.push(SlotOnL1 { address, basis, bonds });
        }
        Ok(slots)
    }

    async fn is_council(
        p: &RootProvider<Ethereum>,
        council: Address,
        id: BlockId,
    ) -> Result<bool, Fault> {
        if p.get_code_at(council).block_id(id).await?.is_empty() {
            return Ok(false);
        }
        let safe = Safe::new(council, p);
        let (owners, threshold) = match (
            safe.getOwners().block(id).call().await,
            safe.getThreshold().block(id).call().await,
        ) {
            (Ok(owners), Ok(threshold)) => (owners.len(), threshold),
            (Err(e), _) | (_, Err(e)) if is_absent(&e) => return Ok(false),
            (Err(e), _) | (_, Err(e)) => return Err(e.into()),
        };
        let modules = safe.getModulesPaginated(Address::with_last_byte(1), U256::ONE);
        let modules = modules.block(id).call().await?.array.len();
        let enough = threshold.saturating_mul(U256::from(4))
            >= U256::from(owners).saturating_mul(U256::from(3));
        Ok(owners >= MEMBERS && enough && modules == 0)
    }

    /// A checkpoint; none if there is none of that number yet.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn checkpoint(&self, step: u64) -> Result<Option<Checkpoint>, L1Error> {
        let at = self.oracle;
        let ask = move |p: RootProvider<Ethereum>| async move {
            match Oracle::new(at, p).checkpointOf(step).call().await {
                Ok(c) => Ok(Some(Checkpoint {
                    step,
                    l1_block: c.l1Block,
                    l1_hash: c.l1Hash,
                    time_s: c.time,
                })),
                Err(e) if e.as_revert_data().is_some() => Ok(None),
                Err(e) => Err(e.into()),
            }
        };
        self.endpoints.ask(ask).await
    }

    /// Outputs that became final in the L1 blocks `from..=to`, in order.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn finalized(&self, from: u64, to: u64) -> Result<Vec<FinalOutput>, L1Error> {
        let oracles = &[self.oracle];
        let ask = move |p: RootProvider<Ethereum>| async move {
            let signature = Oracle::Finalized::SIGNATURE_HASH;
            let (logs, _) = logs(&p, oracles, signature, (from, to)).await?;
            let read = |log: &Log| {
                let event = Oracle::Finalized::decode_log(&log.inner).map_err(|e| nonsense(&e))?;
                Ok(FinalOutput {
                    hash: event.output,
                    output: event.data.value.into(),
                    by_council: event.data.byCouncil,
                    l1_block: log.block_number.unwrap_or_default(),
                })
            };
            logs.iter().map(read).collect::<Result<Vec<_>, Fault>>()
        };
        self.endpoints.ask(ask).await
    }

    /// Outputs bonded on some slots in the L1 blocks `from..=to`, in order.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn bonded(
        &self,
        slots: &[Address],
        blocks: (u64, u64),
    ) -> Result<Vec<BondedOutput>, L1Error> {
        let (mut all, _) = self.bonds(slots, blocks).await?;
        for bond in &mut all {
            bond.settled = self.is_settled(bond.slot, bond.hash).await?;
            let (at, step, parent) = (bond.slot, bond.output.step, bond.output.parent);
            let ask = move |p: RootProvider<Ethereum>| async move {
                Ok(BondedSlot::new(at, p).contested(step, parent).call().await?)
            };
            bond.contested = self.endpoints.ask(ask).await?;
        }
        Ok(all)
    }

    /// The same from the events alone: what became of them is not asked, `settled` and `contested` are false. With the last L1
    /// block that was read: the endpoint may know fewer than were asked for.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn bonds(
        &self,
        slots: &[Address],
        (from, to): (u64, u64),
    ) -> Result<(Vec<BondedOutput>, u64), L1Error> {
        let ask = move |p: RootProvider<Ethereum>| async move {
            let signature = BondedSlot::Bonded::SIGNATURE_HASH;
            let read = |log: &Log| {
                let event = BondedSlot::Bonded::decode_log(&log.inner).map_err(|e| nonsense(&e))?;
                Ok(BondedOutput {
                    slot: log.address(),
                    claimant: event.data.claimant,
                    hash: event.data.output,
                    output: event.data.value.into(),
                    l1_block: log.block_number.unwrap_or_default(),
                    settled: false,
                    contested: false,
                })
            };
            let (found, read_to) = logs(&p, slots, signature, (from, to)).await?;
            let bonds = found.iter().map(read).collect::<Result<Vec<_>, Fault>>()?;
            Ok((bonds, read_to))
        };
        self.endpoints.ask(ask).await
    }

    /// Whether the bond on an output was returned or divided.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn is_settled(&self, slot: Address, output: B256) -> Result<bool, L1Error> {
        let ask = move |p: RootProvider<Ethereum>| async move {
            Ok(BondedSlot::new(slot, p).bondOf(output).call().await?.settled)
        };
        self.endpoints.ask(ask).await
    }

    /// Whether the council may choose an output of a step that is in dispute.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn is_candidate(&self, step: u64, output: B256) -> Result<bool, L1Error> {
        let at = self.oracle;
        let ask = move |p: RootProvider<Ethereum>| async move {
            Ok(Oracle::new(at, p).isCandidate(step, output).call().await?)
        };
        self.endpoints.ask(ask).await
    }

    /// What was final to the oracle at the newest final L1 block, and that block's number; none if the oracle is younger.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn proven(&self) -> Result<Option<(u64, ProvenTip)>, L1Error> {
        let at = self.oracle;
        let ask = move |p: RootProvider<Ethereum>| async move {
            let Some(block) = p.get_block(BlockId::finalized()).await? else { return Ok(None) };
            let number = block.header.number;
            let id = BlockId::number(number);
            if p.get_code_at(at).block_id(id).await?.is_empty() {
                return Ok(None);
            }
            Ok(Some((number, Self::tip(&p, at, id).await?)))
        };
        self.endpoints.ask(ask).await
    }

    /// The first output that the oracle was shown of a slot in a step: its hash, zero for none.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn claimed(&self, step: u64, slot: Address) -> Result<B256, L1Error> {
        let at = self.oracle;
        let ask = move |p: RootProvider<Ethereum>| async move {
            Ok(Oracle::new(at, p).claimOf(step, slot).call().await?)
        };
        self.endpoints.ask(ask).await
    }

    /// Hash of the final output of a step; zero for none.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn output_of(&self, step: u64) -> Result<B256, L1Error> {
        let at = self.oracle;
        let ask = move |p: RootProvider<Ethereum>| async move {
            Ok(Oracle::new(at, p).outputOf(step).call().await?)
        };
        self.endpoints.ask(ask).await
    }

    /// What an account has to pay bonds and gas with, wei.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn balance(&self, account: Address) -> Result<U256, L1Error> {
        let ask = move |p: RootProvider<Ethereum>| async move { Ok(p.get_balance(account).await?) };
        self.endpoints.ask(ask).await
    }

    /// What a slot owes an account, wei.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn credit(&self, slot: Address, account: Address) -> Result<U256, L1Error> {
        let ask = move |p: RootProvider<Ethereum>| async move {
            Ok(BondedSlot::new(slot, p).creditOf(account).call().await?)
        };
        self.endpoints.ask(ask).await
    }
}

/// What was logged, and the last block that was read.
async fn logs(
    p: &RootProvider<Ethereum>,
    of: &[Address],
    signature: B256,
    (from, to): (u64, u64),
) -> Result<(Vec<Log>, u64), Fault> {
    let (mut all, mut start) = (Vec::new(), from);
    let to = to.min(p.get_block_number().await?);
    // A filter without addresses is one for all of them.
    if of.is_empty() {
        return Ok((all, to));
    }
    while start <= to {
        let end = start.saturating_add(LOG_RANGE - 1).min(to);
        let filter = Filter::new().address(of.to_vec()).event_signature(signature);
        all.extend(p.get_logs(&filter.from_block(start).to_block(end)).await?);
        start = end.saturating_add(1);
    }
    Ok((all, to))
}

/// The contract there has no such function.
fn is_absent(e: &alloy::contract::Error) -> bool {
    e.as_revert_data().is_some() || matches!(e, alloy::contract::Error::ZeroData(..))
}

fn nonsense(why: &dyn std::fmt::Display) -> Fault {
    Fault::Endpoint(format!("event of the oracle: {why}"))
}
