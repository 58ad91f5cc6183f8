//! The fixed values behind the vectors.

use alloy_primitives::keccak256;
use rota_types::*;

pub(crate) const EPOCH: u64 = 5;
pub(crate) const HEIGHT: u64 = 1234;

pub(crate) fn digest_of(n: u8) -> B256 {
    keccak256([n])
}

pub(crate) fn env() -> Env {
    Env {
        timestamp_s: 1_760_000_000,
        l1_number: 21_000_000,
        l1_hash: digest_of(1),
        gas_limit: 60_000_000,
        prev_randao: digest_of(2),
        fee_vault: Address::repeat_byte(0xfe),
    }
}

pub(crate) fn close() -> Close {
    Close {
        generation: 0,
        epoch: EPOCH,
        height: HEIGHT,
        parent_id: digest_of(3),
        term: Term { height: 1230, round: 2 },
        closer: 1,
        cursor: 77,
        window_left: 20,
        jailed_bitmap_hash: digest_of(4),
        evidence_root: digest_of(5),
        next_set_hash: digest_of(6),
        insured_total: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10,
        exec_lag_height: 1200,
        exec_lag_root: digest_of(7),
        history_root: digest_of(8),
    }
}

pub(crate) fn header() -> Header {
    Header {
        env: env(),
        close: close(),
        first_g: 900_000,
        last_g: 900_012,
        txs_root: digest_of(9),
        frames_root: digest_of(10),
        last_frame_hash: digest_of(11),
    }
}

pub(crate) fn frame() -> FrameHeader {
    FrameHeader {
        epoch: EPOCH,
        term: Term { height: 1230, round: 2 },
        leader: 1,
        g: 900_005,
        seq: 42,
        prev_hash: digest_of(12),
        init_hash: digest_of(13),
        height: HEIGHT,
        flags: Flags::OPEN.with(Flags::CLOSE).with(Flags::SEAL),
        timestamp_ms: 1_760_000_000_123,
        tx_count: 5,
        tx_root: digest_of(14),
        gas_cum: 105_000,
        exec_commit: digest_of(15),
        insured_cum: 1_000_000_000_000_000_000,
        env_hash: keccak256(env().encode()),
        close_hash: keccak256(close().encode()),
    }
}
