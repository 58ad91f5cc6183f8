//! The oracle on a real chain: agreement, contradiction, and a council of eight behind a real Safe.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    dead_code,
    reason = "a test fails by panicking; the fixture serves others too"
)]

mod common;

use alloy::signers::SignerSync;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use common::{Anvil, GENESIS_BLOCK, Net, account, ether, header, member};
use rota_l1::bindings::Safe;
use rota_l1::{
    Council, Court, L1Error, Output, Outputs, TxRequest, checkpoint_request, claim_output_request,
    collect_bond_request, lay_ground, load_kzg, propose_request, resolve_request,
    settle_bond_request,
};

/// Whole transactions, measured and a tenth more.
const GAS: [(&str, u64); 7] = [
    ("checkpoint", 117_000),
    ("bond", 124_000),
    ("first claim", 150_000),
    ("second equal claim", 216_000),
    ("contradiction", 210_000),
    ("resolve by six of eight", 228_000),
    ("settle", 116_000),
];

struct World {
    net: Net,
    outputs: Outputs,
    domain: B256,
}

impl World {
    async fn new(name: &str) -> Option<Self> {
        let net = Net::running(name).await?;
        let outputs = Outputs::new(net.l1.endpoints(), net.contracts.oracle);
        let domain = outputs.domain().await.unwrap();
        Some(Self { net, outputs, domain })
    }

    /// What stake can be taken for.
    async fn agreed(&self, l2_block: u64) -> Option<B256> {
        let court = Court::new(self.net.l1.endpoints(), self.net.contracts.slasher);
        assert_eq!(court.oracle().await.unwrap(), Some(self.net.contracts.oracle));
        court.agreed(l2_block).await.unwrap()
    }

    async fn send(&self, i: usize, request: TxRequest, what: &str) {
        let done = self.net.send(i, request).await.inclusion;
        assert!(done.success, "{what}");
        eprintln!("gas of {what}: {}", done.gas_used);
        let most = GAS.iter().find(|(name, _)| *name == what).map_or(u64::MAX, |(_, gas)| *gas);
        assert!(done.gas_used <= most, "{what}: {}", done.gas_used);
    }

    /// A checkpoint whose L1 block is final, and what is right for it.
    async fn step(&self, step: u64) -> (Output, B256) {
        self.net.anvil.mine(6).await;
        self.send(0, checkpoint_request(self.net.contracts.oracle), "checkpoint").await;
        self.net.anvil.mine(2).await;
        let at = self.outputs.checkpoint(step).await.unwrap().unwrap();
        let block = keccak256(step.to_be_bytes());
        let output = Output {
            step,
            parent: self.outputs.output_of(step - 1).await.unwrap(),
            l2_block: step * 10,
            l2_hash: block,
            height: step * 40,
            value_id: keccak256(block),
        };
        (output, output.hash(self.domain, &at))
    }

    async fn bond(&self, i: usize, slot: usize, output: &Output, what: &str) {
        let slot = self.net.contracts.oracle_slots[slot];
        self.send(i, propose_request(slot, output, ether()), what).await;
    }

    async fn claim(&self, slot: usize, output: &Output, what: &str) {
        let slot = self.net.contracts.oracle_slots[slot];
        let oracle = self.net.contracts.oracle;
        self.send(2, claim_output_request(oracle, slot, output, Bytes::new()), what).await;
    }

    /// The council's transaction, signed by six members.
    async fn resolution(&self, output: &Output) -> TxRequest {
        let call = resolve_request(self.net.contracts.oracle, output);
        let safe = Safe::new(self.net.contracts.council, self.net.anvil.provider());
        let nonce = safe.nonce().call().await.unwrap();
        let (zero, none) = (U256::ZERO, Address::ZERO);
        let hash = safe
            .getTransactionHash(
                call.to,
                zero,
                call.input.clone(),
                0,
                zero,
                zero,
                zero,
                none,
                none,
                nonce,
            )
            .call()
            .await
            .unwrap();
        let mut members: Vec<_> = (0..6).map(member).collect();
        members.sort_by_key(alloy::signers::local::PrivateKeySigner::address);
        let signatures: Vec<u8> =
            members.iter().flat_map(|m| m.sign_hash_sync(&hash).unwrap().as_bytes()).collect();
        let run = safe.execTransaction(
            call.to,
            zero,
            call.input,
            0,
            zero,
            zero,
            zero,
            none,
            none,
            signatures.into(),
        );
        let input = run.calldata().clone();
        TxRequest { to: *safe.address(), input, value: zero, gas_limit: 1_000_000, payload: None }
    }
}

#[tokio::test]
async fn two_bonded_claims_prove_a_block_and_a_contradiction_goes_to_the_council() {
    let Some(w) = World::new("oracle").await else { return };
    load_kzg().await.unwrap();
    let view = w.outputs.view().await.unwrap();
    assert_eq!((view.tip.step, view.tip.l2_hash, view.open), (0, GENESIS_BLOCK, None));
    assert_eq!(view.council, (w.net.contracts.council, true));
    assert_eq!(view.slots.iter().map(|s| s.bonds).collect::<Vec<_>>(), [Some((ether(), 4)); 2]);
    assert_eq!(w.outputs.rules().await.unwrap(), (5, 2));
    assert!(view.slots.iter().all(|s| s.basis.contains("bonded")));

    agree(&w).await;
    assert!(w.net.submit(&w.net.keys.post(&w.net.domain, 1, header(3), 3)).await.inclusion.success);
    contradict(&w).await;
}

async fn agree(w: &World) {
    let (output, hash) = w.step(1).await;
    w.bond(0, 0, &output, "first bond").await;
    w.bond(1, 1, &output, "bond").await;
    let bonded = w.outputs.bonded(&w.net.contracts.oracle_slots, (0, u64::MAX)).await.unwrap();
    assert_eq!(bonded.iter().map(|b| b.hash).collect::<Vec<_>>(), [hash; 2]);
    assert_eq!(bonded.iter().map(|b| b.output).collect::<Vec<_>>(), [output; 2]);
    w.net.anvil.mine(4).await;
    w.claim(0, &output, "first claim").await;
    let open = w.outputs.view().await.unwrap().open.unwrap();
    assert_eq!((open.step, open.candidates, open.disputed), (1, 1, false));
    w.claim(1, &output, "second equal claim").await;
    let view = w.outputs.view().await.unwrap();
    assert_eq!((view.tip.step, view.tip.output, view.tip.l2_hash), (1, hash, output.l2_hash));
    assert_eq!(w.agreed(output.l2_block).await, Some(output.l2_hash));
    let done = w.outputs.finalized(0, u64::MAX).await.unwrap();
    assert_eq!(done.iter().map(|f| (f.hash, f.by_council)).collect::<Vec<_>>(), [(hash, false)]);
    let slot = w.net.contracts.oracle_slots[0];
    assert!(!w.outputs.is_settled(slot, hash).await.unwrap());
    w.send(2, settle_bond_request(slot, &output), "settle").await;
    assert!(w.outputs.is_settled(slot, hash).await.unwrap());
    assert_eq!(w.outputs.credit(slot, account(0).address()).await.unwrap(), ether());
    w.send(0, collect_bond_request(slot), "collect").await;
    let at = w.outputs.view().await.unwrap().block;
    w.net.anvil.mine(2).await;
    let (l1_block, proven) = w.outputs.proven().await.unwrap().unwrap();
    assert_eq!((l1_block, proven.step, proven.l2_hash), (at, 1, output.l2_hash));
}

#[tokio::test]
async fn a_council_that_is_no_contract_is_refused() {
    let Some(anvil) = Anvil::start("oracle-council").await else { return };
    let nobody = Address::repeat_byte(0xc0);
    let council = Council::Safe(nobody);
    let done = lay_ground(&anvil.provider(), account(0).address(), &council).await;
    let Err(L1Error::Config(why)) = done else { panic!("{done:?}") };
    assert!(why.contains(&nobody.to_string()), "{why}");
}

async fn contradict(w: &World) {
    let (output, hash) = w.step(2).await;
    let wrong = Output { l2_hash: B256::repeat_byte(9), ..output };
    w.bond(0, 0, &wrong, "bond").await;
    w.bond(1, 0, &output, "contradiction").await;
    let open = w.outputs.view().await.unwrap().open.unwrap();
    assert_eq!((open.candidates, open.disputed), (1, true));
    let bonded = w.outputs.bonded(&w.net.contracts.oracle_slots[..1], (0, u64::MAX)).await.unwrap();
    assert_eq!(bonded.iter().map(|b| b.contested).collect::<Vec<_>>(), [false, true, true]);
    let wrong_hash = bonded[1].hash;
    let known = async |hash| w.outputs.is_candidate(2, hash).await.unwrap();
    assert_eq!((known(hash).await, known(wrong_hash).await), (true, false));
    // The first that a slot stood for stays the one that is named, whatever it is shown later.
    w.claim(0, &wrong, "the other claim").await;
    assert_eq!((known(hash).await, known(wrong_hash).await), (true, true));
    let first = w.outputs.claimed(2, w.net.contracts.oracle_slots[0]).await.unwrap();
    assert_eq!((first, w.outputs.view().await.unwrap().open.unwrap().candidates), (hash, 2));
    // Nobody is asked for: that is not everybody.
    assert_eq!(w.outputs.bonds(&[], (0, u64::MAX)).await.unwrap().0, []);
    let decided = w.resolution(&output).await;
    w.send(3, decided, "resolve by six of eight").await;
    assert_eq!(w.outputs.view().await.unwrap().tip.output, hash);
    assert_eq!(w.agreed(output.l2_block).await, None, "people chose it");
    assert!(w.outputs.finalized(0, u64::MAX).await.unwrap().last().unwrap().by_council);
    let slot = w.net.contracts.oracle_slots[0];
    w.send(2, settle_bond_request(slot, &wrong), "settle").await;
    assert_eq!(
        w.outputs.credit(slot, account(1).address()).await.unwrap(),
        ether() / U256::from(2)
    );
}
