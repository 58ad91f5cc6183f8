//! One stream for the whole network: readers change nodes, fall behind, and lose nothing without being told.

use crate::{
    subscribe::{next, subscribe},
    support::{Dice, Leader, OWNER, Said, hash_of, transfer},
};
use alloy_primitives::{Address, B256};
use jsonrpsee::core::server::Subscription;
use rota_node::{
    rpc::{Backend, RpcConfig, methods},
    view::{Cursor, Step, View, ViewConfig},
};
use rota_preconf::IntakeConfig;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

const SUCCESSOR: Address = Address::repeat_byte(0xb2);

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// What a client has put together from messages.
#[derive(Default)]
struct Client {
    log: BTreeMap<u64, Value>,
    retracts: Vec<(u64, String)>,
}

impl Client {
    fn take(&mut self, message: &Value) {
        let g = number(&message["g"]);
        match message["type"].as_str().unwrap() {
            "frame" => {
                if let Some((last, hash)) = self.log.last_key_value() {
                    assert_eq!((g, &message["data"]["parentHash"]), (last + 1, hash), "no hole");
                }
                self.log.insert(g, message["data"]["hash"].clone());
            }
            "retract" => {
                self.log.split_off(&(g + 1));
                let reason = message["data"]["reason"].as_str().unwrap().to_owned();
                self.retracts.push((g, reason));
            }
            "sealed" => assert!(self.log.contains_key(&g) || self.log.is_empty()),
            other => panic!("{other}"),
        }
    }

    /// Takes messages until the frame at `g` is the newest.
    async fn read_to(&mut self, stream: &mut Subscription, g: u64, hash: B256) {
        while self.log.last_key_value() != Some((&g, &json!(hash))) {
            let message = next(stream).await;
            self.take(&message);
        }
    }

    /// Where it goes on at another node.
    fn resume(&self) -> Value {
        let (g, hash) = self.log.last_key_value().unwrap();
        json!(["frames", { "fromG": g + 1, "parentHash": hash }])
    }
}

fn node(leader: &Leader, view: &Arc<View>) -> jsonrpsee::Methods {
    let backend = leader.backend(RpcConfig::default());
    methods(Backend { view: view.clone(), ..backend }).unwrap()
}

#[tokio::test]
async fn a_reader_changes_nodes_in_the_middle_of_a_hand_over() {
    let mut leader = Leader::new();
    let a = leader.methods();
    let other = leader.other();
    let b = node(&leader, &other);
    let mut client = Client::default();
    let mut stream = subscribe(&a, "preconf_subscribe", json!(["frames"])).await;
    leader.submit(&transfer(1, 0));
    leader.frame();
    leader.frame();
    // The old leader's last frame; the other node has not even heard of the one before.
    let behind = leader.said.len() - 1;
    let last = leader.close(true);
    let heard = leader.said.len();
    client.read_to(&mut stream, 3, last).await;
    drop(stream);
    leader.said[..behind].iter().for_each(|s| drop(s.tell(&other)));
    let mut stream = subscribe(&b, "preconf_subscribe", client.resume()).await;
    leader.hand_over(SUCCESSOR);
    leader.submit(&transfer(2, 0));
    leader.frame();
    leader.said[behind..heard].iter().for_each(|s| drop(s.tell(&other)));
    leader.decide();
    let newest = leader.frame();
    leader.said[heard..].iter().for_each(|s| drop(s.tell(&other)));
    client.read_to(&mut stream, 5, newest).await;
    assert_eq!(client.log.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(client.retracts.is_empty());
    // The one that stayed would have seen the same.
    for g in 1..=5 {
        assert_eq!(client.log[&g], json!(leader.view.frame_at(g).unwrap().hash));
        assert_eq!(other.frame_at(g).unwrap().leader, if g <= 3 { OWNER } else { SUCCESSOR });
    }
}

#[tokio::test]
async fn a_reader_that_comes_with_a_frame_that_fell_off_is_told_so_first() {
    let mut leader = Leader::new();
    let a = leader.methods();
    leader.frame();
    leader.close(true);
    leader.decide();
    let mut stayed = Client::default();
    let start = json!(["frames", { "fromG": 1 }]);
    let mut staying = subscribe(&a, "preconf_subscribe", start.clone()).await;
    leader.submit(&transfer(1, 0));
    leader.frame();
    leader.frame();
    let old = leader.frame();
    stayed.read_to(&mut staying, 5, old).await;
    let left = Client { log: stayed.log.clone(), retracts: Vec::new() };
    let before = leader.said.len();
    leader.rewind(3, "round_change");
    leader.submit(&transfer(2, 0));
    leader.frame();
    let new = leader.frame();
    stayed.read_to(&mut staying, 5, new).await;
    assert_eq!(stayed.retracts, [(3, "round_change".to_owned())]);

    // To a node that had the same frames and took them back, and to one that never had them.
    let same = leader.other();
    leader.said.iter().for_each(|s| drop(s.tell(&same)));
    let never = leader.other();
    let kept = |s: &&Said| match s {
        Said::Frame(f) => leader.view.frame_at(f.frame.header.g).is_some_and(|x| x.hash == f.hash),
        Said::Rewound(..) => false,
        _ => true,
    };
    leader.said.iter().filter(kept).for_each(|s| drop(s.tell(&never)));
    // And to one that still has the old frames when the reader comes.
    let late = leader.other();
    leader.said[..before].iter().for_each(|s| drop(s.tell(&late)));
    for (view, to_g) in [(&same, 3), (&never, 2), (&late, 3)] {
        let mut client = Client { log: left.log.clone(), retracts: Vec::new() };
        let rpc = node(&leader, view);
        let mut stream = subscribe(&rpc, "preconf_subscribe", client.resume()).await;
        if Arc::ptr_eq(view, &late) {
            leader.said[before..].iter().for_each(|s| drop(s.tell(&late)));
        }
        client.read_to(&mut stream, 5, new).await;
        assert_eq!(client.retracts, [(to_g, "round_change".to_owned())]);
        assert_eq!(client.log, stayed.log);
    }
}

#[tokio::test]
async fn what_is_too_old_or_too_slow_is_said_with_the_place_to_go_on_from() {
    let change = |c: &mut ViewConfig| c.retain_blocks = 2;
    let mut leader = Leader::with(change, IntakeConfig::default());
    let rpc = leader.methods();
    let mut slow = leader.view.follow(Some(1), None).unwrap();
    let first = leader.view.pull(&mut slow, 64).unwrap();
    assert!(first.is_empty());
    for _ in 0..12 {
        leader.whole_block();
    }
    let oldest = (1..).find(|g| leader.view.frame_at(*g).is_some()).unwrap();
    assert!(oldest > 1);
    let cut = leader.view.pull(&mut slow, 64).unwrap_err();
    assert_eq!((cut.from_g, cut.oldest), (1, oldest));
    let ask = json!({ "jsonrpc": "2.0", "id": 1, "method": "preconf_subscribe", "params": ["frames", { "fromG": "0x1" }] });
    let (answer, _) = rpc.raw_json_request(&ask.to_string(), 1).await.unwrap();
    let answer: Value = serde_json::from_str(answer.get()).unwrap();
    assert_eq!(answer["error"]["code"], 7008);
    assert_eq!(number(&answer["error"]["data"]["oldestG"]), oldest);
    // A frame that was not decided where decided ones are, and nothing tells from where on it differs.
    let params = json!(["frames", { "fromG": oldest + 2, "parentHash": B256::ZERO }]);
    let ask = json!({ "jsonrpc": "2.0", "id": 1, "method": "preconf_subscribe", "params": params });
    let (answer, _) = rpc.raw_json_request(&ask.to_string(), 1).await.unwrap();
    assert!(answer.get().contains("7009"), "{}", answer.get());

    // A subscription that nobody reads, over a short buffer, while everything that it waits for goes away.
    let mut args = jsonrpsee::core::params::ArrayParams::new();
    args.insert("frames").unwrap();
    let mut stream = rpc.subscribe("preconf_subscribe", args, 1).await.unwrap();
    for _ in 0..30 {
        leader.whole_block();
        tokio::task::yield_now().await;
    }
    let (mut last, mut cut) = (None, None);
    while cut.is_none() {
        let message = next(&mut stream).await;
        match message["type"].as_str().unwrap() {
            "frame" => {
                let g = number(&message["g"]);
                assert!(last.is_none_or(|l| g == l + 1), "no hole before the cut");
                last = Some(g);
            }
            "sealed" => {}
            "lagged" => cut = Some(number(&message["data"]["fromG"])),
            other => panic!("{other}"),
        }
    }
    assert_eq!(cut, last.map(|l| l + 1));
    let end = stream.next::<Value>().await;
    assert!(end.is_none(), "it is over");
}

#[tokio::test]
async fn the_other_topics_cover_every_position_and_are_taken_back_too() {
    let mut leader = Leader::new();
    let rpc = leader.methods();
    let mut preconfs = subscribe(&rpc, "preconf_subscribe", json!(["preconfs"])).await;
    let mut acks = subscribe(&rpc, "preconf_subscribe", json!(["acks"])).await;
    let mut retracts = subscribe(&rpc, "preconf_subscribe", json!(["retract"])).await;
    leader.frame();
    let raw = transfer(1, 0);
    leader.submit(&raw);
    leader.frame();
    let seen = next(&mut preconfs).await;
    assert_eq!(
        (&seen["fromG"], &seen["g"], &seen["type"]),
        (&json!("0x1"), &json!("0x2"), &json!("preconf"))
    );
    let tx = &seen["data"]["transactions"][0];
    assert_eq!(
        (&tx["transactionHash"], &tx["execution"]),
        (&json!(hash_of(&raw)), &json!("success"))
    );
    leader.ack();
    let acked = next(&mut acks).await;
    assert_eq!(
        (&acked["fromG"], &acked["g"], &acked["type"]),
        (&json!("0x1"), &json!("0x2"), &json!("acked"))
    );
    leader.rewind(1, "leader_lost");
    for stream in [&mut preconfs, &mut acks, &mut retracts] {
        let gone = next(stream).await;
        assert_eq!(
            (&gone["type"], &gone["g"], &gone["data"]["reason"]),
            (&json!("retract"), &json!("0x1"), &json!("leader_lost"))
        );
        assert_eq!(gone["data"]["transactions"], json!([hash_of(&raw)]));
    }
    leader.close(true);
    leader.decide();
    let seen = next(&mut preconfs).await;
    assert_eq!((&seen["fromG"], &seen["g"]), (&Value::Null, &json!("0x2")));
    let decided = next(&mut acks).await;
    assert_eq!(
        (&decided["type"], &decided["g"], &decided["data"]["height"]),
        (&json!("decided"), &json!("0x2"), &json!("0x1"))
    );
    leader.view.heartbeat(leader.time());
    for stream in [&mut preconfs, &mut acks, &mut retracts] {
        let beat = next(stream).await;
        assert_eq!((&beat["type"], &beat["g"]), (&json!("heartbeat"), &json!("0x2")));
    }
}

/// A client over the tables themselves.
#[derive(Default)]
struct Copy {
    log: BTreeMap<u64, B256>,
}

impl Copy {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Frame(frame) => {
                if let Some((last, hash)) = self.log.last_key_value() {
                    assert_eq!((frame.g(), frame.frame.header.prev_hash), (last + 1, *hash));
                }
                self.log.insert(frame.g(), frame.hash);
            }
            Step::Retract(r) => drop(self.log.split_off(&(r.to_g + 1))),
            Step::Acked { g, .. } | Step::Decided { g, .. } => assert!(self.log.contains_key(g)),
            Step::Sealed(block) => assert!(self.log.contains_key(&block.span.last_g)),
        }
    }
}

/// Three nodes that hear the same at different times, and a client that reads and changes nodes as it likes: what it
/// has put together is the log in the end.
#[test]
fn a_client_that_wanders_between_nodes_has_the_log() {
    for seed in 0..60u64 {
        let mut dice = Dice(seed * 7 + 1);
        let mut leader = Leader::new();
        let nodes = [leader.other(), leader.other(), leader.other()];
        let mut heard = [0usize; 3];
        let (mut nonce, mut at) = (0, 0usize);
        let mut copy = Copy::default();
        let mut cursor: Cursor = nodes[at].follow(Some(1), None).unwrap();
        for _ in 0..120 {
            match dice.roll(10) {
                0..=2 => {
                    leader.submit(&transfer(1, nonce));
                    nonce += 1;
                    leader.frame();
                }
                3 => drop(leader.close(dice.roll(2) == 0)),
                4 if leader.can_decide() => drop(leader.decide()),
                5 => {
                    let back = dice.roll(leader.g() - leader.view.heads().latest.g + 1);
                    if back > 0 {
                        leader.rewind(leader.g() - back, "round_change");
                    }
                }
                6 | 7 => {
                    let who = usize::try_from(dice.roll(3)).unwrap();
                    let more = usize::try_from(dice.roll(6)).unwrap();
                    let to = leader.said.len().min(heard[who] + more);
                    leader.said[heard[who]..to].iter().for_each(|s| drop(s.tell(&nodes[who])));
                    heard[who] = to;
                }
                8 => {
                    at = usize::try_from(dice.roll(3)).unwrap();
                    let (g, hash) =
                        copy.log.last_key_value().map_or((0, None), |(g, h)| (*g, Some(*h)));
                    cursor = nodes[at].follow(Some(g + 1), hash).unwrap();
                }
                _ => {
                    let most = usize::try_from(dice.roll(4)).unwrap() + 1;
                    nodes[at].pull(&mut cursor, most).unwrap().iter().for_each(|s| copy.take(s));
                }
            }
        }
        for (who, node) in nodes.iter().enumerate() {
            leader.said[heard[who]..].iter().for_each(|s| drop(s.tell(node)));
        }
        loop {
            let steps = nodes[at].pull(&mut cursor, 64).unwrap();
            if steps.is_empty() {
                break;
            }
            steps.iter().for_each(|s| copy.take(s));
        }
        let frame = |g: u64| leader.view.frame_at(g).map(|f| (g, f.hash));
        let log: BTreeMap<u64, B256> = (1..=leader.g()).filter_map(frame).collect();
        assert_eq!(copy.log, log, "seed {seed}");
    }
}
