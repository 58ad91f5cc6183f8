//! Evidence that shows nothing: each differs in one thing from an offence, or is what a correct validator signs.

use super::offences::{
    Fork, HEIGHT, LEADER, LIAR, ack_twice, against, evidence, guilty, hides_ack, hides_vote, none,
    votes_twice,
};
use alloy_primitives::keccak256;
use rota_types::*;

/// Named evidence that no judge may accept.
pub(crate) fn innocent(x: &Fork) -> Vec<(String, Evidence)> {
    let mut out: Vec<(String, Evidence)> = Vec::new();
    for (name, good) in guilty(x) {
        let other = if good.accused == LEADER { LIAR } else { LEADER };
        out.push((format!("{name}, somebody else"), Evidence { accused: other, ..good.clone() }));
        out.push((format!("{name}, nobody"), Evidence { accused: 4, ..good.clone() }));
        out.push((format!("{name}, no set"), Evidence { epoch: 1, ..good.clone() }));
        out.push((format!("{name}, no such time"), Evidence { generation: 1, ..good.clone() }));
        let mut bytes = good.encode();
        // A signature near the front, or a bit of what it signs.
        bytes[20] ^= 1;
        out.extend(Evidence::decode(&bytes).ok().map(|e| (format!("{name}, changed"), e)));
    }
    out.extend(
        leaders(x).into_iter().map(|(name, proof)| (name.to_owned(), evidence(LEADER, proof))),
    );
    out.extend(liars(x).into_iter().map(|(name, proof)| (name.to_owned(), evidence(LIAR, proof))));
    let id = x.id(&x.header(&x.a));
    for (name, pair) in [
        ("two certificates for one value", [x.cert(id, &[0, 1, 2]), x.cert(id, &[1, 2, 3])]),
        ("no quorum", [x.cert(id, &[0, 1, 2]), x.cert(keccak256("v"), &[1, 2])]),
        ("an outsider", {
            let mut cert = x.cert(keccak256("v"), &[1, 2, 3]);
            cert.signers = Bitmap::of([1, 2, 4]);
            [x.cert(id, &[0, 1, 2]), cert]
        }),
        ("a signature of another", {
            let mut cert = x.cert(keccak256("v"), &[1, 2, 3]);
            cert.signatures.swap(0, 1);
            [x.cert(id, &[0, 1, 2]), cert]
        }),
    ] {
        let proof = Proof::CertTwice(Box::new(pair));
        out.push((format!("CertTwice, {name}"), evidence(ACCUSED_MANY, proof)));
    }
    let blocks = super::blocks::innocent(x).into_iter();
    out.extend(blocks.map(|(name, e)| (format!("FalseBlock, {name}"), e)));
    out
}

fn leaders(x: &Fork) -> Vec<(&'static str, Proof)> {
    let (a, b) = (&x.a, &x.b);
    let pair = |p: &FrameHeader, q: &FrameHeader| Box::new([x.frame(p), x.frame(q)]);
    let end = FrameHeader { flags: Flags::CLOSE.with(Flags::TERM_END), ..a[4].clone() };
    let other_term = FrameHeader { term: Term { height: HEIGHT, round: 1 }, ..b[2].clone() };
    let header = x.header(a);
    let id = x.id(&header);
    let (leaf, branch) = x.place(a, 103);
    let cut =
        OtherCut { proposal: x.proposal(-1, id), header, frame: x.frame(&b[3]), leaf, branch };
    let (leaf_2, branch_2) = x.place(a, 102);
    let moved = x.place(a, 104).1;
    let mut closer = x.header(a);
    closer.close.closer = LIAR;
    let by_other =
        OtherCut { proposal: x.proposal(-1, x.id(&closer)), header: closer, ..cut.clone() };
    let cut = |f: &dyn Fn(&mut OtherCut)| {
        let mut cut = cut.clone();
        f(&mut cut);
        Proof::OtherCut(Box::new(cut))
    };
    vec![
        ("FrameTwice, one frame", Proof::FrameTwice(pair(&a[2], &a[2]))),
        ("FrameTwice, two places", Proof::FrameTwice(pair(&a[2], &b[3]))),
        ("FrameTwice, two terms", Proof::FrameTwice(pair(&a[2], &other_term))),
        ("InitTwice, one opening", Proof::InitTwice(Box::new([x.init(1), x.init(1)]))),
        ("PastEnd, before the end", Proof::PastEnd(pair(&end, &a[3]))),
        ("PastEnd, as it should be", Proof::PastEnd(pair(&a[4], &a[5]))),
        ("PastEnd, within a height", Proof::PastEnd(pair(&a[5], &a[6]))),
        ("PastEnd, far apart", Proof::PastEnd(pair(&a[2], &a[6]))),
        ("PastEnd, the end itself", Proof::PastEnd(pair(&end, &end))),
        ("Unchained, in a chain", Proof::Unchained(pair(&a[2], &a[3]))),
        ("Unchained, not in a row", Proof::Unchained(pair(&a[2], &b[4]))),
        ("Unchained, backwards", Proof::Unchained(pair(&b[3], &a[2]))),
        ("OtherCut, a proposal again", cut(&|c| c.proposal = x.proposal(0, id))),
        ("OtherCut, another value", cut(&|c| c.proposal = x.proposal(-1, keccak256("v")))),
        ("OtherCut, its own frame", cut(&|c| c.frame = x.frame(&a[3]))),
        ("OtherCut, a frame above", cut(&|c| c.frame = x.frame(&b[5]))),
        ("OtherCut, another place", cut(&|c| c.frame = x.frame(&b[4]))),
        ("OtherCut, a moved branch", cut(&|c| c.branch = moved.clone())),
        ("OtherCut, a wrong leaf", cut(&|c| c.leaf = keccak256("leaf"))),
        ("OtherCut, a short branch", cut(&|c| c.branch.siblings.truncate(1))),
        ("OtherCut, closed by another", Proof::OtherCut(Box::new(by_other))),
        (
            "OtherCut, before the fork",
            cut(&|c| {
                c.frame = x.frame(&a[2]);
                (c.leaf, c.branch) = (leaf_2, branch_2.clone());
            }),
        ),
        (
            "ProposalTwice, one proposal",
            Proof::ProposalTwice(Box::new([x.proposal(-1, id), x.proposal(-1, id)])),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn liars(x: &Fork) -> Vec<(&'static str, Proof)> {
    let (a, b) = (&x.a, &x.b);
    let header = x.header(a);
    let id = x.id(&header);
    let vote = |round, kind, id| x.vote(round, kind, id);
    let prevote = |round| vote(round, VoteKind::Prevote, id);
    let down = |frames: &[FrameHeader], to: usize| {
        frames[to..].iter().rev().cloned().collect::<Vec<FrameHeader>>()
    };
    let nil = vote(0, VoteKind::Prevote, B256::ZERO);
    let precommit = vote(0, VoteKind::Precommit, id);
    let changed = |f: &dyn Fn(&mut AckAgainstVote)| {
        let Proof::AckAgainstVote(mut inner) = against(x, (prevote(0), &a[..]), &b[3], 0) else {
            unreachable!()
        };
        f(&mut inner);
        Proof::AckAgainstVote(inner)
    };
    vec![
        ("AckTwice, one chain", ack_twice(x, &b[3], &b[6], down(&b[..7], 4))),
        ("AckTwice, before the fork", ack_twice(x, &a[1], &b[3], down(&b[..4], 2))),
        ("AckTwice, one ack", ack_twice(x, &a[3], &a[3], Vec::new())),
        ("AckTwice, no chain", ack_twice(x, &a[3], &b[6], Vec::new())),
        ("AckTwice, a chain too long", ack_twice(x, &a[3], &b[6], down(&b[..7], 3))),
        ("AckTwice, another chain", ack_twice(x, &a[3], &b[6], down(&a[..7], 4))),
        ("AckTwice, backwards", ack_twice(x, &b[6], &a[3], Vec::new())),
        (
            "AckTwice, two rounds",
            Proof::AckTwice {
                acks: Box::new([x.ack(0, &a[3], B256::ZERO), x.ack(1, &b[3], B256::ZERO)]),
                chain: Vec::new(),
            },
        ),
        (
            "AckTwice, a needless chain",
            Proof::AckTwice {
                acks: Box::new([x.ack(1, &a[3], B256::ZERO), x.ack(1, &b[6], keccak256("i"))]),
                chain: down(&b[..7], 4),
            },
        ),
        (
            "StatusTwice, one report",
            Proof::StatusTwice(Box::new([x.status(1, 0, &a[3]), x.status(1, 0, &a[3])])),
        ),
        (
            "StatusTwice, two rounds",
            Proof::StatusTwice(Box::new([x.status(1, 0, &a[3]), x.status(2, 0, &b[3])])),
        ),
        ("AckAgainstVote, of the value", against(x, (prevote(0), &b[..]), &b[3], 0)),
        ("AckAgainstVote, an earlier ack", against(x, (prevote(1), &a[..]), &b[3], 0)),
        ("AckAgainstVote, nil", against(x, (nil.clone(), &a[..]), &b[3], 0)),
        ("AckAgainstVote, a precommit", against(x, (precommit.clone(), &a[..]), &b[3], 0)),
        ("AckAgainstVote, no branch", changed(&|c| c.branch = none())),
        ("AckAgainstVote, a needless chain", changed(&|c| c.chain = vec![b[3].clone()])),
        ("AckAgainstVote, another header", changed(&|c| c.header = x.header(b))),
        (
            "AckAgainstVote, below",
            changed(&|c| {
                let below = FrameHeader { g: 99, ..b[3].clone() };
                c.ack = x.ack(0, &below, B256::ZERO);
            }),
        ),
        ("StatusHidesAck, it is there", hides_ack(x, (0, &b[2]), (1, 0, &b[4]), down(&b[..5], 3))),
        (
            "StatusHidesAck, a later chain",
            hides_ack(x, (0, &a[2]), (2, 1, &b[4]), down(&b[..5], 3)),
        ),
        ("StatusHidesAck, an earlier report", hides_ack(x, (1, &a[3]), (1, 0, &a[2]), Vec::new())),
        ("StatusHidesAck, no chain", hides_ack(x, (0, &a[2]), (1, 0, &b[4]), Vec::new())),
        (
            "StatusHidesAck, a needless chain",
            hides_ack(x, (1, &a[2]), (2, 0, &b[4]), down(&b[..5], 3)),
        ),
        ("VoteTwice, one vote", votes_twice(x, VoteKind::Prevote, [id, id])),
        ("VoteTwice, two kinds", Proof::VoteTwice(Box::new([precommit.clone(), nil.clone()]))),
        (
            "VoteTwice, two rounds",
            Proof::VoteTwice(Box::new([prevote(1), vote(2, VoteKind::Prevote, B256::ZERO)])),
        ),
        (
            "StatusHidesVote, it is there",
            hides_vote(x, prevote(0), (1, 0, &a[6]), down(&a[..7], 5)),
        ),
        ("StatusHidesVote, at the CLOSE", hides_vote(x, prevote(0), (1, 0, &a[4]), Vec::new())),
        ("StatusHidesVote, nil", hides_vote(x, nil, (1, 0, &b[3]), Vec::new())),
        ("StatusHidesVote, a precommit", hides_vote(x, precommit, (1, 0, &b[3]), Vec::new())),
        ("StatusHidesVote, a later chain", hides_vote(x, prevote(0), (2, 1, &b[3]), Vec::new())),
    ]
}

/// Named bytes that are no evidence at all.
pub(crate) fn malformed(x: &Fork) -> Vec<(&'static str, Vec<u8>)> {
    let find = |name: &str| guilty(x).into_iter().find(|(n, _)| *n == name).unwrap().1.encode();
    let set = |name: &str, at: usize, byte: u8| {
        let mut bytes = find(name);
        bytes[at] = byte;
        bytes
    };
    let frame = find("FrameTwice");
    let acks = find("AckTwice");
    vec![
        ("nothing", Vec::new()),
        ("a byte short", frame[..frame.len() - 1].to_vec()),
        ("a byte long", [&frame[..], &[0]].concat()),
        ("version 2", set("FrameTwice", 0, 2)),
        ("kind 0", set("FrameTwice", 1, 0)),
        ("kind 15", set("FrameTwice", 1, 15)),
        ("frame of version 2", set("FrameTwice", 17, 2)),
        ("frame with an unknown flag", set("FrameTwice", 16 + 108, 16)),
        ("opening of version 2", set("InitTwice", 17, 2)),
        ("opening neither open nor closed", set("InitTwice", 16 + 64, 2)),
        ("ack of version 2", set("AckTwice", 17, 2)),
        ("a chain that is not there", set("AckTwice", acks.len() - 1, 1)),
        ("a chain too long", set("AckTwice", acks.len() - 1, 65)),
        ("vote of no kind", set("VoteTwice prevote", 16 + 20, 3)),
        ("a branch too deep", set("OtherCut", 16 + 90 + 65 + 480 + 273 + 64 + 32 + 8, 33)),
        ("a bitmap that ends with zero", set("CertTwice", 16 + 45, 0)),
        ("a bitmap too long", set("CertTwice", 16 + 44, 33)),
        ("a place too long", set("FalseBlock", 16 + 1040, 129)),
        ("a block too long", set("FalseBlock", 16 + 1041 + 32 * 12, 5)),
        ("a block that is not there", set("FalseBlock", 16 + 1041 + 32 * 12, 4)),
        (
            "a certificate that is not there",
            find("FalseBlock")[..16 + 1041 + 32 * 12 + 2 + 640].to_vec(),
        ),
    ]
}
