//! The Byzantine members of a run with their masks, as the world sees them.
//!
//! Invariant: what they do is a pure function of the plan: everything random comes from one seeded source.

use super::{Answer, Behaviour, Fate, Heard, Mask};
use crate::{
    make,
    sim::{dice::Dice, sets::Sets},
};
use rota_consensus::{Replica, Synced};
use rota_preconf::{Epoch, Epochs, Frame, Rules};
use rota_types::{
    Env, Millis, SeqKey, Tx, VoteKey,
    wire::{Message, Request, Response},
};
use std::{collections::BTreeMap, sync::Arc};

/// Something that a Byzantine member wants done.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a short queue in a test")]
pub(in crate::sim) enum Errand {
    /// Send after a while.
    Send { delay_us: u64, to: u16, message: Message },
    /// Ask a peer.
    Ask { to: u16, request: Request },
}

/// What a member can see of the world.
pub(in crate::sim) struct Scene<'a> {
    pub(in crate::sim) now_ms: Millis,
    pub(in crate::sim) replica: Option<&'a Replica>,
    pub(in crate::sim) sets: &'a Arc<Sets>,
    pub(in crate::sim) rules: &'a Rules,
    pub(in crate::sim) epochs: &'a Epochs,
    pub(in crate::sim) origin: &'a Env,
    pub(in crate::sim) txs: &'a [Arc<Tx>],
}

impl Scene<'_> {
    /// The epoch in force at the real node.
    fn epoch(&self) -> Arc<Epoch> {
        let there = self.replica.map(|r| Arc::clone(r.epoch()));
        there.unwrap_or_else(|| Arc::clone(self.sets.first()))
    }
}

/// One member, while it acts.
pub(super) struct Cx<'a> {
    /// Its node, and its index in the set in force at its real node.
    pub(super) me: u16,
    pub(super) seat: u16,
    /// Nodes of that set by index.
    pub(super) peers: Vec<u16>,
    pub(super) epoch: Arc<Epoch>,
    /// What its real node knows of the sets.
    pub(super) rules: Rules,
    pub(super) scene: &'a Scene<'a>,
    pub(super) seq: &'a SeqKey,
    pub(super) vote: &'a VoteKey,
    pub(super) dice: &'a mut Dice,
    deeds: &'a mut BTreeMap<&'static str, u64>,
    out: Vec<Errand>,
}

impl Cx<'_> {
    /// Counts something that really happened.
    pub(super) fn did(&mut self, what: &'static str) {
        *self.deeds.entry(what).or_default() += 1;
    }
    pub(super) fn send(&mut self, to: u16, message: Message) {
        self.later(0, to, message);
    }
    pub(super) fn later(&mut self, delay_us: u64, to: u16, message: Message) {
        self.out.push(Errand::Send { delay_us, to, message });
    }
    pub(super) fn tell_all(&mut self, message: &Message) {
        for to in self.others() {
            self.send(to, message.clone());
        }
    }
    pub(super) fn errand(&mut self, errand: Errand) {
        self.out.push(errand);
    }
    pub(super) fn others(&self) -> Vec<u16> {
        self.peers.iter().copied().filter(|node| *node != self.me).collect()
    }
    /// Some of the others, at least one and not all.
    pub(super) fn some(&mut self) -> Vec<u16> {
        let mut others = self.others();
        self.dice.shuffle(&mut others);
        let count = self.dice.between(1, others.len().max(2) as u64) as usize;
        others.truncate(count);
        others
    }
}

struct Member {
    masks: Vec<Box<dyn Mask>>,
    seq: SeqKey,
    vote: VoteKey,
}

/// All Byzantine members.
pub(in crate::sim) struct Cast {
    members: BTreeMap<u16, Member>,
    dice: Dice,
    /// What they did, by name, to see that it really happened.
    pub(in crate::sim) deeds: BTreeMap<&'static str, u64>,
}

impl Cast {
    pub(in crate::sim) fn new(seed: u64, byzantine: &[(u16, Behaviour)]) -> Self {
        let mut members = BTreeMap::new();
        for (index, behaviour) in byzantine {
            let (seq, vote) = make::keys(*index);
            let member =
                members.entry(*index).or_insert_with(|| Member { masks: Vec::new(), seq, vote });
            member.masks.push(behaviour.mask());
        }
        Self { members, dice: Dice::new(seed ^ 0xb12a), deeds: BTreeMap::new() }
    }
    /// Nobody, in whose place the cast is while it acts.
    pub(in crate::sim) fn nobody() -> Self {
        Self::new(0, &[])
    }

    pub(in crate::sim) fn has(&self, node: u16) -> bool {
        self.members.contains_key(&node)
    }
    pub(in crate::sim) fn indexes(&self) -> Vec<u16> {
        self.members.keys().copied().collect()
    }

    /// Lets each mask of `me` do something; gives the errands.
    fn each(
        &mut self,
        me: u16,
        scene: &Scene<'_>,
        mut act: impl FnMut(&mut dyn Mask, &mut Cx<'_>) -> bool,
    ) -> Vec<Errand> {
        let Some(member) = self.members.get_mut(&me) else { return Vec::new() };
        let epoch = scene.epoch();
        // Outside the set it has nothing to lie with.
        let Some((seat, _)) = scene.sets.seat(epoch.number(), me) else { return Vec::new() };
        let mut cx = Cx {
            me,
            seat,
            peers: scene.sets.peers(epoch.number()),
            rules: Rules { epochs: scene.epochs.clone(), ..scene.rules.clone() },
            epoch,
            scene,
            seq: &member.seq,
            vote: &member.vote,
            dice: &mut self.dice,
            deeds: &mut self.deeds,
            out: Vec::new(),
        };
        for mask in &mut member.masks {
            if !act(mask.as_mut(), &mut cx) {
                break;
            }
        }
        cx.out
    }

    /// A message of the real node to these receivers.
    pub(in crate::sim) fn send(
        &mut self,
        me: u16,
        scene: &Scene<'_>,
        targets: &[u16],
        message: &Message,
    ) -> Vec<Errand> {
        let mut out = self.each(me, scene, |mask, cx| {
            mask.prepare(cx, message);
            true
        });
        for to in targets {
            let mut now = Some(message.clone());
            out.extend(self.each(me, scene, |mask, cx| {
                let Some(current) = &now else { return false };
                match mask.send(cx, *to, current) {
                    Fate::Pass => {}
                    Fate::Drop => now = None,
                    Fate::Instead(other) => now = Some(other),
                }
                true
            }));
            out.extend(now.map(|message| Errand::Send { delay_us: 0, to: *to, message }));
        }
        out
    }

    /// Something arrives; whether the real node gets it too.
    fn hear(
        &mut self,
        me: u16,
        scene: &Scene<'_>,
        from: u16,
        heard: &Heard<'_>,
    ) -> (bool, Vec<Errand>) {
        // A real node stops when it hears its own key sign something else: it is kept from that.
        let mut passes = signed_by(heard).and_then(|(e, i)| scene.sets.node(e, i)) != Some(me);
        let out = self.each(me, scene, |mask, cx| {
            passes &= mask.hear(cx, from, heard);
            true
        });
        (passes, out)
    }
    pub(in crate::sim) fn hear_frame(
        &mut self,
        me: u16,
        scene: &Scene<'_>,
        from: u16,
        frame: &Arc<Frame>,
    ) -> (bool, Vec<Errand>) {
        self.hear(me, scene, from, &Heard::Frame(frame))
    }
    pub(in crate::sim) fn hear_message(
        &mut self,
        me: u16,
        scene: &Scene<'_>,
        from: u16,
        message: &Message,
    ) -> (bool, Vec<Errand>) {
        self.hear(me, scene, from, &Heard::Message(message))
    }

    /// The answer to a request; `None` to answer as the real node would.
    pub(in crate::sim) fn answer(
        &mut self,
        me: u16,
        scene: &Scene<'_>,
        from: u16,
        request: &Request,
    ) -> Option<Option<Response>> {
        let mut answer = None;
        drop(self.each(me, scene, |mask, cx| {
            match mask.answer(cx, from, request) {
                Answer::Honest => {}
                Answer::None => answer = Some(None),
                Answer::This(response) => answer = Some(Some(response)),
            }
            answer.is_none()
        }));
        answer
    }

    pub(in crate::sim) fn told(
        &mut self,
        me: u16,
        scene: &Scene<'_>,
        from: u16,
        heights: &[Synced],
    ) -> Vec<Errand> {
        self.each(me, scene, |mask, cx| {
            mask.told(cx, from, heights);
            true
        })
    }

    pub(in crate::sim) fn act(&mut self, me: u16, scene: &Scene<'_>) -> Vec<Errand> {
        self.each(me, scene, |mask, cx| {
            mask.act(cx);
            true
        })
    }
}

/// Whose signature what arrived carries: epoch and index.
fn signed_by(heard: &Heard<'_>) -> Option<(u64, u16)> {
    Some(match heard {
        Heard::Frame(frame) => (frame.signed.header.epoch, frame.signed.header.leader),
        Heard::Message(Message::Vote(v)) => (v.vote.epoch, v.signer),
        Heard::Message(Message::Proposal(p)) => (p.proposal.epoch, p.proposal.proposer),
        Heard::Message(Message::Ack(a)) => (a.ack.epoch, a.ack.signer),
        Heard::Message(Message::Status(s)) => (s.status.epoch, s.status.signer),
        Heard::Message(Message::TermInit(t)) => (t.init.epoch, t.init.leader),
        Heard::Message(_) => return None,
    })
}
