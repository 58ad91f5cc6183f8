#![expect(clippy::arithmetic_side_effects, reason = "test code: an overflow fails it")]

use super::{core::CoreError, wire::VERSION, *};
use alloy_primitives::{Address, B256, U256};
use rota_types::{
    Ack, Decode, Domain, Encode, Evidence, EvidenceFile, Flags, FrameHeader, LocalSigner, Proof,
    SealedVote, SeqKey, SeqMessage, SignError, Signer, Status, Term, Validator, ValidatorSet, Vote,
    VoteKey, VoteKind, VoteMessage,
};
use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    sync::{Arc, Barrier},
    time::Duration,
};

fn domain() -> Domain {
    Domain::new(1, 2, Address::repeat_byte(3), B256::repeat_byte(4), 0)
}

fn keys() -> LocalSigner {
    LocalSigner::from_secrets(&[1; 32], &[2; 32]).unwrap()
}

/// Those that the operator changes to.
fn next_keys() -> LocalSigner {
    LocalSigner::from_secrets(&[3; 32], &[4; 32]).unwrap()
}

fn core(dir: &Path) -> Core {
    Core::open(dir, keys(), domain()).unwrap()
}

fn holder(node: u8, run: u8) -> Holder {
    Holder { node: [node; 32], incarnation: [run; 16] }
}

fn hello(who: &Holder, resumes: bool) -> Hello {
    let incarnation = who.incarnation;
    let vote = keys().vote.address();
    Hello { version: VERSION, ctx: domain().ctx(), vote, incarnation, resumes }
}

fn begin(core: &mut Core, who: Holder) -> Welcome {
    core.welcome(who, &hello(&who, false), false).unwrap()
}

fn refused<T: std::fmt::Debug>(said: Result<T, CoreError>, words: &str) {
    match said {
        Err(CoreError::Refused(why)) => assert!(why.contains(words), "{why}"),
        other => panic!("{other:?}"),
    }
}

fn vote(height: u64, value: u8) -> VoteMessage {
    let value_id = B256::repeat_byte(value);
    VoteMessage::Vote(Vote { epoch: 0, height, round: 0, kind: VoteKind::Prevote, value_id })
}

fn ack(height: u64, g: u64, frame: u8) -> SeqMessage {
    let (frame_hash, init_hash) = (B256::repeat_byte(frame), B256::ZERO);
    SeqMessage::Ack(Ack { epoch: 0, height, round: 0, signer: 0, g, frame_hash, init_hash })
}

fn status(height: u64, best_g: u64, best_round: i32) -> VoteMessage {
    let (best_hash, best_ref) = (B256::repeat_byte(9), B256::ZERO);
    VoteMessage::Status(Status {
        epoch: 0,
        height,
        round: 1,
        signer: 0,
        best_round,
        best_g,
        best_hash,
        best_ref,
    })
}

fn frame(after: Option<&FrameHeader>, content: u8) -> FrameHeader {
    let (seq, g, prev_hash) =
        after.map_or((0, 7, B256::ZERO), |f| (f.seq + 1, f.g + 1, f.hash(&domain())));
    let closed = after.is_some_and(|f| f.flags.has(Flags::CLOSE));
    FrameHeader {
        epoch: 0,
        term: Term { height: 5, round: 0 },
        leader: 0,
        g,
        seq,
        prev_hash,
        init_hash: B256::ZERO,
        height: after.map_or(5, |f| f.height + u64::from(closed)),
        flags: Flags::default(),
        timestamp_ms: 1,
        tx_count: 0,
        tx_root: B256::repeat_byte(content),
        gas_cum: 0,
        exec_commit: B256::ZERO,
        insured_cum: 0,
        env_hash: B256::ZERO,
        close_hash: B256::ZERO,
    }
}

fn sign_frame(core: &mut Core, who: &Holder, f: &FrameHeader) -> Result<(), CoreError> {
    core.sign_seq(who, &SeqMessage::Frame(f.clone())).map(drop)
}

#[test]
fn what_the_two_say_survives_encoding_and_nothing_is_longer_than_allowed() {
    let marks = vec![rota_store::Intent::Floor { height: 3 }];
    let welcome = Welcome { seq: [1; 32], vote: Address::repeat_byte(2), marks };
    for ask in [
        Ask::Hello(hello(&holder(1, 2), true)),
        Ask::Seq(SeqMessage::Frame(frame(None, 1))),
        Ask::Seq(ack(1, 2, 3)),
        Ask::Vote(vote(1, 2)),
        Ask::Vote(status(1, 2, 0)),
        Ask::Ping,
        Ask::Convict(contradiction(2, 1, &domain()).into()),
        Ask::Keys,
    ] {
        let bytes = ask.encode();
        assert!(bytes.len() < wire::MAX_ASK);
        assert_eq!(Ask::decode(&bytes).unwrap(), ask);
        assert!(Ask::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
    for answer in [
        Answer::Welcome(welcome),
        Answer::Refused("no".into()),
        Answer::Seq([3; 64]),
        Answer::Pong,
        Answer::Convicted,
        Answer::Keys(vec![Pair { seq: [4; 32], vote: Address::repeat_byte(5) }; 2]),
    ] {
        assert_eq!(Answer::decode(&answer.encode()).unwrap(), answer);
    }
}

#[test]
fn a_run_that_lost_its_place_never_gets_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut signer = core(dir.path());
    let (first, second) = (holder(1, 1), holder(1, 2));
    begin(&mut signer, first);
    signer.sign_vote(&first, &vote(3, 1)).unwrap();
    begin(&mut signer, second);
    refused(signer.sign_vote(&first, &vote(4, 1)), "took over");
    refused(signer.welcome(first, &hello(&first, true), false), "took over");
    signer.sign_vote(&second, &vote(4, 2)).unwrap();
    // Who holds the place is on disk: a new signer does not serve the old run either.
    drop(signer);
    let mut signer = core(dir.path());
    refused(signer.welcome(first, &hello(&first, true), false), "took over");
    signer.welcome(second, &hello(&second, true), false).unwrap();
    refused(signer.sign_vote(&second, &vote(4, 3)), "already signed");
}

#[test]
fn another_node_waits_for_the_first_to_leave_and_signs_above_it_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut signer = core(dir.path());
    let (first, other) = (holder(1, 1), holder(2, 2));
    begin(&mut signer, first);
    signer.sign_vote(&first, &vote(8, 1)).unwrap();
    signer.sign_seq(&first, &ack(8, 40, 1)).unwrap();
    refused(signer.welcome(other, &hello(&other, false), true), "stop it first");
    let told = begin(&mut signer, other);
    let marks = rota_store::Watermarks::of(&told.marks).unwrap();
    assert_eq!(marks.floor(), 9, "the node knows at once up to where it may not sign");
    refused(signer.sign_vote(&other, &vote(9, 2)), "what its guard does not know");
    signer.sign_vote(&other, &vote(10, 2)).unwrap();
}

#[test]
fn a_term_is_one_chain_from_its_first_frame_for_one_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut signer = core(dir.path());
    let (run, next) = (holder(1, 1), holder(1, 2));
    begin(&mut signer, run);
    let first = frame(None, 1);
    refused(sign_frame(&mut signer, &run, &frame(Some(&first), 1)), "first frames");
    sign_frame(&mut signer, &run, &first).unwrap();
    sign_frame(&mut signer, &run, &first).unwrap();
    refused(sign_frame(&mut signer, &run, &frame(None, 2)), "does not follow");
    let second = frame(Some(&first), 1);
    for spoil in [
        |f: &mut FrameHeader| f.g += 1,
        |f: &mut FrameHeader| f.seq += 1,
        |f: &mut FrameHeader| f.height += 1,
        |f: &mut FrameHeader| f.prev_hash = B256::ZERO,
        |f: &mut FrameHeader| f.init_hash = B256::repeat_byte(1),
    ] {
        let mut bad = second.clone();
        spoil(&mut bad);
        refused(sign_frame(&mut signer, &run, &bad), "does not follow");
    }
    let mut last = second;
    last.flags = Flags::CLOSE.with(Flags::TERM_END);
    sign_frame(&mut signer, &run, &last).unwrap();
    refused(sign_frame(&mut signer, &run, &frame(Some(&last), 1)), "does not follow");
    // The next run of the same node, and the next run of the signer, know nothing of the term.
    begin(&mut signer, next);
    refused(sign_frame(&mut signer, &next, &first), "earlier run");
    drop(signer);
    let mut signer = core(dir.path());
    signer.welcome(next, &hello(&next, true), false).unwrap();
    refused(sign_frame(&mut signer, &next, &first), "earlier run");
    refused(sign_frame(&mut signer, &next, &last), "first frames");
}

#[test]
fn a_report_that_hides_an_ack_or_a_vote_is_not_signed() {
    let dir = tempfile::tempdir().unwrap();
    let mut signer = core(dir.path());
    let run = holder(1, 1);
    begin(&mut signer, run);
    signer.sign_seq(&run, &ack(5, 30, 1)).unwrap();
    refused(signer.sign_vote(&run, &status(5, 29, 0)), "hides");
    refused(signer.sign_vote(&run, &status(5, 30, -1)), "hides");
    signer.sign_vote(&run, &status(5, 30, 0)).unwrap();
    signer.sign_vote(&run, &vote(6, 1)).unwrap();
    refused(signer.sign_vote(&run, &status(6, 99, -1)), "hides");
}

#[test]
fn another_network_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let mut signer = core(dir.path());
    let who = holder(1, 1);
    let other = Hello { ctx: B256::ZERO, ..hello(&who, false) };
    refused(signer.welcome(who, &other, false), "another network");
}

/// Two votes with this key in one place, as a file that names the set.
fn contradiction(secret: u8, seed: u8, named: &Domain) -> Vec<u8> {
    let key = VoteKey::from_secret(&[secret; 32]).unwrap();
    let sealed = |value: u8| {
        let VoteMessage::Vote(content) = vote(7, value) else { unreachable!() };
        SealedVote { signature: key.sign(&content.digest(named)), content }
    };
    let proof = Proof::VoteTwice(Box::new([sealed(1), sealed(2)]));
    let evidence = Evidence { generation: named.generation, epoch: 0, accused: 0, proof };
    let member = Validator {
        owner: Address::repeat_byte(1),
        seq_key: SeqKey::from_seed(&[seed; 32]).public(),
        vote_key: key.address(),
        stake: U256::from(32u64) * U256::from(10u64).pow(U256::from(18)),
        fee_recipient: Address::ZERO,
        peer: String::new(),
    };
    let file = EvidenceFile::of(&evidence, &ValidatorSet::new(0, vec![member]), named);
    serde_json::to_vec(&file).unwrap()
}

#[test]
fn a_signer_whose_key_contradicted_itself_never_signs_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut signer = core(dir.path());
    let (holding, stranger) = (holder(1, 1), holder(2, 1));
    begin(&mut signer, holding);
    // Its keys are from the seeds 1 and 2.
    refused(signer.convict(&holding, &contradiction(3, 1, &domain())), "about others");
    refused(signer.convict(&holding, &contradiction(2, 9, &domain())), "about others");
    let foreign = Domain::new(1, 99, Address::repeat_byte(3), B256::repeat_byte(4), 0);
    refused(signer.convict(&holding, &contradiction(2, 1, &foreign)), "another network");
    refused(signer.convict(&holding, b"{}"), "no evidence");
    let good = contradiction(2, 1, &domain());
    let mut text = String::from_utf8(good.clone()).unwrap();
    let at = text.find("\"evidence\":\"0x").unwrap() + 200;
    let other = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
    text.replace_range(at..=at, other);
    refused(signer.convict(&holding, text.as_bytes()), "no evidence");
    refused(signer.convict(&stranger, &good), "another process");
    signer.sign_vote(&holding, &vote(8, 1)).unwrap();

    let before = domain().of_generation(0);
    let said = signer.convict(&holding, &contradiction(2, 1, &before));
    let Err(CoreError::Convicted(file)) = said else { panic!("{said:?}") };
    refused(signer.sign_vote(&holding, &vote(9, 1)), "another process");
    drop(signer);
    let again = Core::open(dir.path(), keys(), domain());
    assert!(matches!(again, Err(CoreError::Convicted(kept)) if kept == file));
    let later = Core::open(dir.path(), keys(), domain().of_generation(1));
    assert!(matches!(later, Err(CoreError::Convicted(_))), "in no generation");
}

/// A signer in this process and the settings of a node for it.
struct Rig {
    dir: tempfile::TempDir,
    addr: String,
    public: [u8; 32],
}

impl Rig {
    fn node(&self, name: &str) -> Identity {
        Identity::open(&self.dir.path().join(name)).unwrap()
    }

    fn new(allowed: &[&str]) -> Self {
        Self::with(allowed, vec![keys()])
    }

    fn with(allowed: &[&str], pairs: Vec<LocalSigner>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let identity = Identity::open(dir.path()).unwrap();
        let rig = Self { public: identity.public(), addr, dir };
        let allowed = allowed.iter().map(|name| rig.node(name).public()).collect();
        std::fs::create_dir(rig.dir.path().join("sign-state")).unwrap();
        let guards = rig.dir.path().join("sign-state");
        let open = |keys| Core::open(&guards, keys, domain()).unwrap();
        let (server, ended) = Server::new(pairs.into_iter().map(open).collect(), identity, allowed);
        crate::clock::spawn("test-signer", move || serve(listener, server, &ended)).unwrap();
        rig
    }

    fn remote(&self, ms: u64) -> Remote {
        let patience = Duration::from_millis(ms);
        Remote { addr: self.addr.clone(), public: self.public, patience }
    }

    fn connect(&self, name: &str) -> Result<(Arc<RemoteSigner>, Welcome), SignError> {
        self.connect_all(name).map(|mut pairs| pairs.remove(0))
    }

    fn connect_all(&self, name: &str) -> Result<Vec<(Arc<RemoteSigner>, Welcome)>, SignError> {
        RemoteSigner::connect(&self.remote(2_000), self.node(name), domain().ctx())
    }
}

#[test]
fn strangers_on_either_side_are_noticed_before_anything_is_said() {
    let rig = Rig::new(&["friend"]);
    let own = RemoteSigner::keys(&rig.remote(2_000), &rig.node("friend")).unwrap();
    assert_eq!(own, [Pair { seq: keys().seq.public(), vote: keys().vote.address() }]);
    assert!(RemoteSigner::keys(&rig.remote(200), &rig.node("stranger")).is_err());
    let said = RemoteSigner::connect(&rig.remote(200), rig.node("stranger"), domain().ctx());
    assert!(matches!(said, Err(SignError::Unavailable(_))), "{said:?}");
    let wrong = Remote { public: rig.node("stranger").public(), ..rig.remote(200) };
    let said = RemoteSigner::connect(&wrong, rig.node("friend"), domain().ctx());
    assert!(matches!(said, Err(SignError::Unavailable(_))), "{said:?}");
    rig.connect("friend").unwrap();
}

#[test]
fn a_signature_from_afar_is_the_one_that_the_keys_give_and_a_refusal_keeps_the_connection() {
    let rig = Rig::new(&["n1"]);
    let (signer, welcome) = rig.connect("n1").unwrap();
    assert_eq!((signer.seq_key(), signer.vote_key()), (keys().seq.public(), keys().vote.address()));
    assert!(welcome.marks.is_empty());
    let d = domain();
    let what = vote(1, 1);
    assert_eq!(signer.sign_vote(&what, &d), keys().sign_vote(&what, &d));
    assert!(matches!(signer.sign_vote(&vote(1, 2), &d), Err(SignError::Refused(_))));
    let what = ack(1, 1, 1);
    assert_eq!(signer.sign_seq(&what, &d), keys().sign_seq(&what, &d));
    assert!(rig.connect("n1").is_ok(), "a new run of the same node takes over");
    assert!(matches!(signer.sign_vote(&vote(2, 1), &d), Err(SignError::Refused(_))));
}

/// An operator that changes keys: each pair has its own guard and its own place, and one node holds both.
#[test]
fn both_pairs_of_an_operator_that_changes_keys_sign_each_under_its_own_guard() {
    let rig = Rig::with(&["n1", "n2"], vec![keys(), next_keys()]);
    let mut all = rig.connect_all("n1").unwrap();
    assert_eq!(all.len(), 2);
    let (old, new) = (Arc::clone(&all[0].0), Arc::clone(&all[1].0));
    assert_eq!((old.vote_key(), new.vote_key()), (keys().vote_key(), next_keys().vote_key()));
    let d = domain();
    let (one, other) = (vote(5, 1), vote(5, 2));
    assert_eq!(old.sign_vote(&one, &d), keys().sign_vote(&one, &d));
    // What the old keys said binds the new ones in nothing, and the other way round.
    assert_eq!(new.sign_vote(&other, &d), next_keys().sign_vote(&other, &d));
    for (pair, what) in [(&old, &other), (&new, &one)] {
        assert!(matches!(pair.sign_vote(what, &d), Err(SignError::Refused(_))));
    }
    let said = rig.connect_all("n2");
    assert!(matches!(&said, Err(SignError::Refused(why)) if why.contains("stop it first")));
    assert_eq!(old.sign_vote(&one, &d), keys().sign_vote(&one, &d), "nothing was taken");
    // Nor when the first pair is free, as after a lost connection, and the other is not.
    drop((old, all.swap_remove(0)));
    for _ in 0..50 {
        assert!(matches!(rig.connect_all("n2"), Err(SignError::Refused(_))));
    }
    // The next run of the node is told of each pair what that has signed, and holds both.
    let again = rig.connect_all("n1").unwrap();
    let newest = |at: usize| {
        let marks = rota_store::Watermarks::of(&again[at].1.marks).unwrap();
        marks.snapshot().len()
    };
    assert_eq!((newest(0), newest(1)), (1, 1));
    assert!(matches!(new.sign_vote(&other, &d), Err(SignError::Refused(_))), "the run before");
}

#[test]
fn two_nodes_that_race_for_every_place_get_one_signature_between_them() {
    let rig = Arc::new(Rig::new(&["n1", "n2"]));
    let barrier = Arc::new(Barrier::new(4));
    let racers: Vec<_> = (0u8..4)
        .map(|i| {
            let (rig, barrier) = (Arc::clone(&rig), Arc::clone(&barrier));
            let race = move || {
                let mut got = Vec::new();
                // Two runs of each of two nodes.
                let name = if i % 2 == 0 { "n1" } else { "n2" };
                for height in 1..40u64 {
                    barrier.wait();
                    let Ok((signer, _)) = rig.connect(name) else { continue };
                    let at = height * 10;
                    for what in [vote(at, i + 1), status(at, u64::from(i), 0)] {
                        if signer.sign_vote(&what, &domain()).is_ok() {
                            got.push((format!("{}{at}", what.encode()[0]), what.digest(&domain())));
                        }
                    }
                    let what = ack(at, 1, i + 1);
                    if signer.sign_seq(&what, &domain()).is_ok() {
                        got.push((format!("ack{at}"), what.digest(&domain())));
                    }
                }
                got
            };
            crate::clock::spawn("racer", race).unwrap()
        })
        .collect();
    let mut signed: BTreeMap<String, B256> = BTreeMap::new();
    let mut count = 0;
    for racer in racers {
        for (place, digest) in racer.join().unwrap() {
            count += 1;
            assert_eq!(*signed.entry(place.clone()).or_insert(digest), digest, "two for {place}");
        }
    }
    assert!(count > 20, "only {count} signatures: the race did not run");
}
