//! The disk thread: one group sync for everything waiting, then what had to wait for it leaves.
//!
//! Queue: `disk`, bounded, policy wait. Invariant: nothing that needs durability leaves before the records
//! in front of it are on disk; after any failure nothing leaves any more and the process stops.

use crate::{
    engine::{Loopback, ReplicaInput},
    slash::Tape,
};
use alloy_primitives::B256;
use crossbeam_channel::{Receiver, Sender};
use rota_consensus::{PeerNo, To};
use rota_p2p::{Handle, Network};
use rota_preconf::Frame;
use rota_store::{AppendLog, GuardError, Intent, SignGuard, StoreError};
use rota_types::{CommitCertificate, Decode, Encode, Header, SignedFrame, Writer, wire::Message};
use std::{collections::BTreeMap, sync::Arc};

/// What the disk thread is told, in order.
#[derive(Debug)]
pub enum DiskInput {
    /// Append to the write-ahead log.
    Wal(Vec<u8>),
    /// A new height begins: entries of the one before are history.
    WalReset,
    /// Append to the sign guard of the keys in force.
    Guard(Intent),
    /// From here on these keys are in force.
    Keys(usize),
    /// Append to the frame log.
    Frame(Arc<Frame>),
    /// A decided height, until the archive has it.
    Decided(Box<(Header, CommitCertificate)>),
    /// Send after a sync.
    Send(To, Box<Message>),
    /// Answer after a sync.
    Durable(u64),
    /// The archive has everything up to this height and log position.
    Archived(u64, u64),
    /// Stop.
    Stop,
}

/// Why the disk thread ended. Ours, always: the process must stop.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A write or sync failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The guard on disk refused what the replica wanted signed.
    #[error(transparent)]
    Guard(#[from] GuardError),
}

/// The files, and where things go after a sync.
pub struct Disk {
    /// What this node signs, for who watches.
    pub tape: Arc<Tape>,
    /// A sign guard for each pair of keys; none for a node without keys.
    pub guards: Vec<SignGuard>,
    /// Which keys are in force.
    pub pair: usize,
    /// Write-ahead log of the current height.
    pub wal: AppendLog,
    /// Frames and decisions that the archive does not have.
    pub frames: AppendLog,
    /// The network.
    pub p2p: Handle,
    /// The replica.
    pub replica: Sender<ReplicaInput>,
    /// Own number.
    pub me: PeerNo,
    /// Undecided frames that the frame log holds at start.
    pub undecided: Vec<Arc<Frame>>,
    /// Intents that are written once the logs are on disk; none at start.
    pub intents: Vec<(usize, Intent)>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("me", &self.me).finish_non_exhaustive()
    }
}

/// Frames are rewritten without what is archived when this much was appended.
const COMPACT_BYTES: usize = 32 * 1024 * 1024;
/// The write-ahead log is rewritten when this many heights are in it.
const COMPACT_HEIGHTS: u32 = 64;

enum Leaving {
    Send(To, Box<Message>),
    Durable(u64),
}

/// What is in the frame log above the archive.
#[derive(Default)]
struct Live {
    /// Each with its place in the log: of two branches, the one accepted first must stay the first.
    records: BTreeMap<(u64, B256, u8), (u64, Vec<u8>)>,
    written: u64,
    bytes: usize,
    heights: u32,
}

impl Live {
    fn put(&mut self, key: (u64, B256, u8), record: Vec<u8>) {
        self.written = self.written.saturating_add(1);
        self.records.entry(key).or_insert((self.written, record));
    }

    /// The records in the order in which they were written.
    fn in_order(&self) -> Vec<&[u8]> {
        let mut records: Vec<&(u64, Vec<u8>)> = self.records.values().collect();
        records.sort_unstable_by_key(|(at, _)| *at);
        records.into_iter().map(|(_, bytes)| bytes.as_slice()).collect()
    }
}

impl Disk {
    /// Runs until told to stop.
    pub fn run(mut self, inputs: &Receiver<DiskInput>) -> Result<(), DiskError> {
        let mut live = Live::default();
        for frame in std::mem::take(&mut self.undecided) {
            live.put((frame.g(), frame.hash, 0), frame_record(&frame.signed));
        }
        self.frames.reset(live.in_order())?;
        loop {
            let Ok(first) = inputs.recv() else { return Ok(()) };
            let mut leaving = Vec::new();
            let mut next = Some(first);
            // One sync serves everything that waits, but a burst must not delay the first of it forever.
            let mut budget = 512u32;
            while let Some(input) = next.take() {
                if matches!(input, DiskInput::Stop) {
                    self.let_go(leaving)?;
                    return self.sync_files();
                }
                self.write(input, &mut leaving, &mut live)?;
                budget = budget.saturating_sub(1);
                if budget > 0 {
                    next = inputs.try_recv().ok();
                }
            }
            self.let_go(leaving)?;
        }
    }

    fn write(
        &mut self,
        input: DiskInput,
        leaving: &mut Vec<Leaving>,
        live: &mut Live,
    ) -> Result<(), DiskError> {
        match input {
            DiskInput::Wal(bytes) => self.wal.append(&bytes)?,
            DiskInput::WalReset => {
                live.heights = live.heights.saturating_add(1);
                if live.heights >= COMPACT_HEIGHTS {
                    live.heights = 0;
                    // The votes go only after the decision that they led to is safe.
                    self.frames.sync()?;
                    self.wal.reset(std::iter::empty())?;
                }
            }
            DiskInput::Guard(intent) => self.intents.push((self.pair, intent)),
            DiskInput::Keys(pair) => self.pair = pair,
            DiskInput::Frame(frame) => {
                let record = frame_record(&frame.signed);
                self.keep(live, (frame.g(), frame.hash, 0), record)?;
            }
            DiskInput::Decided(decided) => {
                let record = decided_record(&decided.0, &decided.1);
                let hash = decided.0.last_frame_hash;
                self.keep(live, (decided.0.last_g, hash, 1), record)?;
            }
            DiskInput::Send(to, message) => leaving.push(Leaving::Send(to, message)),
            DiskInput::Durable(token) => leaving.push(Leaving::Durable(token)),
            DiskInput::Archived(_, g) => self.archived(live, g)?,
            DiskInput::Stop => {}
        }
        Ok(())
    }

    fn keep(
        &mut self,
        live: &mut Live,
        key: (u64, B256, u8),
        record: Vec<u8>,
    ) -> Result<(), DiskError> {
        self.frames.append(&record)?;
        live.bytes = live.bytes.saturating_add(record.len());
        live.put(key, record);
        Ok(())
    }

    fn archived(&mut self, live: &mut Live, g: u64) -> Result<(), DiskError> {
        live.records = live.records.split_off(&(g.saturating_add(1), B256::ZERO, 0));
        if live.bytes >= COMPACT_BYTES {
            self.frames.reset(live.in_order())?;
            live.bytes = 0;
        }
        Ok(())
    }

    /// Lets go what waited, once everything written so far is on disk: also what was written with an earlier group,
    /// in which nothing left.
    fn let_go(&mut self, leaving: Vec<Leaving>) -> Result<(), DiskError> {
        if leaving.is_empty() {
            return Ok(());
        }
        self.sync_files()?;
        for leaving in leaving {
            match leaving {
                Leaving::Durable(token) => {
                    self.back(ReplicaInput::Durable(token));
                }
                Leaving::Send(to, message) => {
                    send(&self.p2p, to, &message);
                    // Not before the sync either: whoever watches must not know more than the guard.
                    self.tape.write(&message);
                    if to == To::All {
                        let loopback = Loopback { from: self.me, message: *message };
                        self.back(ReplicaInput::Loopback(Box::new(loopback)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Syncs what is dirty: frames, then the votes that rest on them. The guard is written last: what it knows of
    /// is then in the logs too, and a start after a power loss can go on from them.
    fn sync_files(&mut self) -> Result<(), DiskError> {
        let Self { frames, wal, guards, .. } = self;
        frames.sync()?;
        wal.sync()?;
        for (pair, intent) in self.intents.drain(..) {
            if let Some(guard) = guards.get_mut(pair) {
                guard.check_and_record(intent)?;
            }
        }
        for guard in guards {
            guard.sync()?;
        }
        Ok(())
    }

    /// The replica's queue has room for these by design; if it has not, the replica is stuck and the
    /// health check says so.
    fn back(&self, input: ReplicaInput) {
        if self.replica.send(input).is_err() {
            tracing::debug!("the replica has ended");
        }
    }
}

/// Sends by the direct streams; what a lane drops it counts itself.
pub fn send(p2p: &Handle, to: To, message: &Message) {
    let result = match to {
        To::One(peer) => p2p.send(peer.0, message),
        To::Others | To::All => p2p.broadcast(message).map(drop),
    };
    if let Err(error) = result {
        tracing::debug!(%error, message = message.name(), "not sent");
    }
}

fn frame_record(frame: &SignedFrame) -> Vec<u8> {
    let mut w = Writer::default();
    frame.encode_to(w.u8(0));
    w.finish()
}

fn decided_record(header: &Header, certificate: &CommitCertificate) -> Vec<u8> {
    let mut w = Writer::default();
    header.encode_to(w.u8(1));
    certificate.encode_to(&mut w);
    w.finish()
}

/// What the frame log holds.
#[derive(Debug)]
pub enum FrameRecord {
    /// A frame.
    Frame(Box<SignedFrame>),
    /// A decided height.
    Decided(Box<(Header, CommitCertificate)>),
}

/// Reads a record of the frame log.
pub fn read_record(bytes: &[u8]) -> Result<FrameRecord, rota_types::DecodeError> {
    let mut r = rota_types::Reader::new(bytes);
    let record = match r.u8("record")? {
        0 => FrameRecord::Frame(Box::new(SignedFrame::decode_from(&mut r)?)),
        1 => {
            let header = Header::decode_from(&mut r)?;
            let certificate = CommitCertificate::decode_from(&mut r)?;
            FrameRecord::Decided(Box::new((header, certificate)))
        }
        _ => return Err(rota_types::DecodeError::Invalid("unknown frame record")),
    };
    r.end()?;
    Ok(record)
}
