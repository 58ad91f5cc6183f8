//! Topics, and the settings of gossipsub.
//!
//! Messages are anonymous and unsigned: each kind carries its own signatures, which the application checks
//! before the message is forwarded. Not for: messages between validators, which have direct streams.
//! Invariant: a topic's name contains the network's context, so networks never mix; a message's id is a
//! collision-resistant hash of its topic and content, so nobody can suppress another's message.

use std::time::Duration;

use libp2p::{
    PeerId,
    gossipsub::{
        Behaviour, ConfigBuilder, IdentTopic, Message, MessageAuthenticity, MessageId, TopicHash,
        ValidationMode,
    },
};
use sha2::{Digest as _, Sha256};

use crate::{config::Limits, error::P2pError, hello::Ctx};

/// What is gossiped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Batches of transactions.
    Transactions,
    /// Frames, for followers.
    Frames,
    /// Decided headers with their certificates, for followers.
    Decided,
    /// Evidence of equivocation.
    Evidence,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 4] = [Self::Transactions, Self::Frames, Self::Decided, Self::Evidence];

    const fn name(self) -> &'static str {
        match self {
            Self::Transactions => "transactions",
            Self::Frames => "frames",
            Self::Decided => "decided",
            Self::Evidence => "evidence",
        }
    }

    pub(crate) fn on(self, ctx: &Ctx) -> IdentTopic {
        IdentTopic::new(format!("/rota/{}/{}/1", ctx.short(), self.name()))
    }

    pub(crate) fn from_hash(hash: &TopicHash, ctx: &Ctx) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.on(ctx).hash() == *hash)
    }
}

/// Names a received gossip message to [`crate::Handle::judge`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GossipId {
    pub(crate) message: MessageId,
    pub(crate) from: PeerId,
}

/// What a gossip message is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Valid and useful: forward it.
    Accept,
    /// Invalid: do not forward, score who sent it.
    Reject,
    /// Neither: old, unknown yet, or no time to look.
    Ignore,
}

fn message_id(message: &Message) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(message.topic.as_str());
    hash.update([0]);
    hash.update(&message.data);
    MessageId::from(hash.finalize().to_vec())
}

/// The behaviour of small, dense networks: few hops, low latency.
pub(crate) fn behaviour(limits: &Limits) -> Result<Behaviour, P2pError> {
    let config = ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(limits.gossip_bytes)
        .heartbeat_interval(Duration::from_millis(300))
        .heartbeat_initial_delay(Duration::from_millis(50))
        .mesh_outbound_min(1)
        .mesh_n_low(3)
        .mesh_n(4)
        .mesh_n_high(8)
        .history_length(20)
        .history_gossip(5)
        .duplicate_cache_time(Duration::from_secs(120))
        .connection_handler_queue_len(256)
        .build()
        .map_err(|error| P2pError::Build(error.to_string()))?;
    Behaviour::new(MessageAuthenticity::Anonymous, config)
        .map_err(|error| P2pError::Build(error.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_topics_do_not_mix() {
        let (ours, theirs) = (Ctx([1; 32]), Ctx([2; 32]));
        for topic in Topic::ALL {
            assert_eq!(Topic::from_hash(&topic.on(&ours).hash(), &ours), Some(topic));
            assert_eq!(Topic::from_hash(&topic.on(&theirs).hash(), &ours), None);
        }
    }

    #[test]
    fn an_id_covers_topic_and_content() {
        let message = |topic: Topic, data: &[u8]| Message {
            source: None,
            data: data.to_vec(),
            sequence_number: None,
            topic: topic.on(&Ctx([1; 32])).hash(),
        };
        let id = message_id(&message(Topic::Frames, b"a"));
        assert_eq!(id, message_id(&message(Topic::Frames, b"a")));
        assert_ne!(id, message_id(&message(Topic::Decided, b"a")));
        assert_ne!(id, message_id(&message(Topic::Frames, b"b")));
    }
}
