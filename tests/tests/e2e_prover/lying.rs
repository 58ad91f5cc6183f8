//! A set that certifies a block which is not the one that slots agree on: a node that shows what three members signed, and a
//! stranger's slasher that compares it with L1.
//!
//! Invariant: the three sign with the keys that they have on L1; everything else that the node says is what a real one says.

#![expect(clippy::disallowed_methods, reason = "a server in the test itself")]

use super::{L1, World};
use rota_node::keys::{Keys, Needs, Password, Passwords};
use rota_tests::live::{Flow, LONG, Rpc, ask, quantity, text, until};
use rota_types::{
    Bitmap, CommitCertificate, Decode, Domain, EXEC_LAG, Encode, Header, LagPoint, LightProof,
    SignedVote, Vote, VoteKey, VoteKind,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

/// The header that names a false block, and so the first that names any.
const AT: u64 = 2 * EXEC_LAG;

/// A node that says of one height what its members signed.
struct Liar {
    node: String,
    domain: Domain,
    /// Keys of members, by their place in the set.
    keys: Vec<(u16, VoteKey)>,
}

impl Liar {
    /// Listens, and gives the address.
    fn listen(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let liar = Arc::new(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let liar = Arc::clone(&liar);
                std::thread::spawn(move || liar.serve(stream));
            }
        });
        addr
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut length = 0usize;
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let line = line.trim().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(n) = line.strip_prefix("content-length:") {
                    length = n.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body)?;
            let answer = self.answer(&serde_json::from_slice(&body)?).to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
            write!(stream.get_mut(), "{head} {}\r\n\r\n{answer}", answer.len())?;
        }
    }

    fn answer(&self, request: &Value) -> Value {
        let method = request["method"].as_str().unwrap();
        let said = Rpc::connect(&self.node).unwrap().call(method, request["params"].clone());
        let mut answer = json!({ "jsonrpc": "2.0", "id": request["id"] });
        match said {
            Ok(truth) if method == "rota_getProof" => {
                answer["result"] = json!(self.lie(serde_json::from_value(truth).unwrap()));
            }
            Ok(truth) => answer["result"] = truth,
            Err(error) => answer["error"] = serde_json::from_str(&error).unwrap(),
        }
        answer
    }

    /// The same of every height but one, which gets another block and another certificate.
    fn lie(&self, mut proof: LightProof) -> LightProof {
        let mut header = Header::decode(&proof.header).unwrap();
        if header.height() != AT {
            return proof;
        }
        // The checkpoint is shown with the height in question; what it names is the same either way.
        let mut point = point(&self.node);
        point.block_hash = [0x66; 32].into();
        header.close.exec_lag_root = point.root();
        let (epoch, value_id) = (header.close.epoch, header.value_id(&self.domain));
        let kind = VoteKind::Precommit;
        let vote = Vote { epoch, height: AT, round: 0, kind, value_id };
        let sign = |(place, key): &(u16, VoteKey)| {
            SignedVote::sign(vote.clone(), *place, key, &self.domain).signature
        };
        let certificate = CommitCertificate {
            epoch,
            height: AT,
            round: 0,
            value_id,
            signers: Bitmap::of(self.keys.iter().map(|(place, _)| *place)),
            signatures: self.keys.iter().map(sign).collect(),
        };
        proof.header = header.encode().into();
        proof.certificate = certificate.encode().into();
        if proof.below.is_none() {
            proof.checkpoint = Some(point.encode().into());
        }
        proof
    }
}

/// What a node shows of the height.
fn shown(node: &str) -> LightProof {
    let at = format!("{AT:#x}");
    let proof = until(LONG, "the first checkpoint", || ask(node, "rota_getProof", json!([at, at])));
    serde_json::from_value(proof).unwrap()
}

fn point(node: &str) -> LagPoint {
    LagPoint::decode(&shown(node).checkpoint.unwrap()).unwrap()
}

/// The block that the height names.
pub(super) fn block(world: &World) -> u64 {
    point(&world.net.rpc_addr("n1")).block_number
}

/// Three of the four members' keys, by their place in the set that a proof names.
fn keys(world: &World, proof: &LightProof) -> Vec<(u16, VoteKey)> {
    let passwords = Passwords::known(Password::read(&world.net.file("password")).unwrap());
    let needs = Needs { sequencer: true, poster: false };
    let set = proof.set.set();
    let mut keys: Vec<_> = ["n1", "n2", "n3"]
        .into_iter()
        .map(|name| {
            let keys = Keys::load(&world.net.datadir(name), needs, &passwords).unwrap();
            let vote = keys.sequencer.unwrap().vote;
            (set.by_vote_key(vote.address()).unwrap(), vote)
        })
        .collect();
    keys.sort_by_key(|(place, _)| *place);
    keys
}

/// The members lose their stakes, nine tenths of which they get back later, to a slasher that is given the node and a client with
/// the proven blocks.
pub(super) fn is_slashed(world: &World, flow: &Flow, client: &str) {
    let n1 = world.net.rpc_addr("n1");
    let proof = shown(&n1);
    let domain = world.network.domain().unwrap();
    let liar = Liar { node: n1, domain, keys: keys(world, &proof) }.listen();
    let l1 = ["--l1.rpc", L1, "--registry", &world.network.registry.to_string()];
    let log = std::fs::File::create(world.net.file("slash.log")).unwrap();
    let mut slasher = world.net.rota();
    slasher.args(["slash", "watch"]).args(l1).arg("--key-file").arg(&world.other);
    slasher.arg("--dir").arg(world.net.file("stranger"));
    slasher.args(["--rpc-url", &format!("http://{liar}"), "--follower-url", client]);
    let slasher = slasher.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let _ends = super::Prover(slasher);
    flow.more("transactions while the slasher compares");
    let offences = until(LONG * 2, "three offences", || {
        let out = world.net.rota().args(["slash", "list", "--json"]).args(l1).output().unwrap();
        assert!(out.status.success(), "{}", text(&out));
        let list: Value = serde_json::from_slice(&out.stdout).unwrap();
        let all = list["offences"].as_array().unwrap().clone();
        (all.len() >= 3).then_some(all)
    });
    let said = || std::fs::read_to_string(world.net.file("slash.log")).unwrap();
    assert_eq!(offences.len(), 3, "{offences:?}\n{}", said());
    for offence in &offences {
        assert_eq!(offence["kind"], "FalseBlock", "{offence}");
        let seized: u128 = offence["seizedWei"].as_str().unwrap().parse().unwrap();
        assert!(seized > 0, "{offence}");
    }
    let (first, blocks) = (&offences[0], ask(&L1[7..], "eth_blockNumber", json!([])).unwrap());
    eprintln!(
        "a false block: {} members, {} wei of each taken, L1 block {} of {}",
        offences.len(),
        first["seizedWei"],
        first["revealedAt"],
        quantity(&blocks)
    );
}
