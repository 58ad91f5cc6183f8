//! `rota batch verify`: what derivation makes of a batch, from L1 alone.

use super::{Reading, WhichArgs, failed, of};
use crate::{
    cli::{Done, out},
    exit::{Exit, Failure},
    follower::{Before, judge},
    roles::follower_chain,
};
use rota_derive::{Derived, Outcome};
use rota_l1::{L1Error, PostedBatch};
use serde_json::json;

pub(super) async fn verify(args: &WhichArgs, json: bool) -> Done {
    let reading = Reading::open(&args.at)?;
    let b = reading.posts().find(&args.batch).await?;
    let chain = follower_chain(&reading.network).map_err(|e| Failure::new(Exit::Config, e))?;
    let told = |before: &Before| {
        if !json {
            eprint!("\rderiving what is before it: height {}", before.height);
        }
    };
    let judged = judge(&chain, &reading.l1, &b, told).await;
    if !json {
        eprintln!();
    }
    let (before, outcome) = judged.map_err(|e| match e.downcast::<L1Error>() {
        Ok(l1) => failed(l1),
        Err(other) => Failure::new(Exit::Failed, other),
    })?;
    match outcome {
        Outcome::Derived(derived) => report(&b, &before, &derived, json),
        Outcome::Skipped(skip) => {
            let failure = Failure::new(Exit::Verify, format!("derivation skips it: {skip}"));
            Err(failure.hint(if skip.is_alarming() {
                "more than a third of the stake signed what breaks the rules: this is evidence"
            } else {
                "nothing changed by it; its heights count from the first good batch that has them"
            }))
        }
    }
}

fn report(b: &PostedBatch, before: &Before, derived: &Derived, json: bool) -> Done {
    let (heights, blocks) = (derived.heights.len(), derived.blocks.len());
    let txs: usize = derived.heights.iter().map(|h| h.txs.len()).sum();
    let value_id = derived.heights.last().map(|h| h.value_id);
    if json {
        return out::json(&json!({
            "v": 1, "verified": true, "batch": of(b), "newHeights": heights, "blocks": blocks, "transactions": txs,
            "valueId": value_id, "before": { "height": before.height, "derived": before.derived, "skipped": before.skipped },
        }));
    }
    out::line(format_args!(
        "before       height {}, {} batches derived, {} skipped",
        before.height, before.derived, before.skipped
    ))?;
    out::line("certificate  ok  under the set that L1 froze")?;
    out::line("data         ok  every byte leads to the certified value id")?;
    out::line(format_args!(
        "gives        {heights} new heights with {txs} transactions; {blocks} blocks became complete"
    ))
}
