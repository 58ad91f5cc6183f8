//! Judging what validators report at a round change (`docs/protocol.md`, "Round change").
//!
//! A report of round 0 rests on the frames it names; one of a later round rests on that round's opening or
//! re-proposal as well, which is kept here for as long as the height is undecided.
//! Not for: choosing among reports (`select`).
//! Invariant (I-12): a judgement depends on the content of the report, of what it rests on and of the
//! frames, and on nothing else; what is missing is named, and never counts as wrong.

use crate::{BadFrame, BadInit, Chain, Frame, FramePool, Rules, Select, Stream, carry, select};
use alloy_primitives::B256;
use rota_types::{
    Header, Justification, PolkaCertificate, SignedProposal, SignedStatus, SignedTermInit, Status,
    Term, TermInit, ValidatorSet,
};
use std::{collections::BTreeMap, sync::Arc};

/// Most justifications kept for one height: a few per validator and round in the worst case.
const MAX_KEPT: usize = 1024;

/// Something a judgement cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A frame, by its hash.
    Frame(B256),
    /// What a Status names as its `best_ref`.
    Justification(B256),
    /// This L1 block, which says what set comes next. Nobody is asked for it: it comes from L1.
    Origin(u64),
    /// What execution gave at this checkpoint. Nobody is asked for it: it is executed here.
    Lag(u64),
}

/// Why a report does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unjustified {
    /// Not yet: something is not here.
    Missing(Need),
    /// Never, whatever arrives.
    Never(&'static str),
}

/// What a judgement needs to see.
#[derive(Debug, Clone, Copy)]
pub struct InitView<'a> {
    /// The chain above the last decided height.
    pub chain: &'a Chain,
    /// All frames held.
    pub pool: &'a FramePool,
    /// Known epochs and signature context.
    pub rules: &'a Rules,
}

impl InitView<'_> {
    /// The set in force at the lowest undecided height.
    #[must_use]
    pub fn set(&self) -> &ValidatorSet {
        self.chain.base().epoch.set()
    }
}

/// What a report says was accepted: round, position, frame, and what it rests on.
type Claim = (i32, u64, B256, B256);

/// Openings and re-proposals of the undecided height, and what was judged with them.
#[derive(Debug, Default)]
pub struct Archive {
    kept: BTreeMap<B256, Arc<Justification>>,
    verdicts: BTreeMap<Claim, bool>,
    inits: BTreeMap<B256, Result<(), BadInit>>,
}

/// What the leader of a round can open its term with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// These reports are good and enough, and select this tip.
    Open {
        /// By ascending signer.
        reports: Vec<SignedStatus>,
        /// Position, hash, and whether the height is closed there.
        carry: (u64, B256, bool),
    },
    /// Not enough good reports. What these reporters named is missing here.
    Wait(Vec<(u16, Need)>),
}

impl Archive {
    /// Keeps a justification after checking every signature in it. What is wrong is its sender's fault.
    pub fn insert(
        &mut self,
        justification: Arc<Justification>,
        view: &InitView<'_>,
    ) -> Result<B256, BadInit> {
        let reference = justification.reference(&view.rules.domain);
        if self.kept.contains_key(&reference) {
            return Ok(reference);
        }
        if self.kept.len() >= MAX_KEPT {
            return Err(BadInit::Invalid("too many openings and re-proposals at one height"));
        }
        match justification.as_ref() {
            Justification::Init(init) => carry::check_signatures(init, view)?,
            Justification::Reproposal { proposal, polka } => {
                check_reproposal(proposal, polka, view)?;
            }
        }
        self.kept.insert(reference, justification);
        Ok(reference)
    }

    /// A justification that is kept.
    #[must_use]
    pub fn get(&self, reference: &B256) -> Option<&Arc<Justification>> {
        self.kept.get(reference)
    }

    /// What the judgement of an opening rested on: frames, and the openings and re-proposals that its reports name.
    #[must_use]
    pub fn foundation(
        &self,
        init: &SignedTermInit,
        view: &InitView<'_>,
    ) -> (Vec<Arc<Frame>>, Vec<Arc<Justification>>) {
        let (mut frames, mut named) = (BTreeMap::new(), BTreeMap::new());
        let mut inits = vec![init.clone()];
        while let Some(init) = inits.pop() {
            let newest = init.reports.iter().map(|r| r.status.best_round).max().unwrap_or(0);
            for report in init.reports.iter().map(|r| &r.status).filter(|s| s.best_round == newest)
            {
                let path = view.pool.path(&view.chain.base().base.hash, &report.best_hash);
                frames.extend(path.unwrap_or_default().into_iter().map(|f| ((f.g(), f.hash), f)));
                let Some(kept) = self.kept.get(&report.best_ref) else { continue };
                if named.insert(report.best_ref, Arc::clone(kept)).is_none()
                    && let Justification::Init(below) = kept.as_ref()
                {
                    inits.push(below.clone());
                }
            }
        }
        (frames.into_values().collect(), named.into_values().collect())
    }

    /// Whether a report (its signature is checked already) tells of a chain that may have been accepted.
    pub fn judge(&mut self, report: &Status, view: &InitView<'_>) -> Result<(), Unjustified> {
        if report.best_round < 0 || i64::from(report.best_round) >= i64::from(report.round) {
            return Err(Unjustified::Never("the reported round is not below the one entered"));
        }
        let key = (report.best_round, report.best_g, report.best_hash, report.best_ref);
        match self.verdicts.get(&key) {
            Some(true) => return Ok(()),
            Some(false) => return Err(Unjustified::Never("judged before")),
            None => {}
        }
        let verdict = self.examine(report, view);
        match verdict {
            Ok(()) => drop(self.verdicts.insert(key, true)),
            Err(Unjustified::Never(_)) => drop(self.verdicts.insert(key, false)),
            Err(Unjustified::Missing(_)) => {}
        }
        verdict
    }

    /// Judges an opening whose signatures are checked, and what it rests on.
    pub fn check(&mut self, signed: &SignedTermInit, view: &InitView<'_>) -> Result<B256, BadInit> {
        let hash = signed.init.hash(&view.rules.domain);
        if let Some(verdict) = self.inits.get(&hash) {
            return verdict.clone().map(|()| hash);
        }
        let verdict = self.check_carry(&signed.init, &signed.reports, view);
        if !matches!(verdict, Err(BadInit::Missing { .. })) {
            self.inits.insert(hash, verdict.clone());
        }
        verdict.map(|()| hash)
    }

    /// What the leader of a round can do with the reports it has.
    pub fn choose(&mut self, reports: &[SignedStatus], view: &InitView<'_>) -> Choice {
        let (mut good, mut missing) = (Vec::new(), Vec::new());
        for report in reports {
            match self.judge(&report.status, view) {
                Ok(()) => good.push(report.clone()),
                Err(Unjustified::Missing(need)) => missing.push((report.status.signer, need)),
                Err(Unjustified::Never(_)) => {}
            }
        }
        let power = |r: &SignedStatus| view.set().get(r.status.signer).map_or(0, |v| v.power());
        let weight = good.iter().map(power).fold(0, u64::saturating_add);
        if !view.set().is_quorum(weight) {
            return Choice::Wait(missing);
        }
        match carry::choose_tip(&good, view) {
            Select::Carry { g, hash, closed } => {
                Choice::Open { reports: good, carry: (g, hash, closed) }
            }
            Select::Missing(_) => Choice::Wait(missing),
        }
    }

    fn check_carry(
        &mut self,
        init: &TermInit,
        reports: &[SignedStatus],
        view: &InitView<'_>,
    ) -> Result<(), BadInit> {
        if view.rules.off(crate::Mutation::Unjustified) {
            let path = view.pool.path(&view.chain.base().base.hash, &init.carry_hash);
            return path.map(drop).map_err(|frame| BadInit::Missing {
                signer: init.leader,
                need: Need::Frame(frame),
            });
        }
        let newest = reports.iter().map(|r| r.status.best_round).max().unwrap_or(0);
        for report in reports.iter().filter(|r| r.status.best_round == newest) {
            self.judge(&report.status, view).map_err(|why| match why {
                Unjustified::Missing(need) => {
                    BadInit::Missing { signer: report.status.signer, need }
                }
                Unjustified::Never(what) => BadInit::Invalid(what),
            })?;
        }
        let given = (init.carry_g, init.carry_hash, init.carry_closed);
        match select(reports, view.chain, view.pool, view.set()) {
            Select::Missing(frame) => {
                Err(BadInit::Missing { signer: init.leader, need: Need::Frame(frame) })
            }
            Select::Carry { g, hash, closed } if given == (g, hash, closed) => Ok(()),
            Select::Carry { .. } if view.rules.off(crate::Mutation::AnyReport) => Ok(()),
            Select::Carry { .. } => Err(BadInit::Carry),
        }
    }

    fn examine(&mut self, report: &Status, view: &InitView<'_>) -> Result<(), Unjustified> {
        if report.best_round == 0 {
            if !report.best_ref.is_zero() {
                return Err(Unjustified::Never("a report of round 0 rests on frames only"));
            }
            return examine_stream(report, Chain::new(view.chain.base().clone()), 0, view);
        }
        let kept = self.kept.get(&report.best_ref).cloned();
        let kept = kept.ok_or(Unjustified::Missing(Need::Justification(report.best_ref)))?;
        let round = u32::try_from(report.best_round).unwrap_or(0);
        if kept.place() != (report.height, round) {
            return Err(Unjustified::Never("it rests on what belongs to another round"));
        }
        match kept.as_ref() {
            Justification::Init(init) => {
                let hash = self.check(init, view).map_err(|e| match e {
                    BadInit::Missing { need, .. } => Unjustified::Missing(need),
                    _ => Unjustified::Never("it rests on an opening that is not valid"),
                })?;
                examine_term(report, &init.init, hash, view)
            }
            Justification::Reproposal { proposal, .. } => {
                let header = &proposal.header;
                if (report.best_g, report.best_hash) != (header.last_g, header.last_frame_hash) {
                    return Err(Unjustified::Never("it does not end where the re-proposal does"));
                }
                match gives(header, view) {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(Unjustified::Never("the frames do not give the header")),
                    Err(need) => Err(Unjustified::Missing(need)),
                }
            }
        }
    }
}

/// Whether the frames held give exactly this header, or what is missing to say so.
pub fn gives(header: &Header, view: &InitView<'_>) -> Result<bool, Need> {
    let base = view.chain.base();
    let path = view.pool.path(&base.base.hash, &header.last_frame_hash).map_err(Need::Frame)?;
    let mut chain = Chain::new(base.clone());
    let mut last = None;
    for frame in &path {
        match chain.append_carried(frame, view.rules) {
            Ok(closed) => last = closed,
            Err(BadFrame::Origin(l1_number)) => return Err(Need::Origin(l1_number)),
            Err(BadFrame::Lag(height)) => return Err(Need::Lag(height)),
            Err(_) => return Ok(false),
        }
    }
    Ok(last.is_some_and(|(h, _)| h == *header))
}

/// The frames above `skip` must continue `chain`, by the rules, at least to the CLOSE of the height.
fn examine_stream(
    report: &Status,
    mut chain: Chain,
    skip: usize,
    view: &InitView<'_>,
) -> Result<(), Unjustified> {
    let base = view.chain.base();
    let path = view.pool.path(&base.base.hash, &report.best_hash);
    let path = path.map_err(|frame| Unjustified::Missing(Need::Frame(frame)))?;
    let length = u64::try_from(path.len()).unwrap_or(u64::MAX);
    if base.base.g.checked_add(length) != Some(report.best_g) {
        return Err(Unjustified::Never("its tip is at another position"));
    }
    for (at, frame) in path.iter().enumerate().skip(skip) {
        match chain.append(frame, view.rules) {
            // What lies above the CLOSE belongs to the next height and is never carried.
            Ok(Some(_)) if report.best_round == 0 => return Ok(()),
            Ok(Some(_)) if at.saturating_add(1) < path.len() => {
                return Err(Unjustified::Never("frames after the CLOSE in a round above 0"));
            }
            Ok(_) => {}
            Err(error) => return Err(unfit(&error, "its frames break the rules")),
        }
    }
    Ok(())
}

/// What a frame that does not chain says of the report that rests on it.
const fn unfit(error: &BadFrame, what: &'static str) -> Unjustified {
    match error {
        BadFrame::Origin(l1_number) => Unjustified::Missing(Need::Origin(*l1_number)),
        BadFrame::Lag(height) => Unjustified::Missing(Need::Lag(*height)),
        _ => Unjustified::Never(what),
    }
}

fn examine_term(
    report: &Status,
    init: &TermInit,
    hash: B256,
    view: &InitView<'_>,
) -> Result<(), Unjustified> {
    if init.carry_closed {
        return if (report.best_g, report.best_hash) == (init.carry_g, init.carry_hash) {
            Ok(())
        } else {
            Err(Unjustified::Never("the opening carried a closed height"))
        };
    }
    let base = view.chain.base();
    let carried = view.pool.path(&base.base.hash, &init.carry_hash);
    let carried = carried.map_err(|frame| Unjustified::Missing(Need::Frame(frame)))?;
    let mut chain = Chain::new(base.clone());
    for frame in &carried {
        if let Err(error) = chain.append_carried(frame, view.rules) {
            return Err(unfit(&error, "the carried frames break the rules"));
        }
    }
    chain.enter(Stream {
        term: Term { height: init.height, round: init.round },
        leader: init.leader,
        init_hash: hash,
        next_seq: 0,
    });
    let path = view.pool.path(&base.base.hash, &report.best_hash);
    let path = path.map_err(|frame| Unjustified::Missing(Need::Frame(frame)))?;
    if !path.iter().zip(&carried).all(|(a, b)| a.hash == b.hash) || path.len() < carried.len() {
        return Err(Unjustified::Never("it does not have what the opening carried"));
    }
    examine_stream(report, chain, carried.len(), view)
}

fn check_reproposal(
    signed: &SignedProposal,
    polka: &PolkaCertificate,
    view: &InitView<'_>,
) -> Result<(), BadInit> {
    let p = &signed.proposal;
    let base = view.chain.base();
    let leader = base.epoch.schedule().leader(base.cursor, p.round);
    let placed = p.height == base.height && p.epoch == view.set().epoch() && p.proposer == leader;
    let again = p.pol_round >= 0 && i64::from(p.pol_round) < i64::from(p.round);
    if !placed || !again || p.value_id != signed.header.value_id(&view.rules.domain) {
        return Err(BadInit::Invalid("not a re-proposal of this height by the round's leader"));
    }
    let round = u32::try_from(p.pol_round).unwrap_or(u32::MAX);
    if (polka.height, polka.round, polka.value_id) != (p.height, round, p.value_id) {
        return Err(BadInit::Invalid("the prevotes are for something else"));
    }
    let key = view.set().get(leader).ok_or(BadInit::Invalid("no such leader"))?.vote_key;
    if signed.verify(key, &view.rules.domain).is_err()
        || polka.verify(view.set(), &view.rules.domain).is_err()
    {
        return Err(BadInit::Invalid("a signature does not verify"));
    }
    Ok(())
}
