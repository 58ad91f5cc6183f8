//! What the node may do to the network, real or simulated.

use rota_types::wire::Message;

use crate::{error::SendError, gossip::Topic};

/// Sends without ever waiting. Implemented by [`crate::Handle`] and [`crate::SimHandle`].
pub trait Network {
    /// Queues `message` for one validator, on the message's lane.
    ///
    /// # Errors
    /// [`SendError::UnknownPeer`], [`SendError::Oversized`]; on the bulk lane also [`SendError::Busy`] and
    /// [`SendError::NotConnected`]. The other lanes drop by their policy, count it, and mark the gap.
    fn send(&self, to: u16, message: &Message) -> Result<(), SendError>;

    /// Queues `message` for all other validators, encoded once. Returns how many queues took it.
    ///
    /// # Errors
    /// [`SendError::Oversized`].
    fn broadcast(&self, message: &Message) -> Result<usize, SendError>;

    /// Gossips `data` to everyone who subscribed to `topic`.
    ///
    /// # Errors
    /// [`SendError::Busy`] if the network is behind, [`SendError::Oversized`], [`SendError::Closed`].
    fn publish(&self, topic: Topic, data: Vec<u8>) -> Result<(), SendError>;
}
