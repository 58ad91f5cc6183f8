//! What one validator's acks, votes and reports of one height say of each other's chains.
//!
//! Not for: pairs that contradict each other by their place alone. What rests on a frame that is not here is judged
//! again when it comes.

use super::{
    Acked, AtHeight, Watch, Who,
    tree::{Stuck, Tree},
};
use alloy_primitives::B256;
use rota_types::{
    AckAgainstVote, Evidence, Header, MerkleProof, Proof, SealedAck, SealedStatus, SealedVote,
    StatusHidesVote, VoteKind,
};
use std::collections::BTreeMap;

/// What a height of a signer gives: offences, links that hold, frames that are not here.
#[derive(Debug, Default)]
struct Outcome {
    proofs: Vec<Proof>,
    linked: Vec<(u32, u64)>,
    missing: Vec<B256>,
}

impl Outcome {
    /// Takes a comparison of chains: a proof if they part.
    fn take(&mut self, compared: Result<Option<Proof>, Stuck>) -> bool {
        match compared {
            Ok(None) => return true,
            Ok(Some(proof)) => self.proofs.push(proof),
            Err(Stuck::Missing(hash)) => self.missing.push(hash),
            Err(Stuck::Never) => {}
        }
        false
    }
}

impl Watch {
    /// Compares everything that a signer said at a height.
    pub(super) fn relate(&mut self, who: Who, height: u64, out: &mut Vec<Evidence>) {
        let Some(signer) = self.signers.get_mut(&who) else { return };
        let Some(at) = signer.heights.get_mut(&height) else { return };
        let mut outcome = Outcome::default();
        acks(&self.tree, at, &mut outcome);
        votes(&self.tree, at, &mut outcome);
        reports(&self.tree, at, &mut outcome);
        for (round, g) in std::mem::take(&mut outcome.linked) {
            let ack = at.acks.get_mut(&round).and_then(|acks| acks.get_mut(&g));
            ack.into_iter().for_each(|ack| ack.linked = true);
        }
        for hash in outcome.missing {
            self.wait_for(who, height, hash);
        }
        for proof in outcome.proofs {
            self.report(who, proof, out);
        }
    }
}

/// Each ack of a round must contain the one below it.
fn acks(tree: &Tree, at: &AtHeight, outcome: &mut Outcome) {
    for (round, acks) in &at.acks {
        for ((_, low), (g, high)) in acks.iter().zip(acks.iter().skip(1)) {
            if !high.linked && outcome.take(ack_twice(tree, &low.ack, &high.ack)) {
                outcome.linked.push((*round, *g));
            }
        }
    }
}

fn ack_twice(tree: &Tree, low: &SealedAck, high: &SealedAck) -> Result<Option<Proof>, Stuck> {
    let tip = (high.content.g, high.content.frame_hash);
    let there = tree.shown_at(tip, low.content.g)?;
    Ok((there != low.content.frame_hash).then(|| Proof::AckTwice {
        acks: Box::new([low.clone(), high.clone()]),
        chain: tree.chain(tip, low.content.g),
    }))
}

/// The acks of the round of a prevote and of later ones must agree with its value.
fn votes(tree: &Tree, at: &AtHeight, outcome: &mut Outcome) {
    for (round, vote, header) in prevotes(tree, at) {
        for acks in at.acks.range(round..).map(|(_, acks)| acks) {
            // The nearest on either side: the others are on their chains, or convict by themselves.
            let within = acks.range(header.first_g..=header.last_g).next_back();
            let above = acks.range(header.last_g.saturating_add(1)..).next();
            if let Some((_, a)) = within {
                outcome.take(against_within(tree, &a.ack, vote, header));
            }
            if let Some((_, a)) = above {
                outcome.take(against_above(tree, &a.ack, vote, header));
            }
        }
    }
}

/// Prevotes for values whose header is known.
fn prevotes<'a>(
    tree: &'a Tree,
    at: &'a AtHeight,
) -> impl Iterator<Item = (u32, &'a SealedVote, &'a Header)> {
    at.votes
        .iter()
        .filter(|((_, kind), v)| *kind == VoteKind::Prevote as u8 && !v.content.value_id.is_zero())
        .filter_map(|((round, _), v)| Some((*round, v, tree.value(&v.content.value_id)?)))
        .filter(|(_, _, header)| header.first_g <= header.last_g)
}

fn against_within(
    tree: &Tree,
    ack: &SealedAck,
    vote: &SealedVote,
    header: &Header,
) -> Result<Option<Proof>, Stuck> {
    let g = ack.content.g;
    let leaf = tree.cut_at(header, g)?;
    if leaf == ack.content.frame_hash {
        return Ok(None);
    }
    let branch = tree.branch(header, g)?;
    Ok(Some(against(ack, vote, header, (leaf, branch), Vec::new())))
}

fn against_above(
    tree: &Tree,
    ack: &SealedAck,
    vote: &SealedVote,
    header: &Header,
) -> Result<Option<Proof>, Stuck> {
    let tip = (ack.content.g, ack.content.frame_hash);
    if tree.shown_at(tip, header.last_g)? == header.last_frame_hash {
        return Ok(None);
    }
    let none = MerkleProof { index: 0, count: 0, siblings: Vec::new() };
    let chain = tree.chain(tip, header.last_g);
    Ok(Some(against(ack, vote, header, (B256::ZERO, none), chain)))
}

fn against(
    ack: &SealedAck,
    vote: &SealedVote,
    header: &Header,
    (leaf, branch): (B256, MerkleProof),
    chain: Vec<rota_types::FrameHeader>,
) -> Proof {
    Proof::AckAgainstVote(Box::new(AckAgainstVote {
        ack: ack.clone(),
        vote: vote.clone(),
        header: header.clone(),
        leaf,
        branch,
        chain,
    }))
}

/// A report must contain what was acked and prevoted in the rounds before it.
fn reports(tree: &Tree, at: &AtHeight, outcome: &mut Outcome) {
    for (entered, status) in &at.statuses {
        for acks in at.acks.range(..*entered).map(|(_, acks)| acks) {
            let Some((_, top)) = acks.last_key_value() else { continue };
            let content = &top.ack.content;
            let compared = hides(tree, status, content.round, (content.g, content.frame_hash));
            outcome.take(compared.map(|chain| {
                chain.map(|chain| Proof::StatusHidesAck {
                    ack: Box::new(top.ack.clone()),
                    status: Box::new(status.clone()),
                    chain,
                })
            }));
        }
        for (_, vote, header) in prevotes(tree, at).filter(|(round, ..)| round < entered) {
            let tip = (header.last_g, header.last_frame_hash);
            let compared = hides(tree, status, vote.content.round, tip);
            outcome.take(compared.map(|chain| {
                chain.map(|chain| {
                    Proof::StatusHidesVote(Box::new(StatusHidesVote {
                        vote: vote.clone(),
                        header: header.clone(),
                        status: status.clone(),
                        chain,
                    }))
                })
            }));
        }
    }
}

/// The chain that shows that a report leaves out `(g, hash)` of `round`, if it does.
fn hides(
    tree: &Tree,
    status: &SealedStatus,
    round: u32,
    (g, hash): (u64, B256),
) -> Result<Option<Vec<rota_types::FrameHeader>>, Stuck> {
    let status = &status.content;
    let (best, round) = (i64::from(status.best_round), i64::from(round));
    if best > round {
        return Ok(None);
    }
    if best < round || status.best_g < g {
        return Ok(Some(Vec::new()));
    }
    let tip = (status.best_g, status.best_hash);
    let there = tree.shown_at(tip, g)?;
    Ok((there != hash).then(|| tree.chain(tip, g)))
}

/// Makes room for an ack in a full round: one of an unknown frame goes first, then the lowest that the next one
/// contains.
pub(super) fn make_room(acks: &mut BTreeMap<u64, Acked>, tree: &Tree) -> bool {
    let unknown = acks.iter().find(|(_, a)| !tree.has(&a.ack.content.frame_hash));
    let contained = || acks.iter().zip(acks.values().skip(1)).find(|(_, above)| above.linked);
    let victim = unknown.map(|(g, _)| *g).or_else(|| contained().map(|((g, _), _)| *g));
    let Some(g) = victim else { return false };
    acks.remove(&g);
    if let Some((_, above)) = acks.range_mut(g..).next() {
        above.linked = false;
    }
    true
}
