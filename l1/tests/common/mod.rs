//! A real chain (anvil, from `contracts/node_modules`), keys and certified batches.

use alloy::network::EthereumWallet;
use alloy::providers::{Provider, ProviderBuilder};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256, b256, keccak256};
use rota_l1::{
    BatchPost, BlobSource, Contracts, Council, DeployParams, Fees, L1, L1Rules, MemoryJournal,
    MemoryL1, MemoryParams, OperatorKeys, Outcome, Policy, RpcConfig, RpcL1, RpcSender, TxManager,
    TxRequest, deploy, freeze_request, lay_ground, register_request, registration,
};
use rota_types::{
    Bitmap, Close, CommitCertificate, Domain, Env, Header, SeqKey, SignedVote, Term, Vote, VoteKey,
    VoteKind,
};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) const L1_CHAIN: u64 = 31_337;
pub(crate) const L2_CHAIN: u64 = 70_700;
/// Of a first block with the hash 6e6e.. and no parameters.
pub(crate) const GENESIS: B256 =
    b256!("0x21b062bfa6ba32185d46b3418d4ce49bcc2f6be95978e4728693fe537fddd1dd");
pub(crate) const GENESIS_BLOCK: B256 = B256::repeat_byte(0x6e);
pub(crate) const OPERATORS: usize = 4;

/// Short epochs and waits.
pub(crate) fn rules() -> L1Rules {
    L1Rules {
        epoch_blocks: 20,
        unbond_epochs: 3,
        evidence_epochs: 2,
        fallback_blocks: 60,
        roll_call_blocks: 10,
        forced_fee: 1_000_000,
        forced_gas_price: 10,
        checkpoint_blocks: 5,
        output_final_blocks: 2,
        output_window_blocks: 4,
        output_bond: 1_000_000_000_000_000_000,
        maturity_s: 60,
        ..L1Rules::default()
    }
}

/// A running anvil; ends with the value.
pub(crate) struct Anvil {
    child: Child,
    pub(crate) url: String,
    log: PathBuf,
}

impl Anvil {
    /// None, with a message, if the binary is not installed.
    pub(crate) async fn start(name: &str) -> Option<Self> {
        let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
            ("macos", "aarch64") => "darwin-arm64",
            ("macos", _) => "darwin-amd64",
            (_, "aarch64") => "linux-arm64",
            _ => "linux-amd64",
        };
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/node_modules");
        let binary = modules.join(format!("@foundry-rs/anvil-{platform}/bin/anvil"));
        if !binary.exists() {
            eprintln!("SKIPPED: {} is missing; run `npm ci` in contracts/", binary.display());
            return None;
        }
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("anvil-{name}.log"));
        let child = Command::new(binary)
            .args(["--port", "0", "--enable-tx-gas-limit", "--slots-in-an-epoch", "1"])
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut anvil = Self { child, url: String::new(), log };
        anvil.url = anvil.listening().await;
        Some(anvil)
    }

    async fn listening(&self) -> String {
        let said = async {
            loop {
                let text = std::fs::read_to_string(&self.log).unwrap();
                let found = text.lines().find_map(|l| l.strip_prefix("Listening on "));
                if let Some(address) = found.filter(|_| text.ends_with('\n')) {
                    return format!("http://{}", address.trim());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), said).await.expect("anvil does not listen")
    }

    pub(crate) fn provider(&self) -> impl Provider + Clone + use<> {
        let wallet = EthereumWallet::from(account(0));
        ProviderBuilder::new().wallet(wallet).connect_http(self.url.parse().unwrap())
    }

    /// Of the next block.
    pub(crate) async fn base_fee(&self, wei: u64) {
        let set = "anvil_setNextBlockBaseFeePerGas".into();
        let _: () = self.provider().raw_request(set, (U256::from(wei),)).await.unwrap();
    }

    pub(crate) async fn mine(&self, blocks: u64) {
        let _: () = self.provider().raw_request("anvil_mine".into(), (blocks,)).await.unwrap();
    }

    pub(crate) async fn reorg(&self, depth: u64) {
        let none: Vec<()> = Vec::new();
        let _: () = self.provider().raw_request("anvil_reorg".into(), (depth, none)).await.unwrap();
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The dev accounts of anvil, by their well-known keys.
pub(crate) fn account(i: usize) -> PrivateKeySigner {
    const KEYS: [&str; 6] = [
        "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
        "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
        "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
        "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
        "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
        "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    ];
    KEYS[i].parse().unwrap()
}

/// A member of the council.
pub(crate) fn member(i: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256([b"member".as_slice(), &[i]].concat())).unwrap()
}

pub(crate) fn ether() -> U256 {
    U256::from(10u64).pow(U256::from(18u64))
}

/// The hot keys of the operators.
pub(crate) struct Keys {
    pub(crate) votes: Vec<VoteKey>,
    pub(crate) seqs: Vec<SeqKey>,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let seeds = 1..=u8::try_from(OPERATORS + 2).unwrap();
        Self {
            votes: seeds.clone().map(|i| VoteKey::from_secret(&[i; 32]).unwrap()).collect(),
            seqs: seeds.map(|i| SeqKey::from_seed(&[i; 32])).collect(),
        }
    }

    /// The registration of dev account `i`, with the keys of the same place.
    pub(crate) fn registration(
        &self,
        domain: &Domain,
        i: usize,
    ) -> rota_l1::bindings::Registry::Registration {
        let owner = account(i).address();
        let keys = OperatorKeys { seq: &self.seqs[i - 1], vote: &self.votes[i - 1] };
        registration(domain, owner, keys, owner, "/ip4/127.0.0.1/udp/9000/quic-v1")
    }

    /// Heights `from..=header.height()`, certified by the first `signers`.
    pub(crate) fn post(
        &self,
        domain: &Domain,
        from: u64,
        header: Header,
        signers: usize,
    ) -> BatchPost {
        let vote = Vote {
            epoch: header.close.epoch,
            height: header.height(),
            round: 0,
            kind: VoteKind::Precommit,
            value_id: header.value_id(domain),
        };
        let sign = |(i, key)| SignedVote::sign(vote.clone(), i, key, domain).signature;
        let certificate = CommitCertificate {
            epoch: vote.epoch,
            height: vote.height,
            round: vote.round,
            value_id: vote.value_id,
            signers: Bitmap::of(0..u16::try_from(signers).unwrap()),
            signatures: (0u16..).zip(&self.votes).take(signers).map(sign).collect(),
        };
        let payload = vec![7; 1000].into();
        BatchPost { from_height: from, repost: false, header, certificate, payload }
    }
}

pub(crate) fn header(height: u64) -> Header {
    let hash = |label: &str| keccak256(format!("{label} {height}"));
    Header {
        env: Env {
            timestamp_s: 1_700_000_000 + height,
            l1_number: height,
            l1_hash: hash("origin"),
            gas_limit: 30_000_000,
            prev_randao: hash("randao"),
            fee_vault: Address::repeat_byte(4),
        },
        close: Close {
            generation: 0,
            epoch: 0,
            height,
            parent_id: hash("parent"),
            term: Term { height, round: 0 },
            closer: 1,
            cursor: 2,
            window_left: 3,
            jailed_bitmap_hash: B256::ZERO,
            evidence_root: B256::ZERO,
            next_set_hash: B256::ZERO,
            insured_total: 4,
            exec_lag_height: 5,
            exec_lag_root: hash("execution"),
            history_root: hash("history"),
        },
        first_g: height,
        last_g: height + 1,
        txs_root: hash("transactions"),
        frames_root: hash("frames"),
        last_frame_hash: hash("last frame"),
    }
}

/// What the contracts are deployed with.
pub(crate) fn params() -> DeployParams {
    DeployParams {
        l2_chain_id: L2_CHAIN,
        genesis_hash: GENESIS,
        genesis_block: GENESIS_BLOCK,
        parameters: Bytes::new(),
        min_stake: ether(),
        min_operators: OPERATORS as u64,
        rules: rules(),
        seed: U256::ZERO,
    }
}

/// The contracts on a real chain.
pub(crate) struct Net {
    pub(crate) anvil: Anvil,
    pub(crate) contracts: Contracts,
    pub(crate) domain: Domain,
    pub(crate) keys: Keys,
    pub(crate) l1: RpcL1,
}

impl Net {
    /// Contracts, but no operators. Two endpoints, the first of which is dead.
    pub(crate) async fn deployed(name: &str) -> Option<Self> {
        let anvil = Anvil::start(name).await?;
        let (provider, deployer) = (anvil.provider(), account(0).address());
        let members = (0..8).map(|i| member(i).address()).collect();
        let council = Council::Members { members, threshold: 6 };
        let ground = lay_ground(&provider, deployer, &council).await.unwrap();
        let contracts = deploy(&provider, ground, &params()).await.unwrap();
        let domain = Domain::new(L1_CHAIN, L2_CHAIN, contracts.registry, GENESIS, 0);
        let dead = "http://127.0.0.1:9".to_string();
        let l1 = RpcL1::new(RpcConfig {
            urls: vec![dead.clone(), anvil.url.clone()],
            blob_sources: vec![
                BlobSource::Execution { url: dead },
                BlobSource::Execution { url: anvil.url.clone() },
            ],
            registry: contracts.registry,
            inbox: contracts.inbox,
            timeout: Duration::from_secs(60),
        });
        Some(Self { anvil, contracts, domain, keys: Keys::new(), l1: l1.unwrap() })
    }

    /// Contracts with four operators and the frozen set.
    pub(crate) async fn running(name: &str) -> Option<Self> {
        let net = Self::deployed(name).await?;
        for i in 1..=OPERATORS {
            let r = net.keys.registration(&net.domain, i);
            let joined = net.send(i, register_request(net.contracts.registry, r, ether())).await;
            assert!(joined.inclusion.success, "operator {i}");
        }
        let frozen = net.send(0, freeze_request(net.contracts.registry, 0)).await;
        assert!(frozen.inclusion.success);
        Some(net)
    }

    pub(crate) fn manager(
        &self,
        i: usize,
        journal: MemoryJournal,
        policy: Policy,
    ) -> TxManager<RpcSender, MemoryJournal> {
        let sender = RpcSender::new(self.l1.endpoints(), account(i), L1_CHAIN);
        TxManager::open(sender, journal, policy).unwrap()
    }

    /// Sends from dev account `i` and takes the first inclusion.
    pub(crate) async fn send(&self, i: usize, request: TxRequest) -> Outcome {
        let policy = Policy { confirmations: 0, ..Policy::default() };
        let mut manager = self.manager(i, MemoryJournal::default(), policy);
        manager.submit(request).unwrap();
        let done = manager.finish(Duration::from_millis(20));
        tokio::time::timeout(Duration::from_secs(120), done).await.expect("not mined").unwrap()
    }

    pub(crate) async fn submit(&self, post: &BatchPost) -> Outcome {
        self.send(5, post.request(self.contracts.inbox).unwrap()).await
    }

    /// The chain in memory with the same domain, operators and height.
    pub(crate) async fn twin(&self) -> MemoryL1 {
        let head = self.l1.block(rota_l1::At::Latest).await.unwrap().unwrap().number;
        let mut params = MemoryParams::new(self.domain.clone(), self.contracts.inbox);
        params.fees = Fees { max_fee: 1, tip: 1, blob_fee: 1 };
        let twin = MemoryL1::new(params, self.l1.operators(head).await.unwrap());
        while twin.mine().number < head {}
        twin
    }
}
