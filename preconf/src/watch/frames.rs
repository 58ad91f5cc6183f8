//! What leaders contradict: frames of one term, and proposals that cut another log.
//!
//! Not for: frames of different terms; a new term may take another branch.

use super::{Signer, TermLog, Watch, Who, tree::Stuck};
use alloy_primitives::B256;
use rota_types::{
    Evidence, Flags, FrameHeader, Header, OtherCut, Proof, SealedFrame, SealedProposal, Term,
};

impl Watch {
    /// Takes a frame; whether it is new.
    pub(super) fn learn_frame(
        &mut self,
        frame: SealedFrame,
        hash: B256,
        out: &mut Vec<Evidence>,
    ) -> bool {
        let header = &frame.content;
        let (who, term, seq) = ((header.epoch, header.leader), header.term, header.seq);
        let g = header.g;
        if term.height > header.height || self.tree.has(&hash) {
            return false;
        }
        let most = (self.limits.terms, self.limits.frames);
        let signer = self.signers.entry(who).or_default();
        let mut dropped = make_room(signer, term, most.0);
        let log = signer.terms.entry(term).or_default();
        log.height = log.height.max(header.height);
        let proof = if let Some((_, first)) = log.frames.get(&seq) {
            // Both are needed for chains; the second ones have a share of their own.
            signer.seconds.push_back(hash);
            if signer.seconds.len() > most.1 {
                dropped.extend(signer.seconds.pop_front());
            }
            Some(Proof::FrameTwice(Box::new([first.clone(), frame.clone()])))
        } else {
            let proof = against(log, &frame, hash);
            if header.flags.has(Flags::TERM_END) {
                log.end = Some(log.end.map_or(seq, |end| end.min(seq)));
            }
            log.frames.insert(seq, (hash, frame.clone()));
            if log.frames.len() > most.1 {
                dropped.extend(log.frames.pop_first().map(|(_, (lowest, _))| lowest));
            }
            proof
        };
        self.tree.add(hash, &frame.content);
        dropped.iter().for_each(|hash| self.tree.remove(hash));
        if let Some(proof) = proof {
            self.report(who, proof, out);
        }
        self.check_cuts(who, |header| header.close.term == term && holds(header, g), out);
        true
    }

    /// Fresh proposals of a signer that close its own term, of those headers that `of` picks, against its frames.
    pub(super) fn check_cuts(
        &mut self,
        who: Who,
        of: impl Fn(&Header) -> bool,
        out: &mut Vec<Evidence>,
    ) {
        let Some(signer) = self.signers.get(&who) else { return };
        let mut found = Vec::new();
        let mut wanted = Vec::new();
        for (height, at) in &signer.heights {
            for proposal in at.proposals.values().filter(|p| p.content.pol_round == -1) {
                let header = self.tree.value(&proposal.content.value_id);
                let Some(header) = header.filter(|h| h.close.closer == who.1 && of(h)) else {
                    continue;
                };
                let Some(log) = signer.terms.get(&header.close.term) else { continue };
                match self.other_cut(proposal, header, log) {
                    Ok(cut) => found.extend(cut),
                    Err(Stuck::Missing(hash)) => wanted.push((*height, hash)),
                    Err(Stuck::Never) => {}
                }
            }
        }
        for (height, hash) in wanted {
            self.wait_for(who, height, hash);
        }
        for cut in found {
            self.report(who, Proof::OtherCut(Box::new(cut)), out);
        }
    }

    /// A CLOSE that nobody saw, on the history of the leader's own last frame: the root of the header shows it.
    fn other_close(
        &self,
        proposal: &SealedProposal,
        header: &Header,
        log: &TermLog,
    ) -> Result<Option<OtherCut>, Stuck> {
        let missing = Err(Stuck::Missing(header.last_frame_hash));
        let last = log.frames.values().find(|(_, f)| f.content.g == header.last_g);
        let Some((_, frame)) = last else { return missing };
        let Ok(branch) = self.tree.branch_after(header, frame.content.prev_hash) else {
            return missing;
        };
        let (leaf, frame) = (header.last_frame_hash, frame.clone());
        let (proposal, header) = (proposal.clone(), header.clone());
        Ok(Some(OtherCut { proposal, header, frame, leaf, branch }))
    }

    /// A frame of the term that the header has not in its place.
    fn other_cut(
        &self,
        proposal: &SealedProposal,
        header: &Header,
        log: &TermLog,
    ) -> Result<Option<OtherCut>, Stuck> {
        let own = log.frames.values().filter(|(_, f)| holds(header, f.content.g));
        let Some(lowest) = own.clone().map(|(_, f)| f.content.g).min() else { return Ok(None) };
        let hashes = match self.tree.cut_from(header, lowest) {
            Err(Stuck::Missing(hash)) if hash == header.last_frame_hash => {
                return self.other_close(proposal, header, log);
            }
            known => known?,
        };
        for (hash, frame) in own {
            let at = frame.content.g.checked_sub(lowest).and_then(|i| usize::try_from(i).ok());
            let leaf = at.and_then(|i| hashes.get(i)).copied().ok_or(Stuck::Never)?;
            if leaf != *hash {
                let branch = self.tree.branch(header, frame.content.g)?;
                let (proposal, header) = (proposal.clone(), header.clone());
                return Ok(Some(OtherCut { proposal, header, frame: frame.clone(), leaf, branch }));
            }
        }
        Ok(None)
    }
}

const fn holds(header: &Header, g: u64) -> bool {
    header.first_g <= g && g <= header.last_g
}

/// Makes room for a term: the one with the fewest frames goes. Gives what was dropped.
fn make_room(signer: &mut Signer, term: Term, most: usize) -> Vec<B256> {
    if signer.terms.contains_key(&term) || signer.terms.len() < most {
        return Vec::new();
    }
    let least = signer.terms.iter().min_by_key(|(_, log)| log.frames.len()).map(|(t, _)| *t);
    let log = least.and_then(|least| signer.terms.remove(&least)).unwrap_or_default();
    log.frames.into_values().map(|(hash, _)| hash).collect()
}

/// What the frames around a new one in its term show with it.
fn against(log: &TermLog, frame: &SealedFrame, hash: B256) -> Option<Proof> {
    let new = &frame.content;
    let pair = |a: &SealedFrame, b: &SealedFrame| Box::new([a.clone(), b.clone()]);
    let end = log.end.filter(|end| *end < new.seq).and_then(|end| log.frames.get(&end));
    if let Some((_, end)) = end {
        return Some(Proof::PastEnd(pair(end, frame)));
    }
    let above = new.seq.checked_add(1);
    let later = above.and_then(|seq| log.frames.range(seq..).next()).map(|(_, (_, f))| f);
    if let Some(later) = later.filter(|_| new.flags.has(Flags::TERM_END)) {
        return Some(Proof::PastEnd(pair(frame, later)));
    }
    let before = new.seq.checked_sub(1).and_then(|seq| log.frames.get(&seq));
    let before = before
        .and_then(|(there, b)| wrong(&b.content, *there, new).map(|proof| proof(pair(b, frame))));
    before.or_else(|| {
        let (_, after) = log.frames.get(&above?)?;
        wrong(new, hash, &after.content).map(|proof| proof(pair(frame, after)))
    })
}

type MakeProof = fn(Box<[SealedFrame; 2]>) -> Proof;

/// What is wrong with `b` right after `a`.
fn wrong(a: &FrameHeader, hash: B256, b: &FrameHeader) -> Option<MakeProof> {
    let linked =
        b.prev_hash == hash && a.g.checked_add(1) == Some(b.g) && a.init_hash == b.init_hash;
    if !linked {
        return Some(Proof::Unchained);
    }
    let next = a.height.checked_add(u64::from(a.flags.has(Flags::CLOSE)));
    if next == Some(b.height) { None } else { Some(Proof::PastEnd) }
}
