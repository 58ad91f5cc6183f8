//! The nodes accept exactly the ed25519 signatures that the contract accepts (invariant I-17): both read one file.

use rota_types::verify_seq;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    name: String,
    key: alloy_primitives::B256,
    message: alloy_primitives::B256,
    r: alloy_primitives::B256,
    s: alloy_primitives::B256,
    valid: bool,
}

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

#[test]
fn the_nodes_accept_what_the_contract_accepts() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/ed25519.json");
    let file: File = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(file.vectors.len() > 200);
    for v in file.vectors {
        let signature: [u8; 64] = [v.r.0, v.s.0].concat().try_into().unwrap();
        let accepted = verify_seq(&v.key.0, &v.message, &signature).is_ok();
        assert_eq!(accepted, v.valid, "{}: {}", v.name, v.key);
    }
}
