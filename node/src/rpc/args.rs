//! Positional parameters, with errors that name what is wrong.

use super::{Answer, error};
use crate::view::At;
use alloy_eips::{BlockId, BlockNumberOrTag};
use jsonrpsee::types::{Params, params::ParamsSequence};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// Reads parameters one after the other.
pub(super) struct Args<'a>(ParamsSequence<'a>);

impl<'a> Args<'a> {
    pub(super) fn of(params: &'a Params<'_>) -> Answer<Self> {
        if params.is_object() {
            return Err(error::invalid("parameters must be an array", "send params as [..]"));
        }
        Ok(Self(params.sequence()))
    }

    pub(super) fn need<T: DeserializeOwned>(&mut self, name: &str) -> Answer<T> {
        self.maybe(name)?
            .ok_or_else(|| error::invalid(format!("missing parameter: {name}"), "see docs/rpc.md"))
    }

    pub(super) fn maybe<T: DeserializeOwned>(&mut self, name: &str) -> Answer<Option<T>> {
        self.0.optional_next::<T>().map_err(|e| {
            let why =
                e.data().map_or_else(String::new, |d| format!(": {}", d.get().trim_matches('"')));
            error::invalid(format!("invalid parameter {name}{why}"), "see docs/rpc.md")
        })
    }

    /// A block parameter, with the method's own default.
    pub(super) fn block(&mut self, default: BlockNumberOrTag) -> Answer<At> {
        Ok(self.maybe::<Which>("block")?.map_or(At::Number(default), |w| w.0))
    }
}

/// A block parameter: EIP-1898, a standard tag, or `acked`.
pub(super) struct Which(pub(super) At);

impl<'de> Deserialize<'de> for Which {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Word(String),
            Rest(BlockId),
        }
        let id = match Any::deserialize(deserializer)
            .map_err(|_| serde::de::Error::custom("not a block number, tag or hash"))?
        {
            Any::Word(word) if word == "acked" => return Ok(Self(At::Acked)),
            Any::Word(word) => word.parse::<BlockId>().map_err(|_| {
                serde::de::Error::custom(format!(
                    "{word} is no block; give 0x.., pending, latest, safe, finalized, earliest or acked"
                ))
            })?,
            Any::Rest(id) => id,
        };
        Ok(Self(match id {
            BlockId::Hash(hash) => At::Hash(hash.block_hash),
            BlockId::Number(number) => At::Number(number),
        }))
    }
}

/// An integer as a number, as decimal text or as a hex quantity: clients send all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Number(u64),
            Text(String),
        }
        let bad = || serde::de::Error::custom("not an integer; give 10 or 0xa");
        match Any::deserialize(deserializer).map_err(|_| bad())? {
            Any::Number(n) => Ok(Self(n)),
            Any::Text(text) => match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16),
                None => text.parse(),
            }
            .map(Self)
            .map_err(|_| bad()),
        }
    }
}
