//! A chain without a network: accounts, one transaction after the other.
//!
//! Not for: blobs, fees or forks. Gas is limited as on L1.

use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use revm::{
    Context, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext,
    context::TxEnv,
    context_interface::result::{ExecutionResult, Output},
    database::InMemoryDB,
    primitives::hardfork::SpecId,
    state::{AccountInfo, Bytecode},
};

/// Most gas of one transaction on L1 (EIP-7825).
const GAS: u64 = 16_777_216;

/// Why a call gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Selector of the error, zero if the call ended otherwise.
    pub selector: [u8; 4],
    /// For people.
    pub why: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.why)
    }
}

/// State and height.
#[derive(Debug, Clone)]
pub struct Chain {
    db: InMemoryDB,
    chain_id: u64,
    block: u64,
}

impl Chain {
    pub(super) fn new(chain_id: u64) -> Self {
        Self { db: InMemoryDB::default(), chain_id, block: 1_000 }
    }

    /// Address of the `nth` contract from now on that `from` creates.
    pub(super) fn created(&self, from: Address, nth: u64) -> Address {
        from.create(self.nonce(from) + nth)
    }

    fn nonce(&self, who: Address) -> u64 {
        self.db.cache.accounts.get(&who).map_or(0, |a| a.info.nonce)
    }

    pub(super) fn balance(&self, who: Address) -> U256 {
        self.db.cache.accounts.get(&who).map_or(U256::ZERO, |a| a.info.balance)
    }

    pub(super) fn give(&mut self, who: Address, wei: U256) {
        let balance = self.balance(who) + wei;
        let nonce = self.nonce(who);
        self.db.insert_account_info(who, AccountInfo { balance, nonce, ..AccountInfo::default() });
    }

    /// Deploys a committed artifact.
    pub(super) fn deploy(&mut self, from: Address, name: &str, args: &[u8]) -> Address {
        let mut code = bytecode(name);
        code.extend_from_slice(args);
        match self.run(from, TxKind::Create, U256::ZERO, code.into(), true) {
            Ok(Output::Create(_, Some(address))) => address,
            other => panic!("deploying {name}: {other:?}"),
        }
    }

    /// A contract that answers any call with one argument by the word it remembers for it.
    pub(super) fn remember(&mut self, at: Address, key: U256, word: U256) {
        // PUSH1 4 CALLDATALOAD SLOAD PUSH0 MSTORE PUSH1 32 PUSH0 RETURN
        let code = Bytecode::new_raw(hex!("600435545f5260205ff3").into());
        if self.nonce(at) == 0 {
            let info = AccountInfo { nonce: 1, ..AccountInfo::default().with_code(code) };
            self.db.insert_account_info(at, info);
        }
        self.db.insert_account_storage(at, key, word).expect("memory");
    }

    /// Moves a contract with its storage to another address.
    pub(super) fn rename(&mut self, from: Address, to: Address) {
        let account = self.db.cache.accounts.remove(&from).expect("a contract");
        self.db.cache.accounts.insert(to, account);
    }

    pub(super) fn send(
        &mut self,
        from: Address,
        to: Address,
        value: U256,
        input: &[u8],
    ) -> Result<Bytes, Refused> {
        self.block += 1;
        let input = Bytes::copy_from_slice(input);
        self.run(from, TxKind::Call(to), value, input, true).map(Output::into_data)
    }

    /// No block below this one is mined any more.
    pub(super) fn mine_to(&mut self, block: u64) {
        self.block = self.block.max(block);
    }

    pub(super) fn call(&mut self, to: Address, input: &[u8]) -> Result<Bytes, Refused> {
        let input = Bytes::copy_from_slice(input);
        self.run(Address::ZERO, TxKind::Call(to), U256::ZERO, input, false).map(Output::into_data)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one transaction")]
    fn run(
        &mut self,
        from: Address,
        kind: TxKind,
        value: U256,
        data: Bytes,
        keep: bool,
    ) -> Result<Output, Refused> {
        let nonce = self.nonce(from);
        let (chain_id, block) = (self.chain_id, self.block);
        let mut evm = Context::mainnet()
            .with_db(&mut self.db)
            .modify_cfg_chained(|cfg| {
                cfg.set_spec_and_mainnet_gas_params(SpecId::OSAKA);
                cfg.chain_id = chain_id;
            })
            .modify_block_chained(|b| {
                b.number = U256::from(block);
                b.gas_limit = 60_000_000;
                b.timestamp = U256::from(1_800_000_000u64);
            })
            .build_mainnet();
        let tx = TxEnv {
            caller: from,
            kind,
            value,
            data,
            nonce,
            gas_limit: GAS,
            chain_id: Some(chain_id),
            ..TxEnv::default()
        };
        let result =
            if keep { evm.transact_commit(tx) } else { evm.transact(tx).map(|done| done.result) };
        match result.expect("a valid transaction") {
            ExecutionResult::Success { output, .. } => Ok(output),
            ExecutionResult::Revert { output, .. } => {
                let selector = output.first_chunk::<4>().copied().unwrap_or_default();
                Err(Refused { selector, why: format!("reverted: {output}") })
            }
            ExecutionResult::Halt { reason, .. } => {
                Err(Refused { selector: [0; 4], why: format!("stopped: {reason:?}") })
            }
        }
    }
}

/// Init code of a committed artifact.
fn bytecode(name: &str) -> Vec<u8> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../contracts/abi/");
    let text = std::fs::read_to_string(format!("{root}{name}.json"))
        .unwrap_or_else(|e| panic!("artifact of {name}: {e}"));
    let artifact: serde_json::Value = serde_json::from_str(&text).unwrap();
    hex::decode(artifact["bytecode"].as_str().unwrap()).unwrap()
}
