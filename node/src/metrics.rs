//! What the node counts, for Prometheus.
//!
//! Not for: deciding anything. Handles are private: what happens is told by `record_*` and `set_*`, so that a
//! name and its meaning are in one place. Invariant: labels are from small fixed sets, and every combination
//! of the safety counters is there from the start, at 0.

mod collect;
mod engine;
mod process;
mod prover;
mod queues;
#[cfg(test)]
mod tests;

pub use collect::collect;
pub use engine::EngineReading;
pub use process::Process;
pub use prover::ProverReading;
pub use queues::{QueueGauge, Queues};

use crate::settle::PosterStats;
use alloy_primitives::U256;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};
use rota_consensus::Observe;
use rota_types::{Millis, Stage};

/// Why frames are taken back.
const RETRACTIONS: [&str; 3] = ["round_change", "equivocation", "leader_lost"];
const BATCHES: [&str; 3] = ["accepted", "late", "failed"];
/// Seconds: half a millisecond to two minutes, as the ladder reaches from a signature to L1.
const LATENCY: [f64; 16] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0,
    120.0,
];

/// Seconds: one height's agreement on one machine or across an ocean.
const CUT: [f64; 12] =
    [0.001, 0.002, 0.003, 0.004, 0.006, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0];

/// Every metric of the node, registered.
#[derive(Debug)]
pub struct Metrics {
    head_height: IntGaugeVec,
    head_timestamp: IntGaugeVec,
    latency: HistogramVec,
    cut: Histogram,
    frames: IntCounterVec,
    retracted: IntCounterVec,
    promises: IntCounterVec,
    missed_events: IntCounter,
    round: IntGauge,
    observing: IntGaugeVec,
    jailed: IntGauge,
    leader_slots: IntCounter,
    peers: IntGauge,
    power: Gauge,
    mempool: IntGauge,
    rpc_requests: IntCounterVec,
    l1_spent: Gauge,
    l1_up: IntGauge,
    l1_balance: Gauge,
    batches: IntGaugeVec,
    engine: engine::EngineGauges,
    prover: prover::ProverGauges,
    process: Process,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// Us: a name is registered already.
    pub fn register(r: &Registry) -> prometheus::Result<Self> {
        let build = gauge_vec(r, "rota_build_info", "1; the labels say what runs.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self {
            head_height: gauge_vec(r, "rota_head_height", "Newest height of a stage.", &["stage"])?,
            head_timestamp: gauge_vec(
                r,
                "rota_head_timestamp_seconds",
                "Timestamp of the newest block of a stage.",
                &["stage"],
            )?,
            latency: latency(r)?,
            cut: cut(r)?,
            frames: counter_vec(r, "rota_frames_total", "Frames executed.", &["direction"])?,
            retracted: counter_vec(
                r,
                "rota_frame_retracted_total",
                "Frames taken back.",
                &["reason"],
            )?,
            promises: counter_vec(
                r,
                "rota_preconf_promises_total",
                "Transactions preconfirmed, and what became of them.",
                &["outcome"],
            )?,
            missed_events: counter(r, "rota_metrics_missed_events_total", "Events not counted.")?,
            round: gauge(r, "rota_consensus_round", "Round of the height being decided.")?,
            observing: gauge_vec(
                r,
                "rota_observing",
                "1 while a sequencer follows without signing, by reason.",
                &["reason"],
            )?,
            jailed: gauge(r, "rota_validators_jailed", "Members that lead no more in this epoch.")?,
            leader_slots: counter(r, "rota_leader_slots_total", "Windows led by this node.")?,
            peers: gauge(r, "rota_p2p_peers", "Peers connected.")?,
            power: float(
                r,
                "rota_p2p_validator_power_connected_ratio",
                "Connected stake, this node's included, of the whole.",
            )?,
            mempool: gauge(r, "rota_mempool_transactions", "Transactions waiting.")?,
            rpc_requests: counter_vec(
                r,
                "rota_rpc_requests_total",
                "RPC calls.",
                &["method", "code"],
            )?,
            l1_spent: float(r, "rota_l1_spent_ether_total", "Spent on posting.")?,
            l1_up: gauge(r, "rota_l1_endpoint_up", "1 if L1 answers.")?,
            l1_balance: float(r, "rota_l1_account_balance_ether", "Of the posting account.")?,
            batches: gauge_vec(r, "rota_batches_total", "Batches of this node.", &["result"])?,
            engine: engine::EngineGauges::register(r)?,
            prover: prover::ProverGauges::register(r)?,
            process: Process::register(r)?,
        };
        metrics.zero();
        Ok(metrics)
    }

    /// A series that begins with its first event hides that event from `increase()`.
    fn zero(&self) {
        RETRACTIONS.iter().for_each(|v| self.retracted.with_label_values(&[v]).reset());
        ["own", "received"].iter().for_each(|v| self.frames.with_label_values(&[v]).reset());
        let outcomes = ["given", "kept", "lost", "broken"];
        outcomes.iter().for_each(|v| self.promises.with_label_values(&[v]).reset());
        BATCHES.iter().for_each(|v| self.batches.with_label_values(&[v]).set(0));
        self.set_observing(None);
    }

    /// The head of a stage.
    pub fn set_head(&self, stage: Stage, height: u64, timestamp_s: u64) {
        self.head_height.with_label_values(&[stage.name()]).set(signed(height));
        self.head_timestamp.with_label_values(&[stage.name()]).set(signed(timestamp_s));
    }

    /// A transaction reached a stage.
    pub fn observe_latency(&self, stage: Stage, ms: Millis) {
        let seconds = std::time::Duration::from_millis(ms).as_secs_f64();
        self.latency.with_label_values(&[stage.name()]).observe(seconds);
    }

    /// A height was decided so long after its cut.
    pub fn observe_cut(&self, ms: Millis) {
        self.cut.observe(std::time::Duration::from_millis(ms).as_secs_f64());
    }

    /// A frame was executed.
    pub fn record_frame(&self, own: bool) {
        let direction = if own { "own" } else { "received" };
        self.frames.with_label_values(&[direction]).inc();
    }

    /// Frames were taken back.
    pub fn record_retraction(&self, reason: &'static str, frames: u64) {
        self.retracted.with_label_values(&[reason]).inc_by(frames);
    }

    /// Promises: `given`, `kept`, `lost` or `broken`.
    pub fn record_promises(&self, outcome: &'static str, transactions: u64) {
        self.promises.with_label_values(&[outcome]).inc_by(transactions);
    }

    /// The collector was too slow and missed this many events.
    pub fn record_missed(&self, events: u64) {
        self.missed_events.inc_by(events);
    }

    /// Answered RPC calls.
    pub fn record_rpc(&self, method: &'static str, code: &'static str, calls: u64) {
        self.rpc_requests.with_label_values(&[method, code]).inc_by(calls);
    }

    /// This node began to lead so many times.
    pub fn record_leader_slots(&self, times: u64) {
        self.leader_slots.inc_by(times);
    }

    /// Round of the height being decided.
    pub fn set_round(&self, round: u32) {
        self.round.set(round.into());
    }

    /// Why a sequencer follows without signing, if it does.
    pub fn set_observing(&self, reason: Option<&'static str>) {
        for name in Observe::NAMES {
            self.observing.with_label_values(&[name]).set((reason == Some(name)).into());
        }
    }

    /// Members of the set in force that lead no more in its epoch, as a bitmap.
    pub fn set_jailed(&self, jailed: u64) {
        self.jailed.set(jailed.count_ones().into());
    }

    /// Peers, and connected stake of the whole, gwei.
    pub fn set_peers(&self, peers: u64, connected_gwei: u64, total_gwei: u64) {
        self.peers.set(signed(peers));
        self.power.set(ratio(connected_gwei, total_gwei));
    }

    /// Transactions waiting.
    pub fn set_mempool(&self, transactions: u64) {
        self.mempool.set(signed(transactions));
    }

    /// Whether L1 answers.
    pub fn set_l1_up(&self, up: bool) {
        self.l1_up.set(up.into());
    }

    /// What the poster has done so far.
    pub fn set_poster(&self, stats: &PosterStats) {
        for (result, count) in BATCHES.iter().zip([stats.accepted, stats.late, stats.failed]) {
            self.batches.with_label_values(&[result]).set(signed(count));
        }
        self.l1_spent.set(ether(stats.spent_wei));
        if let Some(balance) = stats.balance_wei {
            self.l1_balance.set(ether(balance));
        }
    }

    /// Reads memory and CPU of this process.
    pub fn pull_process(&self) {
        self.process.pull();
    }
}

fn latency(r: &Registry) -> prometheus::Result<HistogramVec> {
    let opts = HistogramOpts::new(
        "rota_preconf_latency_seconds",
        "From the transaction's arrival here (preconfirmed) or from its frame (later stages).",
    );
    let latency = HistogramVec::new(opts.buckets(LATENCY.to_vec()), &["stage"])?;
    r.register(Box::new(latency.clone()))?;
    Ok(latency)
}

fn cut(r: &Registry) -> prometheus::Result<Histogram> {
    let opts = HistogramOpts::new(
        "rota_consensus_cut_to_decided_seconds",
        "From the leader's CLOSE frame to the decision here, by the clocks of both.",
    );
    let cut = Histogram::with_opts(opts.buckets(CUT.to_vec()))?;
    r.register(Box::new(cut.clone()))?;
    Ok(cut)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn ether(wei: U256) -> f64 {
    f64::from(wei) / 1e18
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for a graph")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn gauge(r: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    let metric = IntGauge::new(name, help)?;
    r.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn float(r: &Registry, name: &str, help: &str) -> prometheus::Result<Gauge> {
    let metric = Gauge::new(name, help)?;
    r.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counter(r: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    let metric = IntCounter::new(name, help)?;
    r.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauge_vec(r: &Registry, name: &str, help: &str, l: &[&str]) -> prometheus::Result<IntGaugeVec> {
    let metric = IntGaugeVec::new(Opts::new(name, help), l)?;
    r.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counter_vec(
    r: &Registry,
    name: &str,
    help: &str,
    l: &[&str],
) -> prometheus::Result<IntCounterVec> {
    let metric = IntCounterVec::new(Opts::new(name, help), l)?;
    r.register(Box::new(metric.clone()))?;
    Ok(metric)
}
