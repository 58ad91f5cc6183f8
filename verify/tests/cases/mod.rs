//! One receipt for each stage, from four members with known keys.

use crate::common::{Four, Gen, four};
use alloy_primitives::keccak256;
use rota_types::*;
use rota_verify::Anchor;

pub(crate) const EPOCH: u64 = 3;
pub(crate) const HEIGHT: u64 = 9;
const FIRST_G: u64 = 100;
const LEADER: u16 = 1;
pub(crate) const ETH: u128 = 1_000_000_000_000_000_000;

pub(crate) struct Case {
    pub(crate) f: Four,
    pub(crate) frames: Vec<FrameHeader>,
    pub(crate) header: Header,
    /// Signed by the leader and by nobody else.
    pub(crate) leader: Receipt,
}

/// Four frames of one height, the third of them in the term that round 2 opened; the receipt is for the second
/// transaction of the first.
pub(crate) fn case() -> Case {
    let f = four(EPOCH);
    let mut g = Gen(11);
    let txs: Vec<Bytes> = (0..5).map(|_| g.bytes(50)).collect();
    let hashes: Vec<B256> = txs.iter().map(keccak256).collect();
    let insured = vec![0, 7 * ETH, 0, 0, 9 * ETH];
    let body = FrameBody { txs: txs.clone(), insured: insured.clone(), ..FrameBody::default() };
    let mut frames: Vec<FrameHeader> = Vec::new();
    for seq in 0u32..4 {
        let mut header = g.frame_header();
        header.epoch = EPOCH;
        header.height = HEIGHT;
        header.term = Term { height: HEIGHT, round: 0 };
        header.leader = LEADER;
        header.init_hash = B256::ZERO;
        if seq >= 2 {
            header.term.round = 2;
            header.leader = 0;
            header.init_hash = init().hash(&f.domain);
        }
        header.g = FIRST_G + u64::from(seq);
        header.prev_hash = frames.last().map_or(B256::ZERO, |p| p.hash(&f.domain));
        header.tx_count = if seq == 0 { 5 } else { 0 };
        header.tx_root = if seq == 0 { body.root() } else { B256::ZERO };
        frames.push(header);
    }
    let signed = SignedFrame::sign(frames[0].clone(), body, &f.seq[usize::from(LEADER)], &f.domain);
    let mut header = g.header();
    header.close.height = HEIGHT;
    header.close.epoch = EPOCH;
    (header.first_g, header.last_g) = (FIRST_G, FIRST_G + 3);
    let frame_hashes: Vec<B256> = frames.iter().map(|h| h.hash(&f.domain)).collect();
    header.frames_root = hash_list_root(&frame_hashes);
    let set = ReceiptSet::of(&f.set);
    let leader = Receipt {
        v: RECEIPT_VERSION,
        ctx: f.domain.ctx(),
        set_id: set.id(),
        domain: ReceiptDomain::of(&f.domain),
        set,
        transaction_hash: hashes[1],
        insured: 7 * ETH,
        transaction: Some(txs[1].clone()),
        frame: (&frames[0]).into(),
        signature: signed.signature.into(),
        position: tx_proof(&hashes, &insured, 1).unwrap(),
        acked: None,
        decided: None,
        posted: None,
    };
    Case { f, frames, header, leader }
}

/// The opening of round 2, led by member 0.
pub(crate) fn init() -> TermInit {
    TermInit {
        epoch: EPOCH,
        height: HEIGHT,
        round: 2,
        leader: 0,
        carry_g: FIRST_G + 1,
        carry_hash: B256::repeat_byte(1),
        carry_closed: false,
        j_root: B256::repeat_byte(2),
        j_count: 3,
    }
}

impl Case {
    pub(crate) fn anchor(&self) -> Anchor {
        Anchor { ctx: self.f.domain.ctx(), set_id: ReceiptSet::of(&self.f.set).id() }
    }

    fn hash(&self, at: usize) -> B256 {
        self.frames[at].hash(&self.f.domain)
    }

    /// Acks of `signers` for the frame at `at`.
    pub(crate) fn acks(&self, at: usize, round: u32, signers: &[u16]) -> AckProof {
        let init_hash = if round == 0 { B256::ZERO } else { init().hash(&self.f.domain) };
        let place = (HEIGHT, round, self.frames[at].g);
        AckProof {
            certificate: self.f.acks(place, self.hash(at), init_hash, signers).encode().into(),
            headers: self.frames[1..=at].iter().map(Bytes::from).collect(),
            init: None,
        }
    }

    pub(crate) fn decision(&self, signers: &[u16]) -> DecidedProof {
        self.decision_of(&self.header, signers)
    }

    pub(crate) fn decision_of(&self, header: &Header, signers: &[u16]) -> DecidedProof {
        let hashes: Vec<B256> = (0..self.frames.len()).map(|at| self.hash(at)).collect();
        let id = header.value_id(&self.f.domain);
        DecidedProof {
            header: header.into(),
            certificate: self.f.certify(HEIGHT, id, signers).encode().into(),
            frame_proof: tx_proof(&hashes, &[], 0).unwrap(),
        }
    }

    /// A batch that ends `further` heights on.
    pub(crate) fn posting(&self, further: u64, finalized: bool) -> PostedRef {
        let mut g = Gen(23);
        let mut parent = self.header.value_id(&self.f.domain);
        let mut headers = Vec::new();
        for n in 1..=further {
            let mut next = g.header();
            next.close.height = HEIGHT + n;
            next.close.parent_id = parent;
            parent = next.value_id(&self.f.domain);
            headers.push(Bytes::from(&next));
        }
        PostedRef {
            last_height: HEIGHT + further,
            headers,
            l1_tx: B256::repeat_byte(0xaa),
            l1_block: 31,
            finalized,
        }
    }

    /// A receipt for each stage, by name; each one grows from the one before or shows another way there.
    pub(crate) fn stages(&self) -> Vec<(&'static str, Receipt)> {
        let grow =
            |acked, decided, posted| Receipt { acked, decided, posted, ..self.leader.clone() };
        let acked = self.acks(1, 0, &[0, 2, 3]);
        let decided = self.decision(&[0, 1, 3]);
        let round = self.acks(3, 2, &[0, 1, 2, 3]);
        let carried = AckProof { ..self.acks(1, 2, &[1, 2, 3]) };
        let opened = AckProof { init: Some(init().encode().into()), ..carried.clone() };
        let (a, d) = (Some(acked), Some(decided));
        vec![
            ("preconfirmed", self.leader.clone()),
            ("acked", grow(a.clone(), None, None)),
            ("acked in a later round, whose leader has less stake", grow(Some(round), None, None)),
            ("acked in a later round, with its opening", grow(Some(opened), None, None)),
            ("acked in a later round, whose leader is not shown", grow(Some(carried), None, None)),
            ("decided", grow(a.clone(), d.clone(), None)),
            ("decided and never acked", grow(None, d.clone(), None)),
            ("posted", grow(a.clone(), d.clone(), Some(self.posting(2, false)))),
            (
                "posted, the last of its batch",
                grow(a.clone(), d.clone(), Some(self.posting(0, false))),
            ),
            ("finalized", grow(a, d, Some(self.posting(2, true)))),
        ]
    }
}
