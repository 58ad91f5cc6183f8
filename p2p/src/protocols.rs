//! The driver's side of gossip, requests, identify and ping.
//!
//! Not for: connections and the set. Invariant: nothing here waits; a gossip message that the node does not take
//! is ignored, which is not held against its sender.

use libp2p::{PeerId, gossipsub, identify, ping, request_response, swarm::ConnectionId};

use crate::{
    driver::Driver,
    gossip::{GossipId, Judgement, Topic},
    hub::Counters,
    incoming::Incoming,
    rate::{Rate, TooFast},
    request::Reply,
    score::PeerFault,
    swarm::{BehaviourEvent, ctx_of_line},
};

impl Driver {
    pub(crate) fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Requests(event) => self.on_request(event),
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                match ctx_of_line(&info.protocol_version) {
                    Some(ctx) if ctx != self.hub.ctx => self.hub.wrong_network(peer_id, ctx),
                    _ => {}
                }
            }
            BehaviourEvent::Ping(ping::Event { peer, connection, result }) => {
                self.on_ping(peer, connection, result);
            }
            _ => {}
        }
    }

    fn on_ping(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        result: Result<std::time::Duration, ping::Failure>,
    ) {
        match result {
            Ok(rtt) => self.hub.with_peers(|peers| {
                if let Some(entry) = peers.get_mut(&peer) {
                    entry.rtt_us = u64::try_from(rtt.as_micros()).ok();
                }
            }),
            Err(ping::Failure::Unsupported) => {}
            Err(error) => {
                tracing::debug!(%peer, %error, "closed a dead connection");
                self.close(connection);
            }
        }
    }

    pub(crate) fn publish(&mut self, topic: Topic, data: Vec<u8>) {
        let topic = topic.on(&self.hub.ctx);
        match self.swarm.behaviour_mut().gossip.publish(topic, data) {
            Ok(_) | Err(gossipsub::PublishError::Duplicate) => {}
            Err(error) => {
                tracing::debug!(%error, "not published");
                Counters::add(&self.hub.counters.gossip_dropped);
            }
        }
    }

    pub(crate) fn judge(&mut self, id: &GossipId, judgement: Judgement) {
        let acceptance = match judgement {
            Judgement::Accept => gossipsub::MessageAcceptance::Accept,
            Judgement::Reject => gossipsub::MessageAcceptance::Reject,
            Judgement::Ignore => gossipsub::MessageAcceptance::Ignore,
        };
        if judgement == Judgement::Reject {
            // A correct node forwards only what it found valid itself.
            self.hub.report(id.from, PeerFault::Garbage);
        }
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.report_message_validation_result(&id.message, &id.from, acceptance);
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        let gossipsub::Event::Message { propagation_source: from, message_id, message } = event
        else {
            return;
        };
        let id = GossipId { message: message_id, from };
        let Some(topic) = Topic::from_hash(&message.topic, &self.hub.ctx) else {
            return self.judge(&id, Judgement::Ignore);
        };
        let (now_ms, per_second) = (self.hub.clock.now_ms(), self.hub.limits.gossip_per_second);
        let rate = self.gossip_rates.entry(from);
        let rate = rate.or_insert_with(|| Rate::new(now_ms, per_second, per_second));
        let passed = rate.pass(now_ms);
        if let Err(TooFast { score: true, .. }) = passed {
            self.hub.report(from, PeerFault::Flood);
        }
        let peer = self.hub.peer(from);
        let incoming = Incoming::Gossip { topic, data: message.data, from: peer, id: id.clone() };
        if passed.is_err() || self.hub.tell(incoming).is_err() {
            Counters::add(&self.hub.counters.gossip_dropped);
            self.judge(&id, Judgement::Ignore);
        }
    }

    fn on_request(&mut self, event: request_response::Event<Vec<u8>, Reply>) {
        use request_response::{Event, Message};
        match event {
            Event::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                if let Err(channel) = self.server.serve(peer, request, channel) {
                    let requests = &mut self.swarm.behaviour_mut().requests;
                    if requests.send_response(channel, Reply::Busy).is_err() {
                        tracing::debug!(%peer, "the asker left before its answer");
                    }
                }
            }
            Event::Message { message: Message::Response { request_id, response }, .. } => {
                self.server.on_reply(request_id, response);
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                self.server.on_failure(peer, request_id, &error);
            }
            Event::InboundFailure { peer, error, .. } => {
                if matches!(&error, request_response::InboundFailure::Io(io) if crate::request::is_oversized(io))
                {
                    self.hub.report(peer, PeerFault::Oversized);
                }
                tracing::debug!(%peer, %error, "failed serving a request");
            }
            Event::ResponseSent { .. } => {}
        }
    }
}
