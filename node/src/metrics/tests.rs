use super::*;
use crate::view::{Event, EventKind, HeadRef, Retraction};
use prometheus::{Encoder, TextEncoder};
use std::sync::Arc;

fn text(registry: &Registry) -> String {
    let mut out = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "no line {line} in\n{text}");
}

#[test]
fn safety_counters_start_at_zero_and_names_are_as_documented() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let queue =
        QueueGauge { name: "chain", depth: Box::new(|| 3), capacity: 8, dropped: Box::new(|| 2) };
    registry.register(Box::new(Queues::new(vec![queue]).unwrap())).unwrap();
    metrics.set_poster(&PosterStats {
        accepted: 2,
        spent_wei: U256::from(500_000_000_000_000_000u64),
        balance_wei: Some(U256::from(10u64).pow(U256::from(18))),
        ..PosterStats::default()
    });
    metrics.set_peers(3, 3, 4);
    metrics.set_observing(Some("old_guard"));
    metrics.set_jailed(0b101);
    metrics.pull_process();
    let seen = text(&registry);
    for line in [
        "rota_frame_retracted_total{reason=\"equivocation\"} 0",
        "rota_preconf_promises_total{outcome=\"broken\"} 0",
        "rota_batches_total{result=\"accepted\"} 2",
        "rota_batches_total{result=\"late\"} 0",
        "rota_observing{reason=\"old_guard\"} 1",
        "rota_observing{reason=\"no_log\"} 0",
        "rota_validators_jailed 2",
        "rota_l1_spent_ether_total 0.5",
        "rota_l1_account_balance_ether 1",
        "rota_p2p_validator_power_connected_ratio 0.75",
        "rota_queue_depth{queue=\"chain\"} 3",
        "rota_queue_dropped_total{queue=\"chain\"} 2",
    ] {
        has(&seen, line);
    }
    // Scraped twice, counted once.
    has(&text(&registry), "rota_queue_dropped_total{queue=\"chain\"} 2");
    assert!(!seen.contains("process_resident_memory_bytes 0\n"), "{seen}");
    assert!(Metrics::register(&registry).is_err(), "names are unique");
}

#[test]
fn heads_and_retractions_come_from_the_stream() {
    let registry = Registry::new();
    let metrics = Arc::new(Metrics::register(&registry).unwrap());
    let mut collector = collect::Collector::new(metrics, None);
    let head = HeadRef { number: 3, timestamp_s: 77, g: 9, height: 5, ..HeadRef::default() };
    let mut take = |at_ms, kind| collector.take(&Event { at_ms, kind });
    take(1, EventKind::Head { stage: Stage::Decided, head });
    take(
        2,
        EventKind::Retract(Arc::new(Retraction {
            to_g: 9,
            frames: (10, 12),
            reason: "leader_lost",
            ..Retraction::default()
        })),
    );
    let seen = text(&registry);
    has(&seen, "rota_head_height{stage=\"decided\"} 5");
    has(&seen, "rota_head_timestamp_seconds{stage=\"decided\"} 77");
    has(&seen, "rota_frame_retracted_total{reason=\"leader_lost\"} 3");
}
