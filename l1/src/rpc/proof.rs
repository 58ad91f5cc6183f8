//! The Registry's storage under a final block, as proofs for light clients.
//!
//! Not for: checking one (`rota-verify`). Invariant: the header given has the hash that the endpoint says.

use crate::L1Error;
use crate::endpoints::Fault;
use alloy::consensus::BlockHeader;
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy_primitives::{Address, B256, U256, keccak256};
use rota_types::{SetProof, SlotProof, read_set_entry, set_entry_slot, set_id_slot};

pub(super) async fn set_proof(
    p: RootProvider<Ethereum>,
    registry: Address,
    epoch: u64,
) -> Result<SetProof, Fault> {
    let tag = BlockNumberOrTag::Finalized;
    let block = p.get_block_by_number(tag).await?;
    let header = block.ok_or(Fault::View(L1Error::NoBlock(0)))?.header;
    let rlp = alloy_rlp::encode(&header.inner);
    if keccak256(&rlp) != header.hash {
        return Err(Fault::Endpoint(format!(
            "its block {} has not the hash it says; it may be of a fork this version does not know",
            header.number()
        )));
    }
    let at = BlockId::number(header.number());
    let ask = |keys: Vec<U256>| {
        let keys = keys.into_iter().map(B256::from).collect();
        p.get_proof(registry, keys).block_id(at)
    };
    let keys = [set_id_slot(epoch), set_entry_slot(epoch)];
    let mut got: EIP1186AccountProofResponse = ask(keys.to_vec()).await?;
    let entry = slot(&mut got, keys[1])?;
    let next = match read_set_entry(entry.value) {
        (0, _) => None,
        (next, _) => {
            let key = set_entry_slot(next);
            Some(slot(&mut ask(vec![key]).await?, key)?)
        }
    };
    Ok(SetProof {
        header: rlp.into(),
        nonce: got.nonce,
        balance: got.balance,
        storage_hash: got.storage_hash,
        code_hash: got.code_hash,
        id: slot(&mut got, keys[0])?,
        account_proof: got.account_proof,
        entry,
        next,
    })
}

fn slot(got: &mut EIP1186AccountProofResponse, key: U256) -> Result<SlotProof, Fault> {
    let wanted = |s: &&mut EIP1186StorageProof| s.key.as_b256() == B256::from(key);
    let found = got.storage_proof.iter_mut().find(wanted);
    let found =
        found.ok_or_else(|| Fault::Endpoint("no proof of the word asked for".to_owned()))?;
    Ok(SlotProof { value: found.value, proof: std::mem::take(&mut found.proof) })
}
