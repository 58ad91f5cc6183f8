//! viem and ethers against the listening server, with a leader that runs by itself.

use crate::support::{CLIENT_KEY, Leader};
use rota_node::rpc::{RpcConfig, serve};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Wake-ups without work until a height is closed.
const IDLE_WAKES: u32 = 8;

/// Frames at each wake-up, ends a block about every quarter of a second.
fn lead(mut leader: Leader, stop: &AtomicBool) {
    let mut idle = 0;
    let mut busy = 0;
    while !stop.load(Ordering::SeqCst) {
        let woken = leader.wake.recv_timeout(Duration::from_millis(30)).is_ok();
        leader.tick(1);
        if woken || leader.door.intake().has_ready() {
            leader.frame();
            busy += 1;
        } else {
            idle += 1;
        }
        if idle >= IDLE_WAKES || busy >= 100 {
            leader.close(true);
            leader.decide();
            (idle, busy) = (0, 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs node, and npm ci in node/tests/clients"]
async fn viem_and_ethers_work_unchanged() {
    let leader = Leader::new();
    let server =
        serve("127.0.0.1:0".parse().unwrap(), leader.backend(RpcConfig::default())).await.unwrap();
    let url = format!("http://{}", server.addr());
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let leading = tokio::task::spawn_blocking(move || lead(leader, &flag));
    let checked = tokio::task::spawn_blocking(move || {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        std::process::Command::new("node")
            .args(["check.mjs", &url, CLIENT_KEY])
            .current_dir(folder)
            .output()
            .unwrap()
    });
    let output = checked.await.unwrap();
    stop.store(true, Ordering::SeqCst);
    leading.await.unwrap();
    server.stop().await;
    let text = String::from_utf8_lossy(&output.stdout);
    eprintln!("{text}");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
