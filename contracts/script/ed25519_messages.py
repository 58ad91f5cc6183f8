#!/usr/bin/env python3
"""Writes tests/vectors/ed25519_messages.json: RFC 8032 and Wycheproof vectors, whose messages have any length.

    ed25519_messages.py PATH/ed25519_test.json      the file of Project Wycheproof (Apache-2.0), testvectors_v1

The contract hashes 32-byte messages only, so each row brings its challenge k = SHA-512(R || A || M) mod L besides: the contract's
equation is tested with it, and by the nodes the row is verified from its message. Signatures that are not of 64 bytes cannot be
given to either and are left out. The rule of `ed25519_vectors` must agree with the published answers.
"""
import json
import pathlib
import sys

from ed25519_vectors import challenge, encode, mul, number, secret, strict, BASE

# RFC 8032, 7.1: seed, message, signature of TEST 1, 2, 3 and SHA(abc).
RFC = [
    ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
    ("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"),
]


def row(name, key, message, signature, valid):
    r, s = signature[:32], signature[32:]
    assert strict(key, r, s, message) == valid, name
    fields = {"key": key, "message": message, "r": r, "s": s, "challenge": number(challenge(r, key, message))[::-1]}
    # What the contract can take whole: a message of 32 bytes.
    fields["digest"] = message if len(message) == 32 else bytes(32)
    return {"name": name} | {k: "0x" + v.hex() for k, v in fields.items()} | {"whole": len(message) == 32, "valid": valid}


def main():
    rows = []
    for i, (seed, message, signature) in enumerate(RFC):
        key = encode(mul(secret(bytes.fromhex(seed))[0], BASE))
        rows.append(row(f"RFC 8032 vector {i + 1}", key, bytes.fromhex(message), bytes.fromhex(signature), True))
    left_out = 0
    for group in json.load(open(sys.argv[1]))["testGroups"]:
        key = bytes.fromhex(group["publicKey"]["pk"])
        for test in group["tests"]:
            signature = bytes.fromhex(test["sig"])
            if len(signature) != 64:
                left_out += 1
                continue
            name = f"Wycheproof {test['tcId']} {test['comment']}".strip()
            rows.append(row(name, key, bytes.fromhex(test["msg"]), signature, test["result"] == "valid"))
    # By columns: that is how Foundry reads lists.
    columns = {key + "s": [r[key] for r in rows] for key in rows[0]}
    text = ",\n".join(f"{json.dumps(key)}: {json.dumps(column)}" for key, column in columns.items())
    path = pathlib.Path(__file__).resolve().parents[2] / "tests" / "vectors" / "ed25519_messages.json"
    path.write_text("{" + text + "}\n")
    print(f"{len(rows)} vectors, {sum(r['valid'] for r in rows)} valid, {left_out} left out")


if __name__ == "__main__":
    main()
