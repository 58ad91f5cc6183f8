#!/usr/bin/env python3
"""Writes tests/vectors/ed25519.json: strict Ed25519 over 32-byte messages, honest and adversarial.

The expected answers come from the affine arithmetic below, which shares nothing with the Solidity verifier (Foundry reads the
file) or with ed25519-dalek (the l1 crate reads it too). Deterministic: running it twice gives the same bytes.
"""
import hashlib
import json
import pathlib
import random

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    """x of a curve point, or None."""
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * I % P
    if (v * x * x - u) % P:
        return None
    return x if x & 1 == sign else P - x


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    k = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + k, P - 2, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, P - 2, P) % P


def mul(k, point):
    total = (0, 1)
    while k:
        if k & 1:
            total = add(total, point)
        point, k = add(point, point), k >> 1
    return total


def encode(point):
    return number(point[1] | (point[0] & 1) << 255)


def number(v):
    return (v % 2**256).to_bytes(32, "little")


def decode(data):
    """The canonical decoding, or None."""
    v = int.from_bytes(data, "little")
    sign, y = v >> 255, v % 2**255
    if y >= P:
        return None
    x = recover_x(y, sign)
    return None if x is None or (x % P == 0 and sign) else (x % P, y)


BASE = (recover_x(4 * pow(5, P - 2, P) % P, 0), 4 * pow(5, P - 2, P) % P)


def torsion():
    """The eight points of small order."""
    y = 2
    while True:
        x = recover_x(y, 0)
        if x is not None:
            point = mul(L, (x, y))
            if mul(4, point) != (0, 1):
                return [mul(i, point) for i in range(8)]
        y += 1


TORSION = torsion()


def challenge(r, key, message):
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L


def strict(key, r, s, message):
    """The rule both sides must implement."""
    a, scalar = decode(key), int.from_bytes(s, "little")
    if a is None or a in TORSION or scalar >= L:
        return False
    k = challenge(r, key, message)
    computed = add(mul(scalar, BASE), mul(k, ((-a[0]) % P, a[1])))
    return computed not in TORSION and encode(computed) == r


def secret(seed):
    h = hashlib.sha512(seed).digest()
    return int.from_bytes(h[:32], "little") & ((1 << 254) - 8) | 1 << 254, h[32:]


def sign(seed, message):
    a, prefix = secret(seed)
    key = encode(mul(a, BASE))
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    big_r = encode(mul(r, BASE))
    return key, big_r, number((r + challenge(big_r, key, message) * a) % L), message


def flip(data, bit):
    out = bytearray(data)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def cases(rng):
    # RFC 8032, 7.1: the secret keys of tests 1 to 3, here over 32-byte messages.
    rfc = [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    ]
    for i, seed in enumerate(rfc):
        for message in (bytes(32), b"\xff" * 32, bytes(range(32))):
            yield f"rfc 8032 key {i + 1}", sign(bytes.fromhex(seed), message)
    for i in range(16):
        yield "random", sign(rng.randbytes(32), rng.randbytes(32))
    for part, name in enumerate(("key", "r", "s", "message")):
        for _ in range(4):
            case = list(sign(rng.randbytes(32), rng.randbytes(32)))
            case[part] = flip(case[part], rng.randrange(256))
            yield f"bit of {name} flipped", tuple(case)
    key, r, s, message = sign(b"\1" * 32, b"x" * 32)
    value = int.from_bytes(s, "little")
    for times in (1, 2, 8, 15):
        yield f"s + {times} L", (key, r, number(value + times * L), message)
    yield "s = L", (key, r, number(L), message)
    yield "s = 2^256 - 1", (key, r, b"\xff" * 32, message)
    yield "another signer's key", (sign(b"\2" * 32, message)[0], r, s, message)
    yield "all zero", (bytes(32),) * 4
    yield "r = zero", (key, bytes(32), s, message)
    yield from small_order(rng)
    yield from torsioned(rng)
    for y in range(P, 2**255):
        for sign_bit in (0, 1):
            yield "non-canonical key", (number(y | sign_bit << 255), encode(BASE), number(1), message)
    for y in range(P, P + 3):
        yield "non-canonical r", (key, number(y), s, message)
    yield "key off the curve", (number(next(y for y in range(2, 99) if recover_x(y, 0) is None)), r, s, message)


def small_order(rng):
    points = [encode(t) for t in TORSION]
    points += [number(y | sign << 255) for y in (0, 1, P - 1, P, P + 1) for sign in (0, 1)]
    points = list(dict.fromkeys(points))
    for a in points:
        for r in rng.sample(points, 4):
            yield "small order key and r", (a, r, bytes(32), b"small order".ljust(32, b"\0"))
    for t in TORSION:
        scalar = rng.randrange(L)
        yield "small order key, honest r", (encode(t), encode(mul(scalar, BASE)), number(scalar), rng.randbytes(32))
    a, _ = secret(b"\3" * 32)
    key = encode(mul(a, BASE))
    for t in TORSION:
        # s = k a makes [s]B - [k]A the identity: plain verification takes the one with r = identity.
        message = rng.randbytes(32)
        yield "small order r, honest key", (key, encode(t), number(challenge(encode(t), key, message) * a % L), message)


def torsioned(rng):
    a, _ = secret(b"\5" * 32)
    for t in TORSION:
        for u in TORSION:
            key, message, scalar = encode(add(mul(a, BASE), t)), rng.randbytes(32), rng.randrange(L)
            r = encode(add(mul(scalar, BASE), u))
            yield "torsion in key or r", (key, r, number((scalar + challenge(r, key, message) * a) % L), message)


def main():
    rows = []
    for name, (key, r, s, message) in cases(random.Random(8032)):
        fields = {"key": key, "message": message, "r": r, "s": s}
        row = {"name": name} | {k: "0x" + v.hex() for k, v in fields.items()}
        rows.append(row | {"valid": strict(key, r, s, message)})
    text = ",\n  ".join(json.dumps(row) for row in rows)
    path = pathlib.Path(__file__).resolve().parents[2] / "tests" / "vectors" / "ed25519.json"
    path.write_text('{"vectors": [\n  ' + text + "\n]}\n")
    print(f"{len(rows)} vectors, {sum(row['valid'] for row in rows)} valid")


if __name__ == "__main__":
    main()
