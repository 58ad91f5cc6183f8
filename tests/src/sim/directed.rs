//! Plans made by hand, for schedules that chance finds too rarely.

use super::{Event, Fate, Phase, Plan, Point, Script, Unsynced, world};
use crate::make;
use rota_types::wire::Message;

/// Milliseconds of calm at the end of a short plan.
const CALM_MS: u64 = 5_000;

impl Plan {
    /// Node `node` crashes in its `sync`-th sync, in `phase`, and comes back.
    #[must_use]
    pub fn crash_in_sync(seed: u64, node: u16, sync: u64, phase: Phase) -> Self {
        let mut plan = Self::quiet(4, seed, 1_800 + CALM_MS);
        plan.crashes = vec![Point { node, sync, phase, down_ms: 150 + sync % 400 }];
        plan.calm_ms = Some(1_800);
        plan
    }

    /// The leader dies, and as soon as somebody is in a round above 0 everyone loses power.
    #[must_use]
    pub fn all_at_once_in_a_round(n: usize, seed: u64, unsynced: Unsynced) -> Self {
        let mut plan = Self::quiet(n, seed, 6_000 + CALM_MS);
        let at = 2_000 + seed * 37 % 500;
        plan.events = vec![
            (at, Event::KillLeader),
            (at + 1, Event::CrashAllInRound(unsynced)),
            (at + 1_500, Event::StartAll),
        ];
        plan.calm_ms = Some(6_000);
        plan
    }

    /// The first leader's last frames reach one member only, which acks them and whose reports are late; the leader
    /// is gone for good, and one more member reports and says nothing else. Everyone else is needed: who acked must be able to vote
    /// for a history without what it acked.
    #[must_use]
    pub fn one_has_acked_more(seed: u64) -> Self {
        const CUT_MS: u64 = 1_000;
        let mut plan = Self::quiet(7, seed, 6_000 + CALM_MS);
        let epoch = make::epoch(&make::set(&plan.stakes), &world::params());
        let order = |round| epoch.schedule().leader(epoch.schedule().start(), round);
        let first = order(0);
        let mut late: Vec<u16> = (0..7).filter(|i| *i != first).collect();
        // Those who lead last of all.
        late.sort_by_key(|i| (1..56).find(|round| order(*round) == *i));
        let (mute, knows) = (late[5], late[4]);
        plan.script = Script::new(move |letter| {
            let (from, to) = (letter.from, letter.to);
            match letter.message {
                _ if letter.now_ms < CUT_MS => Fate::Pass,
                Some(Message::Frame(_)) if from == first && to != knows => Fate::Drop,
                Some(Message::Status(_)) if from == knows && letter.now_ms < CUT_MS + 900 => {
                    Fate::Drop
                }
                Some(Message::Status(_)) => Fate::Pass,
                Some(_) if from == mute => Fate::Drop,
                _ => Fate::Pass,
            }
        });
        plan.events = vec![(CUT_MS + 60, Event::Crash(first, Unsynced::Kept))];
        plan.gone = vec![first];
        // The reports that are late in the first round are there in the second.
        plan.max_round = Some(3);
        plan.calm_ms = Some(6_000);
        plan
    }
}
