//! Evidence on its way to the replicas: what a member's watch finds is shown to its replica and gossiped, as the watch of a
//! node does.

use super::{Due, World};
use rota_consensus::Input;
use rota_types::Evidence;
use std::sync::Arc;

impl World {
    /// What watches found in this step.
    pub(super) fn gossip(&mut self) {
        for (finder, evidence) in self.detect.new_finds() {
            let evidence = Arc::new(evidence);
            for node in 0..self.sets.nodes() {
                let own = node == finder;
                if own || self.reaches(finder, node) {
                    let way = if own { 0 } else { self.plan.link.latency_us };
                    let shown = Due::Shown(node, Arc::clone(&evidence));
                    self.push(self.now_us + way, shown);
                }
            }
        }
    }

    /// Evidence reaches a node. Who does not follow the rules need not follow these either.
    pub(super) fn shown(&mut self, node: u16, evidence: &Arc<Evidence>) {
        if self.cast.has(node) {
            return;
        }
        let Some(replica) = &self.nodes[usize::from(node)].replica else { return };
        // A replica that listens first takes it later.
        if replica.epoch().number() == evidence.epoch && !replica.observing() {
            self.checker.charged(node, evidence);
        }
        self.input(node, Input::Evidence(Box::new(Evidence::clone(evidence))));
    }
}
