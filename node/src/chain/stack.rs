//! Execution blocks over the accepted frames: sealed ones that are not decided yet, and the open one.
//!
//! Invariant (I-10): a block is a pure function of the frames in it; going back re-executes the frames that
//! stay, so a block reached over a detour is the block reached directly.

use alloy_primitives::B256;
use rota_execution::{
    BlockEnv, ExecutionError, Fees, Head, OpenBlock, Outcome, Skip, State, base_fee_return,
};
use rota_preconf::Frame;
use rota_types::{Deposit, Env, Flags, LagPoint, RewardsBook, Tx};
use std::sync::Arc;

use super::{
    building::{Building, Framed, Sealed, Tentative},
    forced::{Due, ForcedSource},
    rewards::{SetSource, paid, point},
};

/// Ours: the node must stop.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// Execution failed.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// The forced transactions of an origin are not here; its frames were accepted too early.
    #[error("what L1 forces in up to its block {upto} cannot be read: {why}")]
    Forced {
        /// The origin.
        upto: u64,
        /// Why.
        why: String,
    },
    /// A frame was accepted whose set is not here.
    #[error("the set of epoch {0} is not known")]
    Set(u64),
    /// Frames arrived that cannot follow what is here.
    #[error("frame {g} does not follow: {what}")]
    Order {
        /// Position of the frame.
        g: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// What accepting a frame did, in order.
#[derive(Debug)]
pub enum Done {
    /// A block got its final hash.
    Sealed(Arc<Sealed>),
    /// The frame was executed.
    Executed(Box<Executed>),
}

/// What executing a frame gave.
#[derive(Debug)]
pub struct Executed {
    /// Transactions that L1 forced in before the frame, if it opened a block.
    pub forced: Vec<(Arc<Tx>, Outcome)>,
    /// Each transaction with what became of it.
    pub outcomes: Vec<(Arc<Tx>, Outcome)>,
    /// State after the frame.
    pub state: State,
    /// The block, with everything that is known of it.
    pub block: OpenBlock,
}

/// The settled block that a stack starts on.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The block.
    pub head: Head,
    /// Its L1 origin.
    pub origin: u64,
    /// Rewards as of it.
    pub rewards: Arc<RewardsBook>,
}

/// What a draft gives back.
#[derive(Debug, Default)]
pub struct Draft {
    /// To be framed, in order.
    pub good: Vec<Arc<Tx>>,
    /// Cannot be in a block now; the reason says for how long.
    pub bad: Vec<(Arc<Tx>, Skip)>,
}

/// Blocks above the newest settled one.
pub struct Stack {
    chain_id: u64,
    settled: Ground,
    source: Arc<dyn ForcedSource>,
    sets: SetSource,
    blocks: Vec<Building>,
    tentative: Option<Tentative>,
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

impl Stack {
    /// A stack on top of a settled block.
    #[must_use]
    pub fn new(
        chain_id: u64,
        settled: Ground,
        source: Arc<dyn ForcedSource>,
        sets: SetSource,
    ) -> Self {
        Self { chain_id, settled, source, sets, blocks: Vec::new(), tentative: None }
    }

    /// The newest settled block.
    #[must_use]
    pub const fn settled(&self) -> &Head {
        &self.settled.head
    }

    /// What execution gave for a checkpoint height whose frames are here.
    #[must_use]
    pub fn point(&self, height: u64) -> Option<LagPoint> {
        let has = |b: &&Building| b.frames.iter().any(|f| f.frame.height() == height);
        self.blocks.iter().find(has).map(|b| point(height, &b.parent, &b.rewards))
    }

    /// Executes an accepted frame. `closed` is the value id of the height that it closes.
    pub fn accept(
        &mut self,
        frame: &Arc<Frame>,
        closed: Option<B256>,
    ) -> Result<Vec<Done>, StackError> {
        let (mut done, mut forced) = (Vec::new(), Vec::new());
        if let Some(env) = &frame.signed.body.env {
            forced = self.turn(frame, env, &mut done)?;
        }
        let tentative = self.tentative.take();
        let mut keep = None;
        let top = self.top(frame.g())?;
        let outcomes = top.run(frame, tentative, &mut keep)?;
        let fees = paid(&outcomes, top.open.context().base_fee);
        top.frames.push(Framed { frame: Arc::clone(frame), closed, fees });
        let state = keep.as_ref().map_or_else(|| top.open.snapshot(), |t| t.state.clone());
        let block = top.open.clone();
        self.tentative = keep;
        done.push(Done::Executed(Box::new(Executed { forced, outcomes, state, block })));
        if frame.signed.header.flags.has(Flags::SEAL) {
            self.undo_draft()?;
            let sets = Arc::clone(&self.sets);
            done.push(Done::Sealed(self.top(frame.g())?.seal(&sets)?));
        }
        Ok(done)
    }

    /// Seals the open block if `env` is of a later second, and opens the next one with what L1 forces in.
    fn turn(
        &mut self,
        frame: &Frame,
        env: &Env,
        done: &mut Vec<Done>,
    ) -> Result<Vec<(Arc<Tx>, Outcome)>, StackError> {
        let order = |what| StackError::Order { g: frame.g(), what };
        let same = |b: &Building| b.sealed.is_none() && b.env.timestamp_s == env.timestamp_s;
        if self.blocks.last().is_some_and(same) {
            return Ok(Vec::new());
        }
        // First of all: if it is not known yet, nothing has changed and the frame can be given again.
        let after = self.blocks.last().map_or(self.settled.origin, |b| b.env.l1_number);
        let Due { deposits, forced } = self.source.between(after, env.l1_number, self.chain_id)?;
        let (parent, rewards) = match self.blocks.last_mut() {
            Some(top) => {
                if top.sealed.is_none() {
                    if let Some(t) = self.tentative.take() {
                        top.open.restore(&t.before)?;
                    }
                    done.push(Done::Sealed(top.seal(&self.sets)?));
                }
                let sealed = top.sealed.as_ref().ok_or_else(|| order("the block is not sealed"))?;
                (sealed.block.head.clone(), Arc::clone(&sealed.rewards))
            }
            None => (self.settled.head.clone(), Arc::clone(&self.settled.rewards)),
        };
        let block_env = BlockEnv {
            number: parent.header.number.saturating_add(1),
            timestamp_s: env.timestamp_s,
            gas_limit: env.gas_limit,
            fee_recipient: env.fee_vault,
            prev_randao: env.prev_randao,
            parent_beacon_block_root: env.l1_hash,
            withdrawals: base_fee_return(&parent.header, env.fee_vault)
                .into_iter()
                .chain(deposits.iter().map(Deposit::withdrawal))
                .collect(),
        };
        let open = OpenBlock::open(&parent, block_env, self.chain_id)?;
        let mut building = Building {
            parent,
            rewards,
            env: env.clone(),
            forced,
            forced_fees: Fees::default(),
            frames: Vec::new(),
            open,
            sealed: None,
        };
        let outcomes = building.force()?;
        self.blocks.push(building);
        Ok(outcomes)
    }

    fn top(&mut self, g: u64) -> Result<&mut Building, StackError> {
        self.blocks
            .last_mut()
            .filter(|b| b.sealed.is_none())
            .ok_or(StackError::Order { g, what: "no block is open" })
    }

    /// Goes back to the frame at `g`; frames above it never were.
    pub fn rewind(&mut self, g: u64) -> Result<(), StackError> {
        self.undo_draft()?;
        while let Some(top) = self.blocks.last_mut() {
            let keep = top.frames.iter().take_while(|f| f.frame.g() <= g).count();
            if keep == top.frames.len() && keep > 0 {
                return Ok(());
            }
            if keep == 0 {
                self.blocks.pop();
                continue;
            }
            let frames: Vec<_> = top.frames.drain(..keep).collect();
            top.frames.clear();
            top.sealed = None;
            let env = top.open.env().clone();
            top.open = OpenBlock::open(&top.parent, env, self.chain_id)?;
            top.force()?;
            for framed in frames {
                top.run(&framed.frame, None, &mut None)?;
                top.frames.push(framed);
            }
            return Ok(());
        }
        Ok(())
    }

    /// Takes off the blocks that are sealed and decided up to `height`; they are settled now.
    pub fn settle(&mut self, height: u64) -> Vec<Arc<Sealed>> {
        let mut out = Vec::new();
        while let Some(sealed) = self.blocks.first().and_then(|b| b.sealed.clone()) {
            if sealed.heights.1 > height {
                break;
            }
            self.settled = Ground {
                head: sealed.block.head.clone(),
                origin: sealed.origin,
                rewards: Arc::clone(&sealed.rewards),
            };
            self.blocks.remove(0);
            out.push(sealed);
        }
        out
    }

    /// Executes transactions on top of the newest frame for the leader's next one. Without an open block
    /// they are handed back unexecuted: their block's environment is not known yet.
    pub fn draft(&mut self, txs: Vec<Arc<Tx>>) -> Result<Draft, StackError> {
        self.undo_draft()?;
        let mut draft = Draft::default();
        let Some(top) = self.blocks.last_mut().filter(|b| b.sealed.is_none()) else {
            draft.good = txs;
            return Ok(draft);
        };
        let before = top.open.checkpoint();
        let state = top.open.snapshot();
        let mut outcomes = Vec::with_capacity(txs.len());
        let mut run = top.open.run();
        for tx in txs {
            match run.apply(&tx.envelope, tx.sender)? {
                Outcome::Skipped(reason) => draft.bad.push((tx, reason)),
                outcome @ Outcome::Included(_) => {
                    draft.good.push(Arc::clone(&tx));
                    outcomes.push((tx, outcome));
                }
            }
        }
        self.tentative = Some(Tentative { before, state, outcomes });
        Ok(draft)
    }

    fn undo_draft(&mut self) -> Result<(), StackError> {
        if let (Some(t), Some(top)) = (self.tentative.take(), self.blocks.last_mut()) {
            top.open.restore(&t.before)?;
        }
        Ok(())
    }
}
