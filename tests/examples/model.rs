//! Random walks through the model of the round-change rules:
//! `make model WALKS=1000000`, `make model SEED=17` (one walk, with its trace), `make model RULES=no-a4`.
//! Fails if the full rules are broken, or if a mutation is not found.

use rota_tests::model::{Campaign, Rules, Walker};
use std::{process::ExitCode, time::Instant};

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name)
        .ok()
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text:?} cannot be read")))
}

fn main() -> ExitCode {
    let rules: Rules = variable("RULES").unwrap_or(Rules::FULL);
    let given: Option<u64> = variable("SEED");
    let walks = variable("WALKS").unwrap_or(if given.is_some() { 1 } else { 100_000 });
    let seed = given.unwrap_or_else(clock);
    if walks == 1 {
        let trace = Walker::new(rules).trace(seed);
        println!("{}", trace.lines.join("\n"));
        println!(
            "{}",
            trace.fault.as_ref().map_or("no rule is broken".into(), |f| format!("{f:?}"))
        );
        return verdict(rules, trace.fault.is_some());
    }
    println!("rules {rules}, seeds {seed} to {}", seed.wrapping_add(walks - 1));
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    #[expect(clippy::disallowed_methods, reason = "a walk does not see the clock")]
    let start = Instant::now();
    let tally = Campaign { rules, seed, walks, until_fault: false }.run_on(threads);
    let seconds = start.elapsed().as_secs_f64();
    println!("{tally}\n{seconds:.1} s, {:.0} walks/s on {threads} threads", walks as f64 / seconds);
    if let Some((seed, fault)) = &tally.first {
        println!(
            "first: {:?}: {}\nreplay: make model RULES={rules} SEED={seed}",
            fault.kind, fault.what
        );
    }
    verdict(rules, tally.faults > 0)
}

fn verdict(rules: Rules, broken: bool) -> ExitCode {
    if broken == (rules == Rules::FULL) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[expect(clippy::disallowed_methods, reason = "a fresh seed, which is printed")]
fn clock() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |age| age.as_micros() as u64)
}
