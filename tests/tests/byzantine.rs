//! Members that break the rules, less than a third of the stake of each set, with network trouble and crashes of
//! correct members on top. Only correct members count.
//!
//! Agreement (I-1), acked prefixes and who can be blamed for a lost one (I-2, I-3), progress in the calm (I-5), what
//! correct keys sign (I-6, I-7), openings (I-11, I-12), justified prevotes (I-27) are watched in every step by the
//! simulation itself. Each seed runs twice, and what the members did must really have happened.

use rota_tests::sim::{Behaviour, Event, Plan, Report, World};

/// One set with liars.
struct Case {
    stakes: Vec<u64>,
    seed: u64,
    liars: Vec<(u16, Behaviour)>,
}

impl Case {
    fn of(n: usize, seed: u64, behaviour: Behaviour) -> Self {
        let stakes = if n == 10 { (10..20).map(|i| i * i).collect() } else { vec![100; n] };
        // One of 4, two of 7, and of the ten unequal ones those with 6.6, 10.3 and 14.8 percent.
        let count = [1, 2, 3][(n - 4) / 3];
        let liars = [2, 5, 8].into_iter().take(count).map(|i| (i, behaviour)).collect();
        Self { stakes, seed, liars }
    }

    fn plan(&self) -> Plan {
        let n = u16::try_from(self.stakes.len()).unwrap();
        let mut plan = Plan::quiet(self.stakes.len(), self.seed, 15_000);
        plan.stakes = self.stakes.clone();
        plan.byzantine = self.liars.clone();
        plan.calm_ms = Some(8_000);
        plan.tx_rate = 20;
        let at = 1_500 + self.seed * 137 % 700;
        let half = |from: u16, to: u16| (from..to).collect::<Vec<u16>>();
        plan.events = vec![
            (at, Event::KillLeader),
            (at + 900, Event::StartAll),
            (at + 1_700, Event::Partition(vec![half(0, n / 2), half(n / 2, n)])),
            (at + 2_600, Event::Heal),
            (at + 3_300, Event::KillLeader),
            (at + 4_100, Event::StartAll),
        ];
        if self.seed % 2 == 1 {
            plan.link.loss_permille = 10;
            plan.link.duplicate_permille = 20;
            plan.link.jitter_us = 25_000;
            plan.reorder = true;
        }
        plan
    }

    fn run(&self) -> Report {
        let who = format!("{:?}, seed {}", self.liars, self.seed);
        let first = World::run(self.plan()).unwrap_or_else(|v| panic!("{who}: {v}"));
        let again = World::run(self.plan()).unwrap_or_else(|v| panic!("{who}: {v}"));
        assert_eq!(first, again, "{who}: not deterministic");
        assert!(first.heights.1 - first.heights.0 <= 3, "{who}: {first:?}");
        // Who takes no newer origin refuses every height from then on: only a little more than a quorum is left.
        let stalls = self.liars.iter().any(|(_, b)| *b == Behaviour::StallOrigin);
        assert!(first.heights.0 >= if stalls { 12 } else { 16 }, "{who}: {first:?}");
        assert!(first.top_round >= 1, "{who}: {first:?}");
        first
    }
}

/// Runs a behaviour in sets of 4, 7 and 10 members; `deeds` must all have happened.
fn lies(behaviour: Behaviour, deeds: &[&str]) -> Vec<Report> {
    let cases = [(4, 0), (4, 1), (7, 2), (10, 3)];
    let reports: Vec<Report> =
        cases.map(|(n, seed)| Case::of(n, seed, behaviour).run()).into_iter().collect();
    for deed in deeds {
        let count: u64 = reports.iter().filter_map(|r| r.deeds.get(deed)).sum();
        let done: Vec<_> = reports.iter().map(|r| &r.deeds).collect();
        assert!(count > 0, "nobody did: {deed}; what was done: {done:?}");
    }
    reports
}

/// Somebody accused the liars of a contradiction; the simulation holds that nobody accuses a correct member.
fn accused(reports: &[Report]) {
    assert!(reports.iter().any(|r| !r.accused.is_empty()), "{reports:?}");
}

/// The contract convicts the liars of each of these kinds in some set. The simulation itself holds that whoever
/// contradicted itself before correct members is convicted in every run.
fn convicted(reports: &[Report], kinds: &[&str]) {
    let shown = |kind: &&str| reports.iter().any(|r| r.evidence.kinds.contains_key(kind));
    let missing: Vec<&&str> = kinds.iter().filter(|kind| !shown(kind)).collect();
    let found: Vec<_> = reports.iter().map(|r| &r.evidence.kinds).collect();
    assert!(missing.is_empty(), "no evidence of {missing:?}; found: {found:?}");
    // Two halves of a contradiction may reach two members: then only their tapes together show it.
    assert!(reports.iter().any(|r| !r.evidence.alone.is_empty()), "nobody saw enough alone");
}

#[test]
fn twins_with_one_key() {
    let reports = lies(Behaviour::Twins, &["said by the second twin"]);
    accused(&reports);
    convicted(&reports, &["VoteTwice", "StatusHidesAck"]);
}

#[test]
fn a_leader_with_two_histories() {
    let reports =
        lies(Behaviour::ForkFrames, &["forked frames", "forked proposals", "forked reports"]);
    accused(&reports);
    convicted(&reports, &["FrameTwice"]);
}

#[test]
fn a_leader_that_proposes_the_other_close() {
    let reports = lies(Behaviour::ForkClose, &["forked closes", "forked proposals"]);
    accused(&reports);
    convicted(&reports, &["FrameTwice"]);
}

/// I-39: from the CLOSE that brings the evidence on it has no window more, and nobody waits for it.
#[test]
fn who_forks_is_in_the_jail_at_once_and_the_others_go_on() {
    for seed in 40..44 {
        let mut plan = Plan::quiet(4, seed, 14_000);
        plan.byzantine = vec![(2, Behaviour::ForkFrames)];
        let report = World::run(plan).unwrap_or_else(|v| panic!("seed {seed}: {v}"));
        let stats = &report.stats;
        assert_eq!(stats.jailed, 1, "{report:?}");
        assert!(stats.in_jail.0 >= 10, "{report:?}");
        assert_eq!(stats.in_jail.1, 0, "somebody waited for who is in the jail: {report:?}");
    }
}

#[test]
fn a_term_opened_twice() {
    convicted(&lies(Behaviour::ForkInit, &["forked openings"]), &["InitTwice"]);
}

#[test]
fn frames_for_some_only_and_no_answers() {
    let reports = lies(Behaviour::Withhold, &["withheld frames", "unanswered requests"]);
    // I-28: who did not have the frames followed the decision.
    assert!(reports.iter().any(|r| r.stats.followed > 0), "{reports:?}");
}

#[test]
fn a_successor_that_drops_the_tail() {
    lies(Behaviour::DropTail, &["dropped tails"]);
}

#[test]
fn a_successor_that_picks_its_reports() {
    lies(Behaviour::CherryPick, &["cherry picks"]);
}

#[test]
fn a_proposal_without_an_opening() {
    lies(Behaviour::Naked, &["naked proposals"]);
}

#[test]
fn acks_for_other_frames_to_other_peers() {
    convicted(&lies(Behaviour::SplitAcks, &["split acks"]), &["AckTwice"]);
}

#[test]
fn reports_that_leave_out_what_was_acked() {
    convicted(&lies(Behaviour::OmitStatus, &["omitted chains"]), &["StatusHidesAck"]);
}

#[test]
fn reports_of_a_round_that_nothing_justifies() {
    lies(Behaviour::HighStatus, &["invented rounds"]);
}

#[test]
fn reports_of_frames_that_do_not_exist() {
    lies(Behaviour::GhostStatus, &["ghosts"]);
}

#[test]
fn reports_of_frames_that_break_the_rules() {
    lies(Behaviour::BrokenStatus, &["broken frames reported"]);
}

#[test]
fn two_votes_in_every_round() {
    let reports = lies(Behaviour::VoteTwice, &["double votes"]);
    accused(&reports);
    convicted(&reports, &["VoteTwice"]);
}

#[test]
fn votes_without_regard_to_a_lock() {
    lies(Behaviour::Forget, &["votes without a lock in later rounds"]);
}

#[test]
fn silence() {
    lies(Behaviour::Silent, &["silences"]);
}

/// What L1 forces in is executed all the same: an honest leader's origin passes it, and the rest of the set follows (I-15).
#[test]
fn members_that_hold_back_the_l1_origin() {
    let reports = lies(Behaviour::StallOrigin, &["refused origins"]);
    for report in &reports {
        let (newest, decided) = report.origin;
        assert!(newest >= 6 && decided + 4 >= newest, "{report:?}");
    }
    assert!(reports.iter().map(|r| r.forced).sum::<usize>() > 0, "nothing was forced in");
    assert!(reports.iter().map(|r| r.deposits).sum::<usize>() > 0, "nothing was deposited");
}

#[test]
fn old_messages_again() {
    lies(Behaviour::Replay, &["replays"]);
}

#[test]
fn right_messages_under_wrong_names() {
    lies(Behaviour::Impostor, &["false names"]);
}

/// Several behaviours in one set, and two in one member.
#[test]
fn liars_that_work_together() {
    use Behaviour as B;
    let groups = [
        [(2, B::ForkFrames), (2, B::SplitAcks), (5, B::OmitStatus), (5, B::VoteTwice)],
        [(3, B::Withhold), (3, B::ForkFrames), (6, B::CherryPick), (6, B::ForkFrames)],
        [(1, B::Twins), (1, B::GhostStatus), (4, B::Forget), (4, B::ForkInit)],
    ];
    let mut deeds = std::collections::BTreeSet::new();
    for (seed, liars) in (20..).zip(groups) {
        let case = Case { stakes: vec![100; 7], seed, liars: liars.to_vec() };
        deeds.extend(case.run().deeds.into_keys());
    }
    for deed in [
        "forked frames",
        "split acks",
        "double votes",
        "unanswered requests",
        "said by the second twin",
    ] {
        assert!(deeds.contains(deed), "nobody did: {deed}; what was done: {deeds:?}");
    }
}
