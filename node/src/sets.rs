//! The frozen sets that this node knows, on disk and for every thread, and the number of each peer.
//!
//! Not for: deciding which set counts at a height; that is the replica's, and it says so here. A peer keeps its number
//! while the process runs, whatever its index in one set or the other.
//! Invariant (I-16): a set is on disk before anything is judged with it, and how far L1 was read before anything is
//! built on it.

use eyre::{WrapErr, ensure, eyre};
use parking_lot::RwLock;
use rota_consensus::PeerNo;
use rota_p2p::{Multiaddr, PeerEntry, PeerId};
use rota_preconf::{Epoch, Epochs};
use rota_types::{ReceiptSet, Validator, ValidatorSet};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Sets after which a member that left is not listened to any more.
pub const SERVED_AFTER: usize = 2;
/// Epochs before the one in force that are kept in memory: blocks and receipts of them are still asked for.
const KEPT: u64 = 64;
const KNOWN: &str = "known";

/// A set as it is on disk, and as `--set` takes it.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// First L1 block from which it is in force.
    start: u64,
    #[serde(flatten)]
    set: ValidatorSet,
}

/// The sets of a node.
pub struct Sets {
    dir: PathBuf,
    window: u16,
    me: PeerId,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    epochs: Epochs,
    /// By number.
    peers: Vec<PeerId>,
    /// In force at the replica's height.
    now: u64,
}

impl std::fmt::Debug for Sets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sets").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Sets {
    /// The sets in a data directory; `me` is the own identity, `window` the heights that a leader has in a row.
    ///
    /// # Errors
    /// Us: a file that cannot be read or is damaged.
    pub fn open(datadir: &Path, window: u16, me: PeerId) -> eyre::Result<Self> {
        let dir = datadir.join("sets");
        fs::create_dir_all(&dir).wrap_err_with(|| format!("creating {}", dir.display()))?;
        let mut stored: BTreeMap<u64, Stored> = BTreeMap::new();
        for file in fs::read_dir(&dir)? {
            let path = file?.path();
            if path.extension().is_some_and(|e| e == "json") {
                let damaged = || format!("{} is damaged", path.display());
                let one: Stored =
                    serde_json::from_slice(&fs::read(&path)?).wrap_err_with(damaged)?;
                stored.insert(one.set.epoch(), one);
            }
        }
        let sets = Self { dir, window, me, state: RwLock::default() };
        sets.state.write().peers.push(me);
        for Stored { start, set } in stored.into_values() {
            sets.add(start, set)?;
        }
        if let Ok(text) = fs::read_to_string(sets.dir.join(KNOWN)) {
            sets.state.write().epochs.reach(text.trim().parse().wrap_err("sets/known is damaged")?);
        }
        Ok(sets)
    }

    /// Only in memory, with one set: for tests.
    #[must_use]
    pub fn of_one(set: ValidatorSet, window: u16, me: PeerId) -> Self {
        let sets = Self { dir: PathBuf::new(), window, me, state: RwLock::default() };
        sets.state.write().peers.push(me);
        if sets.add(0, set).is_err() {
            tracing::error!("the first set is refused");
        }
        sets
    }

    /// The book as it is now.
    #[must_use]
    pub fn book(&self) -> Epochs {
        self.state.read().epochs.clone()
    }
    /// An epoch.
    #[must_use]
    pub fn get(&self, epoch: u64) -> Option<Arc<Epoch>> {
        self.state.read().epochs.get(epoch).cloned()
    }
    /// The newest epoch that is frozen.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.state.read().epochs.newest().map(|epoch| epoch.number())
    }
    /// The epoch in force at the replica's height.
    #[must_use]
    pub fn now(&self) -> Option<Arc<Epoch>> {
        let state = self.state.read();
        state.epochs.get(state.now).or_else(|| state.epochs.newest()).cloned()
    }
    /// A member of the set in force.
    #[must_use]
    pub fn member(&self, index: u16) -> Option<Validator> {
        self.now()?.set().get(index).cloned()
    }

    /// Takes a set that is final on L1; gives it with its peers if it is new.
    ///
    /// # Errors
    /// L1 or us: it is not the one known by its number, or cannot be written down.
    pub fn learn(
        &self,
        start: u64,
        set: ValidatorSet,
    ) -> eyre::Result<Option<(Arc<Epoch>, Vec<PeerNo>)>> {
        let number = set.epoch();
        if let Some(known) = self.get(number) {
            // Addresses and fee recipients are of the day, and no part of the set.
            let id = |set: &ValidatorSet| ReceiptSet::of(set).id();
            ensure!(
                known.start() == start && id(known.set()) == id(&set),
                "L1 has another set for epoch {number} than this node has seen final"
            );
            return Ok(None);
        }
        let stored = serde_json::to_vec_pretty(&Stored { start, set: set.clone() })?;
        self.write(&format!("{number}.json"), &stored)?;
        let epoch = self.add(start, set)?;
        tracing::info!(
            epoch = number,
            from_l1_block = start,
            members = epoch.set().len(),
            "a set is frozen"
        );
        let peers = self.peers(number);
        Ok(Some((epoch, peers)))
    }

    /// Notes that every set in force up to an L1 block is known.
    ///
    /// # Errors
    /// Us: it cannot be written down.
    pub fn reach(&self, l1_number: u64) -> eyre::Result<()> {
        if l1_number > self.state.read().epochs.known() {
            self.write(KNOWN, l1_number.to_string().as_bytes())?;
            self.state.write().epochs.reach(l1_number);
        }
        Ok(())
    }

    /// The replica's height is of this epoch now.
    pub fn enter(&self, epoch: u64) {
        let mut state = self.state.write();
        state.now = epoch;
        state.epochs.prune(epoch.saturating_sub(KEPT));
    }

    fn add(&self, start: u64, set: ValidatorSet) -> eyre::Result<Arc<Epoch>> {
        let epoch = Arc::new(Epoch::new(start, Arc::new(set), self.window));
        let mut state = self.state.write();
        let fits = state.epochs.insert(Arc::clone(&epoch));
        ensure!(fits, "the set of epoch {} is out of order", epoch.number());
        for (_, member) in epoch.set().iter() {
            if let Some((_, peer)) = address(member).filter(|(_, p)| !state.peers.contains(p)) {
                state.peers.push(peer);
            }
        }
        Ok(epoch)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> eyre::Result<()> {
        if self.dir.as_os_str().is_empty() {
            return Ok(());
        }
        let (path, fresh) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        let written = || -> std::io::Result<()> {
            let mut file = fs::File::create(&fresh)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            fs::File::open(&self.dir)?.sync_all()
        };
        written().wrap_err_with(|| format!("writing {}", path.display()))
    }

    /// The own number.
    #[must_use]
    pub const fn me(&self) -> PeerNo {
        PeerNo(0)
    }
    /// The number of a peer.
    #[must_use]
    pub fn number(&self, peer: &PeerId) -> Option<PeerNo> {
        let at = self.state.read().peers.iter().position(|p| p == peer)?;
        u16::try_from(at).ok().map(PeerNo)
    }
    /// The peers of an epoch's set by index. Who registered no usable address is nobody.
    #[must_use]
    pub fn peers(&self, epoch: u64) -> Vec<PeerNo> {
        let Some(epoch) = self.get(epoch) else { return Vec::new() };
        let number = |v: &Validator| address(v).and_then(|(_, peer)| self.number(&peer));
        epoch.set().iter().map(|(_, v)| number(v).unwrap_or(PeerNo(u16::MAX))).collect()
    }
    /// The peer with an index in the set in force.
    #[must_use]
    pub fn peer_of(&self, index: u16) -> Option<PeerNo> {
        let now = self.now()?;
        self.peers(now.number()).get(usize::from(index)).copied()
    }

    /// Everyone to be connected with: the members of the set in force, of those that are frozen already, and of those
    /// that ended lately. Newer addresses come first.
    #[must_use]
    pub fn entries(&self) -> Vec<PeerEntry> {
        let now = self.state.read().now;
        let mut entries: BTreeMap<PeerId, PeerEntry> = BTreeMap::new();
        let book = self.book();
        let mut epochs: Vec<_> = book.iter().collect();
        epochs.sort_by_key(|e| std::cmp::Reverse(e.number()));
        let ended = epochs.iter().filter(|e| e.number() < now).count();
        epochs.truncate(epochs.len().saturating_sub(ended.saturating_sub(SERVED_AFTER)));
        for member in epochs.iter().flat_map(|e| e.set().iter().map(|(_, v)| v)) {
            let found = address(member).and_then(|(a, peer)| Some((a, peer, self.number(&peer)?)));
            let Some((addr, peer, number)) = found else { continue };
            let empty = || PeerEntry { index: number.0, peer, addrs: Vec::new() };
            let entry = entries.entry(peer).or_insert_with(empty);
            if !entry.addrs.contains(&addr) {
                entry.addrs.push(addr);
            }
        }
        entries.into_values().collect()
    }

    /// Whether the own identity is among the peers of the set in force or of a frozen one.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.entries().iter().any(|entry| entry.peer == self.me)
    }
}

/// The newest set that a node with this data directory has seen final.
#[must_use]
pub fn newest_seen(datadir: &Path) -> Option<ValidatorSet> {
    let files = fs::read_dir(datadir.join("sets")).ok()?.flatten();
    let number = |path: &Path| path.file_stem()?.to_str()?.parse::<u64>().ok();
    let sets = files.map(|file| file.path()).filter(|p| p.extension().is_some_and(|e| e == "json"));
    let newest = sets.filter_map(|path| Some((number(&path)?, path))).max()?;
    let stored: Stored = serde_json::from_slice(&fs::read(newest.1).ok()?).ok()?;
    Some(stored.set)
}

/// Where the members of one set are, numbered by their indexes in it: for who has to do with one set only.
#[must_use]
pub fn entries_of(set: &ValidatorSet) -> Vec<PeerEntry> {
    let entry = |(index, v): (u16, &Validator)| {
        let (addr, peer) = address(v)?;
        Some(PeerEntry { index, peer, addrs: vec![addr] })
    };
    set.iter().filter_map(entry).collect()
}

/// `/…/p2p/<id>` as an address and the peer at it.
fn address(member: &Validator) -> Option<(Multiaddr, PeerId)> {
    let parsed = || -> eyre::Result<(Multiaddr, PeerId)> {
        let text = member.peer.as_str();
        let (addr, id) = text.rsplit_once("/p2p/").ok_or_else(|| eyre!("no peer id"))?;
        Ok((addr.parse()?, id.parse()?))
    };
    parsed().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, U256};

    fn member(i: u8, peer: &PeerId) -> Validator {
        Validator {
            owner: Address::repeat_byte(i),
            seq_key: [i; 32],
            vote_key: Address::repeat_byte(i),
            stake: U256::from(u64::from(i) * 1_000_000_000),
            fee_recipient: Address::ZERO,
            peer: format!("/ip4/127.0.0.1/tcp/{}/p2p/{peer}", 1000 + u16::from(i)),
        }
    }

    #[test]
    fn sets_survive_a_restart_and_peers_keep_their_numbers_over_sets() {
        let dir = tempfile::tempdir().unwrap();
        let [me, a, b, c] = [0; 4].map(|_| PeerId::random());
        let sets = Sets::open(dir.path(), 6, me).unwrap();
        let first = ValidatorSet::new(0, vec![member(1, &a), member(2, &me), member(3, &b)]);
        let second = ValidatorSet::new(1, vec![member(4, &c), member(1, &a)]);
        assert!(sets.learn(0, first).unwrap().is_some());
        let (epoch, peers) = sets.learn(100, second.clone()).unwrap().unwrap();
        assert_eq!((epoch.start(), peers), (100, vec![PeerNo(3), PeerNo(1)]));
        assert!(sets.learn(100, second.clone()).unwrap().is_none(), "known");
        assert!(sets.learn(101, second.clone()).is_err(), "frozen once");
        let plain = fs::read(dir.path().join("sets/1.json")).unwrap();
        assert_eq!(serde_json::from_slice::<ValidatorSet>(&plain).unwrap(), second);
        sets.reach(140).unwrap();
        assert_eq!(newest_seen(dir.path()), Some(second));
        let again = Sets::open(dir.path(), 6, me).unwrap();
        assert_eq!(again.book().known(), 140);
        assert_eq!(again.book().at(100).map(|e| e.number()), Some(1));
        assert_eq!(again.peers(0), vec![PeerNo(1), PeerNo(0), PeerNo(2)]);
        // Old, present and next members are all dialled; who left is dropped two epochs later.
        assert_eq!(again.entries().len(), 4);
        again.enter(1);
        assert_eq!(again.entries().len(), 4, "the set before still serves");
        for epoch in 2..4u64 {
            let set = ValidatorSet::new(epoch, vec![member(4, &c), member(1, &a)]);
            sets.learn(epoch * 100, set.clone()).unwrap();
            again.learn(epoch * 100, set).unwrap();
            again.enter(epoch);
        }
        assert_eq!(again.entries().len(), 2);
        assert!(!again.is_reachable());
    }

    #[test]
    fn who_registered_no_address_is_nobody_and_stops_nobody() {
        let [me, a] = [0; 2].map(|_| PeerId::random());
        let lost = Validator { peer: "somewhere".to_owned(), ..member(9, &a) };
        let set = ValidatorSet::new(0, vec![lost, member(1, &a)]);
        let sets = Sets::of_one(set, 6, me);
        assert_eq!(sets.peers(0), vec![PeerNo(u16::MAX), PeerNo(1)]);
        assert_eq!(sets.entries().len(), 1);
    }
}
