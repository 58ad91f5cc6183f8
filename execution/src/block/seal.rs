//! The end of a block: roots, header, hash and what to write down.

use std::sync::Arc;

use alloy_consensus::{
    Block, BlockBody, EMPTY_OMMER_ROOT_HASH, Header, TxEnvelope, TxReceipt, proofs,
};
use alloy_eips::{
    eip2718::Encodable2718,
    eip4895::{Withdrawal, Withdrawals},
    eip7685::Requests,
};
use alloy_primitives::{B64, B256, Bloom, U256};
use alloy_trie::root::ordered_trie_root_with_encoder;

use super::{Head, Included, OpenBlock, system};
use crate::{ExecutionError, StateDiff};

/// A finished block: a standard Ethereum block, its results, and the state after it.
#[derive(Clone, Debug)]
pub struct ExecutedBlock {
    /// Header, hash and state: what the next block is opened on.
    pub head: Head,
    /// The transactions with senders and receipts, in order.
    pub included: Vec<Arc<Included>>,
    /// Deposits from L1.
    pub withdrawals: Vec<Withdrawal>,
    /// Requests of EIP-7685; normally none.
    pub requests: Requests,
    /// Everything the block changed in the state.
    pub diff: StateDiff,
}

impl ExecutedBlock {
    /// The block hash.
    #[must_use]
    pub const fn hash(&self) -> B256 {
        self.head.hash
    }

    /// The block as Ethereum clients exchange it; RLP-encode it for `debug_getRawBlock` or an
    /// Engine API.
    #[must_use]
    pub fn to_block(&self) -> Block<TxEnvelope> {
        let body = BlockBody {
            transactions: self
                .included
                .iter()
                .map(|included| included.transaction.clone())
                .collect(),
            ommers: Vec::new(),
            withdrawals: Some(Withdrawals::new(self.withdrawals.clone())),
        };
        Block::new(self.head.header.clone(), body)
    }
}

impl OpenBlock {
    /// Ends the block: pays the deposits, makes the closing system calls, computes all roots and
    /// the hash.
    ///
    /// # Errors
    /// [`ExecutionError::SystemContract`] if a closing call fails; others only if the state is
    /// damaged.
    pub fn seal(mut self, extra_data: B256) -> Result<ExecutedBlock, ExecutionError> {
        let requests = system::after_transactions(&mut self)?;
        let Self { parent, env, context, progress } = self;
        let mut state = progress.state;
        let diff = state.diff_since(&parent.state);
        state.start_over();
        let included: Vec<_> = progress.included.into_iter().collect();
        let header = Header {
            parent_hash: parent.hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: env.fee_recipient,
            state_root: state.root(),
            transactions_root: ordered_trie_root_with_encoder(&included, |included, out| {
                included.transaction.encode_2718(out);
            }),
            receipts_root: ordered_trie_root_with_encoder(&included, |included, out| {
                included.receipt.encode_2718(out);
            }),
            logs_bloom: included
                .iter()
                .fold(Bloom::ZERO, |bloom, included| bloom | included.receipt.bloom()),
            difficulty: U256::ZERO,
            number: env.number,
            gas_limit: env.gas_limit,
            gas_used: progress.gas_used,
            timestamp: env.timestamp_s,
            extra_data: extra_data.into(),
            mix_hash: env.prev_randao,
            nonce: B64::ZERO,
            base_fee_per_gas: Some(context.base_fee),
            withdrawals_root: Some(proofs::calculate_withdrawals_root(&env.withdrawals)),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(env.parent_beacon_block_root),
            requests_hash: Some(requests.requests_hash()),
            ..Header::default()
        };
        Ok(ExecutedBlock {
            head: Head { hash: header.hash_slow(), header, state },
            included,
            withdrawals: env.withdrawals.clone(),
            requests,
            diff,
        })
    }
}
