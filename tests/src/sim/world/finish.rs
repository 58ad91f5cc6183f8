//! The end of a run: what must hold over all of it, and the report.

use super::{Report, World};
use crate::sim::{check::Violation, l1};
use alloy_primitives::B256;
use std::collections::VecDeque;

impl World {
    pub(super) fn finish(mut self) -> Result<Report, Violation> {
        self.checker.finish(self.now_us, &self.nodes, &self.txs)?;
        self.report.evidence = self.detect.judge(self.now_us)?;
        self.checker.proven(&self.report.evidence)?;
        let trip = l1::round_trip(&self.nodes, &self.sets, &self.rules, self.plan.seed)?;
        (self.report.derived, self.report.forced) = (trip.heights, trip.forced);
        self.report.deposits = trip.deposits;
        self.report.off_l1 = self.off_l1()?;
        self.report.origin = (self.origin.l1_number, trip.origin);
        let heights = self
            .nodes
            .iter()
            .filter(|n| n.replica.is_some() && !self.cast.has(n.index))
            .map(|n| n.disk.decided.last_key_value().map_or(0, |(h, _)| *h));
        let heights: VecDeque<u64> = heights.collect();
        let decided: std::collections::BTreeSet<B256> = self
            .nodes
            .iter()
            .flat_map(|n| n.disk.decided.values())
            .flat_map(|d| d.frames.iter())
            .flat_map(|f| f.txs.iter().map(|t| t.hash))
            .collect();
        self.report.heights = (
            heights.iter().min().copied().unwrap_or(0),
            heights.iter().max().copied().unwrap_or(0),
        );
        self.report.stats = self.checker.live.stats.clone();
        self.report.deeds = std::mem::take(&mut self.cast.deeds);
        self.report.epoch = self.checker.epoch();
        self.report.frames = self.checker.frames();
        self.report.txs = (decided.len(), self.txs.len());
        self.report.trace = self.trace.finalize();
        Ok(self.report)
    }
}
