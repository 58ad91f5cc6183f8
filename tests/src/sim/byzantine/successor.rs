//! The lying successor: in a round above 0 that it leads, it opens the term by hand, from all the reports that it
//! can get, in a way that suits it. What the real node would have said there is not sent.

use super::{Answer, Fate, Heard, Mask, cast::Cx, craft::Branch, part};
use alloy_primitives::B256;
use rota_preconf::Frame;
use rota_types::{
    Flags, SignedStatus, Term,
    wire::{Message, Request},
};
use std::{collections::BTreeMap, sync::Arc};

/// How it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Two openings from two choices of reports.
    Fork,
    /// Carries less than the reports select.
    DropTail,
    /// Those reports of more than two thirds that carry least: allowed.
    Least,
    /// No opening at all.
    Naked,
}

type Reports = BTreeMap<u16, SignedStatus>;
/// Position, hash, and whether it closes the height.
type Carry = (u64, B256, bool);

pub(super) struct Successor {
    way: Way,
    reports: BTreeMap<(u64, u32), Reports>,
    /// When it took over in this round.
    since: Option<((u64, u32), u64)>,
    done: Option<(u64, u32)>,
    branches: Vec<Branch>,
}

/// Milliseconds to wait for more than the needed reports.
const PATIENCE_MS: u64 = 45;

impl Successor {
    pub(super) const fn new(way: Way) -> Self {
        Self { way, reports: BTreeMap::new(), since: None, done: None, branches: Vec::new() }
    }

    fn take(&mut self, cx: &Cx<'_>, report: &SignedStatus) {
        let s = &report.status;
        let key = cx.epoch.set().get(s.signer).map(|v| v.vote_key);
        let near =
            cx.place().is_some_and(|p| p.0 == s.height && s.round >= p.1 && s.round < p.1 + 8);
        if near && key.is_some_and(|key| report.verify(key, &cx.rules.domain).is_ok()) {
            let place = (s.height, s.round);
            self.reports
                .entry(place)
                .or_default()
                .entry(s.signer)
                .or_insert_with(|| report.clone());
        }
    }

    fn open(&mut self, cx: &mut Cx<'_>, place: (u64, u32), reports: &Reports) {
        self.branches.clear();
        let all: Vec<SignedStatus> = reports.values().cloned().collect();
        let mut choices = choices(cx, &all);
        choices.sort_by_key(|(_, carry)| carry.0);
        let Some((least, carry)) = choices.first().cloned() else { return };
        let everyone = cx.others();
        match self.way {
            Way::Least => {
                let most = choices.last().map_or(0, |(_, carry)| carry.0);
                cx.did(if most > carry.0 { "cherry picks that cost" } else { "cherry picks" });
                self.lead(cx, place, Some((least, carry)), &everyone);
            }
            Way::DropTail => {
                let Some((most, carry)) = choices.last().cloned() else { return };
                let Some(path) = cx.path(&carry.1) else { return };
                let keep = cx.dice.below(path.len().max(1) as u64) as usize;
                let base = cx.scene.replica.map(|r| r.chain().base().base).unwrap();
                let (g, hash) = keep
                    .checked_sub(1)
                    .map_or((base.g, base.hash), |i| (path[i].g(), path[i].hash));
                cx.did(if g < carry.0 { "dropped tails" } else { "nothing to drop" });
                self.lead(cx, place, Some((most, (g, hash, false))), &everyone);
            }
            Way::Fork => {
                let last = choices.last().cloned();
                let second = last.filter(|(reports, _)| *reports != least);
                // Without another choice of reports, the same ones with another carry.
                let base = cx.scene.replica.map(|r| r.chain().base().base).unwrap();
                let second = second.unwrap_or((least.clone(), (base.g, base.hash, false)));
                let side = cx.some();
                let rest = everyone.into_iter().filter(|i| !side.contains(i)).collect::<Vec<_>>();
                cx.did("forked openings");
                self.lead(cx, place, Some((least, carry)), &side);
                self.lead(cx, place, Some(second), &rest);
            }
            Way::Naked => {
                cx.did("naked proposals");
                self.lead(cx, place, None, &everyone);
            }
        }
    }

    /// Opening, CLOSE and proposal towards some.
    fn lead(
        &mut self,
        cx: &mut Cx<'_>,
        place: (u64, u32),
        opening: Option<(Vec<SignedStatus>, Carry)>,
        to: &[u16],
    ) {
        let mut say = Vec::new();
        let carry = opening.as_ref().map(|(_, carry)| *carry);
        let init = opening.map(|(reports, carry)| cx.init(place, carry, reports));
        let init_hash = init.as_ref().map(|i| i.init.hash(&cx.rules.domain));
        say.extend(init.clone().map(Message::TermInit));
        let path = carry.map_or_else(|| Some(Vec::new()), |carry| cx.path(&carry.1));
        let term = Term { height: place.0, round: place.1 };
        let branch =
            path.and_then(|path| Branch::over(cx, &path, term, init_hash.unwrap_or_default()));
        let Some(mut branch) = branch else { return };
        if branch.closed(place.0).is_none() {
            let Some(frame) = branch.cut(cx, &[], true) else { return };
            say.push(cx.frame(&frame));
        }
        let known = cx.scene.replica.and_then(|r| r.chain().header(place.0));
        let header = match known.filter(|_| init.is_none() && cx.dice.one_in(2)) {
            // A value that others know to be valid from an earlier round.
            Some((header, _)) => header.clone(),
            None => branch.closed(place.0).unwrap().0.clone(),
        };
        say.push(cx.propose(place, header, init));
        for (to, message) in to.iter().flat_map(|to| say.iter().map(move |m| (*to, m))) {
            cx.send(to, message.clone());
        }
        self.branches.push(branch);
    }
}

impl Mask for Successor {
    fn prepare(&mut self, cx: &mut Cx<'_>, message: &Message) {
        if let Message::Status(report) = message {
            self.take(cx, report);
        }
    }

    fn send(&mut self, cx: &mut Cx<'_>, _: u16, message: &Message) -> Fate {
        let by_hand = match message {
            Message::TermInit(init) => init.init.leader == cx.seat,
            Message::Frame(f) => f.header.leader == cx.seat && f.header.term.round > 0,
            Message::Proposal(p) => p.proposal.pol_round < 0 && p.proposal.round > 0,
            _ => false,
        };
        if by_hand { Fate::Drop } else { Fate::Pass }
    }

    fn hear(&mut self, cx: &mut Cx<'_>, _: u16, heard: &Heard<'_>) -> bool {
        if let Heard::Message(Message::Status(report)) = heard {
            self.take(cx, report);
        }
        true
    }

    fn answer(&mut self, _: &mut Cx<'_>, _: u16, request: &Request) -> Answer {
        let Request::Frames { from_g, tip } = request else { return Answer::Honest };
        let own = self.branches.iter().find_map(|b| part(b.chain.frames(), *from_g, tip));
        own.map_or(Answer::Honest, Answer::This)
    }

    fn act(&mut self, cx: &mut Cx<'_>) {
        let Some(replica) = cx.scene.replica else { return };
        let place = replica.place();
        if place.1 == 0 || replica.leader() != cx.seat || self.done == Some(place) {
            return;
        }
        self.reports.retain(|at, _| at.0 >= place.0);
        let Some(reports) = self.reports.get(&place).cloned() else { return };
        let power = reports.keys().filter_map(|i| cx.epoch.set().get(*i)).map(|v| v.power()).sum();
        if !cx.epoch.set().is_quorum(power) {
            return;
        }
        let since = self.since.filter(|(at, _)| *at == place).map_or(cx.scene.now_ms, |s| s.1);
        self.since = Some((place, since));
        if reports.len() < cx.peers.len() && cx.scene.now_ms < since + PATIENCE_MS {
            return;
        }
        self.done = Some(place);
        self.open(cx, place, &reports);
    }
}

/// Every choice of reports of more than two thirds whose frames are here, with what it carries.
fn choices(cx: &Cx<'_>, all: &[SignedStatus]) -> Vec<(Vec<SignedStatus>, Carry)> {
    let mut out = Vec::new();
    for bits in 1u32..1 << all.len().min(10) {
        let chosen = all.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
        let chosen: Vec<SignedStatus> = chosen.map(|(_, r)| r.clone()).collect();
        let power = |r: &SignedStatus| cx.epoch.set().get(r.status.signer).map_or(0, |v| v.power());
        if cx.epoch.set().is_quorum(chosen.iter().map(power).sum())
            && let Some(carry) = select(cx, &chosen)
        {
            out.push((chosen, carry));
        }
    }
    out
}

/// What some reports select, found again by itself: among those of the highest round, the heaviest branch.
fn select(cx: &Cx<'_>, reports: &[SignedStatus]) -> Option<Carry> {
    let base = cx.scene.replica?.chain().base();
    let newest = reports.iter().map(|r| r.status.best_round).max()?;
    let mut paths: Vec<(Vec<Arc<Frame>>, u64)> = Vec::new();
    for report in reports.iter().filter(|r| r.status.best_round == newest) {
        let power = cx.epoch.set().get(report.status.signer)?.power();
        paths.push((cx.path(&report.status.best_hash)?, power));
    }
    let mut carry = (base.base.g, base.base.hash, false);
    for depth in 0.. {
        let mut weights: BTreeMap<B256, u64> = BTreeMap::new();
        for (path, power) in &paths {
            if let Some(next) = path.get(depth).filter(|f| f.prev() == carry.1) {
                *weights.entry(next.hash).or_default() += power;
            }
        }
        let most = weights.values().max().copied();
        let Some((hash, _)) = weights.iter().find(|(_, w)| Some(**w) == most) else { break };
        let frame = cx.scene.replica?.frame(hash)?;
        let closes = frame.height() == base.height && frame.signed.header.flags.has(Flags::CLOSE);
        carry = (frame.g(), *hash, closes);
        if closes {
            break;
        }
    }
    Some(carry)
}
