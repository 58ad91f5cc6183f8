//! `rota batch`: what was posted to L1, explained to a person.
//!
//! Not for: deriving the chain (a follower does). Invariant: what is shown of a batch is read from L1 in the same call, and what was
//! checked says against what.

mod find;
mod verify;

use super::{Done, args::Where, node::settings_on_l1, out};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    network::Network,
    run::reader,
    setup::OnL1,
};
use clap::{Args, Subcommand};
use find::Posts;
use rota_l1::{L1, L1Error, PostedBatch, RpcL1};
use rota_types::{B256, Batch, BatchHeight, Bytes, Domain, ValidatorSet, keccak256};
use rota_verify::percent;
use serde_json::{Value, json};
use std::path::PathBuf;

/// `rota batch ..`
#[derive(Debug, Subcommand)]
pub enum BatchCommand {
    /// The newest batches that the Inbox accepted.
    List(ListArgs),
    /// One batch: who certified it, what it holds, what it costs.
    Show(WhichArgs),
    /// The heights and transactions in the blobs of one batch.
    Decode(DecodeArgs),
    /// Derive everything before it from L1, and say what it gives, or why it is skipped.
    Verify(WhichArgs),
}

/// `rota batch list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
    /// How many, at most.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
}

/// Which batch.
#[derive(Debug, Args)]
pub struct WhichArgs {
    /// A height that it holds, or the L1 transaction that posted it.
    #[arg(value_name = "HEIGHT|TX")]
    pub batch: String,
    /// Where the settings are.
    #[command(flatten)]
    pub at: Where,
}

/// `rota batch decode`.
#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// Which.
    #[command(flatten)]
    pub which: WhichArgs,
    /// File for the bytes of its blobs, joined.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

pub(super) async fn run(command: &BatchCommand, json: bool) -> Done {
    match command {
        BatchCommand::List(args) => list(args, json).await,
        BatchCommand::Show(args) => show(args, json).await,
        BatchCommand::Decode(args) => decode(args, json).await,
        BatchCommand::Verify(args) => verify::verify(args, json).await,
    }
}

/// L1 with what is known of the rollup there.
struct Reading {
    config: Config,
    network: Network,
    l1: RpcL1,
}

impl Reading {
    fn open(at: &Where) -> Result<Self, Failure> {
        let (config, network) = settings_on_l1(at)?;
        let l1 = reader(&config, &network).map_err(|e| Failure::new(Exit::Config, e))?;
        Ok(Self { config, network, l1 })
    }

    fn posts(&self) -> Posts<'_> {
        Posts::new(&self.l1, self.network.l1_deploy_block)
    }

    /// The domain of the batch's own generation.
    fn domain(&self, batch: &PostedBatch) -> Result<Domain, Failure> {
        Ok(self.network.domain_of(batch.header.close.generation)?)
    }

    async fn set(&self, epoch: u64) -> Result<Option<ValidatorSet>, Failure> {
        let l1 = OnL1::connect(&self.network, &self.config.l1.rpc).await?;
        Ok(l1.set(Some(epoch)).await?)
    }
}

/// L1 did not answer, or does not have it.
fn failed(error: L1Error) -> Failure {
    match error {
        L1Error::Blobs { .. } => Failure::new(Exit::Unreachable, error).hint(
            "L1 serves blobs for about 18 days; name an archive of blobs with l1.beacon in rota.toml",
        ),
        other => Failure::new(Exit::Unreachable, format!("L1 does not answer: {other}"))
            .hint("try again, or name another endpoint with --l1.rpc"),
    }
}

async fn list(args: &ListArgs, json: bool) -> Done {
    let reading = Reading::open(&args.at)?;
    let (batches, finalized) = reading.posts().newest(args.limit).await?;
    let stage = |b: &PostedBatch| if b.block.number <= finalized { "finalized" } else { "posted" };
    if json {
        let one = |b: &PostedBatch| with(of(b), json!({ "stage": stage(b) }));
        return out::json(
            &json!({ "v": 1, "batches": batches.iter().map(one).collect::<Vec<_>>() }),
        );
    }
    for b in &batches {
        let (from, to, blobs) = (b.from_height, b.to_height, b.blob_hashes.len());
        let certified = if is_certified(b) { "" } else { "  without a certificate" };
        out::line(format_args!(
            "heights {from}..{to}  epoch {}  {blobs} blobs  L1 block {}  {}  {}{certified}",
            b.header.close.epoch,
            b.block.number,
            b.tx_hash,
            stage(b)
        ))?;
    }
    if batches.is_empty() {
        out::line("no batch is posted yet")?;
    }
    Ok(())
}

/// An object with more fields.
fn with(mut object: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut object, more) {
        fields.extend(more);
    }
    object
}

/// In a fallback anyone posts heights that nobody certified.
fn is_certified(b: &PostedBatch) -> bool {
    b.certificate.signers.count() > 0
}

fn of(b: &PostedBatch) -> Value {
    json!({
        "fromHeight": b.from_height, "toHeight": b.to_height, "epoch": b.header.close.epoch,
        "generation": b.header.close.generation, "l1Block": b.block.number, "l1Timestamp": b.block.timestamp,
        "l1Tx": b.tx_hash, "blobs": b.blob_hashes, "certified": is_certified(b), "repost": b.repost,
    })
}

/// What the certificate is worth under the set that L1 has.
async fn certificate(reading: &Reading, b: &PostedBatch) -> Result<(Value, String), Failure> {
    if !is_certified(b) {
        return Ok((Value::Null, "none: posted in a fallback, by anyone".to_owned()));
    }
    let (epoch, signers): (_, Vec<u16>) =
        (b.header.close.epoch, b.certificate.signers.iter().collect());
    let Some(set) = reading.set(epoch).await? else {
        return Ok((
            json!({ "epoch": epoch, "valid": false }),
            format!("L1 has no set of epoch {epoch}"),
        ));
    };
    let owners: Vec<_> = signers.iter().filter_map(|i| set.get(*i)).map(|v| v.owner).collect();
    let checked = b.certificate.verify(&set, &reading.domain(b)?);
    let words = match &checked {
        Ok(weight) => format!(
            "ok  round {}, {} of {} members with {} % of the stake of epoch {epoch}",
            b.certificate.round,
            signers.len(),
            set.len(),
            percent(*weight, set.total())
        ),
        Err(why) => format!("does not hold: {why}"),
    };
    let value = json!({
        "epoch": epoch, "round": b.certificate.round, "valid": checked.is_ok(), "signers": signers, "owners": owners,
        "weightGwei": checked.ok(), "totalGwei": set.total(),
    });
    Ok((value, words))
}

async fn show(args: &WhichArgs, json: bool) -> Done {
    let reading = Reading::open(&args.at)?;
    let b = reading.posts().find(&args.batch).await?;
    let (certified, words) = certificate(&reading, &b).await?;
    let value_id = b.header.value_id(&reading.domain(&b)?);
    let data = reading.l1.payload(&b).await;
    let held = match &data {
        Ok(data) => Held::of(data),
        Err(L1Error::Payload) => {
            Held { problem: Some("the blobs hold no payload".to_owned()), ..Held::default() }
        }
        Err(other) => return Err(failed(other.clone())),
    };
    if json {
        let more =
            json!({ "v": 1, "valueId": value_id, "certificate": certified, "data": held.json() });
        return out::json(&with(of(&b), more));
    }
    let env = &b.header.env;
    out::line(format_args!("heights      {} to {}", b.from_height, b.to_height))?;
    out::line(format_args!("value id     {value_id} of the last"))?;
    out::line(format_args!("L1           block {}, transaction {}", b.block.number, b.tx_hash))?;
    out::line(format_args!("origin       L1 block {}; time {}", env.l1_number, env.timestamp_s))?;
    out::line(format_args!("certificate  {words}"))?;
    held.lines(&b)?;
    Ok(())
}

/// What the blobs hold.
#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    raw: usize,
    heights: Vec<BatchHeight>,
    problem: Option<String>,
}

impl Held {
    fn of(data: &Bytes) -> Self {
        let bytes = data.len();
        match Batch::decompress(data) {
            Ok(batch) => {
                let tx = |h: &BatchHeight| h.txs.iter().map(|t| t.len()).sum::<usize>();
                let raw = batch.heights.iter().map(tx).sum();
                Self { bytes, raw, heights: batch.heights, problem: None }
            }
            Err(why) => Self { bytes, problem: Some(why.to_string()), ..Self::default() },
        }
    }

    fn txs(&self) -> usize {
        self.heights.iter().map(|h| h.txs.len()).sum()
    }

    fn json(&self) -> Value {
        json!({
            "bytes": self.bytes, "txBytes": self.raw, "heights": self.heights.len(), "transactions": self.txs(),
            "problem": self.problem,
        })
    }

    fn lines(&self, b: &PostedBatch) -> Done {
        let (bytes, blobs, txs) = (self.bytes, b.blob_hashes.len(), self.txs());
        if let Some(why) = &self.problem {
            return out::line(format_args!("data         {bytes} bytes in {blobs} blobs: {why}"));
        }
        let (raw, heights) = (self.raw, self.heights.len());
        out::line(format_args!(
            "data         {bytes} bytes in {blobs} blobs: {heights} heights, {txs} transactions of {raw} bytes"
        ))
    }
}

async fn decode(args: &DecodeArgs, json: bool) -> Done {
    let reading = Reading::open(&args.which.at)?;
    let b = reading.posts().find(&args.which.batch).await?;
    let data = reading.l1.payload(&b).await.map_err(failed)?;
    if let Some(path) = &args.output {
        std::fs::write(path, &data).map_err(|e| {
            Failure::new(Exit::Failed, format!("cannot write {}: {e}", path.display()))
        })?;
    }
    let batch = Batch::decompress(&data).map_err(|e| {
        Failure::new(Exit::Verify, format!("the blobs hold no batch: {e}")).hint(
            "its poster is at fault; derivation skips it, and anyone can post the heights again",
        )
    })?;
    let heights = batch.heights.iter();
    if json {
        let all: Vec<Value> = heights.map(height).collect();
        return out::json(&json!({ "v": 1, "batch": of(&b), "heights": all }));
    }
    for h in heights {
        let (close, env) = (&h.header.close, &h.header.env);
        out::line(format_args!(
            "height {}  time {}  origin {}  epoch {}  closed by member {}  {} transactions",
            close.height,
            env.timestamp_s,
            env.l1_number,
            close.epoch,
            close.closer,
            h.txs.len()
        ))?;
        for tx in &h.txs {
            out::line(format_args!("  {}  {} bytes", keccak256(tx), tx.len()))?;
        }
    }
    Ok(())
}

fn height(h: &BatchHeight) -> Value {
    let (close, env) = (&h.header.close, &h.header.env);
    let hashes: Vec<B256> = h.txs.iter().map(keccak256).collect();
    json!({
        "height": close.height, "timestamp": env.timestamp_s, "l1Origin": env.l1_number, "epoch": close.epoch,
        "closer": close.closer, "term": [close.term.height, close.term.round], "firstG": h.header.first_g,
        "lastG": h.header.last_g, "transactions": hashes,
    })
}
