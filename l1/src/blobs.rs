//! Payloads to blobs and back, and where blobs are fetched from.
//!
//! Invariant: a blob is used only if the versioned hash recomputed from its bytes is the one L1 holds.
//! Loading the KZG setup takes about 3 CPU seconds and 105 MB, once per process; call `load_kzg` at start. After that a
//! commitment takes 10 ms and the cell proofs of one blob 0.3 s, so both run on the blocking pool.

use crate::{L1Block, L1Error};
use alloy::consensus::SidecarCoder;
use alloy::consensus::{
    BlobTransactionSidecarEip7594, EnvKzgSettings, SidecarBuilder, SimpleCoder,
};
use alloy::eips::eip4844::{AsCkzg, Blob, kzg_to_versioned_hash};
use alloy::rpc::types::beacon::sidecar::GetBlobsResponse;
use alloy_primitives::{B256, Bytes};
use std::collections::BTreeMap;

/// Blobs in one transaction (EIP-7594 limit).
pub const MAX_BLOBS_PER_TX: usize = 6;
/// Payload bytes in one transaction: 31 per field element, one element for the length.
pub const MAX_PAYLOAD: usize = 31 * (4096 * MAX_BLOBS_PER_TX - 1);
/// Largest answer that is read from a blob source: 64 blobs in hex.
const MAX_ANSWER: usize = 64 * 2 * 131_072 + 65_536;

/// A server of `GET /eth/v1/beacon/blobs/{block}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobSource {
    /// Takes the number of the execution block (anvil).
    Execution {
        /// Base address.
        url: String,
    },
    /// A beacon node: takes the slot.
    Beacon {
        /// Base address.
        url: String,
        /// Time of slot 0, seconds since the Unix epoch.
        genesis_time: u64,
        /// Seconds per slot.
        slot_seconds: u64,
    },
}

impl BlobSource {
    /// The address for the blobs of a block.
    pub fn address(&self, block: &L1Block) -> Result<String, L1Error> {
        let (url, id) = match self {
            Self::Execution { url } => (url, block.number),
            Self::Beacon { url, genesis_time, slot_seconds } => {
                let since = block.timestamp.checked_sub(*genesis_time);
                let slot = since.and_then(|s| s.checked_div(*slot_seconds));
                let slot = slot.ok_or_else(|| {
                    L1Error::Config("beacon genesis time or slot length does not fit".into())
                })?;
                (url, slot)
            }
        };
        Ok(format!("{}/eth/v1/beacon/blobs/{id}", url.trim_end_matches('/')))
    }

    fn url(&self) -> &str {
        match self {
            Self::Execution { url } | Self::Beacon { url, .. } => url,
        }
    }
}

/// Loads the KZG setup; later calls return at once.
pub async fn load_kzg() -> Result<(), L1Error> {
    blocking(|| {
        EnvKzgSettings::Default.get();
        Ok(())
    })
    .await
}

/// Blobs with commitments and cell proofs for a payload.
pub(crate) async fn encode(payload: Bytes) -> Result<BlobTransactionSidecarEip7594, L1Error> {
    if payload.len() > MAX_PAYLOAD {
        return Err(L1Error::TooLarge { got: payload.len(), max: MAX_PAYLOAD });
    }
    blocking(move || {
        SidecarBuilder::<SimpleCoder>::from_slice(&payload)
            .build::<BlobTransactionSidecarEip7594>()
            .map_err(|e| L1Error::Build(format!("blob proofs: {e}")))
    })
    .await
}

/// The payload of blobs that were checked.
pub(crate) fn decode(blobs: &[Blob]) -> Result<Bytes, L1Error> {
    match SimpleCoder::default().decode_all(blobs) {
        Some(mut parts) if parts.len() == 1 => Ok(parts.remove(0).into()),
        _ => Err(L1Error::Payload),
    }
}

/// Fetches the blobs with these versioned hashes, in their order, from the first source that has them all.
pub(crate) async fn fetch(
    client: &reqwest::Client,
    sources: &[BlobSource],
    block: &L1Block,
    hashes: &[B256],
) -> Result<Vec<Blob>, L1Error> {
    let mut reasons = Vec::new();
    for source in sources {
        let answer = match ask(client, &source.address(block)?, hashes).await {
            Ok(answer) => answer,
            Err(why) => {
                reasons.push(format!("{}: {why}", crate::endpoints::label(source.url())));
                continue;
            }
        };
        match in_order(answer, hashes.to_vec()).await? {
            Some(blobs) => return Ok(blobs),
            None => reasons.push(format!(
                "{}: not the blobs that L1 names",
                crate::endpoints::label(source.url())
            )),
        }
    }
    if reasons.is_empty() {
        reasons.push("no blob source is configured".into());
    }
    Err(L1Error::Blobs { block: block.number, why: reasons.join("; ") })
}

async fn ask(
    client: &reqwest::Client,
    address: &str,
    hashes: &[B256],
) -> Result<Vec<Blob>, String> {
    let list: Vec<String> = hashes.iter().map(ToString::to_string).collect();
    let query = format!("{address}?versioned_hashes={}", list.join(","));
    // The address may hold a key: reqwest's error text must not show it.
    let plain = |e: reqwest::Error| e.without_url().to_string();
    let mut answer = client.get(query).send().await.map_err(plain)?;
    if !answer.status().is_success() {
        return Err(format!("status {}", answer.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(plain)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err("answer too long".into());
        }
    }
    let parsed: GetBlobsResponse =
        serde_json::from_slice(&body).map_err(|e| format!("no blobs answer: {e}"))?;
    Ok(parsed.data)
}

/// Sorts blobs by the hashes asked for. None unless every hash has its blob.
async fn in_order(blobs: Vec<Blob>, hashes: Vec<B256>) -> Result<Option<Vec<Blob>>, L1Error> {
    blocking(move || {
        let settings = EnvKzgSettings::Default;
        let mut by_hash = BTreeMap::new();
        for blob in blobs {
            // A source may send field elements out of range: then there is no commitment, and the blob is not the one.
            if let Ok(commitment) = settings.get().blob_to_kzg_commitment(blob.as_ckzg()) {
                by_hash.insert(kzg_to_versioned_hash(commitment.as_slice()), blob);
            }
        }
        Ok(hashes.iter().map(|h| by_hash.get(h).copied()).collect())
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, L1Error> + Send + 'static,
) -> Result<T, L1Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| L1Error::Build(format!("blocking task: {e}")))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> L1Block {
        L1Block {
            number: 21,
            hash: B256::ZERO,
            parent_hash: B256::ZERO,
            timestamp: 1_000_120,
            prev_randao: B256::ZERO,
        }
    }

    #[test]
    fn sources_are_asked_by_block_or_by_slot() {
        let anvil = BlobSource::Execution { url: "http://a:1/".into() };
        assert_eq!(anvil.address(&block()).unwrap(), "http://a:1/eth/v1/beacon/blobs/21");
        let beacon = |genesis_time, slot_seconds| {
            BlobSource::Beacon { url: "http://b".into(), genesis_time, slot_seconds }
                .address(&block())
        };
        assert_eq!(beacon(1_000_000, 12).unwrap(), "http://b/eth/v1/beacon/blobs/10");
        assert!(beacon(2_000_000, 12).is_err(), "genesis after the block");
        assert!(beacon(1_000_000, 0).is_err(), "no slot length");
    }

    #[test]
    fn the_largest_payload_fills_the_blobs_of_one_transaction() {
        let payload: Vec<u8> = (0..=250).cycle().take(MAX_PAYLOAD).collect();
        let blobs = SidecarBuilder::<SimpleCoder>::from_slice(&payload).take();
        assert_eq!(blobs.len(), MAX_BLOBS_PER_TX);
        assert_eq!(decode(&blobs).unwrap(), payload);
        let more = vec![1u8; MAX_PAYLOAD + 1];
        let blobs = SidecarBuilder::<SimpleCoder>::from_slice(&more).take();
        assert_eq!(blobs.len(), MAX_BLOBS_PER_TX + 1);
    }

    #[tokio::test]
    async fn only_the_blobs_that_l1_names_are_taken_and_in_its_order() {
        let payload = Bytes::from(vec![9; 31 * 4096 + 5]);
        let sidecar = encode(payload.clone()).await.unwrap();
        let hashes: Vec<B256> = sidecar.versioned_hashes().collect();
        let [first, second] = sidecar.blobs[..] else { panic!("two blobs") };
        let given = in_order(vec![second, first], hashes.clone()).await.unwrap().unwrap();
        assert_eq!(decode(&given).unwrap(), payload);
        let mut forged = second;
        forged.0[40] ^= 1;
        assert_eq!(in_order(vec![first, forged], hashes.clone()).await, Ok(None));
        assert_eq!(in_order(vec![first], hashes.clone()).await, Ok(None));
        // Not even field elements: the source's fault, and no error of ours.
        assert_eq!(in_order(vec![first, Blob::repeat_byte(0xff)], hashes).await, Ok(None));
    }

    #[test]
    fn blobs_that_hold_no_payload_are_the_posters_fault() {
        assert_eq!(decode(&[Blob::repeat_byte(0xff)]), Err(L1Error::Payload));
        assert_eq!(decode(&[]), Err(L1Error::Payload));
    }
}
