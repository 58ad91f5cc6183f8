//! What proposals and openings say, and that correct nodes rely on valid ones only.

use super::{Checker, carry::Sight};
use alloy_primitives::B256;
use rota_types::SignedTermInit;

impl Checker {
    pub(super) fn learn_proposal(&mut self, p: &rota_types::SignedProposal, of_faulty: bool) {
        let Some((proposal, header)) = self.named_proposal(p) else { return };
        let digest = p.proposal.digest(&self.rules.domain);
        self.digest(digest, "proposal");
        if !of_faulty {
            self.in_force("proposal", proposal.height, proposal.epoch);
        } else if !self.fits(proposal.height, proposal.epoch) {
            return;
        }
        self.tree.add_value(p.proposal.value_id, &p.header);
        self.facts.proposal(&proposal, digest, &header);
        self.carries.proposal(&proposal, digest);
        if let Some(init) = &p.init {
            self.learn_init(init);
        }
        if !of_faulty && p.proposal.pol_round < 0 {
            self.relies(p.proposal.init_hash);
        }
    }

    pub(super) fn learn_init(&mut self, init: &SignedTermInit) {
        let Some(named) = self.named_init(init) else { return };
        let hash = init.init.hash(&self.rules.domain);
        let faulty = self.faulty.contains(&named.init.leader);
        let who = (init.init.epoch, init.init.leader);
        let fits = self.fits(init.init.height, init.init.epoch);
        // Anyone can put a name to one: only what its leader signed counts.
        if (faulty && !fits) || !self.genuine_seq(true, who, |k, d| init.verify(k, d).is_ok()) {
            return;
        }
        if !faulty {
            self.in_force("term init", init.init.height, init.init.epoch);
        }
        // Reports of faulty members inside count as seen, as soon as the TermInit is.
        for (report, named) in init.reports.iter().zip(&named.reports) {
            let who = (report.status.epoch, report.status.signer);
            if self.faulty.contains(&named.status.signer)
                && self.fits(report.status.height, report.status.epoch)
                && self.genuine(true, who, |k, d| report.verify(k, d).is_ok())
            {
                self.facts.status(&self.tree, &named.status);
            }
        }
        self.digest(hash, "term init");
        self.facts.init(&named.init, hash);
        self.carries.init(&named, hash);
    }

    /// I-11, I-12: what a correct node relies on is valid, as judged from outside.
    pub(super) fn relies(&mut self, init_hash: B256) {
        let height = self.carries.height_of(&init_hash).unwrap_or(1);
        let roll = self.roll(height);
        let sight =
            Sight { tree: &self.tree, set: &roll, acks: &self.acks, leaders: &self.leaders };
        match self.carries.rely(&sight, &init_hash) {
            None => {}
            Some(Err(why)) => self.broke("I-11", why),
            Some(Ok((place, carry))) => self.acks.carried(&self.tree, place, carry),
        }
        self.reverts();
    }
}
