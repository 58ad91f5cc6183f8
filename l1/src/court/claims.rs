//! Claims of insured users against an offence, as the Slasher contract has them, and what to send for them.
//!
//! Not for: what shows the harm (`types`). Invariant: the id of a claim is computed as the contract does, so that one which was
//! made is found again without its receipt.

use super::{Court, CourtOffence, GAS_CAP};
use crate::bindings::Slasher;
use crate::{L1Error, TxRequest};
use alloy::eips::BlockId;
use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use rota_types::{Claim, Domain, Encode, Reversion};

/// A claim that is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CourtClaim {
    /// Who is paid.
    pub beneficiary: Address,
    /// What is insured, wei; zero once it is collected.
    pub amount: U256,
}

/// Where an insured transaction stands with an offence, at one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimView {
    /// The newest block.
    pub block: u64,
    /// The offence.
    pub offence: CourtOffence,
    /// The claim, if it was made.
    pub claim: Option<CourtClaim>,
}

impl Court {
    /// Shows that acked frames were reverted because of an offence. The gas limit of these three is for `with_gas` to find.
    #[must_use]
    pub fn prove_reverted(&self, id: U256, reversion: &Reversion) -> TxRequest {
        let call = Slasher::proveRevertedCall { id, proof: reversion.encode().into() };
        self.request(call.abi_encode(), GAS_CAP)
    }

    /// Registers the insured amount of a transaction in reverted frames.
    #[must_use]
    pub fn claim(&self, id: U256, claim: &Claim) -> TxRequest {
        let call = Slasher::claimCall { id, claim_: claim.encode().into() };
        self.request(call.abi_encode(), GAS_CAP)
    }

    /// Credits a claim whose offence is settled.
    #[must_use]
    pub fn collect(&self, claim: B256) -> TxRequest {
        self.request(Slasher::collectCall { claimId: claim }.abi_encode(), GAS_CAP)
    }

    /// Where the transaction of `claim` stands with an offence; none if L1 does not know the offence, any more or yet.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn claim_view(&self, id: U256, claim: B256) -> Result<Option<ClaimView>, L1Error> {
        let at = self.slasher;
        let ask = move |p: RootProvider<Ethereum>| async move {
            let block = p.get_block_number().await?;
            let seen = BlockId::number(block);
            let Some(offence) = Self::read(&p, at, id, seen).await? else { return Ok(None) };
            let made = Slasher::new(at, &p).claimOf(claim).block(seen).call().await?;
            let claim = CourtClaim { beneficiary: made.beneficiary, amount: made.amount };
            let claim = Some(claim).filter(|c| !c.beneficiary.is_zero());
            Ok(Some(ClaimView { block, offence, claim }))
        };
        self.endpoints.ask(ask).await
    }
}

/// Id of the claim for a transaction: `keccak(abi.encode(offence, keccak(abi.encode(frame hash, index))))`.
#[must_use]
pub fn claim_id(offence: U256, claim: &Claim, domain: &Domain) -> Option<B256> {
    let frame = claim.chain.last()?.hash(domain);
    let place = keccak256((frame, U256::from(claim.position.index)).abi_encode());
    Some(keccak256((offence, place).abi_encode()))
}
