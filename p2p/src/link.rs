//! The link to one validator: its queues, and which of its streams are up.
//!
//! Not for: sockets. Invariant: a link belongs to one (index, identity) pair for its whole life; when the
//! set changes that pair, the link is closed and another one is made.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU8, Ordering},
};

use libp2p::PeerId;
use tokio::sync::watch;

use rota_types::wire::Lane;

use crate::{config::Limits, hello::Role, queue::LaneQueue};

const fn lane_bit(lane: Lane) -> u8 {
    match lane {
        Lane::Consensus => 1,
        Lane::Frames => 2,
        Lane::Acks => 4,
        Lane::Bulk => 8,
    }
}

/// Which way a stream carries messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Out,
    In,
}

/// The link to one validator.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) index: u16,
    pub(crate) peer: PeerId,
    /// The lanes this node opens: all of them between validators, bulk alone for an observer.
    pub(crate) lanes: &'static [Lane],
    /// Lanes that must be up for the link to count as up: outbound, inbound.
    wanted: (u8, u8),
    queues: [LaneQueue; 4],
    up: [AtomicU8; 2],
    down_reason: Mutex<String>,
    connected: watch::Sender<bool>,
    closed: watch::Sender<bool>,
}

impl Link {
    /// A link of a node with role `me` to validator `index`.
    pub(crate) fn new(me: Role, index: u16, peer: PeerId, limits: &Limits) -> Self {
        let (lanes, wanted): (&'static [Lane], _) = match me {
            Role::Validator => (&Lane::ALL, (0b1111, 0b1111)),
            Role::Observer => (&[Lane::Bulk], (lane_bit(Lane::Bulk), 0)),
        };
        Self {
            index,
            peer,
            lanes,
            wanted,
            queues: Lane::ALL.map(|lane| LaneQueue::new(limits.lane(lane).queue)),
            up: [AtomicU8::new(0), AtomicU8::new(0)],
            down_reason: Mutex::default(),
            connected: watch::Sender::new(false),
            closed: watch::Sender::new(false),
        }
    }

    pub(crate) const fn queue(&self, lane: Lane) -> &LaneQueue {
        let [consensus, frames, acks, bulk] = &self.queues;
        match lane {
            Lane::Consensus => consensus,
            Lane::Acks => acks,
            Lane::Frames => frames,
            Lane::Bulk => bulk,
        }
    }

    const fn bits(&self, direction: Direction) -> &AtomicU8 {
        let [outbound, inbound] = &self.up;
        match direction {
            Direction::Out => outbound,
            Direction::In => inbound,
        }
    }

    pub(crate) fn lane_up(&self, lane: Lane, direction: Direction) {
        self.bits(direction).fetch_or(lane_bit(lane), Ordering::AcqRel);
    }

    pub(crate) fn lane_down(&self, lane: Lane, direction: Direction, reason: &str) {
        self.bits(direction).fetch_and(!lane_bit(lane), Ordering::AcqRel);
        let mut held = self.down_reason.lock().unwrap_or_else(PoisonError::into_inner);
        *held = format!("{} stream: {reason}", lane.name());
    }

    /// Whether every wanted stream is up, both ways.
    pub(crate) fn is_up(&self) -> bool {
        let (outbound, inbound) = self.wanted;
        self.bits(Direction::Out).load(Ordering::Acquire) & outbound == outbound
            && self.bits(Direction::In).load(Ordering::Acquire) & inbound == inbound
    }

    /// Why a stream went down last.
    pub(crate) fn down_reason(&self) -> String {
        self.down_reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_connected(&self, connected: bool) {
        self.connected.send_if_modified(|now| std::mem::replace(now, connected) != connected);
    }

    pub(crate) fn connected(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    /// Ends the tasks of this link.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(crate) fn closed(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }
}

/// Waits until `flag` is false; a dropped sender counts as false.
pub(crate) async fn until_cleared(flag: &mut watch::Receiver<bool>) {
    drop(flag.wait_for(|set| !*set).await);
}

/// Waits until `flag` is true; a dropped sender counts as true.
pub(crate) async fn until_set(flag: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which ends the waiting task just as well.
    drop(flag.wait_for(|set| *set).await);
}
