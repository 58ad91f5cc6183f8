//! Other nodes of the same network: views that are told what the leader's was, when a test wants it.

use super::Leader;
use rota_node::view::{BlockView, Decision, FrameView, View};
use rota_types::{AckCert, Tx};
use std::sync::Arc;

/// One fact that a view is told.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "a test keeps a few of them")]
pub(crate) enum Said {
    Frame(FrameView),
    Sealed(Arc<BlockView>, u64),
    Rewound(u64, &'static str, u64),
    Acked(AckCert, u64, u64),
    Decided(Decision, u64),
}

impl Said {
    pub(crate) fn tell(&self, view: &View) -> Vec<Arc<Tx>> {
        match self.clone() {
            Self::Frame(frame) => view.frame(frame),
            Self::Sealed(block, now) => view.sealed(block, now),
            Self::Rewound(g, reason, now) => return view.rewind(g, reason, now),
            Self::Acked(certificate, total, now) => {
                let g = certificate.g;
                view.ack_cert(certificate);
                view.acked(g, total, total, now);
            }
            Self::Decided(decision, now) => view.decided(decision, now),
        }
        Vec::new()
    }
}

impl Leader {
    pub(super) fn say(&mut self, said: Said) -> Vec<Arc<Tx>> {
        let back = said.tell(&self.view);
        self.said.push(said);
        back
    }

    /// Whether a height is closed and not decided.
    pub(crate) fn can_decide(&self) -> bool {
        !self.chain.heights.is_empty()
    }

    /// A node that was told nothing yet.
    pub(crate) fn other(&self) -> Arc<View> {
        let view = View::new(self.view.config().clone(), &self.genesis);
        view.validators(self.set.clone());
        Arc::new(view)
    }

    /// This node after a restart: decided blocks from the store, then the decided heights above them.
    pub(crate) fn restarted(&self) -> Arc<View> {
        let view = self.other();
        let latest = self.view.heads().latest;
        for number in 1..=latest.number {
            if let Some(block) = self.view.block(rota_node::view::At::Number(number.into())) {
                let state = block.state.clone().filter(|_| number == latest.number);
                view.restore_block(Arc::new(BlockView { state, ..(*block).clone() }));
            }
        }
        let settled = view.heads().latest.g;
        let mut frames = std::collections::BTreeMap::new();
        for said in &self.said {
            match said {
                Said::Frame(frame) => drop(frames.insert(frame.frame.header.g, frame.clone())),
                Said::Rewound(g, ..) => drop(frames.split_off(&(g + 1))),
                _ => {}
            }
        }
        for said in &self.said {
            let Said::Decided(decision, now) = said else { continue };
            if decision.last_g <= settled {
                continue;
            }
            let header = self.stored[&decision.height].header.clone();
            for (_, frame) in frames.range(header.first_g..=header.last_g) {
                view.frame(frame.clone());
            }
            view.decided(decision.clone(), *now);
        }
        view
    }
}

/// A die by seed (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}
