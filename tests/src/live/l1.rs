//! The L1 of a devnet, asked and moved by hand: blocks one at a time, transactions copied from the pool.

use super::{Devnet, LONG, Rpc, until};
use alloy_primitives::{Address, Bytes, keccak256};
use serde_json::{Value, json};

/// Copies what others reveal; an account that the L1 signs for.
pub const FRONT_RUNNER: &str = "0x976ea74026e726554db657fa54763abd0c3a0aa9";

/// The slasher's contract and account.
pub struct SlasherAt {
    /// Where stakes are taken.
    pub contract: Address,
    /// Who shows what was found.
    pub reporter: Address,
}

/// A transaction that is not mined.
pub struct Pending {
    /// Its hash.
    pub hash: String,
    to: String,
    input: String,
}

/// The L1, asked and moved by hand.
pub struct L1 {
    rpc: Rpc,
    registry: Address,
}

impl L1 {
    /// Of a devnet.
    pub fn of(net: &Devnet) -> Self {
        let state = net.state();
        let url = state["l1_url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        let registry = serde_json::from_value(state["registry"].clone()).unwrap();
        Self { rpc: Rpc::connect(&url).unwrap(), registry }
    }

    /// Any method.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.rpc.call(method, params).unwrap_or_else(|e| panic!("{method}: {e}"))
    }

    /// Calls a view of one address, or of nothing.
    pub fn view(&mut self, contract: Address, signature: &str, of: &str) -> String {
        let word = format!("{:0>64}", of.trim_start_matches("0x"));
        let data = format!("{}{word}", selector(signature));
        let answer = self.call("eth_call", json!([{ "to": contract, "data": data }, "latest"]));
        answer.as_str().unwrap().to_owned()
    }

    /// The slasher that runs beside the devnet.
    pub fn slasher(&mut self, net: &Devnet) -> SlasherAt {
        let registry = self.registry;
        let contract = self.view(registry, "slasher()", "");
        let key = std::fs::read_to_string(net.file("slasher/account.key")).unwrap();
        let secret: [u8; 32] =
            alloy_primitives::hex::decode(key.trim()).unwrap().try_into().unwrap();
        let reporter = rota_types::VoteKey::from_secret(&secret).unwrap().address();
        SlasherAt { contract: contract[26..].parse().unwrap(), reporter }
    }

    /// Waits until the slasher's call of this function is in the pool.
    pub fn pending(&mut self, slasher: &SlasherAt, signature: &str) -> Pending {
        let wanted = selector(signature);
        until(LONG, &format!("the slasher to send {signature}"), || {
            let content = self.call("txpool_content", json!([]));
            let senders = content["pending"].as_object()?;
            let own = |a: &&String| a.parse::<Address>().ok() == Some(slasher.reporter);
            let txs = senders.get(senders.keys().find(own)?)?.as_object()?;
            let tx = txs
                .values()
                .find(|t| t["input"].as_str().is_some_and(|i| i.starts_with(&wanted)))?;
            let field = |name: &str| tx[name].as_str().map(str::to_owned);
            Some(Pending { hash: field("hash")?, to: field("to")?, input: field("input")? })
        })
    }

    /// Sends the same call from another account, for a higher fee.
    pub fn copy(&mut self, tx: &Pending) -> String {
        let fee = format!("{:#x}", 500_000_000_000u64);
        let copy = json!({
            "from": FRONT_RUNNER, "to": tx.to, "data": tx.input, "gas": "0x200000",
            "maxFeePerGas": fee, "maxPriorityFeePerGas": fee
        });
        self.call("eth_sendTransaction", json!([copy])).as_str().unwrap().to_owned()
    }

    /// Mines a block and gives the receipt of a transaction in it.
    pub fn mine_with(&mut self, hash: &str) -> Value {
        self.call("evm_mine", json!([]));
        self.receipt(hash)
    }

    /// The receipt of a transaction, once there is one.
    pub fn receipt(&mut self, hash: &str) -> Value {
        until(LONG, "a receipt on L1", || {
            Some(self.call("eth_getTransactionReceipt", json!([hash]))).filter(|r| !r.is_null())
        })
    }
}

fn selector(signature: &str) -> String {
    let hash = keccak256(signature);
    Bytes::copy_from_slice(&hash[..4]).to_string()
}
