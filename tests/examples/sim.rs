//! Random plans of whole sets: `make sim SEEDS=1-300`, `make sim SEEDS=100000` (1 to 100000), or one of them again
//! with `make sim SEED=123`, with every message on standard error if `VERBOSE=1`. `make deaths SEEDS=1-900` does
//! nothing but kill leaders, `make evidence SEEDS=1-300` has liars in every run, `make sets SEEDS=1-300` changes the set,
//! `make reorgs SEEDS=1-300` has liars and an L1 that takes final blocks back.

use rota_tests::sim::{Plan, attempt, campaign};
use std::{
    io::Write,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

/// One in this many seeds runs twice.
const AGAIN: u64 = 25;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_else(|| "1-50".to_owned());
    let number = |text: &str| text.trim().parse::<u64>().ok();
    if let Some(seed) = argument.strip_prefix("seed=").and_then(number) {
        return one(Plan::random(seed));
    }
    if let Some(seed) = argument.strip_prefix("evidence-seed=").and_then(number) {
        return one(Plan::adversarial(seed));
    }
    if let Some(seed) = argument.strip_prefix("sets-seed=").and_then(number) {
        return one(Plan::set_change(seed));
    }
    if let Some(seed) = argument.strip_prefix("reorgs-seed=").and_then(number) {
        return one(reorganised(seed));
    }
    type Kind = (&'static str, fn(u64) -> Plan);
    let kinds: [Kind; 4] = [
        ("deaths=", Plan::deaths),
        ("evidence=", Plan::adversarial),
        ("sets=", Plan::set_change),
        ("reorgs=", reorganised),
    ];
    let kind =
        kinds.into_iter().find_map(|(name, plan)| Some((argument.strip_prefix(name)?, plan)));
    let (argument, plan) = kind.unwrap_or((&argument, Plan::random));
    let argument = argument.to_owned();
    let (first, last) = argument.split_once('-').unwrap_or(("1", &argument));
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        eprintln!("usage: sim FIRST-LAST | sim COUNT | sim seed=SEED");
        return ExitCode::FAILURE;
    };
    std::panic::set_hook(Box::new(|_| ()));
    let shown = AtomicU64::new(0);
    let summary = campaign(first..=last, plan, AGAIN, |s| {
        let second = s.seconds as u64;
        if shown.swap(second, Ordering::Relaxed) != second || s.runs == last - first + 1 {
            let done = s.runs * 100 / (last - first + 1);
            eprint!(
                "\r{done:>3} %  {} runs, {} heights, {} failed ",
                s.runs,
                s.heights,
                s.failures.len()
            );
            let _ = std::io::stderr().flush();
        }
    });
    eprintln!();
    println!("{}", summary.text());
    if summary.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Liars in every run, on an L1 that takes final blocks back.
fn reorganised(seed: u64) -> Plan {
    Plan::adversarial(seed).with_branches()
}

fn one(mut plan: Plan) -> ExitCode {
    plan.verbose = std::env::var_os("VERBOSE").is_some_and(|v| v != "0");
    println!("{plan:#?}");
    match attempt(plan) {
        Ok(report) => {
            println!("{report:#?}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("FAILED: {why}");
            ExitCode::FAILURE
        }
    }
}
