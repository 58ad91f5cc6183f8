//! A leader of a set of one, played by the test: it frames, acks, decides and posts when told to.

mod facts;
mod mirror;
mod set;
mod users;

pub(crate) use mirror::{Dice, Said};
pub(crate) use users::{CLIENT_KEY, hash_of, plain, sign, transfer, user};

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use rota_execution::{
    BlockEnv, Checkpoint, Head, OpenBlock, base_fee_return, genesis, prague_genesis,
};
use rota_node::{
    rpc::{Backend, RpcConfig, methods},
    submit::Submitter,
    view::{BlockView, FrameTx, FrameView, OpenHeader, Span, View, ViewConfig},
};
use rota_preconf::{Intake, IntakeConfig, TakeLimits};
use rota_types::{
    Close, Domain, Encode, Env, Flags, FrameBody, FrameHeader, Header, SeqKey, SignedFrame, Term,
    Tx, Validator, ValidatorSet, VoteKey, hash_list_root, tx_root, wire::DecidedHeight,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use users::client_account;

pub(crate) const CHAIN: u64 = 77_001;
pub(crate) const START_MS: u64 = 1_795_228_867_000;
pub(crate) const OWNER: Address = address!("0x00000000000000000000000000000000000000a1");

struct Mark {
    block: Option<(OpenBlock, Checkpoint)>,
    head: Head,
    chain: Chain,
}

#[derive(Clone)]
struct Chain {
    g: u64,
    prev: B256,
    height: u64,
    heights: Vec<(u64, u64)>,
    hashes: Vec<B256>,
    tx_hashes: Vec<B256>,
    first_g: u64,
    opened: bool,
    span: Option<Span>,
    timestamp_s: u64,
    /// Value id of the height before.
    parent: B256,
    term: Term,
    /// Newest position before the term.
    term_g: u64,
    owner: Address,
}

pub(crate) struct Leader {
    pub(crate) view: Arc<View>,
    pub(crate) door: Arc<Submitter>,
    pub(crate) set: Arc<ValidatorSet>,
    pub(crate) domain: Domain,
    pub(crate) now: Arc<AtomicU64>,
    pub(crate) wake: crossbeam_channel::Receiver<()>,
    pub(crate) genesis: Head,
    /// Put into the next frame without asking the queue.
    pub(crate) forced: Vec<Arc<Tx>>,
    seq: SeqKey,
    vote: VoteKey,
    head: Head,
    block: Option<OpenBlock>,
    chain: Chain,
    marks: BTreeMap<u64, Mark>,
    headers: BTreeMap<u64, Header>,
    framed: BTreeMap<u64, SignedFrame>,
    /// Everything that the view was told, for other views.
    pub(crate) said: Vec<Said>,
    /// Decided heights, as a node stores them.
    pub(crate) stored: BTreeMap<u64, DecidedHeight>,
}

fn set_of(seq: &SeqKey, vote: &VoteKey) -> ValidatorSet {
    let validator = Validator {
        owner: OWNER,
        seq_key: seq.public(),
        vote_key: vote.address(),
        stake: U256::from(32u64) * U256::from(10u64).pow(U256::from(18)),
        fee_recipient: OWNER,
        peer: String::new(),
    };
    ValidatorSet::new(1, vec![validator])
}

impl Leader {
    pub(crate) fn new() -> Self {
        Self::with(|_| (), IntakeConfig::default())
    }

    pub(crate) fn with(change: impl FnOnce(&mut ViewConfig), intake: IntakeConfig) -> Self {
        let rich = GenesisAccount::default().with_balance(U256::from(10u64).pow(U256::from(21)));
        let accounts =
            (1..=20).map(|n| (user(n).address(), rich.clone())).chain([client_account()]);
        let file = prague_genesis(CHAIN, START_MS / 1000 - 1, 30_000_000, accounts);
        let head = genesis(&file).unwrap();
        let domain = Domain::new(1, CHAIN, Address::with_last_byte(9), head.hash, 0);
        let (seq, vote) = (SeqKey::from_seed(&[7; 32]), VoteKey::from_secret(&[8; 32]).unwrap());
        let set = Arc::new(set_of(&seq, &vote));
        let mut config =
            ViewConfig { chain_id: CHAIN, domain: domain.clone(), ..ViewConfig::default() };
        change(&mut config);
        let view = Arc::new(View::new(config, &head));
        view.validators(set.clone());
        let now = Arc::new(AtomicU64::new(START_MS));
        let (send, wake) = crossbeam_channel::bounded(1);
        let clock = now.clone();
        let clock = Arc::new(move || clock.load(Ordering::SeqCst));
        let door = Arc::new(Submitter::new(view.clone(), Intake::new(intake), send, clock));
        let chain = Chain {
            timestamp_s: START_MS / 1000,
            height: 1,
            owner: OWNER,
            term: Term { height: 1, round: 0 },
            g: 0,
            prev: B256::ZERO,
            heights: Vec::new(),
            hashes: Vec::new(),
            tx_hashes: Vec::new(),
            first_g: 0,
            opened: false,
            span: None,
            parent: B256::ZERO,
            term_g: 0,
        };
        let (block, marks, headers) = (None, BTreeMap::new(), BTreeMap::new());
        let (framed, stored) = (BTreeMap::new(), BTreeMap::new());
        let (genesis, forced) = (head.clone(), Vec::new());
        Self {
            view,
            door,
            set,
            domain,
            now,
            wake,
            genesis,
            forced,
            seq,
            vote,
            head,
            block,
            chain,
            marks,
            headers,
            framed,
            said: Vec::new(),
            stored,
        }
    }

    /// Waits for the submitter's wake-up.
    pub(crate) fn woken(&self) {
        self.wake.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    pub(crate) fn tick(&self, ms: u64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn time(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    pub(crate) fn g(&self) -> u64 {
        self.chain.g
    }

    pub(crate) fn submit(&self, raw: &Bytes) -> B256 {
        let tx = Arc::new(Tx::decode(raw, CHAIN).unwrap());
        self.door.submit(&tx).unwrap();
        tx.hash
    }

    fn env(&self) -> Env {
        Env {
            timestamp_s: self.chain.timestamp_s,
            l1_number: 5,
            l1_hash: B256::repeat_byte(5),
            gas_limit: 30_000_000,
            prev_randao: B256::repeat_byte(6),
            fee_vault: OWNER,
        }
    }

    fn open(&mut self) -> OpenBlock {
        if let Some(block) = self.block.take() {
            return block;
        }
        let env = self.env();
        let env = BlockEnv {
            number: self.head.header.number + 1,
            timestamp_s: env.timestamp_s,
            gas_limit: env.gas_limit,
            fee_recipient: env.fee_vault,
            prev_randao: env.prev_randao,
            parent_beacon_block_root: env.l1_hash,
            withdrawals: base_fee_return(&self.head.header, env.fee_vault).into_iter().collect(),
        };
        OpenBlock::open(&self.head, env, CHAIN).unwrap()
    }

    /// Frames what is ready and publishes the frame.
    pub(crate) fn frame(&mut self) -> B256 {
        self.build(Flags::default())
    }

    /// Ends the height; with `seal` also the block.
    pub(crate) fn close(&mut self, seal: bool) -> B256 {
        self.build(if seal { Flags::CLOSE.with(Flags::SEAL) } else { Flags::CLOSE })
    }

    fn build(&mut self, flags: Flags) -> B256 {
        let mark = Mark {
            block: self.block.as_ref().map(|b| (b.clone(), b.checkpoint())),
            head: self.head.clone(),
            chain: self.chain.clone(),
        };
        self.marks.insert(self.chain.g, mark);
        let limits = TakeLimits { txs: 500, bytes: 200_000, gas: 20_000_000, insured: u128::MAX };
        let mut txs = self.door.intake().take(limits);
        txs.append(&mut self.forced);
        let mut block = self.open();
        let results: Vec<FrameTx> = (0u32..)
            .zip(&txs)
            .map(|(position, tx)| FrameTx {
                position,
                tx: tx.clone(),
                outcome: block.apply(&tx.envelope, tx.sender).unwrap(),
            })
            .collect();
        let frame = self.sign(&txs, flags);
        let hash = frame.header.hash(&self.domain);
        self.note(&frame, hash, &txs);
        self.framed.insert(frame.header.g, frame.clone());
        let owner = self.chain.owner;
        self.say(Said::Frame(FrameView {
            frame: Arc::new(frame),
            hash,
            leader: owner,
            forced: Vec::new(),
            txs: results,
            block: OpenHeader::of(&block),
            state: block.snapshot(),
            now_ms: self.time(),
        }));
        for tx in &txs {
            let account = self.view.pending_account(&tx.sender);
            self.door.intake().account_changed(tx.sender, account.nonce, account.balance);
        }
        self.block = Some(block);
        if flags.has(Flags::CLOSE) {
            self.end_height(flags.has(Flags::SEAL));
        }
        hash
    }

    fn sign(&self, txs: &[Arc<Tx>], flags: Flags) -> SignedFrame {
        let chain = &self.chain;
        let flags = if chain.opened { flags } else { flags.with(Flags::OPEN) };
        let insured: Vec<u128> = txs.iter().map(|t| t.insured).collect();
        let insured_cum = insured.iter().sum();
        let body = FrameBody {
            txs: txs.iter().map(|t| t.raw.clone()).collect(),
            insured: if insured_cum > 0 { insured } else { Vec::new() },
            env: flags.has(Flags::OPEN).then(|| self.env()),
            close: flags.has(Flags::CLOSE).then(|| self.close_body()),
            evidence: Vec::new(),
        };
        let digest = |bytes: Option<Vec<u8>>| bytes.map_or(B256::ZERO, keccak256);
        let header = FrameHeader {
            epoch: 1,
            term: chain.term,
            leader: 0,
            g: chain.g + 1,
            seq: u32::try_from(chain.g - chain.term_g).unwrap(),
            prev_hash: chain.prev,
            init_hash: B256::ZERO,
            height: chain.height,
            flags,
            timestamp_ms: self.time(),
            tx_count: u32::try_from(txs.len()).unwrap(),
            tx_root: body.root(),
            gas_cum: 0,
            exec_commit: B256::ZERO,
            insured_cum,
            env_hash: digest(body.env.as_ref().map(Encode::encode)),
            close_hash: digest(body.close.as_ref().map(Encode::encode)),
        };
        SignedFrame::sign(header, body, &self.seq, &self.domain)
    }

    fn close_body(&self) -> Close {
        Close {
            generation: 0,
            epoch: 1,
            height: self.chain.height,
            parent_id: self.chain.parent,
            term: Term { height: 1, round: 0 },
            closer: 0,
            cursor: 0,
            window_left: 1,
            jailed_bitmap_hash: B256::ZERO,
            evidence_root: B256::ZERO,
            next_set_hash: B256::ZERO,
            insured_total: 0,
            exec_lag_height: 0,
            exec_lag_root: B256::ZERO,
            history_root: B256::ZERO,
        }
    }

    fn note(&mut self, frame: &SignedFrame, hash: B256, txs: &[Arc<Tx>]) {
        let chain = &mut self.chain;
        let (g, height) = (frame.header.g, frame.header.height);
        if !chain.opened {
            (chain.opened, chain.first_g) = (true, g);
            chain.hashes.clear();
            chain.tx_hashes.clear();
        }
        chain.hashes.push(hash);
        chain.tx_hashes.extend(txs.iter().map(|t| t.hash));
        (chain.g, chain.prev) = (g, hash);
        let span =
            chain.span.get_or_insert(Span { first_g: g, first_height: height, ..Span::default() });
        (span.last_g, span.last_height) = (g, height);
    }

    fn end_height(&mut self, seal: bool) {
        let header = Header {
            env: self.env(),
            close: self.close_body(),
            first_g: self.chain.first_g,
            last_g: self.chain.g,
            txs_root: tx_root(&self.chain.tx_hashes, &[]),
            frames_root: hash_list_root(&self.chain.hashes),
            last_frame_hash: self.chain.prev,
        };
        let id = header.value_id(&self.domain);
        self.chain.parent = id;
        self.headers.insert(self.chain.height, header);
        self.chain.heights.push((self.chain.height, self.chain.g));
        self.chain.height += 1;
        self.chain.opened = false;
        if seal {
            let done = self.block.take().unwrap().seal(id).unwrap();
            let span = self.chain.span.take().unwrap();
            assert_eq!(self.view.open_span(), Some(span), "the view counts as the writer does");
            let block = Arc::new(BlockView::from_executed(&done, span));
            self.say(Said::Sealed(block, self.time()));
            self.head = done.head;
            self.chain.timestamp_s += 1;
        }
    }

    /// Another leader goes on in a term of its own, from the next height on.
    pub(crate) fn hand_over(&mut self, owner: Address) {
        assert!(!self.chain.opened, "between two heights");
        self.chain.term = Term { height: self.chain.height, round: 0 };
        (self.chain.term_g, self.chain.owner) = (self.chain.g, owner);
    }

    /// A height with everything that waits, sealed and decided.
    pub(crate) fn whole_block(&mut self) {
        self.frame();
        self.close(true);
        self.decide();
    }

    /// A round change takes back every frame above `g`.
    pub(crate) fn rewind(&mut self, g: u64, reason: &'static str) {
        let back = self.say(Said::Rewound(g, reason, self.time()));
        let mark = self.marks.remove(&g).unwrap();
        self.marks.split_off(&g);
        self.block = mark.block.map(|(mut block, at)| {
            block.restore(&at).unwrap();
            block
        });
        (self.head, self.chain) = (mark.head, mark.chain);
        // What was decided since stays so.
        self.chain.heights.retain(|(height, _)| !self.stored.contains_key(height));
        let senders: Vec<_> = back.iter().map(|t| t.sender).collect();
        assert!(self.door.intake().put_back(back, self.time()).is_empty());
        for sender in senders {
            let account = self.view.pending_account(&sender);
            self.door.intake().account_changed(sender, account.nonce, account.balance);
        }
    }

    pub(crate) fn backend(&self, config: RpcConfig) -> Backend {
        let door = self.door.clone();
        let now = self.now.clone();
        Backend {
            view: self.view.clone(),
            submit: Arc::new(move |tx| door.submit(tx)),
            set_proofs: None,
            info: Arc::new(facts::Facts { door: self.door.clone() }),
            now: Arc::new(move || now.load(Ordering::SeqCst)),
            config,
        }
    }

    pub(crate) fn methods(&self) -> jsonrpsee::Methods {
        methods(self.backend(RpcConfig::default())).unwrap()
    }
}
