//! After a run: everything decided goes through an L1 in memory and comes back by derivation alone.
//!
//! The inbox there checks certificates as the contract does. Between honest batches a griefer posts the same
//! headers and certificates with other data. Users force transactions in, most of them bad, and make
//! deposits; the blocks that the members
//! execute and those of a follower must be the same to the byte.

use super::{check::Violation, dice::Dice, node::SimNode, sets::Sets};
use crate::make;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, U256};
use futures::executor::block_on;
use rota_consensus::Decided;
use rota_derive::{
    AcceptedBatch, BlockParams, Brought, DerivedBlock, Grouping, L1Origin, L1Ref, Outcome,
    Pipeline, Span, Start, spans,
};
use rota_execution::{BlockEnv, Head, base_fee_return, execute_block, genesis, prague_genesis};
use rota_l1::{
    At, BatchPost, Deposited, Enqueued, L1, L1Block, MemoryJournal, MemoryL1, MemoryParams, Policy,
    TxManager,
};
use rota_preconf::Rules;
use rota_types::{
    Batch, BatchHeight, Deposit, Encode, Env, ForcedTx, Tx, due_deposits, forced_txs,
};
use std::collections::BTreeMap;

const INBOX: Address = Address::repeat_byte(0x1b);
/// In wei.
const GWEI: U256 = U256::from_limbs([1_000_000_000, 0, 0, 0]);
/// Heights in one batch.
const RUN: usize = 9;
/// Accounts that use the queue.
const OUTCASTS: u64 = 5;
/// Their numbers begin here.
const FIRST_OUTCAST: u64 = 1 << 40;

/// What came back.
pub(super) struct Trip {
    pub(super) heights: usize,
    /// Transactions of the queue in the blocks.
    pub(super) forced: usize,
    /// Deposits in the blocks.
    pub(super) deposits: usize,
    /// Newest origin.
    pub(super) origin: u64,
}

/// Posts what the node with the longest history decided and derives it again (I-10, I-15).
pub(super) fn round_trip(
    nodes: &[SimNode],
    sets: &Sets,
    rules: &Rules,
    seed: u64,
) -> Result<Trip, Violation> {
    let domain = &rules.domain;
    let node = nodes.iter().max_by_key(|n| n.disk.decided.len());
    let decided: Vec<&Decided> = node.into_iter().flat_map(|n| n.disk.decided.values()).collect();
    let Some(last) = decided.last() else {
        return Ok(Trip { heights: 0, forced: 0, deposits: 0, origin: 0 });
    };
    let origin = last.header.env.l1_number;
    let operators = sets.first().set().iter().map(|(_, v)| v.clone()).collect();
    // Both chains have one clock: the inbox refuses heights that leave the queue waiting for long.
    let genesis_time = decided[0].header.env.timestamp_s;
    let mut params = MemoryParams { genesis_time, ..MemoryParams::new(domain.clone(), INBOX) };
    // The sets of a plan are weighed as they are: no share is cut.
    params.rules.max_share_bps = 10_000;
    let l1 = MemoryL1::new(params, operators);
    let queue = force(&l1, origin, &mut Dice::new(seed ^ 0xf0));
    let batches = if sets.len() > 1 {
        // The chain in memory freezes one set only.
        let runs = (origin + 2..).zip(decided.chunks(RUN));
        runs.map(|(at, run)| shown(at, &post(run))).collect()
    } else {
        post_all(&l1, &decided);
        accepted(&l1)
    };
    let (heights, blocks) = derive((&queue, batches), sets, rules, &decided)?;
    let forced = compare(&decided, &queue, &blocks)?;
    let deposits = blocks.iter().map(|b| b.deposits.len()).sum();
    Ok(Trip { heights, forced, deposits, origin })
}

/// Posts every height, some of them with garbage first.
fn post_all(l1: &MemoryL1, decided: &[&Decided]) {
    let sender = l1.sender(Address::repeat_byte(0x99));
    let policy = Policy { confirmations: 0, ..Policy::default() };
    let mut manager = TxManager::open(sender, MemoryJournal::default(), policy).expect("opens");
    for (i, run) in decided.chunks(RUN).enumerate() {
        let honest = post(run);
        if i % 3 == 1 {
            let garbage = BatchPost { payload: Bytes::from(vec![1, 2, 3]), ..honest.clone() };
            submit(&mut manager, l1, &garbage);
            submit(&mut manager, l1, &BatchPost { repost: true, ..honest });
        } else {
            submit(&mut manager, l1, &honest);
        }
    }
}

/// Mines L1 beyond an origin, with deposits, and with transactions in the queue of which every third or so can be executed.
fn force(l1: &MemoryL1, origin: u64, dice: &mut Dice) -> Vec<Brought> {
    let mut nonces: BTreeMap<u64, u64> = BTreeMap::new();
    let mut out = Vec::new();
    for _ in 0..=origin {
        for _ in 0..dice.between(0, 4) {
            let who = FIRST_OUTCAST + dice.between(0, OUTCASTS);
            let nonce = nonces.entry(who).or_default();
            let good = make::transfer(who, *nonce).raw.clone();
            match dice.between(0, 5) {
                0 => l1.enqueue(21_000, Bytes::from(vec![2, 9, 9])),
                1 => l1.enqueue(20_999, good),
                2 => l1.enqueue(21_000, make::transfer(who, *nonce + 3).raw.clone()),
                _ => {
                    *nonce += 1;
                    l1.enqueue(30_000, good);
                }
            }
        }
        for _ in 0..dice.between(0, 3) {
            let who = FIRST_OUTCAST + dice.between(0, OUTCASTS);
            l1.deposit(make::transfer(who, 0).sender, dice.between(1, 1 << 40));
        }
        let block = l1.mine();
        let forced = block_on(l1.forced(block.number, block)).expect("answers");
        let deposits = block_on(l1.deposits(block.number, block)).expect("answers");
        if !forced.is_empty() || !deposits.is_empty() {
            let L1Block { number, hash, timestamp, prev_randao, .. } = block;
            out.push(Brought {
                block: L1Origin { number, hash, timestamp, prev_randao },
                forced: forced.iter().map(Enqueued::forced).collect(),
                deposits: deposits.iter().map(Deposited::deposit).collect(),
            });
        }
    }
    out
}

/// What the members execute, against what a follower does. Gives how many forced transactions are in it.
fn compare(
    decided: &[&Decided],
    queue: &[Brought],
    blocks: &[DerivedBlock],
) -> Result<usize, Violation> {
    let entries: Vec<&ForcedTx> = queue.iter().flat_map(|b| &b.forced).collect();
    let paid: Vec<&Deposit> = queue.iter().flat_map(|b| &b.deposits).collect();
    let violated = |what: String| Violation { invariant: "I-15", at_ms: 0, what };
    let rich = || alloy_genesis_account();
    let accounts = (0..OUTCASTS).map(|i| (make::transfer(FIRST_OUTCAST + i, 0).sender, rich()));
    let file = prague_genesis(make::CHAIN_ID, 0, 300_000_000, accounts);
    let start = genesis(&file).expect("a genesis");
    let headers = decided.iter().map(|d| (&d.header, d.value_id));
    let (mut members, open) =
        spans(Grouping::new(0, 0, 0), headers).expect("decided heights follow");
    members.extend(open);
    let there = supply(&start);
    let (mut ours, mut theirs, mut forced) = (start.clone(), start, 0);
    for (span, block) in members.iter().zip(blocks) {
        let (after, upto) = (span.previous_origin, span.env.l1_number);
        let first = forced_txs(entries.iter().copied(), after, upto, make::CHAIN_ID);
        let credited = due_deposits(paid.iter().copied(), after, upto);
        let framed = decided
            .iter()
            .filter(|d| (span.first_height..=span.last_height).contains(&d.header.height()))
            .flat_map(|d| d.frames.iter().flat_map(|f| f.txs.iter().map(|t| (**t).clone())));
        let senders: Vec<Address> = first.iter().map(|t| t.sender).collect();
        let txs: Vec<Tx> = first.into_iter().chain(framed).collect();
        let next = env(span, &ours, &credited);
        let done = execute(&mut ours, next, &txs, span.last_id);
        forced += done.iter().filter(|sender| senders.contains(sender)).count();
        let derived = Span {
            number: block.number,
            env: block.env.clone(),
            first_height: block.first_height,
            last_height: block.last_height,
            last_id: block.extra_data,
            previous_origin: block.previous_origin,
        };
        let next = env(&derived, &theirs, &block.deposits);
        execute(&mut theirs, next, &block.txs, block.extra_data);
        if ours.hash != theirs.hash {
            return Err(violated(format!("block {} differs", span.number)));
        }
    }
    if members.len() != blocks.len() {
        return Err(violated(format!("{} blocks of {}", blocks.len(), members.len())));
    }
    let credited: U256 = blocks.iter().flat_map(|b| &b.deposits).map(wei).sum();
    let deposited: U256 = paid.iter().map(|d| wei(d)).sum();
    conserved((there, supply(&theirs)), (credited, deposited), blocks.len())?;
    Ok(forced)
}

/// All ETH on the rollup, with what burned in the newest block and is in the next one.
fn supply(head: &Head) -> U256 {
    let accounts = head.state.export().accounts;
    let held: U256 = accounts.values().filter_map(|a| Some(a.account.as_ref()?.balance)).sum();
    let coming = base_fee_return(&head.header, Address::ZERO).map_or(0, |w| w.amount);
    held + U256::from(coming) * GWEI
}

fn wei(deposit: &Deposit) -> U256 {
    U256::from(deposit.withdrawal().amount) * GWEI
}

/// What was on the rollup and what was credited is there, less dust; and no more was credited than L1 holds (I-40).
fn conserved(
    (before, after): (U256, U256),
    (credited, deposited): (U256, U256),
    blocks: usize,
) -> Result<(), Violation> {
    let there = before + credited;
    let dust = GWEI * U256::from(blocks);
    if credited <= deposited && after <= there && there - after <= dust {
        return Ok(());
    }
    let what = format!(
        "{before} wei and {credited} of {deposited} deposited became {after} in {blocks} blocks"
    );
    Err(Violation { invariant: "I-40", at_ms: 0, what })
}

/// Executes one block on `head`; gives the senders of what is in it.
fn execute(head: &mut Head, env: BlockEnv, txs: &[Tx], extra_data: B256) -> Vec<Address> {
    let txs = txs.iter().map(|t| (&t.envelope, t.sender));
    let block = execute_block(head, env, make::CHAIN_ID, txs, extra_data).expect("executes");
    *head = block.head.clone();
    block.included.iter().map(|i| i.sender).collect()
}

fn env(span: &Span, parent: &Head, credited: &[Deposit]) -> BlockEnv {
    let Env { timestamp_s, l1_hash, gas_limit, prev_randao, fee_vault, .. } = span.env.clone();
    BlockEnv {
        number: span.number,
        timestamp_s,
        gas_limit,
        fee_recipient: fee_vault,
        prev_randao,
        parent_beacon_block_root: l1_hash,
        withdrawals: base_fee_return(&parent.header, fee_vault)
            .into_iter()
            .chain(credited.iter().map(Deposit::withdrawal))
            .collect(),
    }
}

fn alloy_genesis_account() -> GenesisAccount {
    GenesisAccount::default().with_balance(U256::from(10u64).pow(U256::from(20)))
}

fn post(run: &[&Decided]) -> BatchPost {
    let heights = run
        .iter()
        .map(|d| BatchHeight {
            header: d.header.clone(),
            txs: d.frames.iter().flat_map(|f| f.signed.body.txs.clone()).collect(),
        })
        .collect();
    let last = run[run.len() - 1];
    BatchPost {
        from_height: run[0].header.height(),
        repost: false,
        header: last.header.clone(),
        certificate: last.certificate.clone(),
        payload: Batch { heights }.compress().expect("compresses").into(),
    }
}

fn submit<C: rota_l1::TxChain>(
    manager: &mut TxManager<C, MemoryJournal>,
    l1: &MemoryL1,
    post: &BatchPost,
) {
    manager.submit(post.request(INBOX).expect("fits")).expect("is taken");
    block_on(manager.poll()).expect("is sent");
    l1.mine();
    block_on(manager.poll()).expect("is mined");
}

/// A batch as if an inbox had accepted it in this block.
fn shown(number: u64, batch: &BatchPost) -> AcceptedBatch {
    let hash = alloy_primitives::keccak256(number.to_be_bytes());
    AcceptedBatch {
        from_height: batch.from_height,
        to_height: batch.header.height(),
        value_id: batch.certificate.value_id,
        epoch: batch.header.close.epoch,
        certificate: Some(batch.certificate.clone()),
        header: batch.header.encode().into(),
        data: batch.payload.clone(),
        l1: L1Ref { number, hash, tx_hash: hash },
        l1_timestamp: 0,
    }
}

fn accepted(l1: &MemoryL1) -> Vec<AcceptedBatch> {
    let head = block_on(l1.block(At::Latest)).expect("answers").expect("has a block");
    let batches = block_on(l1.batches(0, head)).expect("answers");
    let accepted = batches.into_iter().map(|batch| AcceptedBatch {
        from_height: batch.from_height,
        to_height: batch.to_height,
        value_id: batch.certificate.value_id,
        epoch: batch.header.close.epoch,
        certificate: Some(batch.certificate.clone()),
        header: batch.header.encode().into(),
        data: block_on(l1.payload(&batch)).expect("is there"),
        l1: L1Ref { number: batch.block.number, hash: batch.block.hash, tx_hash: batch.tx_hash },
        l1_timestamp: batch.block.timestamp,
    });
    accepted.collect()
}

/// Everything back from L1; the blocks, the open one last.
fn derive(
    (queue, batches): (&[Brought], Vec<AcceptedBatch>),
    sets: &Sets,
    rules: &Rules,
    decided: &[&Decided],
) -> Result<(usize, Vec<DerivedBlock>), Violation> {
    let domain = &rules.domain;
    let params =
        BlockParams { gas_limit: rules.params.gas_limit, fee_vault: rules.params.fee_vault };
    let mut pipeline = Pipeline::new(domain.clone(), params, Start::genesis(0, 0));
    (0u64..).map_while(|e| sets.set(e)).for_each(|set| pipeline.insert_set((**set).clone()));
    let (mut derived, mut blocks) = (Vec::new(), Vec::new());
    // All entries are in L1 blocks before those of the batches.
    for brought in queue {
        pipeline.enqueue(brought.clone()).expect("in order");
    }
    for batch in batches {
        if let Outcome::Derived(new) = pipeline.accept(&batch).expect("derivation is total") {
            derived.extend(new.heights.iter().map(|h| h.header.value_id(domain)));
            blocks.extend(new.blocks);
        }
    }
    blocks.extend(pipeline.open_block());
    let want: Vec<B256> = decided.iter().map(|d| d.value_id).collect();
    if derived == want {
        return Ok((derived.len(), blocks));
    }
    let what = format!("{} heights of {} come back", derived.len(), want.len());
    Err(Violation { invariant: "I-10", at_ms: 0, what })
}
