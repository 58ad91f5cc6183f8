//! Taking frames: into the pool, onto the chain, and asking for what is missing.

use super::{Output, PeerNo, Replica, Retract};
use alloy_primitives::B256;
use rota_preconf::{BadFrame, Frame, Mutation, Need};
use rota_types::Millis;
use std::sync::Arc;

impl Replica {
    pub(super) fn on_frame(
        &mut self,
        now: Millis,
        frame: Arc<Frame>,
        from: PeerNo,
        out: &mut Vec<Output>,
    ) {
        if frame.g() <= self.chain.base().base.g || !self.is_near(frame.signed.header.epoch) {
            return;
        }
        self.witness_frame(&frame, out);
        let (epoch, leader) = (frame.signed.header.epoch, frame.signed.header.leader);
        if leader == self.leader && Some(from) == self.peer(leader) {
            self.timers.heard(now);
        }
        let (hash, prev) = (frame.hash, frame.prev());
        let term = frame.signed.header.term;
        if let Some(other) = self.pool.insert(frame)
            && self.equivocators.insert((term, epoch, leader))
        {
            tracing::warn!(leader, a = %hash, b = %other.hash, "leader signed two frames for one place");
            let what = "two frames for one place";
            out.push(Output::Misbehaved { epoch, validator: leader, what });
        }
        let known = self.pool.get(&prev).is_some() || prev == self.chain.base().base.hash;
        self.extend(now, out);
        if !known && !self.chain.contains(self.chain.tip().g, &hash) {
            self.ask_for(now, from, Need::Frame(hash), out);
        }
    }

    /// Whether frames of an epoch are taken: of the one in force and of the one after it.
    fn is_near(&self, epoch: u64) -> bool {
        let next = self.rules.epochs.after(self.epoch.number());
        epoch == self.epoch.number() || next.is_some_and(|next| next.number() == epoch)
    }

    /// Grows the accepted chain with what the pool holds.
    pub(super) fn extend(&mut self, now: Millis, out: &mut Vec<Output>) {
        while let Some(frame) = self.next_frame(now, out) {
            match self.chain.append(&frame, &self.rules) {
                Ok(closed) => {
                    self.pool.pin(frame.hash);
                    out.push(Output::Store(Arc::clone(&frame)));
                    let (closed, room) = (closed.map(|(_, id)| id), self.chain.room(None));
                    out.push(Output::Accepted { frame, closed, room });
                }
                Err(_) => break,
            }
        }
    }

    fn next_frame(&self, now: Millis, out: &mut Vec<Output>) -> Option<Arc<Frame>> {
        // In a round above 0 nothing is accepted before the round's TermInit, and nothing after the
        // height's CLOSE (A5).
        let past =
            self.chain.header(self.height).is_some() && !self.rules.off(Mutation::SpeculativeAck);
        if self.round > 0 && (self.open.accepted.is_none() || past) {
            return None;
        }
        let open = self.chain.context();
        let other_set = open.epoch.number() != self.epoch.number();
        if other_set || open.height > self.height.saturating_add(1) {
            return None;
        }
        let mut fits: Vec<Arc<Frame>> = Vec::new();
        for frame in self.pool.children(&self.chain.tip().hash) {
            // What this node accepted before a restart it accepts again, whatever its clock and L1 view say.
            let own = self.open.logged.frames.contains(&frame.hash);
            if !own && (self.early(frame, now) || !self.origin_fits(frame)) {
                continue;
            }
            match self.chain.check(frame, &self.rules) {
                Ok(()) => fits.push(Arc::clone(frame)),
                Err(BadFrame::Rule(what)) => {
                    self.blame(frame.signed.header.leader, what.to_owned(), out);
                }
                Err(_) => {}
            }
        }
        let acked = if fits.len() > 1 { self.acked_path() } else { Vec::new() };
        let on_it = fits.iter().position(|f| acked.contains(&f.hash)).unwrap_or(0);
        fits.into_iter().nth(on_it)
    }

    /// Reports a member of the set in force.
    pub(super) fn blame(&self, index: u16, what: String, out: &mut Vec<Output>) {
        if let Some(peer) = self.peer(index) {
            out.push(Output::Fault { peer, what });
        }
    }

    /// The frames that lead to the newest one acked: of two branches, that one is followed.
    fn acked_path(&self) -> Vec<B256> {
        let Some((_, _, hash)) = self.guard.newest_ack() else { return Vec::new() };
        let path = self.pool.path(&self.chain.base().base.hash, &hash);
        path.unwrap_or_default().iter().map(|f| f.hash).collect()
    }

    /// Whether the frame is too far ahead of this clock; it only waits.
    fn early(&self, frame: &Frame, now: Millis) -> bool {
        frame.signed.header.timestamp_ms > now.saturating_add(self.rules.params.clock_lead_ms)
    }

    /// Replaces the accepted chain by `path`, which starts right above the base.
    pub(super) fn switch(
        &mut self,
        path: &[Arc<Frame>],
        reason: Retract,
        out: &mut Vec<Output>,
    ) -> Result<(), BadFrame> {
        let same = self.chain.frames().iter().zip(path).take_while(|(a, b)| a.hash == b.hash);
        let keep = same.count();
        let base = self.chain.base().base;
        let last = keep.checked_sub(1).and_then(|i| path.get(i));
        let (tip, tip_g) = last.map_or((base.hash, base.g), |f| (f.hash, f.g()));
        let mut chain = self.chain.clone();
        let dropped = chain.truncate(&tip, &self.rules).unwrap_or_default();
        let mut added = Vec::new();
        for frame in path.iter().skip(keep) {
            let closed = chain.append_carried(frame, &self.rules)?;
            added.push((Arc::clone(frame), closed.map(|(_, id)| id)));
        }
        self.chain = chain;
        if !dropped.is_empty() {
            let two = |f: &Arc<Frame>| {
                let h = &f.signed.header;
                self.equivocators.contains(&(h.term, h.epoch, h.leader))
            };
            let reason = if dropped.iter().any(two) { Retract::Equivocation } else { reason };
            out.push(Output::Rewound { g: tip_g, reason });
        }
        let room = self.chain.room(None);
        for (frame, closed) in added {
            self.pool.pin(frame.hash);
            out.push(Output::Store(Arc::clone(&frame)));
            out.push(Output::Accepted { frame, closed, room });
        }
        Ok(())
    }
}
