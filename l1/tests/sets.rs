//! A life of the contracts on a real chain and in memory, step by step: both do the same and refuse by the same names.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

#[expect(dead_code, reason = "shared with the other tests against a real chain")]
mod common;

use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy_primitives::{Address, Bytes, U256};
use common::{GENESIS, L1_CHAIN, L2_CHAIN, Net, OPERATORS, account, ether, header, rules};
use rota_l1::{
    At, Fees, L1, L1Block, L1Error, MemoryJournal, MemoryL1, MemoryParams, OperatorKeys, Policy,
    Refusal, TurnKind, TxManager, TxRequest, activate_fallback_request, emergency_set_request,
    enqueue_request, exit_request, freeze_request, register_request, registration, rejoin_request,
    roll_call_request, rotate_request, top_up_request, uncertified_request, update_request,
    withdraw_request,
};
use rota_types::{Domain, Header};
use std::time::Duration;

/// The contracts and their model, at the same height.
struct Both {
    net: Net,
    twin: MemoryL1,
}

/// The chain in memory with the same domain, rules and height, without operators.
async fn twin(net: &Net) -> MemoryL1 {
    let head = net.l1.block(At::Latest).await.unwrap().unwrap().number;
    let params = MemoryParams {
        fees: Fees { max_fee: 1, tip: 1, blob_fee: 1 },
        rules: rules(),
        min_operators: OPERATORS,
        forced_queue: net.contracts.forced_queue,
        slasher: net.contracts.slasher,
        ..MemoryParams::new(net.domain.clone(), net.contracts.inbox)
    };
    let twin = MemoryL1::new(params, Vec::new());
    while twin.mine().number < head {}
    twin
}

impl Both {
    async fn start(name: &str) -> Option<Self> {
        let net = Net::deployed(name).await?;
        let twin = twin(&net).await;
        Some(Self { net, twin })
    }

    fn registry(&self) -> Address {
        self.net.contracts.registry
    }

    async fn head(&self) -> (L1Block, L1Block) {
        let real = self.net.l1.block(At::Latest).await.unwrap().unwrap();
        let model = self.twin.block(At::Latest).await.unwrap().unwrap();
        assert_eq!(real.number, model.number);
        (real, model)
    }

    async fn mine(&self, blocks: u64) {
        self.net.anvil.mine(blocks).await;
        (0..blocks).for_each(|_| {
            self.twin.mine();
        });
        self.head().await;
    }

    async fn mine_until(&self, number: u64) {
        let (head, _) = self.head().await;
        self.mine(number.checked_sub(head.number).unwrap()).await;
    }

    /// Dev account `i` sends it; it succeeds on both.
    async fn does(&self, i: usize, request: TxRequest) {
        assert!(self.net.send(i, request.clone()).await.inclusion.success, "{request:?}");
        let policy = Policy { confirmations: 0, ..Policy::default() };
        let sender = self.twin.sender(account(i).address());
        let mut manager = TxManager::open(sender, MemoryJournal::default(), policy).unwrap();
        manager.submit(request.clone()).unwrap();
        manager.poll().await.unwrap();
        self.twin.mine();
        let done = manager.finish(Duration::from_millis(1)).await.unwrap();
        assert!(done.inclusion.success, "in memory: {request:?}");
        self.head().await;
    }

    /// Both refuse it by this name.
    async fn refuses(&self, i: usize, request: TxRequest, why: Refusal) {
        let from = account(i).address();
        let call = TransactionRequest::default()
            .from(from)
            .to(request.to)
            .value(request.value)
            .input(request.input.clone().into());
        let error = self.net.anvil.provider().call(call).await.unwrap_err();
        let data = error.as_error_resp().and_then(|e| e.as_revert_data());
        assert_eq!(data.and_then(|d| Refusal::decode(&d)), Some(why.clone()), "{error}");
        assert_eq!(self.twin.dry_run(from, request), Err(L1Error::Refused(why)));
    }

    async fn refuses_by_name(&self, i: usize, request: TxRequest, name: &'static str) {
        let why = match name.split('_').next() {
            Some("Registry") => Refusal::Registry(name),
            Some("Forced") => Refusal::Forced(name),
            _ => Refusal::Inbox(name),
        };
        self.refuses(i, request, why).await;
    }

    fn keys(&self, i: usize) -> OperatorKeys<'_> {
        let (seqs, votes) = (&self.net.keys.seqs, &self.net.keys.votes);
        OperatorKeys { seq: seqs.get(i).unwrap(), vote: votes.get(i).unwrap() }
    }

    /// Dev account `i` joins with the keys of place `i - 1`.
    fn join(&self, i: usize) -> TxRequest {
        let owner = account(i).address();
        let r = registration(&self.net.domain, owner, self.keys(i - 1), owner, "/memory/1");
        register_request(self.registry(), r, ether())
    }

    /// Everything that can be asked about sets is answered alike.
    async fn agree(&self) {
        let (head, _) = self.head().await;
        let (real, model) = (&self.net.l1, &self.twin);
        let sets = real.frozen_sets(head.number).await.unwrap();
        assert_eq!(sets, model.frozen_sets(head.number).await.unwrap());
        for epoch in 0..sets.epochs.last().unwrap() + 2 {
            let set = real.validator_set(epoch, head.number).await.unwrap();
            assert_eq!(set, model.validator_set(epoch, head.number).await.unwrap(), "{epoch}");
            assert_eq!(set.is_some(), sets.epochs.contains(&epoch));
        }
        for number in (0..=head.number).step_by(7) {
            let epoch = real.epoch_at(number).await.unwrap();
            assert_eq!(epoch, model.epoch_at(number).await.unwrap());
            assert_eq!(epoch, sets.epoch_at(number));
        }
        let operators = real.operators(head.number).await.unwrap();
        assert_eq!(operators, model.operators(head.number).await.unwrap());
    }
}

#[tokio::test]
async fn operators_come_change_and_go_alike() {
    let Some(both) = Both::start("sets").await else { return };
    let registry = both.registry();
    for i in 1..=OPERATORS {
        both.refuses_by_name(0, freeze_request(registry, 0), "Registry_TooFewOperators").await;
        both.does(i, both.join(i)).await;
    }
    both.refuses_by_name(0, freeze_request(registry, 1), "Registry_EpochNotOpen").await;
    both.does(0, freeze_request(registry, 0)).await;
    both.agree().await;
    // In epoch 0: more stake, a fifth operator, new keys, one that leaves.
    both.refuses_by_name(2, top_up_request(registry, 0, ether()), "Registry_NotOwner").await;
    both.refuses_by_name(2, exit_request(registry, 9), "Registry_UnknownOperator").await;
    both.does(1, top_up_request(registry, 0, ether())).await;
    both.does(5, both.join(5)).await;
    let owner = account(2).address();
    let new = registration(&both.net.domain, owner, both.keys(5), owner, "/memory/2");
    both.does(2, rotate_request(registry, 1, new.clone())).await;
    let again = rotate_request(registry, 1, new);
    both.refuses_by_name(2, again, "Registry_SeqKeyUsed").await;
    both.does(1, update_request(registry, 0, owner, "/memory/3")).await;
    let none = update_request(registry, 0, Address::ZERO, "");
    both.refuses_by_name(1, none, "Registry_ZeroFeeRecipient").await;
    both.does(3, exit_request(registry, 2)).await;
    both.refuses_by_name(3, exit_request(registry, 2), "Registry_WrongState").await;
    both.refuses_by_name(3, rejoin_request(registry, 2), "Registry_WrongState").await;
    both.does(0, freeze_request(registry, 1)).await;
    both.refuses_by_name(0, freeze_request(registry, 1), "Registry_AlreadyFrozen").await;
    both.agree().await;
    let (head, _) = both.head().await;
    let sets = both.twin.frozen_sets(head.number).await.unwrap();
    both.mine_until(sets.start(1).unwrap()).await;
    both.does(0, freeze_request(registry, 2)).await;
    both.agree().await;
    let second = both.net.l1.validator_set(2, sets.start(1).unwrap() + 1).await.unwrap().unwrap();
    let owners: Vec<_> = second.iter().map(|(_, v)| v.owner).collect();
    assert_eq!(owners, [1, 2, 4, 5].map(|i| account(i).address()));
    assert_eq!(second.get(1).unwrap().seq_key, both.keys(5).seq.public());
    both.refuses_by_name(3, withdraw_request(registry, 2, owner), "Registry_Locked").await;
    both.mine_until(sets.start(2 + u64::from(rules().unbond_epochs)).unwrap()).await;
    both.does(3, withdraw_request(registry, 2, owner)).await;
    let gone = withdraw_request(registry, 2, owner);
    both.refuses_by_name(3, gone, "Registry_WrongState").await;
    both.agree().await;
}

/// A header of a generation and epoch, with its origin.
fn late_header(height: u64, generation: u32, epoch: u64, l1_number: u64) -> Header {
    let mut h = header(height);
    (h.close.generation, h.close.epoch, h.env.l1_number) = (generation, epoch, l1_number);
    h
}

#[tokio::test]
async fn forced_transactions_and_a_fallback_go_alike() {
    let Some(both) = Both::start("fallback").await else { return };
    let contracts = both.net.contracts;
    let (inbox, queue) = (contracts.inbox, contracts.forced_queue);
    for i in 1..=OPERATORS {
        both.does(i, both.join(i)).await;
    }
    both.does(0, freeze_request(both.registry(), 0)).await;
    let fee = U256::from(rules().forced_fee + 50_000 * rules().forced_gas_price);
    let forced = |fee| enqueue_request(queue, Bytes::from_static(b"forced"), 50_000, fee);
    both.refuses_by_name(5, forced(fee - U256::ONE), "Forced_Fee").await;
    let empty = enqueue_request(queue, Bytes::new(), 50_000, fee);
    both.refuses_by_name(5, empty, "Forced_Length").await;
    both.does(5, forced(fee)).await;
    let (real, model) = both.head().await;
    let entry = both.net.l1.forced(0, real).await.unwrap().pop().unwrap();
    let twin = both.twin.forced(0, model).await.unwrap().pop().unwrap();
    assert_eq!((entry.index, entry.gas, entry.sender), (0, 50_000, account(5).address()));
    assert_eq!((&entry.tx, entry.block), (&twin.tx, real));
    assert_eq!((twin.index, twin.gas, twin.sender), (0, 50_000, account(5).address()));
    // A height a day later that does not include it.
    let mut late = late_header(1, 0, 0, real.number - 1);
    late.env.timestamp_s = real.timestamp.max(model.timestamp) + 86_400;
    let overdue = Err(L1Error::Refused(Refusal::ForcedOverdue(0)));
    let post = both.net.keys.post(&both.net.domain, 1, late, 4);
    assert_eq!(both.net.l1.preflight(&post, Address::ZERO).await, overdue);
    assert_eq!(both.twin.preflight(&post, Address::ZERO).await, overdue);

    both.refuses_by_name(0, activate_fallback_request(inbox), "Inbox_NotStalled").await;
    both.refuses_by_name(1, roll_call_request(inbox, 0, 0), "Inbox_NoFallback").await;
    both.mine(rules().fallback_blocks).await;
    both.does(0, activate_fallback_request(inbox)).await;
    both.refuses_by_name(5, roll_call_request(inbox, 1, 0), "Inbox_NotOperator").await;
    both.refuses(1, roll_call_request(inbox, 2, 0), Refusal::WrongGeneration(2)).await;
    both.does(1, roll_call_request(inbox, 1, 0)).await;
    both.does(2, roll_call_request(inbox, 1, 1)).await;
    both.does(3, roll_call_request(inbox, 1, 2)).await;
    both.refuses_by_name(0, emergency_set_request(inbox), "Inbox_RollCallOpen").await;
    let (real, _) = both.head().await;
    let loose = late_header(3, 1, 0, real.number - 1);
    both.does(5, uncertified_request(inbox, 1, &loose, vec![7; 100].into()).unwrap()).await;
    both.mine(rules().roll_call_blocks).await;
    both.does(0, emergency_set_request(inbox)).await;
    both.refuses_by_name(0, emergency_set_request(inbox), "Inbox_RollCallOver").await;
    both.agree().await;
    ends_alike(&both, &loose).await;
}

/// The turns of the fallback, and the first certified batch after it.
async fn ends_alike(both: &Both, loose: &Header) {
    let (real, model) = both.head().await;
    let turns = both.net.l1.turns(0, real).await.unwrap();
    let twins = both.twin.turns(0, model).await.unwrap();
    let [begun, posted, formed] = turns.as_slice() else { panic!("{turns:?}") };
    assert_eq!(begun.what, TurnKind::Fallback { generation: 1 });
    let TurnKind::Uncertified(batch) = &posted.what else { panic!("{posted:?}") };
    assert_eq!((&batch.header, batch.from_height, batch.to_height), (loose, 1, 3));
    assert_eq!(both.net.l1.payload(batch).await.unwrap(), Bytes::from(vec![7; 100]));
    let TurnKind::EmergencySet { epoch, start, .. } = formed.what else { panic!("{formed:?}") };
    assert_eq!(
        twins.iter().map(|t| t.block.number).collect::<Vec<_>>(),
        [begun.block.number, posted.block.number, formed.block.number]
    );
    assert_eq!(twins.last().unwrap().what, formed.what);
    both.mine_until(start + 2).await;
    assert_eq!(both.net.l1.epoch_at(start).await.unwrap(), epoch);
    let registry = both.registry();
    let next = Domain::new(L1_CHAIN, L2_CHAIN, registry, GENESIS, 1);
    let cases = [
        (&next, late_header(9, 1, epoch, start), Ok(())),
        (&next, late_header(9, 1, 0, start), Err(Refusal::NoEmergencySet(epoch))),
        (&next, late_header(9, 1, epoch, start - 1), Err(Refusal::EpochAhead(start))),
        (&next, late_header(9, 1, epoch, start + 99), Err(Refusal::OriginAhead(start + 99))),
        (&both.net.domain, late_header(9, 0, 0, start), Err(Refusal::WrongGeneration(0))),
        (&both.net.domain, late_header(9, 1, epoch, start), Err(Refusal::BadSignature(0))),
    ];
    for (domain, header, want) in cases {
        let post = both.net.keys.post(domain, 7, header, 3);
        let want = want.map_err(L1Error::Refused);
        assert_eq!(both.net.l1.preflight(&post, Address::ZERO).await, want);
        assert_eq!(both.twin.preflight(&post, Address::ZERO).await, want);
    }
}
