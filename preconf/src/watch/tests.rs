//! Two branches of one leader, and members that act on both.
#![expect(clippy::arithmetic_side_effects, reason = "a test may overflow and panic")]

use super::*;
use alloy_primitives::{Address, U256, keccak256};
use proptest::prelude::*;
use rota_types::{
    Ack, Bitmap, Close, Env, EvidenceKind, Flags, OffenceClass, Proposal, SeqKey, SignedAck,
    SignedStatus, SignedVote, Status, TermInit, Validator, ValidatorSet, Vote, VoteKey, VoteKind,
    hash_list_root,
};

const HEIGHT: u64 = 10;
const TERM: Term = Term { height: HEIGHT, round: 0 };
const LEADER: u16 = 1;
const LIAR: u16 = 2;

struct Town {
    domain: Domain,
    set: ValidatorSet,
    seq: Vec<SeqKey>,
    vote: Vec<VoteKey>,
    branches: [Vec<FrameHeader>; 2],
}

impl Town {
    fn new() -> Self {
        let domain = Domain::new(1, 2, Address::ZERO, B256::ZERO, 0);
        let seq: Vec<SeqKey> = (1..5).map(|i| SeqKey::from_seed(&[i; 32])).collect();
        let vote: Vec<VoteKey> = (1..5).map(|i| VoteKey::from_secret(&[i; 32]).unwrap()).collect();
        let validators = (0..4)
            .map(|i| Validator {
                owner: Address::ZERO,
                seq_key: seq[i].public(),
                vote_key: vote[i].address(),
                stake: U256::from(1_000_000_000_000_000_000u64),
                fee_recipient: Address::ZERO,
                peer: String::new(),
            })
            .collect();
        let branches = [7, 8].map(|mark| branch(&domain, mark));
        Self { set: ValidatorSet::new(0, validators), domain, seq, vote, branches }
    }
    fn watch(&self) -> Watch {
        let mut watch = Watch::new(self.domain.clone(), WatchLimits::default());
        watch.advance(HEIGHT - 1);
        watch
    }
    fn seq_key(&self, who: u16) -> &SeqKey {
        &self.seq[usize::from(who)]
    }
    fn vote_key(&self, who: u16) -> &VoteKey {
        &self.vote[usize::from(who)]
    }
    fn sign_frame(&self, header: &FrameHeader) -> Signed {
        let signature = self.seq_key(LEADER).sign(&header.hash(&self.domain));
        Signed::Frame(header.clone(), signature)
    }
    fn ack(&self, round: u32, branch: usize, place: usize) -> Signed {
        let frame = &self.branches[branch][place];
        let ack = Ack {
            epoch: 0,
            height: HEIGHT,
            round,
            signer: LIAR,
            g: frame.g,
            frame_hash: frame.hash(&self.domain),
            init_hash: B256::ZERO,
        };
        Signed::Ack(SignedAck::sign(ack, self.seq_key(LIAR), &self.domain))
    }
    fn status(&self, round: u32, best_round: i32, branch: usize, place: usize) -> Signed {
        let frame = &self.branches[branch][place];
        let status = Status {
            epoch: 0,
            height: HEIGHT,
            round,
            signer: LIAR,
            best_round,
            best_g: frame.g,
            best_hash: frame.hash(&self.domain),
            best_ref: B256::ZERO,
        };
        Signed::Status(SignedStatus::sign(status, self.vote_key(LIAR), &self.domain))
    }
    fn header(&self, branch: usize) -> Header {
        let hashes: Vec<B256> =
            self.branches[branch][..5].iter().map(|f| f.hash(&self.domain)).collect();
        Header {
            env: Env {
                timestamp_s: 0,
                l1_number: 0,
                l1_hash: B256::ZERO,
                gas_limit: 0,
                prev_randao: B256::ZERO,
                fee_vault: Address::ZERO,
            },
            close: Close {
                generation: 0,
                epoch: 0,
                height: HEIGHT,
                parent_id: B256::ZERO,
                term: TERM,
                closer: LEADER,
                cursor: 0,
                window_left: 1,
                jailed_bitmap_hash: B256::ZERO,
                evidence_root: B256::ZERO,
                next_set_hash: B256::ZERO,
                insured_total: 0,
                exec_lag_height: 0,
                exec_lag_root: B256::ZERO,
                history_root: B256::ZERO,
            },
            first_g: 100,
            last_g: 104,
            txs_root: B256::ZERO,
            frames_root: hash_list_root(&hashes),
            last_frame_hash: hashes[4],
        }
    }
    fn id(&self, branch: usize) -> B256 {
        self.header(branch).value_id(&self.domain)
    }
    fn vote(&self, round: u32, kind: VoteKind, value_id: B256) -> Signed {
        let vote = Vote { epoch: 0, height: HEIGHT, round, kind, value_id };
        Signed::Vote(SignedVote::sign(vote, LIAR, self.vote_key(LIAR), &self.domain))
    }
    fn proposal(&self, round: u32, pol_round: i32, branch: usize) -> Signed {
        let (value_id, init_hash) = (self.id(branch), B256::ZERO);
        let p = Proposal {
            epoch: 0,
            height: HEIGHT,
            round,
            pol_round,
            proposer: LEADER,
            value_id,
            init_hash,
        };
        let signature = self.vote_key(LEADER).sign(&p.digest(&self.domain));
        Signed::Proposal(p, signature, Box::new(self.header(branch)))
    }
    fn init(&self, carry_g: u64) -> Signed {
        let init = TermInit {
            epoch: 0,
            height: HEIGHT,
            round: 1,
            leader: LEADER,
            carry_g,
            carry_hash: B256::ZERO,
            carry_closed: false,
            j_root: B256::ZERO,
            j_count: 3,
        };
        let signature = self.seq_key(LEADER).sign(&init.hash(&self.domain));
        Signed::Init(init, signature)
    }
    fn certificate(&self, value_id: B256, signers: [u16; 3]) -> CommitCertificate {
        let vote = Vote { epoch: 0, height: HEIGHT, round: 0, kind: VoteKind::Precommit, value_id };
        let sign = |i| self.vote_key(i).sign(&vote.digest(&self.domain));
        CommitCertificate {
            epoch: 0,
            height: HEIGHT,
            round: 0,
            value_id,
            signers: Bitmap::of(signers),
            signatures: signers.map(sign).to_vec(),
        }
    }
    /// Shows statements in this order; gives all evidence, each piece checked.
    fn show(&self, said: &[Signed]) -> Vec<Evidence> {
        let mut watch = self.watch();
        let out: Vec<Evidence> = said
            .iter()
            .inspect(|s| s.verify(&self.set, &self.domain).unwrap())
            .flat_map(|s| watch.observe(s))
            .collect();
        for evidence in &out {
            evidence.verify(&self.set, &self.domain).unwrap();
        }
        out
    }
    fn kinds(&self, said: &[Signed]) -> Vec<EvidenceKind> {
        self.show(said).iter().map(Evidence::kind).collect()
    }
    fn frames(&self, branch: usize) -> Vec<Signed> {
        self.branches[branch].iter().map(|f| self.sign_frame(f)).collect()
    }
}

/// Frames 100 to 104 of one height and 105 to 107 of the next; from 102 on they carry `mark`.
fn branch(domain: &Domain, mark: u64) -> Vec<FrameHeader> {
    let mut prev_hash = keccak256("base");
    (0u32..8)
        .map(|seq| {
            let frame = FrameHeader {
                epoch: 0,
                term: TERM,
                leader: LEADER,
                g: 100 + u64::from(seq),
                seq,
                prev_hash,
                init_hash: B256::ZERO,
                height: HEIGHT + u64::from(seq > 4),
                flags: if seq == 4 { Flags::CLOSE } else { Flags::default() },
                timestamp_ms: if seq < 2 { 0 } else { mark },
                tx_count: 0,
                tx_root: B256::ZERO,
                gas_cum: 0,
                exec_commit: B256::ZERO,
                insured_cum: 0,
                env_hash: B256::ZERO,
                close_hash: B256::ZERO,
            };
            prev_hash = frame.hash(domain);
            frame
        })
        .collect()
}

#[test]
fn every_kind_is_found() {
    let t = Town::new();
    let (a, b) = (t.frames(0), t.frames(1));
    let both = || [&a[..], &b[..]].concat();
    let with = |rest: &[Signed]| {
        let found = t.kinds(&[&both()[..], rest].concat());
        // The leader is found out first, once.
        assert_eq!(found.first(), Some(&EvidenceKind::FrameTwice));
        found[1..].to_vec()
    };
    let late = FrameHeader { height: HEIGHT, ..t.branches[0][5].clone() };
    assert_eq!(t.kinds(&[a[2].clone(), b[2].clone()]), [EvidenceKind::FrameTwice]);
    assert_eq!(t.kinds(&[t.init(1), t.init(2)]), [EvidenceKind::InitTwice]);
    assert_eq!(t.kinds(&[a[4].clone(), t.sign_frame(&late)]), [EvidenceKind::PastEnd]);
    assert_eq!(t.kinds(&[b[3].clone(), a[2].clone()]), [EvidenceKind::Unchained]);
    let prevote = |round, id| t.vote(round, VoteKind::Prevote, id);
    assert_eq!(with(&[t.ack(0, 0, 3), t.ack(0, 1, 6)]), [EvidenceKind::AckTwice]);
    assert_eq!(with(&[t.ack(0, 1, 3), t.ack(0, 0, 3)]), [EvidenceKind::AckTwice]);
    assert_eq!(with(&[t.status(1, 0, 0, 3), t.status(1, 0, 1, 3)]), [EvidenceKind::StatusTwice]);
    let against = [EvidenceKind::AckAgainstVote];
    assert_eq!(with(&[t.proposal(0, -1, 0), prevote(0, t.id(0)), t.ack(0, 1, 3)]), against);
    assert_eq!(with(&[t.ack(1, 1, 6), prevote(0, t.id(0)), t.proposal(0, -1, 0)]), against);
    assert_eq!(with(&[t.ack(0, 0, 3), t.status(1, 0, 1, 6)]), [EvidenceKind::StatusHidesAck]);
    assert_eq!(with(&[t.ack(1, 0, 3), t.status(2, 0, 0, 6)]), [EvidenceKind::StatusHidesAck]);
    let votes = [prevote(0, t.id(0)), prevote(0, B256::ZERO)];
    assert_eq!(with(&votes), [EvidenceKind::VoteTwice]);
    let twice = [t.proposal(0, -1, 0), t.proposal(0, 0, 0)];
    assert_eq!(with(&twice), [EvidenceKind::ProposalTwice]);
    let hidden = [t.status(1, 0, 1, 6), prevote(0, t.id(0)), t.proposal(0, -1, 0)];
    assert_eq!(with(&hidden), [EvidenceKind::StatusHidesVote]);
    let mut watch = t.watch();
    assert!(watch.decided(&t.header(0), &t.certificate(t.id(0), [0, 1, 2])).is_empty());
    let found = watch.decided(&t.header(1), &t.certificate(t.id(1), [1, 2, 3]));
    assert_eq!(found[0].verify(&t.set, &t.domain).unwrap().accused, [1, 2]);
}

/// The frames of the cut are another leader's carried ones, so that nothing else convicts.
#[test]
fn a_cut_of_another_log_is_found_in_any_order() {
    let t = Town::new();
    let mut a = t.branches[0].clone();
    // In the header's chain only the CLOSE is of the term; the accused signed a frame below it too.
    for frame in &mut a[..4] {
        frame.leader = 3;
        frame.term = Term { height: HEIGHT - 1, round: 0 };
    }
    let mut prev = keccak256("base");
    for frame in &mut a {
        frame.prev_hash = prev;
        prev = frame.hash(&t.domain);
    }
    let hashes: Vec<B256> = a[..5].iter().map(|f| f.hash(&t.domain)).collect();
    let mut header = t.header(0);
    header.frames_root = hash_list_root(&hashes);
    header.last_frame_hash = hashes[4];
    let value_id = header.value_id(&t.domain);
    let p = Proposal {
        epoch: 0,
        height: HEIGHT,
        round: 0,
        pol_round: -1,
        proposer: LEADER,
        value_id,
        init_hash: B256::ZERO,
    };
    let signature = t.vote_key(LEADER).sign(&p.digest(&t.domain));
    let own = t.sign_frame(&FrameHeader { seq: 1, ..t.branches[1][2].clone() });
    let sign = |f: &FrameHeader| {
        let key = t.seq_key(f.leader);
        Signed::Frame(f.clone(), key.sign(&f.hash(&t.domain)))
    };
    let mut said: Vec<Signed> = a[..4].iter().map(sign).collect();
    said.push(Signed::Proposal(p, signature, Box::new(header)));
    said.push(own);
    // Without the CLOSE itself the chain below it is not known.
    assert!(t.kinds(&said).is_empty());
    said.push(sign(&a[4]));
    assert_eq!(t.kinds(&said), [EvidenceKind::OtherCut]);
    said.reverse();
    assert_eq!(t.kinds(&said), [EvidenceKind::OtherCut]);
}

#[test]
fn an_honest_member_is_never_accused() {
    let t = Town::new();
    let prevote = t.vote(0, VoteKind::Prevote, t.id(0));
    let said = [
        t.frames(0),
        vec![t.ack(0, 0, 2), t.ack(0, 0, 4), t.ack(0, 0, 6), t.proposal(0, -1, 0), prevote],
        vec![t.vote(0, VoteKind::Precommit, t.id(0)), t.status(1, 0, 0, 7), t.status(2, 0, 0, 7)],
    ]
    .concat();
    assert_eq!(t.kinds(&said), []);
    assert_eq!(t.kinds(&[&said[..], &said[..]].concat()), []);
}

#[test]
fn what_falls_out_of_the_window_is_forgotten_and_a_share_is_bounded() {
    let t = Town::new();
    let limits =
        WatchLimits { past: 2, ahead: 2, rounds: 4, acks: 3, terms: 2, frames: 4, headers: 1 };
    let mut watch = Watch::new(t.domain.clone(), limits);
    for said in t.frames(0) {
        watch.observe(&said);
    }
    assert_eq!(watch.held(), 0, "not in the window yet");
    watch.advance(HEIGHT - 1);
    for said in t.frames(0).iter().chain(&t.frames(1)) {
        watch.observe(said);
    }
    for (round, place) in (0..9).flat_map(|r| (0..8).map(move |p| (r, p))) {
        watch.observe(&t.ack(round, 0, place));
        watch.observe(&t.status(round + 1, 0, 0, place));
        watch.observe(&t.proposal(round, 0, place % 2));
    }
    // Frames of a term and second ones, acks, reports, proposals, one header.
    assert!(watch.held() <= 4 + 4 + 4 * 3 + 4 + 4 + 1, "{}", watch.held());
    watch.advance(HEIGHT + 4);
    assert_eq!(watch.held(), 0);
    assert!(watch.missing.is_empty() && watch.signers.is_empty());
}

/// Everything the liar and the leader may say, by number.
fn statement(t: &Town, n: usize) -> Signed {
    let (branch, place, round) = (n % 2, n / 2 % 8, u32::try_from(n / 16 % 2).unwrap());
    match n / 32 {
        0 => t.sign_frame(&t.branches[branch][place]),
        1 => t.ack(round, branch, place),
        2 => t.status(round + 1, i32::try_from(place % 2).unwrap(), branch, place),
        3 => t.vote(round, VoteKind::Prevote, if place > 3 { B256::ZERO } else { t.id(branch) }),
        4 => t.vote(round, VoteKind::Precommit, if place > 3 { B256::ZERO } else { t.id(branch) }),
        5 => t.proposal(round, -1, branch),
        _ => t.init(u64::try_from(place).unwrap()),
    }
}

/// Whom evidence costs what; of those kinds that are pairs of a place, also where.
type Found = (BTreeSet<(u16, OffenceClass)>, BTreeSet<(u16, OffencePlace)>);

fn found(all: &[Evidence]) -> Found {
    let classes = all.iter().map(|e| (e.accused, e.kind().class())).collect();
    let pair = |e: &&Evidence| {
        matches!(
            e.kind(),
            EvidenceKind::VoteTwice | EvidenceKind::InitTwice | EvidenceKind::FrameTwice
        )
    };
    (classes, all.iter().filter(pair).map(|e| (e.accused, e.place())).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever the order, the same signers are found guilty of the same.
    #[test]
    fn the_order_does_not_matter(
        numbers in proptest::collection::vec(0usize..224, 1..24),
        orders in proptest::collection::vec(any::<proptest::sample::Index>(), 24),
    ) {
        let t = Town::new();
        // The frames themselves are known in full, so that every chain can be shown.
        let mut said: Vec<Signed> = numbers.iter().map(|n| statement(&t, *n)).collect();
        said.extend(t.frames(0));
        let first = found(&t.show(&said));
        let mut order: Vec<Signed> = Vec::new();
        for (i, one) in said.iter().enumerate() {
            let at = orders[i % orders.len()].index(order.len() + 1);
            order.insert(at, one.clone());
        }
        let second = found(&t.show(&order));
        // Of a place with two frames the second may be found as a link that does not hold.
        prop_assert_eq!(&first.0, &second.0);
        let votes = |f: &Found| -> Vec<(u16, OffencePlace)> {
            f.1.iter().filter(|(_, place)| place.group != 1).copied().collect()
        };
        prop_assert_eq!(votes(&first), votes(&second));
    }
}
