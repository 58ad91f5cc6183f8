//! Runs one simulated plan and prints its report:
//! `cargo run -p rota-tests --example sim -- NODES SEED LENGTH_MS [kill leader at ms, 0 for never] [loss permille]`.
//! Fails if an invariant is broken, or if more than the transactions of three seconds are left at the end: then the
//! set is stuck although a quorum is up.

use rota_tests::sim::{Event, Plan, World};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let at = |i: usize, default| args.get(i).copied().unwrap_or(default);
    let mut plan = Plan::quiet(at(0, 4) as usize, at(1, 1), at(2, 12_000));
    if let Some(kill) = args.get(3).filter(|k| **k > 0) {
        plan.events.push((*kill, Event::KillLeader));
    }
    plan.link.loss_permille = at(4, 0) as u16;
    plan.verbose = std::env::var_os("VERBOSE").is_some();
    let slack = 3 * plan.tx_rate as usize;
    let result = World::run(plan);
    println!("{result:#?}");
    match result {
        Ok(report) if report.txs.0 + slack >= report.txs.1 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
