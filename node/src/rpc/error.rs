//! Errors as clients see them: codes of Ethereum clients where there is one, ours in 7001..7299 otherwise.

use crate::{submit::SubmitError, view::NoPromise};
use alloy_primitives::{B256, Bytes, hex};
use jsonrpsee::types::ErrorObjectOwned;
use rota_execution::{CallResult, CallStatus, ExecutionError};
use rota_preconf::Reject;
use rota_types::TxError;
use serde_json::{Value, json};

pub(super) const INVALID_PARAMS: i32 = -32602;
pub(super) const INTERNAL: i32 = -32603;
pub(super) const REFUSED: i32 = -32000;
pub(crate) const NOT_FOUND: i32 = -32001;
pub(super) const LIMIT: i32 = -32005;
pub(super) const SYNC_TIMEOUT: i32 = 4;
pub(super) const SYNC_NOT_READY: i32 = 5;
pub(super) const SYNC_NONCE_GAP: i32 = 6;
pub(super) const REVERTED: i32 = 3;
pub(super) const ALREADY_KNOWN: i32 = 1000;
pub(super) const STAGE_TIMEOUT: i32 = 7002;
pub(super) const TX_UNKNOWN: i32 = 7003;
pub(super) const PROMISE_PRUNED: i32 = 7004;
pub(super) const NOT_ACCEPTING: i32 = 7005;
pub(super) const STREAM_TOO_OLD: i32 = 7008;
pub(super) const STREAM_DIVERGED: i32 = 7009;
pub(super) const NOT_INSURABLE: i32 = 7010;
pub(super) const NOT_REVERTED: i32 = 7011;
pub(super) const NEVER: i32 = 7012;
pub(crate) const HEIGHT_PRUNED: i32 = 7102;

pub(super) fn plain(code: i32, message: impl Into<String>, hint: &str) -> ErrorObjectOwned {
    with_data(code, message, json!({ "hint": hint }))
}

pub(super) fn with_data(
    code: i32,
    message: impl Into<String>,
    mut data: Value,
) -> ErrorObjectOwned {
    if let Value::Object(map) = &mut data {
        map.entry("docs").or_insert_with(|| json!(format!("docs/rpc.md#error-{code}")));
    }
    ErrorObjectOwned::owned(code, message, Some(data))
}

pub(super) fn invalid(message: impl Into<String>, hint: &str) -> ErrorObjectOwned {
    plain(INVALID_PARAMS, message, hint)
}

pub(super) fn timeout(hash: B256, waited_ms: u64, reached: &str) -> ErrorObjectOwned {
    let message = format!(
        "the transaction was admitted ({reached}) but not confirmed within {waited_ms} ms; it may still be"
    );
    ErrorObjectOwned::owned(SYNC_TIMEOUT, message, Some(hash))
}

/// Why a transaction cannot be taken, from decoding.
pub(super) fn tx(error: &TxError) -> ErrorObjectOwned {
    match error {
        TxError::Malformed(_) | TxError::Signature => {
            invalid(error.to_string(), "send the signed transaction in its EIP-2718 encoding")
        }
        TxError::WrongChain { .. } => {
            let message = format!("invalid chain id: {error}");
            plain(REFUSED, message, "sign again with the chain id that eth_chainId gives")
        }
        TxError::Blob => plain(REFUSED, error.to_string(), "use an EIP-1559 transaction"),
        TxError::TooLarge { .. } | TxError::InitCode { .. } => {
            plain(REFUSED, format!("oversized data: {error}"), "split the call or shorten its data")
        }
        TxError::GasCap { .. } => {
            plain(REFUSED, error.to_string(), "lower the gas limit (EIP-7825)")
        }
        TxError::IntrinsicGas { .. } => {
            plain(REFUSED, error.to_string(), "raise the gas limit; eth_estimateGas gives one")
        }
        TxError::TipAboveFee => plain(
            REFUSED,
            "max priority fee per gas higher than max fee per gas",
            "lower the tip or raise the fee cap",
        ),
    }
}

/// Why a transaction was not taken.
pub(super) fn submit(error: &SubmitError) -> ErrorObjectOwned {
    match error {
        SubmitError::Invalid(error) => tx(error),
        SubmitError::Refused(reject) => refused(reject),
        SubmitError::NotAccepting { retry_after_ms, .. } => with_data(
            NOT_ACCEPTING,
            error.to_string(),
            json!({ "retryAfterMs": retry_after_ms, "hint": "try again later or use another node" }),
        ),
    }
}

fn refused(reject: &Reject) -> ErrorObjectOwned {
    let message = reject.to_string();
    match reject {
        Reject::NonceTooLow { state, .. } | Reject::NonceTooHigh { state, .. } => with_data(
            REFUSED,
            message,
            json!({ "nextNonce": format!("{state:#x}"), "hint": "ask eth_getTransactionCount and sign again" }),
        ),
        Reject::Underfunded { have, need } => with_data(
            REFUSED,
            format!("insufficient funds for gas * price + value: {message}"),
            json!({ "balance": have, "needed": need, "hint": "add funds or lower value, gas limit or fee cap" }),
        ),
        Reject::FeeTooLow { base_fee, .. } => with_data(
            REFUSED,
            format!("max fee per gas less than block base fee: {message}"),
            json!({ "baseFee": format!("{base_fee:#x}"), "hint": "raise the fee cap; eth_gasPrice gives one" }),
        ),
        Reject::ReplacementUnderpriced { need_fee, need_tip } => with_data(
            REFUSED,
            message,
            json!({
                "maxFeePerGas": format!("{need_fee:#x}"),
                "maxPriorityFeePerGas": format!("{need_tip:#x}"),
                "hint": "raise both fee cap and tip by a tenth, or use the next nonce"
            }),
        ),
        Reject::PremiumTooLow { need, .. } => with_data(
            REFUSED,
            message,
            json!({
                "premiumWei": need.to_string(),
                "hint": "raise maxPriorityFeePerGas, so that tip times gas limit is at least premiumWei, or insure less"
            }),
        ),
        Reject::InsuredTooMuch { most, .. } => with_data(
            NOT_INSURABLE,
            message,
            json!({ "freeWei": most.to_string(), "hint": "insure less, or wait for decided or finalized" }),
        ),
        Reject::AlreadyKnown => {
            plain(ALREADY_KNOWN, message, "it is waiting; preconf_getTransactionStatus shows it")
        }
        Reject::PerSenderLimit { limit } => with_data(
            LIMIT,
            message,
            json!({ "limit": limit, "hint": "wait until earlier transactions are included" }),
        ),
        Reject::Busy { retry_after_ms, len, capacity } => with_data(
            LIMIT,
            message,
            json!({
                "retryAfterMs": retry_after_ms, "queued": len, "capacity": capacity,
                "hint": "try again after retryAfterMs or pay a higher tip"
            }),
        ),
    }
}

pub(super) fn promise(error: NoPromise) -> ErrorObjectOwned {
    let message = error.to_string();
    match error {
        NoPromise::Unknown => {
            plain(TX_UNKNOWN, message, "check the hash, or ask the node it was sent to")
        }
        NoPromise::NotPreconfirmed => {
            plain(TX_UNKNOWN, message, "preconf_getTransactionStatus says what became of it")
        }
        NoPromise::Forced => plain(
            PROMISE_PRUNED,
            message,
            "eth_getTransactionReceipt has the result; the L1 queue is the proof that it had to be executed",
        ),
        NoPromise::Pruned => plain(PROMISE_PRUNED, message, "save the promise when it is given"),
    }
}

pub(super) fn execution(error: &ExecutionError) -> ErrorObjectOwned {
    match error {
        ExecutionError::Call(reason) => {
            plain(REFUSED, reason.clone(), "the call could never be a transaction as it stands")
        }
        other => {
            plain(INTERNAL, other.to_string(), "the node's state is damaged; tell its operator")
        }
    }
}

/// A call that did not succeed, as Ethereum clients answer it.
pub(super) fn failed_call(result: &CallResult) -> ErrorObjectOwned {
    match &result.status {
        CallStatus::Halt(reason) => plain(
            REFUSED,
            format!("execution halted: {reason}"),
            "raise the gas limit, or fix the call",
        ),
        CallStatus::Success | CallStatus::Revert => {
            let message = reason(&result.output).map_or_else(
                || "execution reverted".to_owned(),
                |r| format!("execution reverted: {r}"),
            );
            ErrorObjectOwned::owned(REVERTED, message, Some(result.output.clone()))
        }
    }
}

/// The text of `Error(string)` or the code of `Panic(uint256)`.
fn reason(output: &Bytes) -> Option<String> {
    let (selector, rest) = output.split_first_chunk::<4>()?;
    match *selector {
        [0x08, 0xc3, 0x79, 0xa0] => {
            let length = rest.get(32..64).and_then(|w| w.get(24..))?;
            let length = u64::from_be_bytes(length.try_into().ok()?);
            let end = usize::try_from(length).ok()?.checked_add(64)?;
            String::from_utf8(rest.get(64..end)?.to_vec()).ok()
        }
        [0x4e, 0x48, 0x7b, 0x71] => {
            Some(format!("panic code 0x{}", hex::encode(rest.get(31..32)?)))
        }
        _ => None,
    }
}
