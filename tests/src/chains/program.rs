//! Random contracts: statements that leave the stack as they found it, made of expressions over everything the machine
//! knows.
//!
//! Invariant: a program ends by itself (its loops count down) unless it runs out of gas, and what one statement leaves
//! behind, in memory, storage or return data, the next ones can see.

use super::{traffic, word};
use alloy_primitives::{Address, U256};
use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

const POP: u8 = 0x50;
const MSTORE: u8 = 0x52;
const JUMPDEST: u8 = 0x5b;
const PUSH1: u8 = 0x60;
const DUP1: u8 = 0x80;
const SWAP1: u8 = 0x90;
/// Instructions without arguments: the environment, and what the machine knows of itself.
const NULLARY: &[u8] = &[
    0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3a, 0x3d, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
    0x4a, 0x58, 0x59, 0x5a, 0x5f,
];
/// ISZERO, NOT, BALANCE, CALLDATALOAD, EXTCODESIZE, EXTCODEHASH, BLOCKHASH, BLOBHASH, SLOAD, TLOAD.
const UNARY: &[u8] = &[0x15, 0x19, 0x31, 0x35, 0x3b, 0x3f, 0x40, 0x49, 0x54, 0x5c];
/// Arithmetic, comparison, bits, shifts.
const BINARY: &[u8] = &[
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17,
    0x18, 0x1a, 0x1b, 0x1c, 0x1d,
];

/// Init code that deploys `runtime`.
pub(super) fn deploy(runtime: &[u8]) -> Vec<u8> {
    let len = u16::try_from(runtime.len()).unwrap().to_be_bytes();
    let mut init = vec![
        0x61, len[0], len[1], 0x60, 0x0e, 0x60, 0x00, 0x39, 0x61, len[0], len[1], 0x60, 0x00, 0xf3,
    ];
    init.extend_from_slice(runtime);
    init
}

/// The code of a contract.
pub(super) fn random(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut program = Program { rng, code: Vec::new() };
    for _ in 0..program.rng.random_range(2..14) {
        program.statement(0);
    }
    program.end();
    program.code
}

struct Program<'a> {
    rng: &'a mut ChaCha8Rng,
    code: Vec<u8>,
}

impl Program<'_> {
    fn op(&mut self, op: u8) {
        self.code.push(op);
    }

    fn push(&mut self, value: U256) {
        let bytes = value.to_be_bytes_trimmed_vec();
        self.op(0x5f + u8::try_from(bytes.len()).unwrap());
        self.code.extend(bytes);
    }

    fn small(&mut self, below: u64) {
        let value = self.rng.random_range(0..below);
        self.push(U256::from(value));
    }

    /// Leaves one word.
    fn expression(&mut self, depth: u32) {
        match self.rng.random_range(0..if depth > 2 { 4 } else { 12 }) {
            0 | 1 => {
                let value = word(self.rng);
                self.push(value);
            }
            2 | 3 => self.pick(NULLARY),
            4 | 5 => {
                self.expression(depth + 1);
                self.pick(UNARY);
            }
            6..=8 => {
                self.expression(depth + 1);
                self.expression(depth + 1);
                self.pick(BINARY);
            }
            9 => {
                (0..3).for_each(|_| self.expression(depth + 1));
                // ADDMOD, MULMOD
                self.pick(&[0x08, 0x09]);
            }
            10 => {
                self.range();
                // KECCAK256
                self.op(0x20);
            }
            _ => {
                self.small(256);
                // MLOAD
                self.op(0x51);
            }
        }
    }

    fn pick(&mut self, ops: &[u8]) {
        let op = *ops.choose(self.rng).unwrap();
        self.op(op);
    }

    /// Length, then offset: both small.
    fn range(&mut self) {
        self.small(70);
        self.small(200);
    }

    fn address(&mut self) {
        let address = match self.rng.random_range(0..8) {
            0..=3 => traffic::contract(self.rng.random()),
            4 => traffic::wallet(self.rng.random()).address,
            5 | 6 => Address::with_last_byte(self.rng.random_range(0..=0x12)),
            _ => Address::repeat_byte(self.rng.random()),
        };
        self.push(address.into_word().into());
    }

    fn statement(&mut self, depth: u32) {
        match self.rng.random_range(0..20) {
            0..=3 => {
                self.expression(0);
                self.small(6);
                // SSTORE, mostly; TSTORE; MSTORE; MSTORE8
                self.pick(&[0x55, 0x55, 0x55, 0x5d, MSTORE, 0x53]);
            }
            4 | 5 => {
                self.expression(0);
                self.small(200);
                self.op(MSTORE);
            }
            6 | 7 => self.log(),
            8..=11 => self.call(),
            12 => self.create(),
            13 | 14 => self.copy(),
            15 | 16 if depth < 2 => self.branch(depth),
            17 if depth < 2 => self.repeat(depth),
            18 if self.rng.random_range(0..12) == 0 => {
                self.address();
                // SELFDESTRUCT
                self.op(0xff);
            }
            _ => {
                self.expression(0);
                self.op(POP);
            }
        }
    }

    fn log(&mut self) {
        let topics = self.rng.random_range(0..=4u8);
        (0..topics).for_each(|_| self.expression(2));
        self.range();
        self.op(0xa0 + topics);
    }

    /// CALL, CALLCODE, DELEGATECALL or STATICCALL; success and return data are used.
    fn call(&mut self) {
        let op = *[0xf1, 0xf1, 0xf2, 0xf4, 0xfa].choose(self.rng).unwrap();
        self.range();
        self.range();
        if op == 0xf1 || op == 0xf2 {
            self.small(3);
        }
        self.address();
        if self.rng.random_range(0..3) == 0 {
            self.small(60_000);
        } else {
            self.op(0x5a);
        }
        self.op(op);
        self.small(6);
        self.op(0x55);
        if self.rng.random_range(0..3) == 0 {
            // All that came back, or, now and then, more than that: an exceptional halt.
            if self.rng.random_range(0..8) == 0 {
                self.small(64)
            } else {
                self.op(0x3d)
            }
            self.op(0x5f);
            self.small(100);
            self.op(0x3e);
        }
    }

    fn create(&mut self) {
        let init = match self.rng.random_range(0..3) {
            0 => deploy(&[0x5f, 0x35, 0x5f, 0x55]),
            1 => vec![0x33, 0xff],
            _ => self.rng.random::<[u8; 12]>().to_vec(),
        };
        let mut padded = [0; 32];
        padded[..init.len().min(32)].copy_from_slice(&init[..init.len().min(32)]);
        self.push(U256::from_be_bytes(padded));
        self.op(0x5f);
        self.op(MSTORE);
        let second = self.rng.random_range(0..2) == 0;
        if second {
            self.small(3);
        }
        self.small(33);
        self.op(0x5f);
        self.small(2);
        self.op(if second { 0xf5 } else { 0xf0 });
        self.small(6);
        self.op(0x55);
    }

    /// CALLDATACOPY, CODECOPY, MCOPY or EXTCODECOPY.
    fn copy(&mut self) {
        let op = *[0x37, 0x39, 0x5e, 0x3c].choose(self.rng).unwrap();
        self.range();
        self.small(200);
        if op == 0x3c {
            self.address();
        }
        self.op(op);
    }

    /// Jumps over a statement if an expression is not zero.
    fn branch(&mut self, depth: u32) {
        self.expression(1);
        let at = self.forward();
        self.statement(depth + 1);
        self.land(at);
    }

    /// PUSH2 of a place that is not known yet, and JUMPI.
    fn forward(&mut self) -> usize {
        self.code.extend([0x61, 0, 0, 0x57]);
        self.code.len() - 3
    }

    fn land(&mut self, at: usize) {
        let here = u16::try_from(self.code.len()).unwrap().to_be_bytes();
        self.code[at..at + 2].copy_from_slice(&here);
        self.op(JUMPDEST);
    }

    /// A statement a few times over.
    fn repeat(&mut self, depth: u32) {
        let times = self.rng.random_range(1..6u8);
        self.code.extend([PUSH1, times]);
        let back = u16::try_from(self.code.len()).unwrap().to_be_bytes();
        self.op(JUMPDEST);
        self.statement(depth + 1);
        // Down by one, and back unless it is zero.
        self.code.extend([PUSH1, 1, SWAP1, 0x03, DUP1, 0x61, back[0], back[1], 0x57, POP]);
    }

    fn end(&mut self) {
        match self.rng.random_range(0..8) {
            0 => {
                self.range();
                self.op(0xfd);
            }
            1 => self.op(0xfe),
            2 => self.op(0x00),
            _ => {
                self.range();
                self.op(0xf3);
            }
        }
    }
}
