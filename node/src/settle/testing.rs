//! A decided chain with its keys, the blocks that a sequencer makes of it, and an L1 in memory.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use rota_execution::{
    BlockEnv, ExecutedBlock, Head, base_fee_return, execute_block, genesis, prague_genesis,
    predeploys,
};
use rota_l1::{BatchPost, MemoryL1, MemoryParams};
use rota_store::{BlockBatch, Blocks, MemKv};
use rota_types::{
    Batch, BatchHeight, Bitmap, Close, CommitCertificate, Deposit, Domain, Env, Flags, ForcedTx,
    FrameBody, FrameHeader, Header, Mmr, SignedFrame, SignedVote, Term, Tx, Validator,
    ValidatorSet, Vote, VoteKey, VoteKind, due_deposits, forced_txs, tx_root, wire::DecidedHeight,
};
use std::sync::Arc;

pub(crate) const CHAIN: u64 = 42_069;
pub(crate) const GENESIS_S: u64 = 1_700_000_000;
pub(crate) const INBOX: Address = Address::repeat_byte(0x1b);

pub(crate) struct Chain {
    pub(crate) domain: Domain,
    pub(crate) genesis: Head,
    pub(crate) decided: Vec<DecidedHeight>,
    /// Heights that share an L1 origin.
    pub(crate) every: u64,
    /// What L1 forces in.
    pub(crate) forced: Vec<ForcedTx>,
    /// What users deposited there.
    pub(crate) deposits: Vec<Deposit>,
    /// What height 128 says that execution gave at height 64.
    pub(crate) lag: Option<B256>,
    keys: Vec<VoteKey>,
    parent: B256,
    history: Mmr,
    nonce: u64,
}

fn user() -> VoteKey {
    VoteKey::from_secret(&[0x55; 32]).unwrap()
}

/// Whom the sequencers would leave out.
fn outcast() -> VoteKey {
    VoteKey::from_secret(&[0x66; 32]).unwrap()
}

pub(crate) fn transfer(nonce: u64) -> Bytes {
    transfer_of(&user(), nonce)
}

/// A transfer of an account that only L1 hears.
pub(crate) fn forced(nonce: u64) -> Bytes {
    transfer_of(&outcast(), nonce)
}

fn transfer_of(key: &VoteKey, nonce: u64) -> Bytes {
    let tx = TxEip1559 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::repeat_byte(7)),
        value: U256::from(1_000),
        ..TxEip1559::default()
    };
    let sig = Signature::from_raw_array(&key.sign(&tx.signature_hash())).unwrap();
    TxEnvelope::from(tx.into_signed(sig)).encoded_2718().into()
}

/// A contract call of that account, and its address.
pub(crate) fn forced_call(
    nonce: u64,
    (to, value): (Address, U256),
    call: &impl alloy::sol_types::SolCall,
) -> (Bytes, Address) {
    let tx = TxEip1559 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 10_000_000_000,
        to: TxKind::Call(to),
        value,
        input: call.abi_encode().into(),
        ..TxEip1559::default()
    };
    let sig = Signature::from_raw_array(&outcast().sign(&tx.signature_hash())).unwrap();
    (TxEnvelope::from(tx.into_signed(sig)).encoded_2718().into(), outcast().address())
}

impl Chain {
    pub(crate) fn new() -> Self {
        let rich = GenesisAccount::default().with_balance(U256::from(10u64).pow(U256::from(20)));
        let accounts = [(user().address(), rich.clone()), (outcast().address(), rich)];
        let accounts = accounts.into_iter().chain(predeploys());
        let file = prague_genesis(CHAIN, GENESIS_S, 30_000_000, accounts);
        let genesis = genesis(&file).unwrap();
        let domain = Domain::new(1, CHAIN, Address::repeat_byte(0x9e), genesis.hash, 0);
        let keys = (1u8..=4).map(|i| VoteKey::from_secret(&[i; 32]).unwrap()).collect();
        let (parent, history) = (B256::ZERO, Mmr::default());
        let (decided, forced, deposits) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            domain,
            genesis,
            decided,
            every: 20,
            forced,
            deposits,
            lag: None,
            keys,
            parent,
            history,
            nonce: 0,
        }
    }

    /// `count` heights more, two in each second, each with one transfer and one transaction that fails.
    pub(crate) fn grow(mut self, count: u64) -> Self {
        for _ in 0..count {
            let height = self.last() + 1;
            let txs = vec![transfer(self.nonce), transfer(self.nonce + 90)];
            self.nonce += 1;
            let decided = self.height(height, txs);
            let id = decided.header.value_id(&self.domain);
            self.history.push(id);
            self.parent = id;
            self.decided.push(decided);
        }
        self
    }

    pub(crate) fn last(&self) -> u64 {
        u64::try_from(self.decided.len()).unwrap()
    }

    fn height(&self, height: u64, txs: Vec<Bytes>) -> DecidedHeight {
        let hashes: Vec<B256> = txs.iter().map(keccak256).collect();
        let close = Close {
            generation: 0,
            epoch: 0,
            height,
            parent_id: self.parent,
            term: Term { height, round: 0 },
            closer: u16::try_from(height / 2 % 4).unwrap(),
            cursor: height,
            window_left: 1,
            jailed_bitmap_hash: B256::ZERO,
            evidence_root: B256::ZERO,
            next_set_hash: B256::ZERO,
            insured_total: 0,
            exec_lag_height: self.named(height).map_or(0, |_| 64),
            exec_lag_root: self.named(height).unwrap_or_default(),
            history_root: self.history.root(),
        };
        let l1_number = (height - 1) / self.every;
        let env = Env {
            timestamp_s: GENESIS_S + height.div_ceil(2),
            l1_number,
            l1_hash: keccak256(l1_number.to_be_bytes()),
            gas_limit: 30_000_000,
            prev_randao: B256::repeat_byte(3),
            fee_vault: Address::repeat_byte(4),
        };
        let header = Header {
            env: env.clone(),
            close: close.clone(),
            first_g: height,
            last_g: height,
            txs_root: tx_root(&hashes, &[]),
            frames_root: keccak256(height.to_be_bytes()),
            last_frame_hash: B256::repeat_byte(9),
        };
        let id = header.value_id(&self.domain);
        let frame = FrameHeader {
            epoch: 0,
            term: close.term,
            leader: 0,
            g: height,
            seq: 0,
            prev_hash: B256::ZERO,
            init_hash: B256::ZERO,
            height,
            flags: Flags::OPEN.with(Flags::CLOSE),
            timestamp_ms: 0,
            tx_count: 2,
            tx_root: B256::ZERO,
            gas_cum: 0,
            exec_commit: B256::ZERO,
            insured_cum: 0,
            env_hash: B256::ZERO,
            close_hash: B256::ZERO,
        };
        let body = FrameBody { txs, env: Some(env), close: Some(close), ..FrameBody::default() };
        let frames = vec![SignedFrame { header: frame, signature: [0; 64], body }];
        DecidedHeight { header, certificate: self.certify(height, id), frames }
    }

    fn named(&self, height: u64) -> Option<B256> {
        self.lag.filter(|_| height == 128)
    }

    fn certify(&self, height: u64, value_id: B256) -> CommitCertificate {
        let vote = Vote { epoch: 0, height, round: 0, kind: VoteKind::Precommit, value_id };
        let sign = |(i, key): (u16, &VoteKey)| {
            SignedVote::sign(vote.clone(), i, key, &self.domain).signature
        };
        CommitCertificate {
            epoch: 0,
            height,
            round: 0,
            value_id,
            signers: Bitmap::of(0..3),
            signatures: (0u16..).zip(&self.keys).take(3).map(sign).collect(),
        }
    }

    pub(crate) fn validators(&self) -> Vec<Validator> {
        let validator = |k: &VoteKey| Validator {
            owner: k.address(),
            seq_key: k.address().into_word().0,
            vote_key: k.address(),
            stake: U256::from(10u64).pow(U256::from(18)),
            fee_recipient: k.address(),
            peer: String::new(),
        };
        self.keys.iter().map(validator).collect()
    }

    pub(crate) fn set(&self) -> ValidatorSet {
        ValidatorSet::new(0, self.validators())
    }

    pub(crate) fn l1(&self, finality_depth: u64) -> MemoryL1 {
        let params = MemoryParams::new(self.domain.clone(), INBOX);
        let l1 = MemoryL1::new(MemoryParams { finality_depth, ..params }, self.validators());
        l1.mine();
        l1
    }

    /// A store that has decided heights up to `upto`.
    pub(crate) fn store(&self, upto: u64) -> Blocks {
        let store = Blocks::open(Arc::new(MemKv::default())).unwrap();
        self.decide(&store, 1, upto);
        store
    }

    pub(crate) fn decide(&self, store: &Blocks, from: u64, upto: u64) {
        let mut batch = BlockBatch::default();
        for h in from..=upto {
            let decided = self.at(h);
            batch.height(decided, decided.header.value_id(&self.domain));
        }
        store.commit(batch).unwrap();
    }

    pub(crate) fn at(&self, height: u64) -> &DecidedHeight {
        &self.decided[usize::try_from(height).unwrap() - 1]
    }

    /// A batch with the certificate of `to`, and the data that belongs to it.
    pub(crate) fn post(&self, from: u64, to: u64) -> BatchPost {
        let one = |h: u64| {
            let decided = self.at(h);
            let txs = decided.frames.iter().flat_map(|f| f.body.txs.clone()).collect();
            BatchHeight { header: decided.header.clone(), txs }
        };
        let heights = (from..=to).map(one).collect();
        let last = self.at(to);
        BatchPost {
            from_height: from,
            repost: false,
            header: last.header.clone(),
            certificate: last.certificate.clone(),
            payload: Batch { heights }.compress().unwrap().into(),
        }
    }

    /// Another value of height `to`, certified by the same members in the same round.
    pub(crate) fn second(&self, to: u64) -> BatchPost {
        let mut post = self.post(to, to);
        post.header.txs_root = B256::repeat_byte(0xee);
        post.certificate = self.certify(to, post.header.value_id(&self.domain));
        post
    }

    /// The blocks that the sequencers make: all heights of one second, executed at once.
    pub(crate) fn blocks(&self) -> Vec<ExecutedBlock> {
        let mut seconds: Vec<Vec<&DecidedHeight>> = Vec::new();
        for height in &self.decided {
            match seconds.last_mut() {
                Some(s) if s[0].header.env.timestamp_s == height.header.env.timestamp_s => {
                    s.push(height);
                }
                _ => seconds.push(vec![height]),
            }
        }
        let (mut head, mut after) = (self.genesis.clone(), 0);
        let execute = |heights: Vec<&DecidedHeight>| {
            let env = &heights[0].header.env;
            let raw = heights.iter().flat_map(|h| &h.frames).flat_map(|f| &f.body.txs);
            let mut txs = forced_txs(&self.forced, after, env.l1_number, CHAIN);
            let credited = due_deposits(&self.deposits, after, env.l1_number);
            after = env.l1_number;
            txs.extend(raw.map(|raw| Tx::decode(raw, CHAIN).unwrap()));
            let block_env = BlockEnv {
                number: head.header.number + 1,
                timestamp_s: env.timestamp_s,
                gas_limit: env.gas_limit,
                fee_recipient: env.fee_vault,
                prev_randao: env.prev_randao,
                parent_beacon_block_root: env.l1_hash,
                withdrawals: base_fee_return(&head.header, env.fee_vault)
                    .into_iter()
                    .chain(credited.iter().map(Deposit::withdrawal))
                    .collect(),
            };
            let last = heights.last().unwrap().header.value_id(&self.domain);
            let txs = txs.iter().map(|t| (&t.envelope, t.sender));
            let block = execute_block(&head, block_env, CHAIN, txs, last).unwrap();
            head = block.head.clone();
            block
        };
        seconds.into_iter().map(execute).collect()
    }
}
