//! `rota key`: making keys, and showing what of them is public.

use super::{Done, args::KeyArgs, out};
use crate::{
    config::default_datadir,
    keys::{KeyKind, Keys, Needs},
};
use alloy_primitives::hex;
use serde_json::json;

pub(super) fn new(args: &KeyArgs, json: bool) -> Done {
    let root = args.datadir.clone().unwrap_or_else(default_datadir);
    let made = Keys::create(&root)?;
    for kind in KeyKind::ALL {
        let state = if made.contains(&kind) { "made" } else { "kept as it is" };
        eprintln!("{} {state}", Keys::dir(&root).join(kind.file()).display());
    }
    show(args, json)
}

pub(super) fn show(args: &KeyArgs, json: bool) -> Done {
    let root = args.datadir.clone().unwrap_or_else(default_datadir);
    let keys = Keys::load(&root, Needs { sequencer: true, poster: true })?;
    let seq = keys.sequencer.as_ref().map(|s| hex::encode_prefixed(s.seq.public()));
    let vote = keys.sequencer.as_ref().map(|s| s.vote.address());
    let poster = keys.poster.as_ref().map(alloy::signers::local::PrivateKeySigner::address);
    let peer = keys.identity.peer_id().to_string();
    if json {
        return out::json(&json!({
            "v": 1, "seqKey": seq, "voteKey": vote, "peerId": peer, "poster": poster
        }));
    }
    let text = |address: Option<alloy_primitives::Address>| address.map(|a| a.to_string());
    out::line(format_args!("sequencer key  {}", seq.unwrap_or_default()))?;
    out::line(format_args!("vote key       {}", text(vote).unwrap_or_default()))?;
    out::line(format_args!("peer id        {peer}"))?;
    out::line(format_args!("poster         {}", text(poster).unwrap_or_default()))
}
