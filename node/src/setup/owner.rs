//! The owner's side of the registry: who is where on its way through the sets, and calls that are tried before they are
//! sent.
//!
//! Not for: keys of nodes. Invariant: what a call would do is asked of L1 before anything is paid for, from the account that
//! would send it.

use super::{OnL1, SetupError, provider, unavailable};
use alloy::{
    eips::BlockId, providers::Provider, rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use rota_l1::{L1, L1Error, Outcome, Refusal, TxRequest, bindings::Registry};

/// Operators asked for at once.
const PAGE: u64 = 64;
/// Blocks over which the time of one is measured.
const SPAN: u64 = 64;

/// Where an operator is on its way through the sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Waits for a seat.
    Queued,
    /// In the newest frozen set.
    Active,
    /// Asked to leave, or left and waits for its stake.
    Exiting,
    /// Its stake can be taken out.
    Withdrawable,
    /// Paid out.
    Gone,
    /// Slashed: out for ever.
    Jailed,
}

impl Standing {
    const fn of(state: u8) -> Option<Self> {
        Some(match state {
            1 => Self::Queued,
            2 => Self::Active,
            3 => Self::Exiting,
            4 => Self::Withdrawable,
            5 => Self::Gone,
            6 => Self::Jailed,
            _ => return None,
        })
    }
}

/// An operator as L1 has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorOnL1 {
    /// Its number: the place in the order of registrations.
    pub id: u64,
    /// The cold account.
    pub owner: Address,
    /// Wei.
    pub stake: U256,
    /// Address of the vote key in force.
    pub vote_key: Address,
    /// Sequencer key in force.
    pub seq_key: B256,
    /// Keys that wait for their epoch, and that epoch.
    pub rotating: Option<(Address, B256, u64)>,
    /// First epoch whose set it may enter.
    pub from_epoch: u64,
    /// First epoch whose set it may leave, once it asked to.
    pub until_epoch: u64,
    /// Account for fees.
    pub fee_recipient: Address,
    /// Where peers dial it.
    pub peer: String,
    /// Where it is on its way.
    pub standing: Standing,
    /// First L1 block in which the stake can be taken out; none while it is in the newest set.
    pub unlocks: Option<u64>,
}

/// What the registry's deployment fixed, and where L1 is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calendar {
    /// Least stake, wei.
    pub min_stake: U256,
    /// Largest share of one operator, hundredths of a percent.
    pub max_share_bps: u64,
    /// L1 blocks of an epoch.
    pub epoch_blocks: u64,
    /// Epochs between leaving and the release of the stake.
    pub unbond_epochs: u64,
    /// L1 block in which the first set was frozen; 0 before.
    pub base: u64,
    /// The epoch of the newest block.
    pub epoch: u64,
    /// The newest epoch with a set of its own.
    pub last_frozen: u64,
    /// The newest L1 block.
    pub block: u64,
    /// Its time, seconds.
    pub time: u64,
    /// Milliseconds between two blocks, as measured.
    pub block_ms: u64,
}

impl OperatorOnL1 {
    /// Whether a vote key is its own, in force or waiting for its epoch.
    #[must_use]
    pub fn has(&self, vote_key: Address) -> bool {
        self.vote_key == vote_key || self.rotating.is_some_and(|(next, ..)| next == vote_key)
    }
}

impl Calendar {
    /// First L1 block of an epoch.
    #[must_use]
    pub const fn start(&self, epoch: u64) -> u64 {
        if epoch == 0 {
            0
        } else {
            self.base.saturating_add(epoch.saturating_mul(self.epoch_blocks))
        }
    }

    /// Seconds until an L1 block, about.
    #[must_use]
    pub const fn seconds_until(&self, block: u64) -> u64 {
        block.saturating_sub(self.block).saturating_mul(self.block_ms) / 1_000
    }
}

impl OnL1<'_> {
    /// The registry's clock and terms.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn calendar(&self) -> Result<Calendar, SetupError> {
        let p = provider(self.urls, None)?;
        let r = Registry::new(self.network.registry, p.clone());
        let failed = |e: alloy::contract::Error| unavailable(e, self.urls);
        let head = self.l1.block(rota_l1::At::Latest).await?.ok_or(L1Error::NoBlock(0))?;
        let span = SPAN.min(head.number);
        let past = p.get_block_by_number(head.number.saturating_sub(span).into()).await;
        let past = past.map_err(|e| unavailable(e, self.urls))?;
        let time = past.map_or(head.timestamp, |b| b.header.timestamp);
        let passed = head.timestamp.saturating_sub(time).saturating_mul(1_000);
        let number = |v: U256| u64::try_from(v).unwrap_or(u64::MAX);
        Ok(Calendar {
            min_stake: r.minStake().call().await.map_err(failed)?,
            max_share_bps: number(r.maxShareBps().call().await.map_err(failed)?),
            epoch_blocks: r.epochBlocks().call().await.map_err(failed)?,
            unbond_epochs: r.unbondEpochs().call().await.map_err(failed)?,
            base: r.base().call().await.map_err(failed)?,
            epoch: r.currentEpoch().call().await.map_err(failed)?,
            last_frozen: r.lastFrozen().call().await.map_err(failed)?,
            block: head.number,
            time: head.timestamp,
            block_ms: passed.checked_div(span).unwrap_or(0),
        })
    }

    /// All operators, in the order of registrations.
    ///
    /// # Errors
    /// L1 does not answer.
    pub async fn operators(&self) -> Result<Vec<OperatorOnL1>, SetupError> {
        let r = Registry::new(self.network.registry, provider(self.urls, None)?);
        let failed = |e: alloy::contract::Error| unavailable(e, self.urls);
        let count = r.operatorCount().call().await.map_err(failed)?;
        let mut out = Vec::new();
        let mut id = 0u64;
        while U256::from(id) < count {
            let page =
                r.operators(U256::from(id), U256::from(PAGE)).call().await.map_err(failed)?;
            if page.is_empty() {
                break;
            }
            for o in page {
                let place = U256::from(id);
                let state = r.stateOf(place).call().await.map_err(failed)?;
                let unlocks = r.unlocksAt(place).call().await.map_err(failed)?;
                let rotation = r.rotationOf(place).call().await.map_err(failed)?;
                out.extend(shown(id, o, (state, unlocks, rotation)));
                id = id.saturating_add(1);
            }
        }
        Ok(out)
    }

    /// What a call would do, asked of L1 without sending it.
    ///
    /// # Errors
    /// [`Refusal`] in words.
    pub async fn attempt(&self, from: Address, request: &TxRequest) -> Result<(), SetupError> {
        let p = provider(self.urls, None)?;
        let call = TransactionRequest::default()
            .from(from)
            .to(request.to)
            .value(request.value)
            .input(request.input.clone().into());
        match p.call(call).block(BlockId::latest()).await {
            Ok(_) => Ok(()),
            Err(e) => Err(self.named(&e)),
        }
    }

    /// Tries a call, sends it and waits until it is mined.
    ///
    /// # Errors
    /// [`Refusal`] in words before anything is paid for.
    pub async fn call(
        &self,
        owner: &PrivateKeySigner,
        request: TxRequest,
    ) -> Result<Outcome, SetupError> {
        self.attempt(owner.address(), &request).await?;
        self.send(owner, request).await
    }

    fn named(&self, e: &alloy::transports::TransportError) -> SetupError {
        let data: Option<Bytes> = e.as_error_resp().and_then(|r| r.as_revert_data());
        match data.as_ref().map(|d| Refusal::decode(d)) {
            Some(Some(refusal)) => L1Error::Refused(refusal).into(),
            Some(None) => L1Error::Reverted(data.unwrap_or_default().to_string()).into(),
            None if e.to_string().to_lowercase().contains("insufficient funds") => {
                rota_l1::TxError::Funds("the account has less than the value and gas".into()).into()
            }
            None => unavailable(e, self.urls).into(),
        }
    }
}

fn shown(
    id: u64,
    o: Registry::Operator,
    (state, unlocks, rotation): (u8, U256, Registry::Rotation),
) -> Option<OperatorOnL1> {
    let standing = Standing::of(state)?;
    let rotating = o.rotating.then_some((rotation.voteKey, rotation.seqKey, rotation.fromEpoch));
    Some(OperatorOnL1 {
        id,
        owner: o.owner,
        stake: U256::from(o.stake),
        vote_key: o.voteKey,
        seq_key: o.seqKey,
        rotating,
        from_epoch: o.fromEpoch.into(),
        until_epoch: o.untilEpoch.into(),
        fee_recipient: o.feeRecipient,
        peer: String::from_utf8_lossy(&o.peer).into_owned(),
        standing,
        unlocks: u64::try_from(unlocks).ok(),
    })
}
