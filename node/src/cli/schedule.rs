//! `rota set schedule`: which set signs, in whose slots, which one is next and who is in it.
//!
//! Invariant: what is said of a set that is frozen is certain; what is said of one that is not says so.

use super::{Done, args::Where, node::settings_on_l1, out};
use crate::{
    exit::Failure,
    setup::{Calendar, OnL1, OperatorOnL1, Standing},
};
use rota_preconf::Epoch;
use rota_types::{ReceiptSet, ValidatorSet};
use serde_json::{Value, json};
use std::sync::Arc;

/// A set and when it starts.
struct Planned {
    epoch: Epoch,
    /// First L1 block in which another is in force, if that is known.
    end: Option<u64>,
}

pub(super) async fn schedule(at: &Where, json: bool) -> Done {
    let (config, network) = settings_on_l1(at)?;
    let l1 = OnL1::connect(&network, &config.l1.rpc).await?;
    let (c, operators) = (l1.calendar().await?, l1.operators().await?);
    let window = network.params.window_heights;
    let frozen = l1.frozen().await?;
    let planned = async |epoch: u64| -> Result<Option<Planned>, Failure> {
        let span = frozen.in_force(epoch);
        let set = l1.set(Some(epoch)).await?;
        Ok(span.zip(set).map(|((start, end), set)| Planned {
            epoch: Epoch::new(start, Arc::new(set), window),
            end,
        }))
    };
    let now = if frozen.base.is_some() { planned(frozen.epoch_at(c.block)).await? } else { None };
    let next = if c.last_frozen > c.epoch { planned(c.last_frozen).await? } else { None };
    if json {
        return out::json(&shape(&c, &operators, (now.as_ref(), next.as_ref())));
    }
    print(&c, &operators, (now.as_ref(), next.as_ref()))
}

fn shape(
    c: &Calendar,
    operators: &[OperatorOnL1],
    (now, next): (Option<&Planned>, Option<&Planned>),
) -> Value {
    let planned = |p: &Planned| {
        let set = p.epoch.set();
        let members: Vec<Value> = members(&p.epoch, operators)
            .map(|m| {
                json!({
                    "index": m.index, "operator": m.operator, "owner": m.owner, "voteKey": m.vote_key,
                    "weightGwei": m.weight, "slots": m.slots
                })
            })
            .collect();
        json!({
            "epoch": p.epoch.number(), "start": p.epoch.start(), "end": p.end, "setHash": set.hash(),
            "setId": ReceiptSet::of(set).id(), "slots": p.epoch.schedule().slots().len(),
            "windowHeights": p.epoch.schedule().window(), "members": members
        })
    };
    let epoch = upcoming(c);
    let changes: Vec<Value> = changes(operators, c, next.map(|p| p.epoch.set().as_ref()))
        .map(|(o, words)| json!({ "operator": o.id, "state": o.standing, "words": words }))
        .collect();
    json!({
        "v": 1, "calendar": c, "inForce": now.map(planned),
        "next": {
            "epoch": epoch, "start": c.start(epoch), "secondsUntil": c.seconds_until(c.start(epoch)),
            "frozen": next.is_some(), "set": next.map(planned), "changes": changes
        }
    })
}

fn print(
    c: &Calendar,
    operators: &[OperatorOnL1],
    (now, next): (Option<&Planned>, Option<&Planned>),
) -> Done {
    let Some(now) = now else {
        return out::line(
            "no set is frozen yet: rota set freeze does it once there are enough operators",
        );
    };
    let end = now.end.map_or_else(String::new, |end| format!(", until L1 block {end}"));
    out::line(format_args!(
        "in force       set of epoch {}, since L1 block {}{end}",
        now.epoch.number(),
        now.epoch.start()
    ))?;
    set_lines(&now.epoch, operators)?;
    let epoch = upcoming(c);
    let when = out::at_block(c, c.start(epoch));
    match next {
        Some(next) => {
            out::line(format_args!("next           set of epoch {epoch}, frozen, starts {when}"))?;
            set_lines(&next.epoch, operators)?;
        }
        None => out::line(format_args!(
            "next           epoch {epoch} starts {when}; its set is frozen before that if it differs"
        ))?,
    }
    changes(operators, c, next.map(|p| p.epoch.set().as_ref()))
        .try_for_each(|(o, words)| out::line(format_args!("  operator {:<3}  {words}", o.id)))
}

fn set_lines(epoch: &Epoch, operators: &[OperatorOnL1]) -> Done {
    let all = epoch.schedule().slots().len();
    members(epoch, operators).try_for_each(|m| {
        let name = m.operator.map_or_else(|| "?".into(), |id| id.to_string());
        let slots: Vec<String> = m.slots.iter().map(ToString::to_string).collect();
        out::line(format_args!(
            "  operator {name:<3}  {}  {} gwei  leads in {} of {all} slots: {}",
            m.owner,
            m.weight,
            slots.len(),
            slots.join(" ")
        ))
    })
}

struct Member {
    index: u16,
    operator: Option<u64>,
    owner: alloy_primitives::Address,
    vote_key: alloy_primitives::Address,
    weight: u64,
    slots: Vec<usize>,
}

fn members<'a>(
    epoch: &'a Epoch,
    operators: &'a [OperatorOnL1],
) -> impl Iterator<Item = Member> + 'a {
    epoch.set().iter().map(|(index, v)| {
        let slots = epoch.schedule().slots().iter().enumerate();
        Member {
            index,
            operator: operators.iter().find(|o| o.has(v.vote_key)).map(|o| o.id),
            owner: v.owner,
            vote_key: v.vote_key,
            weight: v.power(),
            slots: slots.filter(|(_, s)| **s == index).map(|(at, _)| at).collect(),
        }
    })
}

/// The next epoch that has a set of its own, or can get one.
fn upcoming(c: &Calendar) -> u64 {
    c.last_frozen.max(c.epoch.saturating_add(1))
}

/// What the next set changes, or may change.
fn changes<'a>(
    operators: &'a [OperatorOnL1],
    c: &'a Calendar,
    next: Option<&'a ValidatorSet>,
) -> impl Iterator<Item = (&'a OperatorOnL1, String)> + 'a {
    operators.iter().filter_map(move |o| change(o, c, next).map(|words| (o, words)))
}

fn change(o: &OperatorOnL1, c: &Calendar, next: Option<&ValidatorSet>) -> Option<String> {
    let epoch = upcoming(c);
    let later = |from: u64, what: &str| {
        (from > epoch)
            .then(|| format!("{what} from epoch {from} on, {}", out::at_block(c, c.start(from))))
    };
    if let Some(set) = next {
        let (_, _, from) = o.rotating.unwrap_or_default();
        let inside = set.iter().any(|(_, v)| o.has(v.vote_key));
        return match o.standing {
            Standing::Queued => {
                later(o.from_epoch, "can be in").or(Some("waits for a seat".into()))
            }
            Standing::Exiting if inside => later(o.until_epoch, "can be out"),
            _ => later(from, "new keys").filter(|_| inside),
        };
    }
    match o.standing {
        Standing::Queued => {
            later(o.from_epoch, "can be in").or(Some("joins if there is a seat".into()))
        }
        Standing::Exiting if o.unlocks.is_none() => {
            later(o.until_epoch, "can be out").or(Some("leaves if not too many do".into()))
        }
        Standing::Jailed if o.unlocks.is_none() => Some("in jail: is left out".into()),
        Standing::Active => {
            let (_, _, from) = o.rotating?;
            later(from, "new keys").or(Some("new keys".into()))
        }
        _ => None,
    }
}

/// Whether the next set includes these keys, in words; none if there is nothing to be said.
pub(super) fn foresight(
    o: &OperatorOnL1,
    c: &Calendar,
    newest: Option<&ValidatorSet>,
) -> Option<(bool, String)> {
    let newest = newest?;
    let (epoch, when) = (upcoming(c), out::at_block(c, c.start(upcoming(c))));
    if newest.epoch() > c.epoch {
        let inside = newest.iter().any(|(_, v)| o.has(v.vote_key));
        let word = if inside { "includes" } else { "does not include" };
        return Some((inside, format!("the next set (epoch {epoch}, {when}) {word} this node")));
    }
    let inside = o.standing == Standing::Active;
    let will = match o.standing {
        Standing::Active => "the set goes on with this node".to_owned(),
        _ => change(o, c, None).map(|words| format!("this node {words}"))?,
    };
    Some((inside, format!("the next set (epoch {epoch}, {when}) is not frozen yet: {will}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256, U256};
    use rota_types::Validator;

    fn calendar() -> Calendar {
        Calendar {
            min_stake: U256::from(1),
            max_share_bps: 10_000,
            epoch_blocks: 100,
            unbond_epochs: 60,
            base: 1_000,
            epoch: 3,
            last_frozen: 2,
            block: 1_350,
            time: 0,
            block_ms: 12_000,
        }
    }

    fn operator(standing: Standing) -> OperatorOnL1 {
        OperatorOnL1 {
            id: 7,
            owner: Address::repeat_byte(1),
            stake: U256::from(1),
            vote_key: Address::repeat_byte(2),
            seq_key: B256::ZERO,
            rotating: None,
            from_epoch: 0,
            until_epoch: 0,
            fee_recipient: Address::ZERO,
            peer: String::new(),
            standing,
            unlocks: None,
        }
    }

    fn set(epoch: u64, vote_key: Address) -> ValidatorSet {
        let member = Validator {
            owner: Address::repeat_byte(1),
            seq_key: [0; 32],
            vote_key,
            stake: U256::from(1_000_000_000u64),
            fee_recipient: Address::ZERO,
            peer: String::new(),
        };
        ValidatorSet::new(epoch, vec![member])
    }

    #[test]
    fn before_the_freeze_it_says_what_may_change() {
        let c = calendar();
        let words = |o: &OperatorOnL1| change(o, &c, None);
        let queued = |from| OperatorOnL1 { from_epoch: from, ..operator(Standing::Queued) };
        assert_eq!(words(&queued(4)).unwrap(), "joins if there is a seat");
        assert_eq!(
            words(&queued(5)).unwrap(),
            "can be in from epoch 5 on, at L1 block 1500, in about 30 min"
        );
        assert_eq!(words(&operator(Standing::Active)), None);
        let rotates = OperatorOnL1 {
            rotating: Some((Address::ZERO, B256::ZERO, 4)),
            ..operator(Standing::Active)
        };
        assert_eq!(words(&rotates).unwrap(), "new keys");
        assert_eq!(words(&operator(Standing::Jailed)).unwrap(), "in jail: is left out");
        let out = OperatorOnL1 { unlocks: Some(1_400), ..operator(Standing::Exiting) };
        assert_eq!(words(&out), None);
    }

    #[test]
    fn a_frozen_set_is_certain_and_another_is_not() {
        let (mut c, o) = (calendar(), operator(Standing::Active));
        let (inside, words) = foresight(&o, &c, Some(&set(2, o.vote_key))).unwrap();
        assert!(
            inside && words.contains("not frozen yet: the set goes on with this node"),
            "{words}"
        );
        c.last_frozen = 4;
        let (inside, words) = foresight(&o, &c, Some(&set(4, o.vote_key))).unwrap();
        assert!(inside && words.starts_with("the next set (epoch 4, at L1 block 1400"), "{words}");
        let (inside, words) = foresight(&o, &c, Some(&set(4, Address::ZERO))).unwrap();
        assert!(!inside && words.ends_with("does not include this node"), "{words}");
    }
}
