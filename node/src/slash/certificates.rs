//! Certificates that L1 shows, each against those before it.
//!
//! Not for: what members say to each other (`Watcher`), which is forgotten after minutes; a second certificate may be posted
//! much later. Policy when full: the oldest heights go. Invariant: only what verifies against the set of its epoch is kept, so a
//! lying endpoint cannot hide a contradiction behind something made up.

use super::Found;
use rota_types::{
    ACCUSED_MANY, CertVotes, CommitCertificate, Domain, Evidence, Header, Proof, ValidatorSet,
};
use std::{collections::BTreeMap, sync::Arc};

/// Certificates kept: one for each batch, one to four kilobytes each.
const KEEP: usize = 4_096;

/// Where a certificate stands: generation, height, round and epoch.
type Place = (u32, u64, u32, u64);

/// The certificates seen.
#[derive(Debug)]
pub struct Certificates {
    domain: Domain,
    seen: BTreeMap<Place, CommitCertificate>,
}

impl Certificates {
    /// None seen. The domain is of any generation of the rollup.
    #[must_use]
    pub const fn new(domain: Domain) -> Self {
        Self { domain, seen: BTreeMap::new() }
    }

    /// Looks at one with the header that it is for; gives what it contradicts. `set` is that of its epoch.
    pub fn look(
        &mut self,
        header: &Header,
        certificate: &CommitCertificate,
        set: &Arc<ValidatorSet>,
    ) -> Option<Found> {
        let generation = header.close.generation;
        let domain = self.domain.of_generation(generation);
        let named = header.height() == certificate.height
            && header.value_id(&domain) == certificate.value_id
            && set.epoch() == certificate.epoch;
        if !named || certificate.verify(set, &domain).is_err() {
            return None;
        }
        let c = certificate;
        let place = (generation, c.height, c.round, c.epoch);
        let first = self.seen.entry(place).or_insert_with(|| c.clone());
        if first.value_id == c.value_id {
            while self.seen.len() > KEEP {
                self.seen.pop_first();
            }
            return None;
        }
        let proof = Proof::CertTwice(Box::new([votes(first), votes(c)]));
        let evidence = Evidence { generation, epoch: c.epoch, accused: ACCUSED_MANY, proof };
        let verdict = evidence.verify(set, &domain).ok()?;
        Some(Found { evidence, verdict, set: Arc::clone(set) })
    }
}

fn votes(c: &CommitCertificate) -> CertVotes {
    CertVotes {
        height: c.height,
        round: c.round,
        value_id: c.value_id,
        signers: c.signers.clone(),
        signatures: c.signatures.clone(),
    }
}
