//! A small forked history with known keys, and evidence of every kind from it.

use super::{Four, four};
use alloy_primitives::keccak256;
use rota_types::*;

pub(crate) const HEIGHT: u64 = 10;
const FIRST: u64 = 100;
const CLOSE_G: u64 = 104;
/// Leads, and signs two histories.
pub(crate) const LEADER: u16 = 1;
/// Acks, votes and reports on both.
pub(crate) const LIAR: u16 = 2;

/// Two branches of one term that part at the third frame, over two heights.
pub(crate) struct Fork {
    pub(crate) four: Four,
    pub(crate) a: Vec<FrameHeader>,
    pub(crate) b: Vec<FrameHeader>,
}

pub(crate) fn none() -> MerkleProof {
    MerkleProof { index: 0, count: 0, siblings: Vec::new() }
}

impl Fork {
    pub(crate) fn new() -> Self {
        let four = four(0);
        let a = branch(&four.domain, keccak256("base"), 7);
        let b = branch(&four.domain, keccak256("base"), 8);
        Self { four, a, b }
    }
    fn domain(&self) -> &Domain {
        &self.four.domain
    }
    pub(crate) fn hash(&self, frame: &FrameHeader) -> B256 {
        frame.hash(self.domain())
    }
    pub(crate) fn frame(&self, content: &FrameHeader) -> SealedFrame {
        let key = &self.four.seq[usize::from(LEADER)];
        Sealed { signature: key.sign(&content.hash(self.domain())), content: content.clone() }
    }
    pub(crate) fn init(&self, carry_g: u64) -> SealedInit {
        let content = TermInit {
            epoch: 0,
            height: HEIGHT,
            round: 2,
            leader: LEADER,
            carry_g,
            carry_hash: keccak256("carry"),
            carry_closed: false,
            j_root: keccak256("reports"),
            j_count: 3,
        };
        let key = &self.four.seq[usize::from(LEADER)];
        Sealed { signature: key.sign(&content.hash(self.domain())), content }
    }
    pub(crate) fn ack(&self, round: u32, frame: &FrameHeader, init_hash: B256) -> SealedAck {
        let content = Ack {
            epoch: 0,
            height: HEIGHT,
            round,
            signer: LIAR,
            g: frame.g,
            frame_hash: self.hash(frame),
            init_hash,
        };
        let key = &self.four.seq[usize::from(LIAR)];
        Sealed { signature: key.sign(&content.digest(self.domain())), content }
    }
    pub(crate) fn status(&self, round: u32, best_round: i32, tip: &FrameHeader) -> SealedStatus {
        let content = Status {
            epoch: 0,
            height: HEIGHT,
            round,
            signer: LIAR,
            best_round,
            best_g: tip.g,
            best_hash: self.hash(tip),
            best_ref: B256::ZERO,
        };
        let key = &self.four.vote[usize::from(LIAR)];
        Sealed { signature: key.sign(&content.digest(self.domain())), content }
    }
    pub(crate) fn vote(&self, round: u32, kind: VoteKind, value_id: B256) -> SealedVote {
        let content = Vote { epoch: 0, height: HEIGHT, round, kind, value_id };
        let key = &self.four.vote[usize::from(LIAR)];
        Sealed { signature: key.sign(&content.digest(self.domain())), content }
    }
    pub(crate) fn proposal(&self, pol_round: i32, value_id: B256) -> SealedProposal {
        let content = Proposal {
            epoch: 0,
            height: HEIGHT,
            round: 0,
            pol_round,
            proposer: LEADER,
            value_id,
            init_hash: B256::ZERO,
        };
        let key = &self.four.vote[usize::from(LEADER)];
        Sealed { signature: key.sign(&content.digest(self.domain())), content }
    }
    /// The header that cuts a branch at its CLOSE.
    pub(crate) fn header(&self, frames: &[FrameHeader]) -> Header {
        let hashes = self.hashes(frames);
        let mut header = super::sample::header();
        header.close.epoch = 0;
        header.close.height = HEIGHT;
        header.close.term = Term { height: HEIGHT, round: 0 };
        header.close.closer = LEADER;
        header.first_g = FIRST;
        header.last_g = CLOSE_G;
        header.frames_root = hash_list_root(&hashes);
        header.last_frame_hash = hashes[4];
        header
    }
    fn hashes(&self, frames: &[FrameHeader]) -> Vec<B256> {
        frames.iter().filter(|f| f.height == HEIGHT).map(|f| self.hash(f)).collect()
    }
    /// The hash at a position of the closed height, and its branch.
    pub(crate) fn place(&self, frames: &[FrameHeader], g: u64) -> (B256, MerkleProof) {
        let hashes = self.hashes(frames);
        let index = u32::try_from(g - FIRST).unwrap();
        (hashes[usize::try_from(index).unwrap()], tx_proof(&hashes, &[], index).unwrap())
    }
    pub(crate) fn id(&self, header: &Header) -> B256 {
        header.value_id(self.domain())
    }
    pub(crate) fn cert(&self, value: B256, signers: &[u16]) -> CertVotes {
        let c = self.four.certify(HEIGHT, value, signers);
        CertVotes {
            height: c.height,
            round: c.round,
            value_id: c.value_id,
            signers: c.signers,
            signatures: c.signatures,
        }
    }
}

/// Frames 100 to 104 of height 10 and 105 to 107 of height 11; from 102 on they carry `mark`.
fn branch(domain: &Domain, base: B256, mark: u64) -> Vec<FrameHeader> {
    let mut prev_hash = base;
    (0u32..8)
        .map(|seq| {
            let flags = match seq {
                0 | 5 => Flags::OPEN,
                4 => Flags::CLOSE,
                _ => Flags::default(),
            };
            let frame = FrameHeader {
                epoch: 0,
                term: Term { height: HEIGHT, round: 0 },
                leader: LEADER,
                g: FIRST + u64::from(seq),
                seq,
                prev_hash,
                init_hash: B256::ZERO,
                height: HEIGHT + u64::from(seq > 4),
                flags,
                timestamp_ms: 1_760_000_000_000 + if seq < 2 { 0 } else { mark },
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

pub(crate) fn evidence(accused: u16, proof: Proof) -> Evidence {
    Evidence { generation: 0, epoch: 0, accused, proof }
}

/// Named evidence that shows an offence.
pub(crate) fn guilty(x: &Fork) -> Vec<(&'static str, Evidence)> {
    let mut all = contradictions(x);
    all.extend(super::blocks::guilty(x));
    all
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn contradictions(x: &Fork) -> Vec<(&'static str, Evidence)> {
    let leader = |proof| evidence(LEADER, proof);
    let liar = |proof| evidence(LIAR, proof);
    let (a, b) = (&x.a, &x.b);
    let pair = |p: &FrameHeader, q: &FrameHeader| Box::new([x.frame(p), x.frame(q)]);
    let end = FrameHeader { flags: Flags::CLOSE.with(Flags::TERM_END), ..a[4].clone() };
    let late = FrameHeader { height: HEIGHT, ..a[5].clone() };
    let early = FrameHeader { height: HEIGHT + 1, ..a[4].clone() };
    let gap = FrameHeader { g: a[3].g + 1, ..a[3].clone() };
    let other_init = FrameHeader { init_hash: keccak256("init"), ..a[3].clone() };
    let header = x.header(a);
    let id = x.id(&header);
    let (leaf, branch) = x.place(a, 103);
    let prevote = |round| x.vote(round, VoteKind::Prevote, id);
    let down = |frames: &[FrameHeader], to: usize| {
        frames[to..].iter().rev().cloned().collect::<Vec<FrameHeader>>()
    };
    let zero = B256::ZERO;
    vec![
        ("FrameTwice", leader(Proof::FrameTwice(pair(&a[2], &b[2])))),
        ("InitTwice", leader(Proof::InitTwice(Box::new([x.init(1), x.init(2)])))),
        ("PastEnd after the end", leader(Proof::PastEnd(pair(&end, &a[6])))),
        ("PastEnd in a closed height", leader(Proof::PastEnd(pair(&a[4], &late)))),
        ("PastEnd without CLOSE", leader(Proof::PastEnd(pair(&a[3], &early)))),
        ("Unchained", leader(Proof::Unchained(pair(&a[2], &b[3])))),
        ("Unchained with a gap", leader(Proof::Unchained(pair(&a[2], &gap)))),
        ("Unchained in the opening", leader(Proof::Unchained(pair(&a[2], &other_init)))),
        (
            "OtherCut",
            leader(Proof::OtherCut(Box::new(OtherCut {
                proposal: x.proposal(-1, id),
                header,
                frame: x.frame(&b[3]),
                leaf,
                branch,
            }))),
        ),
        ("AckTwice", liar(ack_twice(x, &a[3], &b[3], Vec::new()))),
        ("AckTwice over a chain", liar(ack_twice(x, &a[3], &b[6], down(&b[..7], 4)))),
        (
            "AckTwice in the opening",
            liar(Proof::AckTwice {
                acks: Box::new([x.ack(1, &a[3], zero), x.ack(1, &a[5], keccak256("init"))]),
                chain: Vec::new(),
            }),
        ),
        (
            "StatusTwice",
            liar(Proof::StatusTwice(Box::new([x.status(1, 0, &a[3]), x.status(1, 0, &b[3])]))),
        ),
        ("AckAgainstVote", liar(against(x, (prevote(0), &a[..]), &b[3], 0))),
        ("AckAgainstVote of a later round", liar(against(x, (prevote(0), &a[..]), &b[2], 1))),
        ("AckAgainstVote above", liar(against(x, (prevote(0), &a[..]), &b[6], 0))),
        ("StatusHidesAck by round", liar(hides_ack(x, (1, &a[3]), (2, 0, &a[4]), Vec::new()))),
        ("StatusHidesAck by length", liar(hides_ack(x, (0, &a[3]), (1, 0, &a[2]), Vec::new()))),
        (
            "StatusHidesAck by branch",
            liar(hides_ack(x, (0, &a[2]), (1, 0, &b[4]), down(&b[..5], 3))),
        ),
        ("StatusHidesAck at one place", liar(hides_ack(x, (0, &a[3]), (1, 0, &b[3]), Vec::new()))),
        ("VoteTwice prevote", liar(votes_twice(x, VoteKind::Prevote, [id, zero]))),
        ("VoteTwice precommit", liar(votes_twice(x, VoteKind::Precommit, [id, keccak256("v")]))),
        (
            "ProposalTwice",
            leader(Proof::ProposalTwice(Box::new([x.proposal(-1, id), x.proposal(0, id)]))),
        ),
        (
            "CertTwice",
            evidence(
                ACCUSED_MANY,
                Proof::CertTwice(Box::new([
                    x.cert(id, &[0, 1, 2]),
                    x.cert(keccak256("v"), &[1, 2, 3]),
                ])),
            ),
        ),
        ("StatusHidesVote by round", liar(hides_vote(x, prevote(1), (2, 0, &a[6]), Vec::new()))),
        ("StatusHidesVote by length", liar(hides_vote(x, prevote(0), (1, 0, &a[3]), Vec::new()))),
        (
            "StatusHidesVote by branch",
            liar(hides_vote(x, prevote(0), (1, 0, &b[6]), down(&b[..7], 5))),
        ),
    ]
}

pub(crate) fn ack_twice(
    x: &Fork,
    low: &FrameHeader,
    high: &FrameHeader,
    chain: Vec<FrameHeader>,
) -> Proof {
    let zero = B256::ZERO;
    Proof::AckTwice { acks: Box::new([x.ack(1, low, zero), x.ack(1, high, zero)]), chain }
}

/// A prevote for the header of `voted` and an ack of `frame`, which is of branch b.
pub(crate) fn against(
    x: &Fork,
    (vote, voted): (SealedVote, &[FrameHeader]),
    frame: &FrameHeader,
    round: u32,
) -> Proof {
    let within = frame.g <= CLOSE_G;
    let (leaf, branch) = if within { x.place(voted, frame.g) } else { (B256::ZERO, none()) };
    let chain: Vec<FrameHeader> =
        x.b.iter().rev().filter(|f| !within && f.g > CLOSE_G && f.g <= frame.g).cloned().collect();
    let ack = x.ack(round, frame, B256::ZERO);
    let header = x.header(voted);
    Proof::AckAgainstVote(Box::new(AckAgainstVote { ack, vote, header, leaf, branch, chain }))
}

pub(crate) fn hides_ack(
    x: &Fork,
    (round, acked): (u32, &FrameHeader),
    (at, best, tip): (u32, i32, &FrameHeader),
    chain: Vec<FrameHeader>,
) -> Proof {
    let ack = Box::new(x.ack(round, acked, B256::ZERO));
    Proof::StatusHidesAck { ack, status: Box::new(x.status(at, best, tip)), chain }
}

/// Against the header of branch a.
pub(crate) fn hides_vote(
    x: &Fork,
    vote: SealedVote,
    (at, best, tip): (u32, i32, &FrameHeader),
    chain: Vec<FrameHeader>,
) -> Proof {
    let (header, status) = (x.header(&x.a), x.status(at, best, tip));
    Proof::StatusHidesVote(Box::new(StatusHidesVote { vote, header, status, chain }))
}

pub(crate) fn votes_twice(x: &Fork, kind: VoteKind, values: [B256; 2]) -> Proof {
    Proof::VoteTwice(Box::new(values.map(|value| x.vote(1, kind, value))))
}
