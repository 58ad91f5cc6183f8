//! Prints latency; asserts nothing about it.
//! `cargo test -p rota-p2p --release -- --ignored --nocapture latency`

use std::time::{Duration, Instant};

use rota_p2p::{Incoming, Network as _};
use rota_types::wire::Lane;

use crate::support::{Transport, mesh, message, shutdown};

#[expect(clippy::disallowed_methods, reason = "this is a measurement")]
fn now() -> Instant {
    Instant::now()
}

async fn measure(transport: Transport, lane: Lane, size: usize, pause: Duration) {
    let mut nodes = mesh(2, transport).await;
    let mut samples = Vec::new();
    for number in 0..2_000 {
        let message = message(lane, number, size);
        let begin = now();
        nodes[0].handle.send(1, &message).expect("queued");
        nodes[1].wait(|i| matches!(i, Incoming::Message { .. }).then_some(())).await;
        samples.push(begin.elapsed());
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        if number == 500 && !pause.is_zero() {
            break;
        }
    }
    samples.sort();
    let at = |permille: usize| samples[samples.len() * permille / 1_000].as_micros();
    eprintln!(
        "{transport:?} {} {size} B, {} ms apart: one way p5 {} p50 {} p99 {} us ({} samples)",
        lane.name(),
        pause.as_millis(),
        at(50),
        at(500),
        at(990),
        samples.len()
    );
    shutdown(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn latency() {
    for transport in [Transport::Tcp, Transport::Quic] {
        for pause in [Duration::ZERO, Duration::from_millis(5)] {
            measure(transport, Lane::Bulk, 1_000, pause).await;
            measure(transport, Lane::Frames, 50_000, pause).await;
        }
    }
}
