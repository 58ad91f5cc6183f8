//! Certificates that L1 shows, each against those before it.
//!
//! Not for: what members say to each other (`Watcher`), which is forgotten after minutes; a second certificate may be posted
//! much later. Policy when full: the oldest heights go, and what is older than all that is kept is compared and not kept.
//! Invariant: only what verifies against the set of its epoch is kept, so a lying endpoint cannot hide a contradiction behind
//! something made up.

use super::Found;
use rota_types::{
    ACCUSED_MANY, CertVotes, CommitCertificate, Domain, Evidence, Header, Proof, ValidatorSet,
};
use std::{collections::BTreeMap, sync::Arc};

/// Signatures kept, 65 bytes each: with four members those of the batches of three weeks, with 64 of a day and a half.
const KEEP: usize = 500_000;

/// Where a certificate stands: generation, height, round and epoch.
type Place = (u32, u64, u32, u64);

/// The certificates seen.
#[derive(Debug)]
pub struct Certificates {
    domain: Domain,
    seen: BTreeMap<Place, CommitCertificate>,
    /// Signatures in `seen`, and how many there may be.
    signatures: usize,
    keep: usize,
}

impl Certificates {
    /// None seen. The domain is of any generation of the rollup.
    #[must_use]
    pub const fn new(domain: Domain) -> Self {
        Self { domain, seen: BTreeMap::new(), signatures: 0, keep: KEEP }
    }

    /// Looks at one with the header that it is for; gives what it contradicts. `set` is that of its epoch.
    pub fn look(
        &mut self,
        header: &Header,
        certificate: &CommitCertificate,
        set: &Arc<ValidatorSet>,
    ) -> Option<Found> {
        let place =
            (header.close.generation, certificate.height, certificate.round, certificate.epoch);
        if let Some(first) = self.seen.get(&place) {
            // The same value again needs no check: whoever posts it again only pays for that.
            return if first.value_id == certificate.value_id {
                None
            } else {
                self.both((first, certificate), header, set)
            };
        }
        if !self.verifies(header, certificate, set) {
            return None;
        }
        self.keep(place, certificate);
        None
    }

    /// Compares one that this node decided with one that L1 shows, and keeps neither.
    #[must_use]
    pub fn compare(
        &self,
        own: &CommitCertificate,
        (header, certificate): (&Header, &CommitCertificate),
        set: &Arc<ValidatorSet>,
    ) -> Option<Found> {
        let place = |c: &CommitCertificate| (c.height, c.round, c.epoch);
        if place(own) != place(certificate) || own.value_id == certificate.value_id {
            return None;
        }
        self.both((own, certificate), header, set)
    }

    fn both(
        &self,
        (first, second): (&CommitCertificate, &CommitCertificate),
        header: &Header,
        set: &Arc<ValidatorSet>,
    ) -> Option<Found> {
        if !self.verifies(header, second, set) {
            return None;
        }
        let generation = header.close.generation;
        let proof = Proof::CertTwice(Box::new([votes(first), votes(second)]));
        let evidence = Evidence { generation, epoch: second.epoch, accused: ACCUSED_MANY, proof };
        let verdict = evidence.verify(set, &self.domain.of_generation(generation)).ok()?;
        Some(Found { evidence, verdict, set: Arc::clone(set) })
    }

    fn verifies(&self, header: &Header, c: &CommitCertificate, set: &ValidatorSet) -> bool {
        let domain = self.domain.of_generation(header.close.generation);
        header.height() == c.height
            && header.value_id(&domain) == c.value_id
            && set.epoch() == c.epoch
            && c.verify(set, &domain).is_ok()
    }

    fn keep(&mut self, place: Place, certificate: &CommitCertificate) {
        let size = |c: &CommitCertificate| c.signatures.len();
        let oldest = self.seen.first_key_value().map(|(place, _)| *place);
        let full = self.signatures.saturating_add(size(certificate)) > self.keep;
        if full && oldest.is_some_and(|oldest| place < oldest) {
            return;
        }
        self.signatures = self.signatures.saturating_add(size(certificate));
        self.seen.insert(place, certificate.clone());
        while self.signatures > self.keep
            && let Some((_, gone)) = self.seen.pop_first()
        {
            self.signatures = self.signatures.saturating_sub(size(&gone));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settle::testing::Chain;
    use rota_types::EvidenceKind;

    #[test]
    fn what_is_full_forgets_the_oldest_and_never_what_it_compares() {
        let chain = Chain::new().grow(8);
        let set = Arc::new(chain.set());
        let mut book = Certificates::new(chain.domain.clone());
        // Three signatures each.
        book.keep = 9;
        for height in 1..=6 {
            let post = chain.post(height, height);
            assert!(book.look(&post.header, &post.certificate, &set).is_none());
        }
        assert_eq!((book.seen.len(), book.signatures), (3, 9));
        let second = |height| {
            let post = chain.second(height);
            (post.header, post.certificate)
        };
        for height in 4..=6 {
            let (header, certificate) = second(height);
            let found = book.look(&header, &certificate, &set).expect("two values");
            assert_eq!(found.verdict.kind, EvidenceKind::CertTwice);
            assert!(book.look(&header, &certificate, &set).is_some(), "and once more");
        }
        // Forgotten here, and still a contradiction of what the node decided itself.
        let (header, certificate) = second(2);
        assert!(book.look(&header, &certificate, &set).is_none());
        let own = chain.post(2, 2);
        assert!(book.compare(&own.certificate, (&header, &certificate), &set).is_some());
        assert!(book.compare(&own.certificate, (&own.header, &own.certificate), &set).is_none());
        assert_eq!(
            (book.seen.len(), book.signatures),
            (3, 9),
            "nothing newer was forgotten for it"
        );
    }

    #[test]
    fn what_does_not_verify_hides_nothing() {
        let chain = Chain::new().grow(2);
        let set = Arc::new(chain.set());
        let mut book = Certificates::new(chain.domain.clone());
        let (good, other) = (chain.post(2, 2), chain.second(2));
        let mut forged = other.certificate.clone();
        forged.signatures.swap(0, 1);
        assert!(book.look(&other.header, &forged, &set).is_none());
        assert!(book.look(&good.header, &good.certificate, &set).is_none());
        assert!(book.look(&other.header, &forged, &set).is_none(), "no proof");
        assert!(book.look(&good.header, &other.certificate, &set).is_none(), "another header");
        assert!(book.look(&other.header, &other.certificate, &set).is_some());
    }
}
