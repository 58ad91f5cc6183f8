//! The Slasher contract as a reporter sees it: asking what it would say, where an offence stands, and what to send.
//!
//! Not for: deciding what to do next, nor for the penalty's arithmetic. Invariant: every answer is of one block of one endpoint.

mod claims;
mod worth;

pub use claims::{ClaimView, CourtClaim, claim_id};
pub use worth::Worth;

use crate::bindings::{EvidenceChecker, Oracle, Registry, Slasher};
use crate::endpoints::{Endpoints, Fault};
use crate::{L1Error, TxRequest};
use alloy::eips::BlockId;
use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{Filter, TransactionRequest};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent};
use std::sync::Arc;

/// Gas of a commitment and of taking out a reward, with room to spare.
const GAS_COMMIT: u64 = 100_000;
const GAS_WITHDRAW: u64 = 150_000;
const GAS_SETTLE: u64 = 1_500_000;
/// Of a transaction that leads from a proven block to an older one; with_gas finds out how much.
const GAS_ANCESTOR: u64 = 10_000_000;
/// Blocks in one log query: the strictest of the common public limits.
const LOG_RANGE: u64 = 500;
/// The most that one transaction may use on L1 (EIP-7825).
const GAS_CAP: u64 = 16_777_216;

/// Reads a Slasher contract.
#[derive(Debug, Clone)]
pub struct Court {
    endpoints: Arc<Endpoints>,
    slasher: Address,
}

/// What the contract would say to evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// The accused operator, by its number in the Registry.
    pub operator: U256,
    /// Names the offence.
    pub key: B256,
    /// It was slashed for already.
    pub processed: bool,
}

/// L1 blocks that the contract counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CourtWindows {
    /// After a commitment, in which it can be revealed.
    pub reveal: u64,
    /// After a reveal, in which an earlier committer can take the reward.
    pub contest: u64,
    /// After a reveal, in which claims are taken; then it can be settled.
    pub claims: u64,
}

/// An offence on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CourtOffence {
    /// Its id in the contract: the name of the offence as a number.
    pub id: U256,
    /// Names it.
    pub key: B256,
    /// The operator.
    pub operator: U256,
    /// Kind of the evidence (`rota_types::EvidenceKind`).
    pub kind: u8,
    /// What was taken from the operator, wei.
    pub seized: U256,
    /// Who gets the reward; zero for nobody.
    pub reporter: Address,
    /// Block of the commitment that the reward rests on; of the reveal if there was none.
    pub commit_block: u64,
    /// Block of the reveal.
    pub revealed: u64,
    /// Block from which it can be settled.
    pub settles: u64,
    /// Whether it is.
    pub settled: bool,
}

/// Where a case stands at one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CourtView {
    /// The newest block.
    pub block: u64,
    /// Block of the commitment, if it is there.
    pub committed: Option<u64>,
    /// The offence, if it was revealed.
    pub offence: Option<CourtOffence>,
}

impl Court {
    /// The contract at an address.
    #[must_use]
    pub const fn new(endpoints: Arc<Endpoints>, slasher: Address) -> Self {
        Self { endpoints, slasher }
    }

    /// The endpoints that it asks.
    #[must_use]
    pub fn endpoints(&self) -> Arc<Endpoints> {
        Arc::clone(&self.endpoints)
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.slasher
    }

    /// The Slasher that a Registry obeys.
    ///
    /// # Errors
    /// L1 does not answer, or there is no such contract.
    pub async fn of(endpoints: Arc<Endpoints>, registry: Address) -> Result<Self, L1Error> {
        let ask = move |p: RootProvider<Ethereum>| async move {
            Ok(Registry::new(registry, p).slasher().call().await?)
        };
        let slasher = endpoints.ask(ask).await?;
        Ok(Self { endpoints, slasher })
    }

    /// The blocks that it counts.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn windows(&self) -> Result<CourtWindows, L1Error> {
        let at = self.slasher;
        let ask = move |p: RootProvider<Ethereum>| async move {
            let contract = Slasher::new(at, p);
            Ok(CourtWindows {
                reveal: contract.revealBlocks().call().await?,
                contest: contract.contestBlocks().call().await?,
                claims: contract.claimsBlocks().call().await?,
            })
        };
        self.endpoints.ask(ask).await
    }

    /// Judges evidence by the contract itself, without a transaction.
    ///
    /// # Errors
    /// `Refused` names why it shows no offence.
    pub async fn check(&self, evidence: &Bytes) -> Result<Ruling, L1Error> {
        let at = self.slasher;
        let ask = move |p: RootProvider<Ethereum>| async move {
            let v = Slasher::new(at, p).check(evidence.clone()).call().await?;
            Ok(Ruling { operator: v.operator, key: v.key, processed: v.processed })
        };
        self.endpoints.ask(ask).await
    }

    /// The oracle that evidence about execution is held against; none where the rollup has none.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn oracle(&self) -> Result<Option<Address>, L1Error> {
        let at = self.slasher;
        let ask = move |p: RootProvider<Ethereum>| async move {
            let checker = Slasher::new(at, p.clone()).checker().call().await?;
            Ok(EvidenceChecker::new(checker, p).oracle().call().await?)
        };
        Ok(Some(self.endpoints.ask(ask).await?).filter(|oracle| !oracle.is_zero()))
    }

    /// The hash of a block of the rollup on which slots of the oracle agreed; none if there is none.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn agreed(&self, l2_block: u64) -> Result<Option<B256>, L1Error> {
        let Some(oracle) = self.oracle().await? else { return Ok(None) };
        let ask = move |p: RootProvider<Ethereum>| async move {
            Ok(Oracle::new(oracle, p).agreedHash(l2_block).call().await?)
        };
        Ok(Some(self.endpoints.ask(ask).await?).filter(|hash| !hash.is_zero()))
    }

    /// Leads from a proven block, the first of these RLP headers, to the parent of the last.
    #[must_use]
    pub fn prove_ancestor(oracle: Address, l2_block: u64, headers: Vec<Bytes>) -> TxRequest {
        let input = Oracle::proveAncestorCall { l2Block: l2_block, headers }.abi_encode().into();
        let (gas_limit, value) = (GAS_ANCESTOR, U256::ZERO);
        TxRequest { to: oracle, input, value, gas_limit, payload: None }
    }

    /// Where the offence `key` and an own commitment stand.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn view(&self, key: B256, commitment: B256) -> Result<CourtView, L1Error> {
        let at = self.slasher;
        let ask = move |p: RootProvider<Ethereum>| async move {
            let block = p.get_block_number().await?;
            let id = BlockId::number(block);
            let contract = Slasher::new(at, p.clone());
            let made = contract.commitBlock(commitment).block(id).call().await?;
            let number = contract.offenceOf(key).block(id).call().await?;
            let offence = Self::read(&p, at, number, id).await?;
            Ok(CourtView { block, committed: (made > 0).then_some(made), offence })
        };
        self.endpoints.ask(ask).await
    }

    /// All offences revealed in the blocks from `from` on, in order.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn offences(&self, from: u64) -> Result<Vec<CourtOffence>, L1Error> {
        let at = self.slasher;
        let ask = move |p: RootProvider<Ethereum>| async move {
            let head = p.get_block_number().await?;
            let id = BlockId::number(head);
            let mut all = Vec::new();
            let mut start = from;
            while start <= head {
                let end = start.saturating_add(LOG_RANGE - 1).min(head);
                let filter = Filter::new()
                    .address(at)
                    .event_signature(Slasher::Slashed::SIGNATURE_HASH)
                    .from_block(start)
                    .to_block(end);
                for log in p.get_logs(&filter).await? {
                    let event = Slasher::Slashed::decode_log(&log.inner)
                        .map_err(|e| Fault::Endpoint(format!("event of the slasher: {e}")))?;
                    all.extend(Self::read(&p, at, event.offence, id).await?);
                }
                start = end.saturating_add(1);
            }
            Ok(all)
        };
        self.endpoints.ask(ask).await
    }

    async fn read(
        p: &RootProvider<Ethereum>,
        at: Address,
        number: U256,
        id: BlockId,
    ) -> Result<Option<CourtOffence>, Fault> {
        if number.is_zero() {
            return Ok(None);
        }
        let contract = Slasher::new(at, p);
        let o = match contract.offence(number).block(id).call().await {
            Ok(offence) => offence,
            Err(e) if e.as_revert_data().is_some() => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        if o.revealedAt == 0 {
            return Ok(None);
        }
        let settles = contract.settlesAt(number).block(id).call().await?;
        Ok(Some(CourtOffence {
            id: number,
            key: o.key,
            operator: o.operator,
            kind: o.kind,
            seized: o.seized,
            reporter: o.reporter,
            commit_block: o.commitBlock,
            revealed: o.revealedAt,
            settles,
            settled: o.settled,
        }))
    }

    /// What an account can take out, wei.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn credit(&self, account: Address) -> Result<U256, L1Error> {
        let at = self.slasher;
        let ask = move |p: RootProvider<Ethereum>| async move {
            Ok(Slasher::new(at, p).credit(account).call().await?)
        };
        self.endpoints.ask(ask).await
    }

    /// Gas that a transaction would use now, and half as much again.
    ///
    /// # Errors
    /// `Refused` names why it would revert.
    pub async fn with_gas(&self, from: Address, request: TxRequest) -> Result<TxRequest, L1Error> {
        let call = TransactionRequest::default()
            .from(from)
            .to(request.to)
            .value(request.value)
            .input(request.input.clone().into());
        let call = &call;
        let ask =
            move |p: RootProvider<Ethereum>| async move { Ok(p.estimate_gas(call.clone()).await?) };
        let gas = self.endpoints.ask(ask).await?;
        let gas_limit = gas.saturating_add(gas / 2).min(GAS_CAP);
        Ok(TxRequest { gas_limit, ..request })
    }

    /// Announces evidence without showing it.
    #[must_use]
    pub fn commit(&self, commitment: B256) -> TxRequest {
        self.request(Slasher::commitCall { commitment }.abi_encode(), GAS_COMMIT)
    }

    /// Shows the evidence of an own commitment.
    #[must_use]
    pub fn reveal(&self, evidence: Bytes, salt: B256) -> TxRequest {
        self.request(Slasher::revealCall { evidence, salt }.abi_encode(), GAS_CAP)
    }

    /// Shows evidence without a commitment, for no reward.
    #[must_use]
    pub fn report(&self, evidence: Bytes) -> TxRequest {
        self.request(Slasher::reportCall { evidence }.abi_encode(), GAS_CAP)
    }

    /// Takes the reward over from a later committer.
    #[must_use]
    pub fn contest(&self, id: U256, evidence: Bytes, salt: B256) -> TxRequest {
        let call = Slasher::contestCall { id, evidence, salt };
        self.request(call.abi_encode(), GAS_CAP)
    }

    /// Shares out the penalty.
    #[must_use]
    pub fn settle(&self, id: U256) -> TxRequest {
        self.request(Slasher::settleCall { id }.abi_encode(), GAS_SETTLE)
    }

    /// Takes out what is credited to the sender.
    #[must_use]
    pub fn withdraw(&self, to: Address) -> TxRequest {
        self.request(Slasher::withdrawCall { to }.abi_encode(), GAS_WITHDRAW)
    }

    fn request(&self, call: Vec<u8>, gas_limit: u64) -> TxRequest {
        let (to, value) = (self.slasher, U256::ZERO);
        TxRequest { to, input: call.into(), value, gas_limit, payload: None }
    }
}
