//! Who is who: a validator has an index in each set, a peer keeps its number, and this replica may have keys in one
//! set and not in the other, or other keys.
//!
//! Invariant (I-16): an index is only ever looked up in the set of its own epoch.

use rota_preconf::Epoch;
use rota_types::{LocalSigner, SeqKey, Signer, VoteKey};
use std::{collections::BTreeMap, sync::Arc};

/// Most sets that are looked after at once: the one in force, two before it, and what is frozen already.
const MAX_SETS: usize = 1_024;

/// A peer, whatever its index in the set in force. The caller gives the numbers and keeps them while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PeerNo(pub u16);

/// Who this replica is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its own number.
    pub me: PeerNo,
    /// Who signs with its keys, and with those that it changes to. Without any it follows and never signs.
    pub pairs: Vec<Arc<dyn Signer>>,
}

impl Identity {
    /// With one pair of keys, in this process.
    #[must_use]
    pub fn local(me: PeerNo, seq: SeqKey, vote: VoteKey) -> Self {
        Self { me, pairs: vec![Arc::new(LocalSigner { seq, vote })] }
    }
}

/// The keys in force with their index in the set.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) index: u16,
    pub(super) signer: Arc<dyn Signer>,
}

/// The members of the sets that are known.
#[derive(Debug)]
pub(super) struct Seats {
    identity: Identity,
    sets: BTreeMap<u64, Seated>,
}

#[derive(Debug)]
struct Seated {
    /// By index.
    peers: Vec<PeerNo>,
    /// Own keys and index, if this replica is in the set.
    own: Option<(usize, u16)>,
}

impl Seats {
    pub(super) const fn new(identity: Identity) -> Self {
        Self { identity, sets: BTreeMap::new() }
    }

    pub(super) const fn me(&self) -> PeerNo {
        self.identity.me
    }
    pub(super) fn pairs(&self) -> &[Arc<dyn Signer>] {
        &self.identity.pairs
    }

    /// Takes the members of a set. Who has no number in `peers` is nobody that can be asked.
    pub(super) fn add(&mut self, epoch: &Epoch, mut peers: Vec<PeerNo>) {
        let set = epoch.set();
        let own = (0usize..).zip(&self.identity.pairs).find_map(|(i, pair)| {
            let index = set.by_seq_key(&pair.seq_key())?;
            (set.by_vote_key(pair.vote_key()) == Some(index)).then_some((i, index))
        });
        if let Some(mine) = own.and_then(|(_, i)| peers.get_mut(usize::from(i))) {
            *mine = self.identity.me;
        }
        if self.sets.len() < MAX_SETS {
            self.sets.insert(epoch.number(), Seated { peers, own });
        }
    }

    /// Forgets sets below this epoch.
    pub(super) fn prune(&mut self, epoch: u64) {
        self.sets = self.sets.split_off(&epoch);
    }

    /// Which of the own keys is in the set of an epoch, and its index there.
    pub(super) fn own(&self, epoch: u64) -> Option<(usize, u16)> {
        self.sets.get(&epoch)?.own
    }
    /// The first epoch after this one whose set has an own key.
    pub(super) fn next_own(&self, epoch: u64) -> Option<(u64, usize)> {
        let mut later = self.sets.range(epoch.saturating_add(1)..);
        later.find_map(|(number, seated)| seated.own.map(|(pair, _)| (*number, pair)))
    }

    /// Whether these of the own keys were in a set before this epoch, as far as it is known.
    pub(super) fn sat_before(&self, epoch: u64, pair: usize) -> bool {
        let mut before = self.sets.range(..epoch);
        before.any(|(_, seated)| seated.own.is_some_and(|(own, _)| own == pair))
    }

    /// The keys in force in an epoch.
    pub(super) fn keys(&self, epoch: u64) -> Option<Keys> {
        let (pair, index) = self.own(epoch)?;
        let signer = self.identity.pairs.get(pair)?;
        Some(Keys { index, signer: Arc::clone(signer) })
    }

    /// The peer that has an index in the set of an epoch.
    pub(super) fn peer(&self, epoch: u64, index: u16) -> Option<PeerNo> {
        self.sets.get(&epoch)?.peers.get(usize::from(index)).copied()
    }
    /// The index of a peer in the set of an epoch.
    pub(super) fn index(&self, epoch: u64, peer: PeerNo) -> Option<u16> {
        let seated = self.sets.get(&epoch)?;
        (0u16..).zip(&seated.peers).find(|(_, p)| **p == peer).map(|(i, _)| i)
    }
    /// The other members of an epoch's set.
    pub(super) fn others(&self, epoch: u64) -> Vec<PeerNo> {
        let peers = self.sets.get(&epoch).into_iter().flat_map(|seated| &seated.peers);
        peers.copied().filter(|peer| *peer != self.identity.me).collect()
    }
}
