//! Where Byzantine members come in: what leaves their real nodes and what reaches them goes through their masks.

use super::{Due, EPOCH_MS, World};
use crate::sim::byzantine::{Cast, Errand, Scene};
use rota_consensus::{Input, PeerNo, Synced};
use rota_preconf::Frame;
use rota_types::wire::{Message, Request, Response};
use std::sync::Arc;

/// Microseconds between two moments at which a member may do something by itself.
const ACT_US: u64 = 5_000;

impl World {
    /// Lets the cast see the world as `node` does, and does what it wants.
    fn with_cast<T>(
        &mut self,
        node: u16,
        act: impl FnOnce(&mut Cast, &Scene<'_>) -> (T, Vec<Errand>),
    ) -> T {
        let mut cast = std::mem::replace(&mut self.cast, Cast::nobody());
        let scene = Scene {
            now_ms: EPOCH_MS + self.now_us / 1000,
            replica: self.nodes[usize::from(node)].replica.as_ref(),
            sets: &self.sets,
            rules: &self.rules,
            epochs: &self.nodes[usize::from(node)].disk.epochs,
            origin: &self.origin,
            txs: &self.txs,
        };
        let (result, errands) = act(&mut cast, &scene);
        self.cast = cast;
        for errand in errands {
            self.run_errand(node, errand);
        }
        result
    }

    fn run_errand(&mut self, node: u16, errand: Errand) {
        if let Errand::Send { message, .. } = &errand {
            self.detect.sent(self.now_us, node, message);
        }
        match errand {
            Errand::Send { delay_us: 0, to, message } => self.post(node, to, &message),
            Errand::Send { delay_us, to, message } => {
                let message = Box::new(message);
                self.push(self.now_us + delay_us, Due::Late { from: node, to, message });
            }
            Errand::Ask { to, request } => self.ask(node, to, request),
        }
    }

    pub(super) fn send_masked(&mut self, node: u16, targets: &[u16], message: &Message) {
        self.with_cast(node, |cast, scene| ((), cast.send(node, scene, targets, message)));
    }

    /// Whether the real node of a member gets a frame.
    pub(super) fn passes_frame(&mut self, node: u16, from: u16, frame: &Arc<Frame>) -> bool {
        !self.cast.has(node)
            || self.with_cast(node, |cast, scene| cast.hear_frame(node, scene, from, frame))
    }

    /// Whether the real node of a member gets a message.
    pub(super) fn passes(&mut self, node: u16, from: u16, message: &Message) -> bool {
        !self.cast.has(node)
            || self.with_cast(node, |cast, scene| cast.hear_message(node, scene, from, message))
    }

    /// The answer of a node to a request, if it gives one.
    pub(super) fn answer_of(
        &mut self,
        node: u16,
        from: u16,
        request: &Request,
    ) -> Option<Response> {
        let masked = self
            .with_cast(node, |cast, scene| (cast.answer(node, scene, from, request), Vec::new()));
        masked.unwrap_or_else(|| Some(self.nodes[usize::from(node)].answer(request)))
    }

    /// Decided heights for a member's masks.
    pub(super) fn told(&mut self, node: u16, from: u16, heights: &[Synced]) {
        if self.cast.has(node) {
            self.with_cast(node, |cast, scene| ((), cast.told(node, scene, from, heights)));
        }
    }

    /// Gives every member a moment of its own.
    pub(super) fn act(&mut self) {
        for node in self.cast.indexes() {
            if self.nodes[usize::from(node)].replica.is_some() {
                self.with_cast(node, |cast, scene| ((), cast.act(node, scene)));
            }
        }
        self.push(self.now_us + ACT_US, Due::Act);
    }

    /// A real node behind a mask that stopped for good begins again.
    pub(super) fn revive(&mut self, node: u16) {
        self.push(self.now_us + 500_000, Due::Start(node));
    }

    /// Shows a frame to the real node of a member.
    pub(super) fn frame_in(&mut self, node: u16, from: u16, frame: Arc<Frame>) {
        if self.passes_frame(node, from, &frame) {
            self.input(node, Input::Frame { frame, from: PeerNo(from) });
        }
    }
}
