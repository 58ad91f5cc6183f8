//! A second opinion on every TermInit (I-11, I-12) and on every prevote above round 0 (I-27).
//!
//! Written from the protocol, not from `preconf`: it sees all frames at once and keeps no pool.

use super::{
    acks::Acks,
    tree::{Tip, Tree},
};
use crate::sim::sets::Roll;
use alloy_primitives::B256;
use rota_types::{Proposal, SignedTermInit, Status, Vote};
use std::collections::{BTreeMap, BTreeSet};

/// A TermInit and what the second opinion says.
#[derive(Debug, Clone)]
struct Opinion {
    place: (u64, u32),
    carry: Tip,
    signed: SignedTermInit,
    verdict: Result<(), String>,
}

#[derive(Debug, Default)]
pub(super) struct Carries {
    opinions: BTreeMap<B256, Opinion>,
    /// Proposals by digest.
    proposals: BTreeMap<B256, Proposal>,
    by_value: BTreeMap<(u64, u32, B256), BTreeSet<B256>>,
    relied: BTreeSet<B256>,
    /// Last frame of the height before, by height.
    pub(super) bases: BTreeMap<u64, Tip>,
}

/// Height and round of a TermInit that a correct node relies on, and what it carries; or what is wrong with it.
pub(super) type Relied = Result<((u64, u32), Tip), String>;

/// What an opinion is formed from.
pub(super) struct Sight<'a> {
    pub(super) tree: &'a Tree,
    pub(super) set: &'a Roll,
    pub(super) acks: &'a Acks,
    pub(super) leaders: &'a BTreeMap<(u64, u32), u16>,
}

impl Carries {
    pub(super) fn proposal(&mut self, p: &Proposal, digest: B256) {
        let place = (p.height, p.round, p.value_id);
        self.by_value.entry(place).or_default().insert(digest);
        self.proposals.entry(digest).or_insert_with(|| p.clone());
    }

    pub(super) fn init(&mut self, signed: &SignedTermInit, hash: B256) {
        let i = &signed.init;
        self.opinions.entry(hash).or_insert_with(|| Opinion {
            place: (i.height, i.round),
            carry: (i.carry_g, i.carry_hash),
            signed: signed.clone(),
            verdict: Err("not judged yet".to_owned()),
        });
    }

    /// Judges what was not found valid yet: a correct node may have fetched more frames since. Earlier rounds
    /// first, since later ones rest on them.
    fn refresh(&mut self, sight: &Sight<'_>, height: u64) {
        let open = self.opinions.iter().filter(|(_, o)| o.place.0 == height && o.verdict.is_err());
        let mut open: Vec<(u32, B256)> = open.map(|(hash, o)| (o.place.1, *hash)).collect();
        open.sort_unstable();
        for (_, hash) in open {
            let Some(signed) = self.opinions.get(&hash).map(|o| o.signed.clone()) else { continue };
            let verdict = self.judge(sight, &signed);
            if let Some(opinion) = self.opinions.get_mut(&hash) {
                opinion.verdict = verdict;
            }
        }
    }

    fn judge(&self, sight: &Sight<'_>, signed: &SignedTermInit) -> Result<(), String> {
        let i = &signed.init;
        let signers: BTreeSet<u16> = signed.reports.iter().map(|r| r.status.signer).collect();
        let weight: u64 = signers.iter().map(|s| sight.set.power(*s)).sum();
        if signers.len() != signed.reports.len() || !sight.set.is_quorum(weight) {
            return Err("reports are not of more than two thirds".to_owned());
        }
        let here = |s: &Status| (s.height, s.round) == (i.height, i.round);
        if !signed.reports.iter().all(|r| here(&r.status)) {
            return Err("a report of another place".to_owned());
        }
        if sight.leaders.get(&(i.height, i.round)).is_some_and(|l| *l != i.leader) {
            return Err("not the leader".to_owned());
        }
        let Some(base) = self.bases.get(&i.height).copied() else {
            return Err("its height has no base yet".to_owned());
        };
        let newest = signed.reports.iter().map(|r| r.status.best_round).max().unwrap_or(0);
        let reports = signed.reports.iter().map(|r| &r.status);
        let reports: Vec<&Status> = reports.filter(|s| s.best_round == newest).collect();
        for report in &reports {
            self.justified(sight, base, report)?;
        }
        let (carry, closed) = select(sight, base, i.height, &reports);
        if (carry, closed) == ((i.carry_g, i.carry_hash), i.carry_closed) {
            Ok(())
        } else {
            Err(format!("carries {} {}, reports give {carry:?} {closed}", i.carry_g, i.carry_hash))
        }
    }

    fn justified(&self, sight: &Sight<'_>, base: Tip, s: &Status) -> Result<(), String> {
        let tip = (s.best_g, s.best_hash);
        let holds = |low, high| sight.tree.holds(low, high) == Some(true);
        if !holds(base, tip) {
            return Err(format!("{s:?} is not on the base"));
        }
        let Ok(round @ 1..) = u32::try_from(s.best_round) else { return Ok(()) };
        if let Some(o) = self.opinions.get(&s.best_ref) {
            let own = o.place == (s.height, round) && holds(o.carry, tip);
            return if own && o.verdict.is_ok() {
                Ok(())
            } else {
                Err(format!("{s:?} rests on {:?}: {:?}", o.place, o.verdict))
            };
        }
        let Some(p) = self.proposals.get(&s.best_ref) else {
            return Err(format!("{s:?} rests on nothing known"));
        };
        let polka = u32::try_from(p.pol_round)
            .is_ok_and(|vr| sight.acks.has_polka(p.height, vr, &p.value_id));
        let close = sight.tree.value(&p.value_id).map(|v| v.tip);
        if (p.height, p.round) == (s.height, round) && polka && close == Some(tip) {
            Ok(())
        } else {
            Err(format!("{s:?} rests on {p:?}"))
        }
    }

    /// The height of a TermInit that was seen.
    pub(super) fn height_of(&self, hash: &B256) -> Option<u64> {
        self.opinions.get(hash).map(|o| o.place.0)
    }

    /// A correct node accepted it: it acked in it, reported it or proposed in it. Gives what speaks
    /// against it, once; the carry if nothing does.
    pub(super) fn rely(&mut self, sight: &Sight<'_>, hash: &B256) -> Option<Relied> {
        if hash.is_zero() || self.proposals.contains_key(hash) || !self.relied.insert(*hash) {
            return None;
        }
        if let Some(height) = self.opinions.get(hash).map(|o| o.place.0) {
            self.refresh(sight, height);
        }
        Some(match self.opinions.get(hash) {
            None => Err(format!("TermInit {hash} was never seen")),
            Some(o) => match &o.verdict {
                Ok(()) => Ok((o.place, o.carry)),
                Err(why) => Err(format!("TermInit {hash} at {:?}: {why}", o.place)),
            },
        })
    }

    /// I-27: a prevote above round 0 is for a re-proposal, or for what a valid TermInit carries.
    ///
    /// A leader that crashed after its sync repeats its prevote and not the proposal, which never left: its own
    /// TermInit speaks for it.
    pub(super) fn may_prevote(
        &mut self,
        sight: &Sight<'_>,
        signer: u16,
        vote: &Vote,
    ) -> Result<(), String> {
        if vote.round == 0 || vote.value_id.is_zero() {
            return Ok(());
        }
        self.refresh(sight, vote.height);
        let place = (vote.height, vote.round, vote.value_id);
        let digests = self.by_value.get(&place);
        let proposals = digests.into_iter().flatten().filter_map(|d| self.proposals.get(d));
        let mut why = "no proposal is known".to_owned();
        for p in proposals {
            if p.pol_round >= 0 {
                return Ok(());
            }
            let Some(o) = self.opinions.get(&p.init_hash) else {
                why = format!("TermInit {} is not known", p.init_hash);
                continue;
            };
            why = format!("{:?}", o.verdict);
            let close = sight.tree.value(&p.value_id).map(|v| v.tip);
            if o.place == (vote.height, vote.round)
                && o.verdict.is_ok()
                && close.is_some_and(|c| sight.tree.holds(o.carry, c) == Some(true))
            {
                return Ok(());
            }
        }
        let close = sight.tree.value(&vote.value_id).map(|v| v.tip);
        let own = |o: &&Opinion| {
            o.signed.init.leader == signer
                && o.place == (vote.height, vote.round)
                && o.verdict.is_ok()
        };
        let carries =
            |o: &Opinion| close.is_some_and(|c| sight.tree.holds(o.carry, c) == Some(true));
        if self.opinions.values().find(own).is_some_and(carries) {
            return Ok(());
        }
        Err(format!("{vote:?} without a valid TermInit: {why}"))
    }
}

/// Section 6.4, rule 4: from the base always to the child with most reported stake below it.
fn select(sight: &Sight<'_>, base: Tip, height: u64, reports: &[&Status]) -> (Tip, bool) {
    let mut at = base;
    loop {
        let mut children: BTreeMap<B256, u64> = BTreeMap::new();
        for report in reports {
            let tip = (report.best_g, report.best_hash);
            if tip.0 > at.0 && sight.tree.holds(at, tip) == Some(true) {
                let child = sight.tree.at(tip, at.0 + 1).unwrap_or_default();
                let power = sight.set.power(report.signer);
                *children.entry(child).or_default() += power;
            }
        }
        // The first of the greatest, in ascending order of hash.
        let most = children.values().max().copied();
        let Some((hash, _)) = children.into_iter().find(|(_, w)| Some(*w) == most) else {
            return (at, false);
        };
        at = (at.0 + 1, hash);
        if sight.tree.get(&hash).is_some_and(|f| f.close && f.height == height) {
            return (at, true);
        }
    }
}
