//! Options that several verbs share.

use clap::{Args, ValueEnum};
use schemas::Channel;

use crate::output::Output;

/// Of verbs that only look.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Of verbs that change something.
#[derive(Debug, Args)]
pub(crate) struct CommonArgs {
    /// Why; kept in the record of acts
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Says what would happen, changes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// A channel on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ChannelArg {
    /// Instagram Direct and comments
    Instagram,
    /// Messenger and Page comments
    Messenger,
}

impl ChannelArg {
    pub(crate) const fn channel(self) -> Channel {
        match self {
            Self::Instagram => Channel::Instagram,
            Self::Messenger => Channel::Messenger,
        }
    }
}
