//! A small rollup whose set may lie about a block, seen by a node that certifies and by a follower that derives.
#![expect(clippy::arithmetic_side_effects, reason = "test code")]

use super::*;
use rota_l1::Output;
use rota_types::{
    Address, Below, Bitmap, Close, Domain, Encode, Env, LIGHT_VERSION, Mmr, MmrPlace, MmrProof,
    ReceiptDomain, ReceiptSet, SeqKey, Term, U256, Validator, ValidatorSet, Vote, VoteKey,
    VoteKind,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

const HEIGHTS: u64 = 300;
const LAST_BLOCK: u64 = 74;

/// Four heights a second: height h is in block h / 4.
const fn block_of(height: u64) -> u64 {
    height / 4
}

fn key(i: u8) -> VoteKey {
    VoteKey::from_secret(&[0x20 + i; 32]).unwrap()
}

fn domain() -> Domain {
    Domain::new(1, 7, Address::repeat_byte(1), B256::repeat_byte(2), 0)
}

fn set() -> ValidatorSet {
    let validators = (0..4u8).map(|i| Validator {
        owner: Address::repeat_byte(0x40 + i),
        seq_key: SeqKey::from_seed(&[0x10 + i; 32]).public(),
        vote_key: key(i).address(),
        stake: U256::from(32_000_000_000_000_000_000u128),
        fee_recipient: Address::ZERO,
        peer: String::new(),
    });
    ValidatorSet::new(0, validators.collect())
}

/// The log and its blocks, with what the set says of them.
#[derive(Clone)]
struct Log {
    headers: Vec<Header>,
    nodes: BTreeMap<MmrPlace, B256>,
    blocks: BTreeMap<u64, Bytes>,
    points: BTreeMap<u64, LagPoint>,
}

impl Log {
    /// `salt` makes another log; at checkpoint `lie` the set names another hash.
    fn new(salt: u64, lie: Option<u64>) -> Self {
        let (headers, nodes) = (Vec::new(), BTreeMap::new());
        let mut out = Self { headers, nodes, blocks: BTreeMap::new(), points: BTreeMap::new() };
        let (mut history, mut parent, mut above) = (Mmr::default(), B256::ZERO, B256::ZERO);
        for height in 1..=HEIGHTS {
            let (number, second) = (block_of(height - 1), 1_000 + block_of(height));
            if block_of(height) != number {
                let block = BlockHeader {
                    parent_hash: above,
                    number,
                    timestamp: 1_000 + number,
                    extra_data: parent.into(),
                    ..BlockHeader::default()
                };
                out.blocks.insert(number, alloy_rlp::encode(&block).into());
                above = block.hash_slow();
            }
            let mut close = Close {
                height,
                parent_id: parent,
                term: Term { height: 1, round: 0 },
                cursor: salt,
                history_root: history.root(),
                ..Close::default()
            };
            if height % EXEC_LAG == 0 && height > EXEC_LAG {
                let point = out.point(height - EXEC_LAG, lie);
                (close.exec_lag_height, close.exec_lag_root) = (point.height, point.root());
                out.points.insert(height, point);
            }
            let (l1_hash, prev_randao, fee_vault) = (B256::ZERO, B256::ZERO, Address::ZERO);
            let (timestamp_s, l1_number, gas_limit) = (second, 1, 1);
            let env = Env { timestamp_s, l1_number, l1_hash, gas_limit, prev_randao, fee_vault };
            let roots = B256::ZERO;
            let header = Header {
                env,
                close,
                first_g: height,
                last_g: height,
                txs_root: roots,
                frames_root: roots,
                last_frame_hash: roots,
            };
            parent = header.value_id(&domain());
            let grown =
                MmrPlace::grow(height - 1, &parent, |at| Ok::<_, ()>(out.nodes.get(&at).copied()));
            out.nodes.extend(grown.unwrap());
            history.push(parent);
            out.headers.push(header);
        }
        out
    }

    fn point(&self, height: u64, lie: Option<u64>) -> LagPoint {
        let block_number = block_of(height) - 1;
        let right = self.blocks.get(&block_number).map(keccak256).unwrap();
        let block_hash = if lie == Some(height) { B256::repeat_byte(0xee) } else { right };
        LagPoint { height, block_number, block_hash, rewards_root: B256::ZERO }
    }

    fn header_at(&self, height: u64) -> Option<&Header> {
        self.headers.get(usize::try_from(height).ok()?.checked_sub(1)?)
    }

    fn proof(&self, height: u64, under: u64) -> Option<LightProof> {
        let (found, top) = (self.header_at(height)?, self.header_at(under)?);
        let value_id = top.value_id(&domain());
        let vote = Vote { epoch: 0, height: under, round: 0, kind: VoteKind::Precommit, value_id };
        let certificate = CommitCertificate {
            epoch: 0,
            height: under,
            round: 0,
            value_id,
            signers: Bitmap::of([0, 2, 3]),
            signatures: [0, 2, 3].map(|i| key(i).sign(&vote.digest(&domain()))).to_vec(),
        };
        let history =
            MmrProof::of(height - 1, under - 1, |at| Ok::<_, ()>(self.nodes.get(&at).copied()));
        let below =
            history.unwrap().map(|history| Below { header: found.encode().into(), history });
        Some(LightProof {
            v: LIGHT_VERSION,
            domain: ReceiptDomain::of(&domain()),
            set: ReceiptSet::of(&set()),
            l1: None,
            header: top.encode().into(),
            certificate: certificate.encode().into(),
            below,
            transaction: None,
            checkpoint: self.points.get(&height).map(|p| p.encode().into()),
        })
    }
}

/// A node that can be given another log, or none.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Option<Log>>>);

impl Fake {
    fn of(log: Log) -> Self {
        Self(Arc::new(Mutex::new(Some(log))))
    }
    fn get<T>(&self, f: impl FnOnce(&Log) -> Option<T>) -> eyre::Result<Option<T>> {
        Ok(self.0.lock().unwrap().as_ref().and_then(f))
    }
}

impl Ledger for Fake {
    async fn certified(&self, height: u64, under: u64) -> eyre::Result<Option<LightProof>> {
        self.get(|log| log.proof(height, under))
    }
    async fn newest(&self) -> eyre::Result<Option<LightProof>> {
        self.get(|log| log.proof(HEIGHTS / EXEC_LAG * EXEC_LAG, HEIGHTS))
    }
    async fn header(&self, number: u64) -> eyre::Result<Option<Bytes>> {
        self.get(|log| log.blocks.get(&number).cloned())
    }
}

fn output(log: &Log, step: u64, l2_block: u64, by_council: bool) -> FinalOutput {
    let l2_hash = keccak256(&log.blocks[&l2_block]);
    let (parent, value_id, height) = (B256::ZERO, B256::ZERO, l2_block * 4 + 3);
    let output = Output { step, parent, l2_block, l2_hash, height, value_id };
    FinalOutput { hash: B256::ZERO, output, by_council, l1_block: 1 }
}

/// What is found with these outputs, one look.
async fn found(node: &Fake, follower: &Fake, outputs: &[FinalOutput]) -> eyre::Result<Vec<Lie>> {
    let dir = tempfile::tempdir().unwrap();
    let nodes = (node.clone(), follower.clone());
    let mut audit = Audit::open(nodes, &dir.path().join("points")).unwrap();
    outputs.iter().for_each(|o| audit.finalized(*o));
    let mut lies = Vec::new();
    audit.look(&mut lies).await?;
    Ok(lies)
}

#[tokio::test]
async fn a_certified_block_that_is_not_the_proven_one_is_evidence() {
    let log = Log::new(0, Some(128));
    let (node, follower) = (Fake::of(log.clone()), Fake::of(Log::new(0, None)));
    // The logs part at height 192, far above the block in question.
    let right = Log::new(0, None);
    assert_eq!(log.blocks[&31], right.blocks[&31]);
    let outputs = [output(&right, 1, 20, false), output(&right, 2, 40, false)];
    let lies = found(&node, &follower, &outputs).await.unwrap();
    let [Lie { evidence, under: 40 }] = lies.as_slice() else { panic!("{lies:?}") };
    assert_eq!(evidence.rests_on(), Some(31));
    let proven = keccak256(&right.blocks[&31]);
    let verdict = evidence.verify_proven(&set(), &domain(), Some(proven)).unwrap();
    assert_eq!((verdict.accused, verdict.place.height), (vec![0, 2, 3], 192));
    let chosen = [output(&right, 2, 40, true)];
    assert_eq!(found(&node, &follower, &chosen).await.unwrap(), [], "the council's choice");
    let honest = Fake::of(right);
    assert_eq!(found(&honest, &honest, &outputs).await.unwrap(), []);
}

/// A fallback made the set's log void: its blocks are others, and nobody lied.
#[tokio::test]
async fn another_log_accuses_nobody() {
    let derived = Log::new(1, None);
    let outputs = [output(&derived, 1, LAST_BLOCK, false)];
    let (node, follower) = (Fake::of(Log::new(0, None)), Fake::of(derived));
    assert_eq!(found(&node, &follower, &outputs).await.unwrap(), []);
}

#[tokio::test]
async fn either_side_may_come_first_and_a_silent_node_is_asked_again() {
    let (right, node, follower) = (Log::new(0, None), Fake::default(), Fake::default());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("points");
    let mut audit = Audit::open((node.clone(), follower.clone()), &file).unwrap();
    let mut lies = Vec::new();
    audit.finalized(output(&right, 1, 40, false));
    audit.look(&mut lies).await.unwrap();
    *node.0.lock().unwrap() = Some(Log::new(0, Some(128)));
    assert!(audit.look(&mut lies).await.is_err(), "the follower has nothing to compare with");
    *follower.0.lock().unwrap() = Some(right.clone());
    audit.look(&mut lies).await.unwrap();
    assert_eq!(lies.len(), 1);
    audit.finalized(output(&right, 1, 40, false));
    audit.look(&mut lies).await.unwrap();
    assert_eq!(lies.len(), 1, "once");
    let headers = audit.ancestors(40, 31).await.unwrap();
    assert_eq!((headers.len(), keccak256(&headers[0])), (9, keccak256(&right.blocks[&40])));
    let last = BlockHeader::decode(&mut headers[8].as_ref()).unwrap();
    assert_eq!(last.parent_hash, keccak256(&right.blocks[&31]));
}
