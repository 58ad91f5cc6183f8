//! What was found out from content alone against what evidence proves before the contract (I-3, I-4).

use super::{
    Checker, Violation,
    facts::{Guilt, Offence},
};
use crate::sim::detect::Found;
use rota_types::OffenceClass;

impl Checker {
    /// Everybody who signed a contradiction that correct members saw is convicted, and for everything that was
    /// reverted enough of them are.
    pub(in crate::sim) fn proven(&mut self, found: &Found) -> Result<(), Violation> {
        let missed = self.facts.guilt.iter().find(|g| {
            let all = (g.who, OffenceClass::Full);
            // A cut of frames that nobody correct ever saw has no branch to show it, and nobody takes it either.
            g.what != Offence::E1e
                && !found.convicted.contains(&(g.who, g.what.class()))
                && !found.convicted.contains(&all)
        });
        if let Some(g) = missed {
            let what = format!("no evidence of {:?} by {}: {}", g.what, g.who, g.text);
            self.broke("I-3", what);
        }
        let guilt: Vec<Guilt> = found
            .convicted
            .iter()
            .map(|(who, class)| {
                let leader = *class == OffenceClass::Equivocation;
                let what = if leader { Offence::E1a } else { Offence::E2 };
                Guilt { who: *who, what, text: "evidence that the contract accepts".to_owned() }
            })
            .collect();
        let roll = |height| self.roll(height);
        if let Some((name, what)) = self.acks.judge(&self.tree, &roll, &guilt, &self.leaders) {
            self.broke(name, what);
        }
        self.verdict()
    }
}
