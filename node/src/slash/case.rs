//! One offence on its way through the Slasher contract: what to do next, from what L1 shows.
//!
//! Not for: sending. Invariant: the decision is a function of the evidence, the salt and L1 alone, so a
//! program that was killed at any point goes on where L1 says it is, and a reorganisation undoes nothing here.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use rand::{TryRngCore, rngs::OsRng};
use std::io;

/// Evidence that this program wants to see punished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What goes to L1, byte for byte.
    pub evidence: Bytes,
    /// Names the offence; every evidence of it has the same.
    pub key: B256,
    /// Hides the evidence in the commitment. On disk before the commitment is sent.
    pub salt: B256,
    /// Who gets the reward.
    pub reporter: Address,
}

/// Blocks that the contract counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// A commitment can be revealed up to this many blocks after it.
    pub reveal: u64,
    /// An earlier committer can take the reward up to this many blocks after the reveal.
    pub contest: u64,
}

/// What L1 shows of a case at one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The block.
    pub block: u64,
    /// Block of the own commitment, if it is mined.
    pub committed: Option<u64>,
    /// The offence, if anybody revealed it.
    pub offence: Option<Offence>,
}

/// An offence as the contract has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offence {
    /// Its id in the contract.
    pub id: U256,
    /// Who gets the reward; zero for a report without one.
    pub reporter: Address,
    /// Block of the commitment that the reward rests on, 0 for none.
    pub commit_block: u64,
    /// Block in which it was revealed.
    pub revealed: u64,
    /// Block from which it can be settled.
    pub settles: u64,
    /// Whether it is settled: the reward is in the reporter's credit.
    pub settled: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Send the commitment.
    Commit,
    /// Nothing before this block.
    Wait(u64),
    /// Send evidence and salt.
    Reveal,
    /// Send evidence and salt against a later committer, for the reward of this offence.
    Contest(U256),
    /// Settle this offence.
    Settle(U256),
    /// The own offence is settled; the reward can be withdrawn.
    Won(U256),
    /// Somebody else's: nothing is left to earn.
    Lost(U256),
}

impl Case {
    /// What the contract stores before it sees the evidence:
    /// `keccak(abi.encode(keccak(evidence), reporter, salt))`.
    #[must_use]
    pub fn commitment(&self) -> B256 {
        let mut words = [0u8; 96];
        let (hash, rest) = words.split_at_mut(32);
        let (reporter, salt) = rest.split_at_mut(32);
        hash.copy_from_slice(keccak256(&self.evidence).as_slice());
        if let Some(tail) = reporter.last_chunk_mut::<20>() {
            *tail = self.reporter.into_array();
        }
        salt.copy_from_slice(self.salt.as_slice());
        keccak256(words)
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self, windows: Windows, seen: &Seen) -> Next {
        match seen.offence {
            Some(offence) if offence.reporter == self.reporter => self.own(seen, offence),
            Some(offence) => self.taken(windows, seen, offence),
            None => match seen.committed {
                None => Next::Commit,
                Some(at) if seen.block <= at => Next::Wait(at.saturating_add(1)),
                // The next block is the first that a reveal sent now can be in.
                Some(at) if seen.block.saturating_add(1) > at.saturating_add(windows.reveal) => {
                    Next::Commit
                }
                Some(_) => Next::Reveal,
            },
        }
    }

    const fn own(&self, seen: &Seen, offence: Offence) -> Next {
        if offence.settled {
            Next::Won(offence.id)
        } else if seen.block >= offence.settles {
            Next::Settle(offence.id)
        } else {
            Next::Wait(offence.settles)
        }
    }

    fn taken(&self, windows: Windows, seen: &Seen, offence: Offence) -> Next {
        let earlier =
            seen.committed.is_some_and(|at| offence.commit_block == 0 || at < offence.commit_block);
        let open = seen.block < offence.revealed.saturating_add(windows.contest);
        let kept = seen
            .committed
            .is_some_and(|at| seen.block.saturating_add(1) <= at.saturating_add(windows.reveal));
        if earlier && open && kept && !offence.settled {
            Next::Contest(offence.id)
        } else {
            Next::Lost(offence.id)
        }
    }
}

/// A salt that nobody can guess.
///
/// # Errors
/// The system gives no randomness.
pub fn salt() -> io::Result<B256> {
    let mut bytes = [0u8; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    const ME: Address = address!("0x00000000000000000000000000000000000000aa");
    const OTHER: Address = address!("0x00000000000000000000000000000000000000bb");
    const THREE: U256 = U256::from_limbs([3, 0, 0, 0]);
    const WINDOWS: Windows = Windows { reveal: 256, contest: 50 };

    fn case() -> Case {
        Case {
            evidence: Bytes::from_static(b"evidence"),
            key: B256::repeat_byte(1),
            salt: B256::repeat_byte(2),
            reporter: ME,
        }
    }

    fn offence(reporter: Address, commit_block: u64) -> Option<Offence> {
        Some(Offence {
            id: THREE,
            reporter,
            commit_block,
            revealed: 105,
            settles: 500,
            settled: false,
        })
    }

    fn next(block: u64, committed: Option<u64>, offence: Option<Offence>) -> Next {
        case().next(WINDOWS, &Seen { block, committed, offence })
    }

    #[test]
    fn it_commits_then_reveals_a_block_later_then_settles() {
        assert_eq!(next(100, None, None), Next::Commit);
        assert_eq!(next(101, Some(101), None), Next::Wait(102));
        assert_eq!(next(102, Some(101), None), Next::Reveal);
        assert_eq!(next(110, Some(101), offence(ME, 101)), Next::Wait(500));
        assert_eq!(next(500, Some(101), offence(ME, 101)), Next::Settle(THREE));
        let done = offence(ME, 101).map(|o| Offence { settled: true, ..o });
        assert_eq!(next(501, Some(101), done), Next::Won(THREE));
    }

    #[test]
    fn a_commitment_that_ran_out_is_made_again() {
        assert_eq!(next(356, Some(101), None), Next::Reveal);
        assert_eq!(next(357, Some(101), None), Next::Commit);
    }

    #[test]
    fn a_later_committer_does_not_keep_the_reward() {
        assert_eq!(next(110, Some(101), offence(OTHER, 103)), Next::Contest(THREE));
        assert_eq!(next(110, Some(101), offence(OTHER, 0)), Next::Contest(THREE), "a bare report");
        assert_eq!(next(155, Some(101), offence(OTHER, 103)), Next::Lost(THREE), "too late");
        assert_eq!(next(110, Some(104), offence(OTHER, 103)), Next::Lost(THREE), "they were first");
        assert_eq!(next(110, None, offence(OTHER, 103)), Next::Lost(THREE));
    }

    #[test]
    fn the_commitment_binds_evidence_reporter_and_salt() {
        let mut all = vec![case().commitment()];
        all.push(Case { evidence: Bytes::from_static(b"other"), ..case() }.commitment());
        all.push(Case { reporter: OTHER, ..case() }.commitment());
        all.push(Case { salt: B256::ZERO, ..case() }.commitment());
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4);
    }
}
