//! The compiled contracts in a virtual machine in this process: what they accept is what L1 would.
//!
//! Not for: the node's L1 client (that has a real anvil). Invariant: the bytecode is the committed one, the set is
//! registered and frozen by its own calls, with proofs by real keys.

mod chain;
mod claims;
mod ed25519;
mod warranty;

pub use chain::{Chain, Refused};
pub use ed25519::{Ed25519, Signed};
pub use warranty::OFFER;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolConstructor, SolValue, sol};
use rota_types::{Domain, Encode, Evidence, SeqKey, ValidatorSet, VoteKey};

sol! {
    struct Terms {
        uint64 l2ChainId;
        bytes32 genesisHash;
        uint96 minStake;
        uint16 minOperators;
        uint16 maxShareBps;
        uint32 epochBlocks;
        uint32 unbondEpochs;
        uint32 evidenceEpochs;
        address edVerifier;
        address slasher;
        address inbox;
    }
    struct Registration {
        bytes32 seqKey;
        address voteKey;
        address feeRecipient;
        bytes peer;
        bytes32 seqR;
        bytes32 seqS;
        bytes voteSig;
    }
    struct InboxRules {
        uint64 fallbackBlocks;
        uint64 rollCallBlocks;
        uint64 forcedWindow;
    }
    struct Judged {
        uint8 kind;
        uint8 class;
        uint256 operator;
        bytes32 key;
        bool processed;
    }
    function register(Registration r) external payable returns (uint256 operator);
    function freezeSet(uint64 epoch) external;
    function member(uint64 epoch, uint256 index) external view returns (uint256 operator, address voteKey, bytes32 seqKey, uint256 weightGwei);
    function check(bytes evidence) external view returns (Judged v);
    function report(bytes evidence) external;
    function offenceOf(bytes32 key) external view returns (uint256);
    function stateOf(uint256 operator) external view returns (uint8);
}

mod ctor {
    use super::{InboxRules, Terms, sol};
    sol! {
        contract Registry { constructor(Terms t); }
        contract Two { constructor(address a, address b); }
        contract One { constructor(address a); }
        contract Checker { constructor(address registry, address inbox, address verifier, address oracle); }
        contract Queue { constructor(address pool, uint256 minFee, uint256 gasPrice); }
        contract Inbox { constructor(address registry, address verifier, address forced, address portal, InboxRules rules); }
        contract Slasher { constructor(address registry, address checker, address claims, uint64 reveal, uint64 contest, uint64 claimsBlocks); }
    }
}

/// What the contract says of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnChain {
    /// The kind.
    pub kind: u8,
    /// The class.
    pub class: u8,
    /// The operator; with a set frozen in order of registration, its index.
    pub operator: U256,
    /// The offence key.
    pub key: B256,
    /// Whether all of it was slashed for.
    pub processed: bool,
}

/// An L1 with the contracts and a frozen set.
#[derive(Debug, Clone)]
pub struct Court {
    chain: Chain,
    registry: Address,
    slasher: Address,
    warranty: Address,
}

const DEPLOYER: Address = Address::repeat_byte(0xd0);
/// Stands for the oracle: tells what `Court::agree` told it.
const ORACLE: Address = Address::repeat_byte(0xf0);
const REPORTER: Address = Address::repeat_byte(0xe0);

impl Court {
    /// Deploys everything, registers the members with their keys and freezes the set, which must be of epoch 0. The registry is put where the
    /// domain says that it is.
    pub fn new(
        set: &ValidatorSet,
        domain: &Domain,
        keys: impl Fn(u16) -> (SeqKey, VoteKey),
    ) -> Self {
        let mut chain = Chain::new(domain.l1_chain_id);
        let no_args: Vec<u8> = Vec::new();
        let ed = chain.deploy(DEPLOYER, "Ed25519Verifier", &no_args);
        let slasher = chain.created(DEPLOYER, 6);
        let inbox = chain.created(DEPLOYER, 3);
        let terms = Terms {
            l2ChainId: domain.l2_chain_id,
            genesisHash: domain.genesis_hash,
            minStake: 1_000_000_000_000_000_000u64.try_into().unwrap(),
            minOperators: 1,
            maxShareBps: 10_000,
            epochBlocks: 1_000,
            unbondEpochs: 60,
            evidenceEpochs: 56,
            edVerifier: ed,
            slasher,
            inbox,
        };
        let made = chain.deploy(
            DEPLOYER,
            "Registry",
            &ctor::Registry::constructorCall { t: terms }.abi_encode(),
        );
        chain.rename(made, domain.registry);
        let registry = domain.registry;
        let verifier = chain.deploy(DEPLOYER, "EcdsaCertificateVerifier", &registry.abi_encode());
        let queue = ctor::Queue::constructorCall {
            pool: DEPLOYER,
            minFee: U256::ZERO,
            gasPrice: U256::ZERO,
        };
        let queue = chain.deploy(DEPLOYER, "ForcedQueue", &queue.abi_encode());
        let rules = InboxRules { fallbackBlocks: 1_000, rollCallBlocks: 100, forcedWindow: 3_600 };
        let portal = Address::ZERO;
        let args =
            ctor::Inbox::constructorCall { registry, verifier, forced: queue, portal, rules };
        assert_eq!(
            chain.deploy(DEPLOYER, "Inbox", &args.abi_encode()),
            inbox,
            "the inbox is where the registry expects it"
        );
        let args = ctor::Checker::constructorCall { registry, inbox, verifier, oracle: ORACLE };
        let checker = chain.deploy(DEPLOYER, "EvidenceChecker", &args.abi_encode());
        let args = ctor::Two::constructorCall { a: registry, b: verifier };
        let claims = chain.deploy(DEPLOYER, "ClaimsChecker", &args.abi_encode());
        let args = ctor::Slasher::constructorCall {
            registry,
            checker,
            claims,
            reveal: 256,
            contest: 50,
            claimsBlocks: 50_400,
        };
        assert_eq!(
            chain.deploy(DEPLOYER, "Slasher", &args.abi_encode()),
            slasher,
            "the slasher is where the registry expects it"
        );
        let args = ctor::Two::constructorCall { a: registry, b: verifier };
        let warranty = chain.deploy(DEPLOYER, "Warranty", &args.abi_encode());
        let mut court = Self { chain, registry, slasher, warranty };
        court.register(set, domain, keys);
        court
    }

    fn register(
        &mut self,
        set: &ValidatorSet,
        domain: &Domain,
        keys: impl Fn(u16) -> (SeqKey, VoteKey),
    ) {
        for (index, v) in set.iter() {
            let (seq, vote) = keys(index);
            // The registry wants some account; who gets fees is no part of what is judged.
            let fees = if v.fee_recipient.is_zero() { v.vote_key } else { v.fee_recipient };
            let digest =
                domain.possession(v.owner, v.vote_key, &v.seq_key, fees, v.peer.as_bytes());
            let proof = seq.sign(&digest);
            let r = Registration {
                seqKey: v.seq_key.into(),
                voteKey: v.vote_key,
                feeRecipient: fees,
                peer: v.peer.clone().into_bytes().into(),
                seqR: B256::from_slice(&proof[..32]),
                seqS: B256::from_slice(&proof[32..]),
                voteSig: vote.sign(&domain.possession_vote(digest)).into(),
            };
            self.chain.give(v.owner, v.stake);
            self.chain
                .send(v.owner, self.registry, v.stake, &registerCall { r }.abi_encode())
                .expect("registers");
        }
        self.warrant(set);
        self.chain
            .send(
                DEPLOYER,
                self.registry,
                U256::ZERO,
                &freezeSetCall { epoch: set.epoch() }.abi_encode(),
            )
            .expect("freezes");
        for (index, v) in set.iter() {
            let call = memberCall { epoch: set.epoch(), index: U256::from(index) };
            let out = self.chain.call(self.registry, &call.abi_encode()).expect("a member");
            let m = memberCall::abi_decode_returns(&out).unwrap();
            assert_eq!(
                (m.voteKey, m.seqKey.0),
                (v.vote_key, v.seq_key),
                "member {index} is at its place"
            );
            assert_eq!(m.weightGwei, U256::from(v.power()), "weight of member {index}");
            assert_eq!(m.operator, U256::from(index));
        }
    }

    /// Slots agreed on the hash of a block.
    pub fn agree(&mut self, l2_block: u64, hash: B256) {
        self.chain.remember(ORACLE, U256::from(l2_block), hash.into());
    }

    /// What the contract says of these bytes, without effect.
    pub fn check(&mut self, evidence: &[u8]) -> Result<OnChain, Refused> {
        let call = checkCall { evidence: Bytes::copy_from_slice(evidence) };
        let out = self.chain.call(self.slasher, &call.abi_encode())?;
        let v = checkCall::abi_decode_returns(&out).unwrap();
        Ok(OnChain {
            kind: v.kind,
            class: v.class,
            operator: v.operator,
            key: v.key,
            processed: v.processed,
        })
    }

    /// Slashes for evidence.
    pub fn report(&mut self, evidence: &Evidence) -> Result<(), Refused> {
        let call = reportCall { evidence: evidence.encode().into() };
        self.chain.send(REPORTER, self.slasher, U256::ZERO, &call.abi_encode()).map(drop)
    }

    /// Whether an operator is jailed.
    pub fn jailed(&mut self, operator: u64) -> bool {
        const JAILED: u8 = 6;
        let call = stateOfCall { operator: U256::from(operator) };
        let out = self.chain.call(self.registry, &call.abi_encode()).expect("a state");
        stateOfCall::abi_decode_returns(&out).unwrap() == JAILED
    }

    /// Ether that the slasher holds, wei.
    pub fn seized(&self) -> U256 {
        self.chain.balance(self.slasher)
    }
}
