//! Flags of `rota l1 deploy` for what a deployment fixes for ever.
//!
//! Invariant: without flags they are the usual rules; what the contracts would refuse is refused here, by the flag's name.

use crate::exit::{Exit, Failure};
use clap::Args;
use rota_l1::L1Rules;

/// Times, limits and prices on L1.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rules on L1, fixed for ever")]
pub struct RulesArgs {
    /// Largest share of one operator in a set, hundredths of a percent.
    #[arg(long, default_value_t = L1Rules::default().max_share_bps, value_name = "BPS")]
    pub max_share_bps: u16,
    /// L1 blocks of an epoch.
    #[arg(long, default_value_t = L1Rules::default().epoch_blocks, value_name = "BLOCKS")]
    pub epoch_blocks: u32,
    /// Epochs between leaving the sets and the stake's release.
    #[arg(long, default_value_t = L1Rules::default().unbond_epochs, value_name = "EPOCHS")]
    pub unbond_epochs: u32,
    /// Epochs for which evidence is taken after the last use of a set.
    #[arg(long, default_value_t = L1Rules::default().evidence_epochs, value_name = "EPOCHS")]
    pub evidence_epochs: u32,
    /// L1 blocks without a newer certified origin after which a fallback may start.
    #[arg(long, default_value_t = L1Rules::default().fallback_blocks, value_name = "BLOCKS")]
    pub fallback_blocks: u64,
    /// L1 blocks of the roll call after that.
    #[arg(long, default_value_t = L1Rules::default().roll_call_blocks, value_name = "BLOCKS")]
    pub roll_call_blocks: u64,
    /// Seconds by which a height may be later than a forced transaction that it does not include.
    #[arg(long, default_value_t = L1Rules::default().forced_window_s, value_name = "SECONDS")]
    pub forced_window: u64,
    /// Wei for any forced transaction.
    #[arg(long, default_value_t = L1Rules::default().forced_fee, value_name = "WEI")]
    pub forced_fee: u64,
    /// Wei for each unit of its gas.
    #[arg(long, default_value_t = L1Rules::default().forced_gas_price, value_name = "WEI")]
    pub forced_gas_price: u64,
    /// L1 blocks in which evidence that was committed to may be revealed.
    #[arg(long, default_value_t = L1Rules::default().reveal_blocks, value_name = "BLOCKS")]
    pub reveal_blocks: u64,
    /// L1 blocks in which an earlier committer may claim the reward.
    #[arg(long, default_value_t = L1Rules::default().contest_blocks, value_name = "BLOCKS")]
    pub contest_blocks: u64,
    /// L1 blocks in which insured claims against a slashed stake are taken.
    #[arg(long, default_value_t = L1Rules::default().claims_blocks, value_name = "BLOCKS")]
    pub claims_blocks: u64,
    /// L1 blocks between two checkpoints up to which blocks are proven, at least.
    #[arg(long, default_value_t = L1Rules::default().checkpoint_blocks, value_name = "BLOCKS")]
    pub checkpoint_blocks: u64,
    /// L1 blocks after which a checkpoint counts as final.
    #[arg(long, default_value_t = L1Rules::default().output_final_blocks, value_name = "BLOCKS")]
    pub output_final_blocks: u64,
    /// L1 blocks in which a bonded output can be contradicted before it counts.
    #[arg(long, default_value_t = L1Rules::default().output_window_blocks, value_name = "BLOCKS")]
    pub output_window_blocks: u64,
    /// Wei at stake with a bonded output.
    #[arg(long, default_value_t = L1Rules::default().output_bond, value_name = "WEI")]
    pub output_bond: u64,
    /// Seconds between showing a withdrawal on L1 and its payment.
    #[arg(long, default_value_t = L1Rules::default().maturity_s, value_name = "SECONDS")]
    pub maturity: u64,
}

impl RulesArgs {
    /// The rules, if the contracts take them.
    pub(super) fn rules(&self) -> Result<L1Rules, Failure> {
        let commits = self.reveal_blocks.saturating_add(self.contest_blocks);
        let wrong = [
            (
                self.max_share_bps == 0 || self.max_share_bps > 10_000,
                "--max-share-bps is from 1 to 10000",
            ),
            (self.epoch_blocks == 0, "--epoch-blocks is at least 1"),
            (
                self.unbond_epochs <= self.evidence_epochs,
                "--unbond-epochs must exceed --evidence-epochs: stake outlives the time for evidence",
            ),
            (self.fallback_blocks == 0, "--fallback-blocks is at least 1"),
            (self.forced_window == 0, "--forced-window is at least 1"),
            (self.reveal_blocks == 0, "--reveal-blocks is at least 1"),
            (self.checkpoint_blocks == 0, "--checkpoint-blocks is at least 1"),
            (self.output_window_blocks == 0, "--output-window-blocks is at least 1"),
            (self.output_bond == 0, "--output-bond is at least 1"),
            (
                self.contest_blocks >= self.claims_blocks,
                "--contest-blocks is below --claims-blocks",
            ),
            (
                commits >= u64::from(u16::MAX),
                "--reveal-blocks and --contest-blocks are below 65535 together",
            ),
        ];
        if let Some((_, words)) = wrong.iter().find(|(wrong, _)| *wrong) {
            return Err(Failure::new(Exit::Usage, *words)
                .hint("without these flags the usual rules are deployed"));
        }
        Ok(L1Rules {
            max_share_bps: self.max_share_bps,
            epoch_blocks: self.epoch_blocks,
            unbond_epochs: self.unbond_epochs,
            evidence_epochs: self.evidence_epochs,
            fallback_blocks: self.fallback_blocks,
            roll_call_blocks: self.roll_call_blocks,
            forced_window_s: self.forced_window,
            forced_fee: self.forced_fee,
            forced_gas_price: self.forced_gas_price,
            reveal_blocks: self.reveal_blocks,
            contest_blocks: self.contest_blocks,
            claims_blocks: self.claims_blocks,
            checkpoint_blocks: self.checkpoint_blocks,
            output_final_blocks: self.output_final_blocks,
            output_window_blocks: self.output_window_blocks,
            output_bond: self.output_bond,
            maturity_s: self.maturity,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::{
        Cli,
        args::{Command, L1Command},
    };
    use clap::Parser;
    use rota_l1::L1Rules;

    fn rules(flags: &[&str]) -> Result<L1Rules, crate::exit::Failure> {
        let base = ["rota", "l1", "deploy", "--l1.rpc", "x", "--key-file", "k", "--genesis", "g"];
        let cli = Cli::try_parse_from([&base, flags].concat()).unwrap();
        let Command::L1(L1Command::Deploy(args)) = cli.command else { panic!() };
        args.rules.rules()
    }

    #[test]
    fn without_flags_they_are_the_usual_ones_and_each_flag_changes_its_own() {
        assert_eq!(rules(&[]).unwrap(), L1Rules::default());
        let given = rules(&["--epoch-blocks", "20", "--forced-window", "60"]).unwrap();
        let expected = L1Rules { epoch_blocks: 20, forced_window_s: 60, ..L1Rules::default() };
        assert_eq!(given, expected);
    }

    #[test]
    fn what_the_contracts_refuse_is_refused_by_name() {
        for (flags, name) in [
            (["--unbond-epochs", "56"], "--unbond-epochs"),
            (["--max-share-bps", "10001"], "--max-share-bps"),
            (["--contest-blocks", "50400"], "--contest-blocks"),
            (["--reveal-blocks", "65535"], "--reveal-blocks"),
            (["--epoch-blocks", "0"], "--epoch-blocks"),
        ] {
            let failure = rules(&flags).unwrap_err();
            assert!(failure.message.starts_with(name), "{failure}");
        }
    }
}
