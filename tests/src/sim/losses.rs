//! What becomes of frames that are not on the log, before the contract that refunds them (protocol row E8): a frame that a
//! later term replaced is refunded, by the nodes' judgement and on L1 alike; a frame of the log never is, nor one that its
//! leader contradicted.
//!
//! Not for: insured amounts (`check::insured`). Invariant: what must come of a claim is told from the frames alone.

use crate::evm::{Court, OFFER};
use alloy_primitives::{B256, U256};
use rota_types::{
    CommitCertificate, Domain, Fork, FrameHeader, Header, LostFrame, LostTx, SignedFrame, Tx,
    ValidatorSet, tx_proof, verify_tx,
};
use std::collections::BTreeMap;

/// Claims of one run that go before the contract: for frames that are not on the log, and for such that are.
const MOST: (usize, usize) = (8, 3);

/// What was claimed, and what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Refunded here and on L1.
    pub refunded: u64,
    /// Refused here and on L1: off the log, and not lost to a later term.
    pub not_lost: u64,
    /// Refused here and on L1: on the log.
    pub canonical: u64,
}

/// Genuine frames of the first set, and what was decided.
#[derive(Debug, Default)]
pub(super) struct Losses {
    frames: BTreeMap<B256, SignedFrame>,
    heights: BTreeMap<u64, (Header, CommitCertificate)>,
}

/// The log, as far as the first set decided it: the hash at each position and the height that has it.
struct Log {
    hashes: BTreeMap<u64, (B256, u64)>,
}

impl Losses {
    pub(super) fn frame(&mut self, frame: &SignedFrame, domain: &Domain) {
        if frame.header.epoch == 0 {
            self.frames.entry(frame.header.hash(domain)).or_insert_with(|| frame.clone());
        }
    }

    pub(super) fn decided(&mut self, header: &Header, certificate: &CommitCertificate) {
        if header.close.epoch == 0 {
            let value = || (header.clone(), certificate.clone());
            self.heights.entry(header.height()).or_insert_with(value);
        }
    }

    /// Whether there is anything to take before the contract.
    pub(super) fn any(&self) -> bool {
        let log = self.log();
        self.with_txs().any(|(hash, f)| log.hashes.get(&f.header.g).is_some_and(|(h, _)| h != hash))
    }

    fn with_txs(&self) -> impl Iterator<Item = (&B256, &SignedFrame)> {
        self.frames.iter().filter(|(_, f)| !f.body.txs.is_empty())
    }

    fn log(&self) -> Log {
        let mut hashes = BTreeMap::new();
        for (height, (header, _)) in &self.heights {
            let mut hash = header.last_frame_hash;
            for g in (header.first_g..=header.last_g).rev() {
                hashes.insert(g, (hash, *height));
                let Some(frame) = self.frames.get(&hash) else { break };
                hash = frame.header.prev_hash;
            }
        }
        Log { hashes }
    }

    /// Takes claims before both judges.
    pub(super) fn judge(
        &self,
        court: &mut Court,
        set: &ValidatorSet,
        domain: &Domain,
    ) -> Result<Claimed, String> {
        let (mut out, log) = (Claimed::default(), self.log());
        for (hash, frame) in self.with_txs() {
            let Some((there, _)) = log.hashes.get(&frame.header.g) else { continue };
            let on_log = there == hash;
            let done = if on_log { out.canonical } else { out.refunded + out.not_lost };
            let most = if on_log { MOST.1 } else { MOST.0 };
            if done >= most as u64 {
                continue;
            }
            let Some((lost, later)) = self.claim(frame, &log) else { continue };
            let due = later && !on_log;
            self.agree((court, set, domain), (frame, &lost), due)?;
            match (due, on_log) {
                (true, _) => out.refunded += 1,
                (false, false) => out.not_lost += 1,
                (false, true) => out.canonical += 1,
            }
        }
        Ok(out)
    }

    /// The best claim for a frame, and whether a later term of another history replaced its own.
    fn claim(&self, frame: &SignedFrame, log: &Log) -> Option<(LostFrame, bool)> {
        let mut chain: Vec<FrameHeader> = vec![frame.header.clone()];
        let first = loop {
            let first = chain.last()?.clone();
            let before = log.hashes.get(&first.g.checked_sub(1)?).map(|(hash, _)| *hash);
            // The first frame of all is on the genesis.
            if before.is_none_or(|hash| hash == first.prev_hash) {
                break first;
            }
            if chain.len() >= rota_types::MAX_CHAIN {
                return None;
            }
            chain.push(self.frames.get(&first.prev_hash)?.header.clone());
        };
        let fork = self.fork(first.g, log)?;
        let one = chain.iter().all(|f| (f.term, f.leader) == (first.term, first.leader));
        let later = one && fork.frame.term > first.term;
        Some((LostFrame { signature: frame.signature, chain, fork }, later))
    }

    /// What the log has at a position.
    fn fork(&self, g: u64, log: &Log) -> Option<Fork> {
        let (there, height) = log.hashes.get(&g)?;
        let (header, commit) = self.heights.get(height)?.clone();
        let span = log.hashes.range(header.first_g..=header.last_g);
        let hashes: Vec<B256> = span.map(|(_, (hash, _))| *hash).collect();
        let branch = tx_proof(&hashes, &[], u32::try_from(g - header.first_g).ok()?)?;
        // Not all frames of the height were seen.
        if !verify_tx(&header.frames_root, there, 0, &branch) {
            return None;
        }
        Some(Fork { frame: self.frames.get(there)?.header.clone(), branch, header, commit })
    }

    fn agree(
        &self,
        (court, set, domain): (&mut Court, &ValidatorSet, &Domain),
        (frame, lost): (&SignedFrame, &LostFrame),
        due: bool,
    ) -> Result<(), String> {
        let hashes: Vec<B256> = frame.body.txs.iter().map(alloy_primitives::keccak256).collect();
        let place = (0u32..).zip(&frame.body.txs).map(|(i, raw)| LostTx {
            raw: raw.clone(),
            insured: frame.body.insured.get(i as usize).copied().unwrap_or(0),
            position: tx_proof(&hashes, &frame.body.insured, i).unwrap(),
        });
        // Enough for one transaction's gas on L1.
        let txs: Vec<LostTx> = place.take(8).collect();
        let here = lost.verify(set, set, domain).map(|f| txs.iter().all(|t| t.verify(f).is_ok()));
        let wei =
            txs.iter().map(|t| OFFER.refund(&Tx::decode(&t.raw, domain.l2_chain_id).unwrap()));
        let wei = U256::from(wei.sum::<u128>().min(OFFER.term_cap));
        let there = court.refund(domain.generation, lost, &txs);
        match (due, here, there) {
            (true, Ok(true), Ok(paid)) if paid == wei => Ok(()),
            (false, Err(_), Err(_)) => Ok(()),
            (_, here, there) => Err(format!(
                "frame g {} of {:?}: due {due}, {here:?} here, {there:?} on L1 of {wei}",
                frame.header.g, frame.header.term
            )),
        }
    }
}
