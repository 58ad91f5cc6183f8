//! The nodes accept exactly the ed25519 signatures that the contract accepts (invariant I-17): both read these files.
//! A fresh batch at random is in `tests/tests/ed25519.rs`.

use alloy_primitives::{B256, Bytes};
use rota_types::verify_seq;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    name: String,
    key: B256,
    message: B256,
    r: B256,
    s: B256,
    valid: bool,
}

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

/// By columns.
#[derive(Deserialize)]
struct Published {
    names: Vec<String>,
    keys: Vec<B256>,
    messages: Vec<Bytes>,
    rs: Vec<B256>,
    ss: Vec<B256>,
    valids: Vec<bool>,
}

fn read<T: for<'a> Deserialize<'a>>(name: &str) -> Result<T, Box<dyn std::error::Error>> {
    let path = format!("{}/../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

#[test]
fn the_nodes_accept_what_the_contract_accepts() {
    let file: File = read("ed25519.json").unwrap();
    assert!(file.vectors.len() > 200);
    for v in file.vectors {
        let signature: [u8; 64] = [v.r.0, v.s.0].concat().try_into().unwrap();
        let accepted = verify_seq(&v.key.0, &v.message, &signature).is_ok();
        assert_eq!(accepted, v.valid, "{}: {}", v.name, v.key);
    }
}

/// RFC 8032 and Wycheproof. The contract's equation is tested with all of them, the nodes' function with messages of 32
/// bytes, the library below it with all.
#[test]
fn the_nodes_accept_what_is_published_as_valid() {
    let file: Published = read("ed25519_messages.json").unwrap();
    assert!(file.names.len() > 140);
    for (i, name) in file.names.iter().enumerate() {
        let signature: [u8; 64] = [file.rs[i].0, file.ss[i].0].concat().try_into().unwrap();
        let message = &file.messages[i];
        let strict = ed25519_dalek::VerifyingKey::from_bytes(&file.keys[i].0)
            .and_then(|k| {
                k.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature))
            })
            .is_ok();
        assert_eq!(strict, file.valids[i], "{name}");
        if let Ok(digest) = B256::try_from(message.as_ref()) {
            let accepted = verify_seq(&file.keys[i].0, &digest, &signature).is_ok();
            assert_eq!(accepted, file.valids[i], "{name}");
        }
    }
}
