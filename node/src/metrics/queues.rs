//! The queues of the node, read when somebody asks.

use prometheus::{IntCounterVec, IntGaugeVec};
use prometheus::{
    Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Reads one number of a queue.
type Read = Box<dyn Fn() -> u64 + Send + Sync>;

/// One queue.
pub struct QueueGauge {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub depth: Read,
    /// What fits.
    pub capacity: u64,
    /// What was thrown away since the start.
    pub dropped: Read,
}

impl std::fmt::Debug for QueueGauge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueueGauge").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All queues as one collector: register it.
#[derive(Debug)]
pub struct Queues {
    list: Vec<QueueGauge>,
    depth: IntGaugeVec,
    capacity: IntGaugeVec,
    dropped: IntCounterVec,
}

impl Queues {
    /// Over these queues.
    ///
    /// # Errors
    /// Never; the names are fixed.
    pub fn new(list: Vec<QueueGauge>) -> prometheus::Result<Self> {
        let opts = |name, help| Opts::new(name, help);
        Ok(Self {
            list,
            depth: IntGaugeVec::new(opts("rota_queue_depth", "Waiting in a queue."), &["queue"])?,
            capacity: IntGaugeVec::new(opts("rota_queue_capacity", "Its bound."), &["queue"])?,
            dropped: IntCounterVec::new(
                opts("rota_queue_dropped_total", "Thrown away, the queue being full."),
                &["queue"],
            )?,
        })
    }
}

impl Collector for Queues {
    fn desc(&self) -> Vec<&Desc> {
        let all = [self.depth.desc(), self.capacity.desc(), self.dropped.desc()];
        all.into_iter().flatten().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for queue in &self.list {
            let label = &[queue.name];
            self.depth.with_label_values(label).set(super::signed((queue.depth)()));
            self.capacity.with_label_values(label).set(super::signed(queue.capacity));
            let dropped = self.dropped.with_label_values(label);
            dropped.inc_by((queue.dropped)().saturating_sub(dropped.get()));
        }
        let all = [self.depth.collect(), self.capacity.collect(), self.dropped.collect()];
        all.into_iter().flatten().collect()
    }
}
