//! Unmodified Ethereum clients against the blocks of the execution crate: the real driver, the real Engine API.
//!
//! A client that is not installed is skipped, and says so: `make geth`, `make ethereumjs`.
#![expect(clippy::disallowed_methods, reason = "real processes are timed by the real clock")]

mod led;

use alloy_primitives::B256;
use led::Led;
use rota_node::external::{EngineBlock, ExternalError, Mark};
use rota_tests::{
    chains::{CHAIN_ID, RandomChain, genesis_file},
    clients::{Client, Kind},
};
use serde_json::{Value, json};
use std::time::Instant;

/// Blocks of a random chain that each client follows.
const GETH_BLOCKS: u64 = 600;
const ETHEREUMJS_BLOCKS: u64 = 200;

fn client(kind: Kind) -> Option<Client> {
    let genesis = serde_json::to_value(genesis_file()).unwrap();
    Client::start(kind, &genesis).inspect_err(|why| println!("SKIPPED {kind:?}: {why}")).ok()
}

/// Writes so many more blocks into the ledger; gives all marks from the head on.
fn grow(chain: &mut RandomChain, led: &Led, blocks: u64) -> Vec<Mark> {
    let head = chain.head();
    let mut marks = vec![Mark { number: head.header.number, hash: head.hash }];
    for _ in 0..blocks {
        let block = chain.grow();
        led.write(&block);
        marks.push(Mark { number: block.head.header.number, hash: block.hash() });
    }
    marks
}

/// The client has exactly these blocks.
fn agrees(client: &Client, marks: &[Mark]) {
    for mark in marks {
        let theirs = client.hash(&json!(format!("{:#x}", mark.number)));
        assert_eq!(theirs, Some(mark.hash.to_string()), "block {}", mark.number);
    }
}

/// Every block of a random chain, and the figures.
fn follows(kind: Kind, mut chain: RandomChain, blocks: u64) {
    let Some(client) = client(kind) else { return };
    let led = Led::start(&client);
    let marks = grow(&mut chain, &led, blocks);
    let (head, last) = (marks[blocks as usize], marks[blocks as usize - 32]);
    let began = Instant::now();
    led.head(head, head, last);
    led.until_at(head);
    let took = began.elapsed().as_secs_f64();
    agrees(&client, &marks);
    for (tag, mark) in [("latest", head), ("safe", head), ("finalized", last)] {
        assert_eq!(client.hash(&json!(tag)), Some(mark.hash.to_string()), "{tag}");
    }
    println!(
        "{kind:?} followed {blocks} blocks, {} transactions, in {took:.1} s: {:.0} blocks/s, {:.0} tx/s; {:?}",
        chain.txs(),
        blocks as f64 / took,
        chain.txs() as f64 / took,
        chain.counts,
    );
    led.stop();
}

#[test]
fn geth_agrees_with_every_block() {
    follows(Kind::Geth, RandomChain::new(1), GETH_BLOCKS);
}

/// Either side dies; L1 takes blocks back and gives others.
#[test]
fn deaths_and_reorganisations_are_survived() {
    let Some(mut client) = client(Kind::Geth) else { return };
    let mut chain = RandomChain::new(3);
    let led = Led::start(&client);
    let marks = grow(&mut chain, &led, 40);
    led.head(marks[40], marks[40], marks[0]);
    led.until_at(marks[40]);

    client.kill();
    let fork = chain.clone();
    let more = grow(&mut chain, &led, 30);
    led.head(more[30], more[30], marks[10]);
    client.run();
    led.until_at(more[30]);
    agrees(&client, &marks);
    agrees(&client, &more);

    let led = led.restart(&client);
    led.until_at(more[30]);

    // L1 takes the last 30 blocks back, and then gives others.
    led.head(marks[40], marks[40], marks[10]);
    led.until_at(marks[40]);
    assert_eq!(client.hash(&json!("latest")), Some(marks[40].hash.to_string()));
    let mut chain = fork.fork(4);
    let others = grow(&mut chain, &led, 12);
    assert_ne!(others[1], more[1]);
    led.head(others[12], others[12], marks[20]);
    led.until_at(others[12]);
    agrees(&client, &others);

    // An older state than anything that was told: the client has lost its newest blocks and the driver its memory.
    client.kill();
    client.run();
    let led = led.restart(&client);
    let last = grow(&mut chain, &led, 5);
    led.head(last[5], last[5], marks[20]);
    // It may have died with its head on disk and no state at all, and then waits for peers.
    if led.at_or_told(last[5]) {
        client.stop();
        client.run();
    }
    led.until_at(last[5]);
    agrees(&client, &last);
    led.stop();
}

/// A block that is wrong on purpose: the client judges, and what it says can be replayed.
#[test]
fn a_wrong_state_root_ends_it_with_a_file_to_replay() {
    let Some(client) = client(Kind::Geth) else { return };
    let mut chain = RandomChain::new(5);
    let led = Led::start(&client);
    let marks = grow(&mut chain, &led, 8);
    led.head(marks[8], marks[8], marks[0]);
    led.until_at(marks[8]);
    let good = chain.grow();
    let mut block = good.to_block();
    block.header.state_root = B256::repeat_byte(0x13);
    let bad = EngineBlock::new(block, good.requests.clone());
    led.write_block(&bad);
    let head = Mark { number: bad.number(), hash: bad.hash() };
    led.head(head, head, marks[0]);
    let (end, dir) = led.ended();
    let said = end.to_string();
    let ExternalError::Disagreed { found, file } = end else { panic!("{said}") };
    assert!(said.contains(&bad.hash().to_string()) && said.contains("block 9"), "{said}");
    assert_eq!(found.latest_valid, Some(marks[8].hash));
    assert_eq!(client.hash(&json!("latest")), Some(marks[8].hash.to_string()));
    let report: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert!(report["client"]["version"].as_str().unwrap().contains("go-ethereum"));
    assert_eq!(report["parent"]["hash"], marks[8].hash.to_string());
    // Whoever replays it sends the request as it stands in the file.
    let replayed = led::send(&client, &report["request"]);
    assert_eq!(replayed["result"]["status"], "INVALID", "{replayed}");
    println!("{said}\n{replayed}");
    drop(dir);
}

/// What the operator did wrong is said by name.
#[test]
fn a_wrong_secret_port_or_chain_is_said_by_name() {
    let Some(client) = client(Kind::Geth) else { return };
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other");
    std::fs::copy(client.jwt(), &other).unwrap();
    std::fs::write(&other, "b".repeat(64)).unwrap();
    let end = Led::start_with(&client.url(), &other, CHAIN_ID).ended().0;
    assert!(matches!(end, ExternalError::Unauthorized(_)), "{end}");
    let end = Led::start_with(&client.url(), &client.jwt(), 5).ended().0;
    assert!(matches!(end, ExternalError::OtherChain { theirs: CHAIN_ID, ours: 5 }), "{end}");
    let end = Led::start_with(&client.http(), &client.jwt(), CHAIN_ID).ended().0;
    assert!(matches!(end, ExternalError::NoEngine { .. }), "{end}");
    let mut genesis = genesis_file();
    genesis.timestamp += 1;
    let genesis = serde_json::to_value(genesis).unwrap();
    let client = Client::start(Kind::Geth, &genesis).unwrap();
    let end = Led::start(&client).ended().0;
    assert!(matches!(end, ExternalError::OtherGenesis { .. }), "{end}");
}

#[test]
fn ethereumjs_agrees_with_every_block() {
    follows(Kind::EthereumJs, RandomChain::new(2).at_most(4), ETHEREUMJS_BLOCKS);
}
