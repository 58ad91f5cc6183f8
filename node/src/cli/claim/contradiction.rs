//! `rota preconf evidence`: from a promise that the log broke, the evidence against a leader who signed two histories.
//!
//! Not for: acks and votes, which a promise shows one side of only. Invariant: what is written was judged here as the contract
//! will, with the set of the promise; whoever brings it to L1 compares that with L1.

use super::{Found, found, written};
use crate::{
    cli::{Done, args::BrokenArgs, client::Node, preconf::read},
    exit::{Exit, Failure},
};
use rota_preconf::{Watch, WatchLimits};
use rota_types::{
    Decode, Domain, Evidence, EvidenceFile, FrameHeader, Receipt, SeqSignature, Signed,
    ValidatorSet, Verdict,
};

pub(in crate::cli) async fn evidence(args: &BrokenArgs, json: bool) -> Done {
    let receipt: Receipt = read(&args.file, "a promise")?;
    let frame = FrameHeader::decode(&receipt.frame).map_err(|e| wrong(&e))?;
    let parted = found(&Node::new(&args.rpc.rpc_url)?, &frame, &receipt).await?;
    let signature = receipt.signature.as_ref().try_into().map_err(|e| wrong(&e))?;
    let (set, domain) = (receipt.set.set(), receipt.domain.domain());
    let Some((evidence, verdict)) = contradiction((frame, signature), &parted, (&set, &domain))
    else {
        let what = "what this node has does not show that the leader contradicted itself";
        return Err(Failure::new(Exit::Failed, what).hint(
            "ask another node with --rpc-url; if the frame was lost with its leader, that leader may give something for lost frames: rota preconf claim --warranty",
        ));
    };
    let file = EvidenceFile::of(&evidence, &set, &domain);
    let text = serde_json::to_value(&file).map_err(|e| Failure::new(Exit::Failed, e))?;
    let words = format!(
        "{} by member {:?} of epoch {}: rota slash submit takes it to L1",
        verdict.kind.name(),
        verdict.accused,
        set.epoch()
    );
    written(args.output.as_deref(), &text, &words, json)
}

/// What the frame of the promise and the frames of the log show together.
fn contradiction(
    (frame, signature): (FrameHeader, SeqSignature),
    parted: &Found,
    (set, domain): (&ValidatorSet, &Domain),
) -> Option<(Evidence, Verdict)> {
    let mut watch = Watch::new(domain.clone(), WatchLimits::default());
    watch.advance(frame.height.saturating_sub(1));
    let log = parted.log.iter().filter_map(|sealed| {
        let header = FrameHeader::decode(&sealed.frame).ok()?;
        Some(Signed::Frame(header, sealed.signature.as_ref().try_into().ok()?))
    });
    let said = std::iter::once(Signed::Frame(frame, signature)).chain(log);
    let shown = said.flat_map(|said| watch.observe(&said)).collect::<Vec<_>>();
    shown.into_iter().find_map(|evidence| {
        let verdict = evidence.verify(set, domain).ok()?;
        Some((evidence, verdict))
    })
}

fn wrong(e: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Verify, format!("the promise does not decode: {e}"))
        .hint("rota preconf verify shows what a promise proves")
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "test code: an overflow fails it")]
mod tests {
    use super::*;
    use crate::cli::claim::Sealed;
    use alloy_primitives::{Address, B256, Bytes, U256};
    use rota_types::{Flags, FrameBody, MerkleProof, SeqKey, SignedFrame, Term, Validator};

    fn key(i: u8) -> SeqKey {
        SeqKey::from_seed(&[i; 32])
    }

    fn member(i: u8) -> Validator {
        Validator {
            owner: Address::repeat_byte(i),
            vote_key: Address::repeat_byte(i),
            seq_key: key(i).public(),
            stake: U256::from(32u64) * U256::from(10u64).pow(U256::from(18)),
            fee_recipient: Address::ZERO,
            peer: String::new(),
        }
    }

    /// Frames after one another from position 9 of height 4 on, `salt` apart from those of another history.
    fn history(
        leader: u16,
        round: u32,
        salt: u64,
        count: u64,
        domain: &Domain,
    ) -> Vec<SignedFrame> {
        let mut prev_hash = B256::repeat_byte(1);
        let frame = |i: u64| {
            let header = FrameHeader {
                epoch: 0,
                term: Term { height: 4, round },
                leader,
                g: 9 + i,
                seq: 2 + u32::try_from(i).unwrap(),
                prev_hash,
                init_hash: B256::ZERO,
                height: 4,
                flags: Flags::default(),
                timestamp_ms: 1_000 + salt + i,
                tx_count: 0,
                tx_root: B256::ZERO,
                gas_cum: 0,
                exec_commit: B256::ZERO,
                insured_cum: 0,
                env_hash: B256::ZERO,
                close_hash: B256::ZERO,
            };
            prev_hash = header.hash(domain);
            let signer = key(u8::try_from(leader).unwrap() + 1);
            SignedFrame::sign(header, FrameBody::default(), &signer, domain)
        };
        (0..count).map(frame).collect()
    }

    fn judge(promise: &SignedFrame, log: &[SignedFrame], domain: &Domain) -> Option<Verdict> {
        let sealed = |f: &SignedFrame| Sealed {
            frame: (&f.header).into(),
            signature: Bytes::copy_from_slice(&f.signature),
        };
        let parted = Found {
            below: Vec::new(),
            frame: Bytes::new(),
            branch: MerkleProof { index: 0, count: 1, siblings: Vec::new() },
            header: Bytes::new(),
            certificate: Bytes::new(),
            log: log.iter().map(sealed).collect(),
        };
        let set = ValidatorSet::new(0, vec![member(1), member(2)]);
        let said = (promise.header.clone(), promise.signature);
        contradiction(said, &parted, (&set, domain)).map(|(_, verdict)| verdict)
    }

    #[test]
    fn a_leaders_two_histories_are_evidence_and_two_leaders_are_not() {
        let domain = Domain::new(1, 2, Address::repeat_byte(3), B256::repeat_byte(4), 0);
        let promised = history(0, 0, 0, 3, &domain);
        let other = history(0, 0, 50, 3, &domain);
        // Further on the frame before it in the other history is the first that it contradicts.
        for (i, kind) in ["FrameTwice", "Unchained", "Unchained"].into_iter().enumerate() {
            let verdict = judge(&promised[i], &other[..=i], &domain).unwrap();
            assert_eq!((verdict.kind.name(), verdict.accused), (kind, vec![0]), "{i}");
        }
        assert_eq!(judge(&promised[2], &promised, &domain), None, "one history");
        let later = history(1, 1, 50, 3, &domain);
        assert_eq!(judge(&promised[2], &later, &domain), None, "lost with its leader");
        let mut forged = other[2].clone();
        forged.signature[9] ^= 1;
        assert_eq!(judge(&promised[2], &[forged], &domain), None, "not signed by it");
    }
}
