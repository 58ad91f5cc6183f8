//! A second real replica with the same keys: no disk, so everything is durable at once, and no memory over a restart.

use super::cast::{Cx, Errand};
use rota_consensus::{Identity, Input, Output, PeerNo, Replica, Restored, To};
use rota_preconf::HeightContext;
use rota_types::{Tx, wire::Message};
use std::{collections::VecDeque, sync::Arc};

pub(super) struct Puppet {
    replica: Replica,
    origin: u64,
    /// Newest set that it was told.
    told: u64,
    /// Newest checkpoint that it was told.
    executed: u64,
    wants: bool,
    handed: usize,
    /// What it wants to say: receivers are the caller's choice.
    pub(super) said: Vec<(To, Message)>,
}

impl Puppet {
    /// Starts where the real node is, knowing nothing of what the key has signed.
    pub(super) fn new(cx: &mut Cx<'_>) -> Self {
        let context = cx.scene.replica.map_or_else(
            || HeightContext::genesis(&cx.epoch, cx.rules.domain.genesis_hash),
            |r| r.chain().base().clone(),
        );
        let (seq, vote) = crate::make::keys(cx.me);
        let identity = Identity::local(PeerNo(cx.me), seq, vote);
        let peers = |e: u64| (e, cx.scene.sets.peers(e).into_iter().map(PeerNo).collect());
        let restored = Restored {
            context,
            peers: cx.rules.epochs.iter().map(|e| peers(e.number())).collect(),
            guards: Vec::new(),
            wal: Vec::new(),
            frames: Vec::new(),
            listen_ms: 0,
        };
        let mut replica = Replica::new(identity, cx.rules.clone(), &restored);
        let mut out = Vec::new();
        let started = replica.start(cx.scene.now_ms, &[], &mut out).is_ok();
        let handed = cx.scene.txs.len();
        let mut puppet = Self {
            replica,
            origin: 0,
            told: 0,
            executed: 0,
            wants: false,
            handed,
            said: Vec::new(),
        };
        cx.did(if started { "twins started" } else { "twins that did not start" });
        puppet.carry_out(cx, out);
        puppet
    }

    pub(super) const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// One input and what follows. Whether it is still alive.
    pub(super) fn feed(&mut self, cx: &mut Cx<'_>, input: Input) -> bool {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut out = Vec::new();
            let now = cx.scene.now_ms;
            let done = self.replica.step(now, input, &mut out);
            if done.and_then(|()| self.replica.flush(now, &mut out)).is_err() {
                cx.did("twins that stopped");
                return false;
            }
            inputs.extend(self.carry_out(cx, out));
            inputs.extend(self.hand_over(cx).map(Input::Txs));
        }
        true
    }

    /// What time brings.
    pub(super) fn act(&mut self, cx: &mut Cx<'_>) -> bool {
        let now = cx.scene.now_ms;
        let newest = self.replica.epoch().number();
        let new = cx.rules.epochs.after(newest).cloned().filter(|e| self.told < e.number());
        if let Some(epoch) = new {
            self.told = epoch.number();
            let peers = cx.scene.sets.peers(self.told).into_iter().map(PeerNo).collect();
            return self.feed(cx, Input::Set { epoch, peers });
        }
        let seen = cx.scene.origin.l1_number <= cx.rules.epochs.known();
        if seen && self.origin != cx.scene.origin.l1_number {
            self.origin = cx.scene.origin.l1_number;
            return self.feed(cx, Input::Origin(cx.scene.origin.clone()));
        }
        if let Some((height, root)) = cx.rules.lags.newest().filter(|(h, _)| *h > self.executed) {
            self.executed = height;
            return self.feed(cx, Input::Lag { height, root });
        }
        let due = self.replica.next_deadline(now).is_some_and(|at| at <= now);
        if due || (self.wants && self.handed < cx.scene.txs.len()) {
            return self.feed(cx, Input::Tick);
        }
        true
    }

    fn hand_over(&mut self, cx: &Cx<'_>) -> Option<Vec<Arc<Tx>>> {
        let new = cx.scene.txs.get(self.handed..).filter(|new| self.wants && !new.is_empty())?;
        self.wants = false;
        self.handed = cx.scene.txs.len();
        Some(new.to_vec())
    }

    fn carry_out(&mut self, cx: &mut Cx<'_>, out: Vec<Output>) -> Vec<Input> {
        let mut inputs = Vec::new();
        for output in out {
            match output {
                Output::Durable(token) => inputs.push(Input::Durable(token)),
                Output::Send { to, message, .. } => {
                    if to == To::All {
                        inputs
                            .push(Input::Message { from: PeerNo(cx.me), message: message.clone() });
                    }
                    self.said.push((to, message));
                }
                Output::TakeTxs => self.wants = true,
                Output::Ask { to, request } => cx.errand(Errand::Ask { to: to.0, request }),
                _ => {}
            }
        }
        inputs
    }
}
