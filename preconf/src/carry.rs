//! Carrying promises over a round change: the objective choice of the chain that a new leader must
//! continue (`docs/protocol.md`, "Round change").
//!
//! Invariant (I-11, I-12): `select` is a pure function of the reports and the frames they name, so a
//! TermInit that one correct node judges valid is judged valid by all.

use crate::{Chain, Frame, FramePool, InitView, Mutation, Need};
use alloy_primitives::B256;
use rota_types::{Domain, Flags, SignedStatus, SignedTermInit, TermInit, ValidatorSet};
use std::collections::BTreeMap;

/// What a selection gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Select {
    /// The tip to carry.
    Carry {
        /// Its position.
        g: u64,
        /// Its hash.
        hash: B256,
        /// Whether the chain up to it closes the height.
        closed: bool,
    },
    /// A frame that a report names is not here yet.
    Missing(B256),
}

/// Reports of one height and round, by signer.
#[derive(Debug, Default)]
pub struct StatusBook {
    reports: BTreeMap<(u64, u32), BTreeMap<u16, SignedStatus>>,
}

impl StatusBook {
    /// Takes a verified report; the first of a signer counts.
    pub fn add(&mut self, report: SignedStatus) {
        let s = &report.status;
        self.reports.entry((s.height, s.round)).or_default().entry(s.signer).or_insert(report);
    }
    /// Whether a signer's report of a round is here.
    #[must_use]
    pub fn has(&self, height: u64, round: u32, signer: u16) -> bool {
        self.reports.get(&(height, round)).is_some_and(|r| r.contains_key(&signer))
    }
    /// The reports of a round if they are of more than two thirds, by ascending signer.
    #[must_use]
    pub fn quorum(&self, height: u64, round: u32, set: &ValidatorSet) -> Option<Vec<SignedStatus>> {
        let reports = self.reports.get(&(height, round))?;
        let weight = reports
            .keys()
            .filter_map(|i| set.get(*i))
            .map(rota_types::Validator::power)
            .fold(0, u64::saturating_add);
        set.is_quorum(weight).then(|| reports.values().cloned().collect())
    }
    /// Forgets heights below `height`.
    pub fn prune(&mut self, height: u64) {
        self.reports.retain(|(h, _), _| *h >= height);
    }
}

/// The chain that some reports select: among those of the highest round, from the base, always the
/// child with the greatest reported stake below it (ties: the smaller hash).
#[must_use]
pub fn select(
    reports: &[SignedStatus],
    chain: &Chain,
    pool: &FramePool,
    set: &ValidatorSet,
) -> Select {
    let base = chain.base();
    let newest = reports.iter().map(|r| r.status.best_round).max().unwrap_or(0);
    let mut paths = Vec::new();
    for report in reports.iter().filter(|r| r.status.best_round == newest) {
        let power = set.get(report.status.signer).map_or(0, rota_types::Validator::power);
        match pool.path(&base.base.hash, &report.status.best_hash) {
            Ok(path) => paths.push((path, power)),
            Err(missing) => return Select::Missing(missing),
        }
    }
    let (mut at, mut depth) = (base.base.hash, 0usize);
    let (mut g, mut closed) = (base.base.g, false);
    while !closed {
        let mut weights: BTreeMap<B256, u64> = BTreeMap::new();
        for (path, power) in &paths {
            let on_branch =
                depth == 0 || path.get(depth.saturating_sub(1)).is_some_and(|f| f.hash == at);
            if let Some(next) = path.get(depth).filter(|_| on_branch) {
                let weight = weights.entry(next.hash).or_default();
                *weight = weight.saturating_add(*power);
            }
        }
        // BTreeMap order makes the smaller hash win a tie.
        let best = weights.into_iter().rev().max_by_key(|(_, weight)| *weight);
        let Some((hash, _)) = best else { break };
        at = hash;
        depth = depth.saturating_add(1);
        g = g.saturating_add(1);
        closed = pool
            .get(&hash)
            .is_some_and(|f| f.height() == base.height && f.signed.header.flags.has(Flags::CLOSE));
    }
    Select::Carry { g, hash: at, closed }
}

/// The tip that a leader carries: what `select` gives, unless a test has switched that off.
pub(crate) fn choose_tip(reports: &[SignedStatus], view: &InitView<'_>) -> Select {
    let tip = if view.rules.off(Mutation::AnyReport) {
        let newest = reports.iter().map(|r| r.status.best_round).max().unwrap_or(0);
        reports.iter().find(|r| r.status.best_round == newest).map(|r| r.status.best_hash)
    } else if view.rules.off(Mutation::Unjustified) {
        Some(view.chain.tip().hash)
    } else {
        None
    };
    match tip {
        None => select(reports, view.chain, view.pool, view.set()),
        Some(tip) => clip(view, &tip),
    }
}

/// A tip cut back to the CLOSE of the height.
fn clip(view: &InitView<'_>, tip: &B256) -> Select {
    let base = view.chain.base();
    let path = match view.pool.path(&base.base.hash, tip) {
        Ok(path) => path,
        Err(missing) => return Select::Missing(missing),
    };
    let closes = |f: &Frame| f.height() == base.height && f.signed.header.flags.has(Flags::CLOSE);
    let close = path.iter().find(|f| closes(f));
    close
        .or_else(|| path.last())
        .map_or(Select::Carry { g: base.base.g, hash: base.base.hash, closed: false }, |f| {
            Select::Carry { g: f.g(), hash: f.hash, closed: closes(f) }
        })
}

/// Why a TermInit, or what a report rests on, is refused. Its signer is at fault, unless something is
/// missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadInit {
    /// Signature, reports or quorum do not verify.
    #[error("{0}")]
    Invalid(&'static str),
    /// It does not carry what its reports select.
    #[error("it does not carry what its reports select")]
    Carry,
    /// Something that a report names is not here yet.
    #[error("what validator {signer} reported is not here yet: {need:?}")]
    Missing {
        /// Who named it and should have it.
        signer: u16,
        /// What.
        need: Need,
    },
}

/// Checks every signature of a TermInit of the undecided height, and that its reports are of more than two
/// thirds.
pub fn check_signatures(signed: &SignedTermInit, view: &InitView<'_>) -> Result<(), BadInit> {
    let init = &signed.init;
    let base = view.chain.base();
    if init.height != base.height || init.epoch != view.set().epoch() || init.round == 0 {
        return Err(BadInit::Invalid("not for this height and epoch"));
    }
    let leader = base.epoch.schedule().leader(base.cursor, init.round);
    let key = view.set().get(leader).filter(|_| init.leader == leader);
    let key = key.ok_or(BadInit::Invalid("not signed by the leader of the round"))?;
    signed
        .verify(&key.seq_key, &view.rules.domain)
        .map_err(|_| BadInit::Invalid("signature or report list does not verify"))?;
    check_reports(signed, view.set(), &view.rules.domain)
}

/// The unsigned TermInit for a round, from a quorum of reports.
#[must_use]
pub fn make_init(
    place: (u64, u32),
    leader: u16,
    carry: (u64, B256, bool),
    reports: &[SignedStatus],
    view: &InitView<'_>,
) -> TermInit {
    TermInit {
        epoch: view.set().epoch(),
        height: place.0,
        round: place.1,
        leader,
        carry_g: carry.0,
        carry_hash: carry.1,
        carry_closed: carry.2,
        j_root: TermInit::root_of(reports, &view.rules.domain),
        j_count: u16::try_from(reports.len()).unwrap_or(u16::MAX),
    }
}

fn check_reports(
    signed: &SignedTermInit,
    set: &ValidatorSet,
    domain: &Domain,
) -> Result<(), BadInit> {
    let mut weight = 0u64;
    let mut last = None;
    for report in &signed.reports {
        let s = &report.status;
        if s.height != signed.init.height || s.round != signed.init.round || s.epoch != set.epoch()
        {
            return Err(BadInit::Invalid("a report is for another place"));
        }
        if last.is_some_and(|l| l >= s.signer) {
            return Err(BadInit::Invalid("reports are not ordered by signer"));
        }
        last = Some(s.signer);
        let signer = set.get(s.signer).ok_or(BadInit::Invalid("a reporter is not in the set"))?;
        report
            .verify(signer.vote_key, domain)
            .map_err(|_| BadInit::Invalid("a report's signature does not verify"))?;
        weight = weight.saturating_add(signer.power());
    }
    if set.is_quorum(weight) {
        Ok(())
    } else {
        Err(BadInit::Invalid("the reports are not of more than two thirds"))
    }
}
