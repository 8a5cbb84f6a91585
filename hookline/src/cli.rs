//! The command line: all verbs and their help.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::accounts::AccountsVerb;
use crate::args::OutputArgs;
use crate::audit::AuditArgs;
use crate::completeness::CompletenessArgs;
use crate::db::DbVerb;
use crate::endpoints::EndpointsVerb;
use crate::erase::EraseArgs;
use crate::health::HealthArgs;
use crate::jobs::JobsVerb;
use crate::rebuild::RebuildArgs;
use crate::recover::RecoverArgs;
use crate::redrive::RedriveVerb;
use crate::replay::{self, ReplayArgs};
use crate::replies::RepliesVerb;
use crate::send::SendVerb;
use crate::status::StatusArgs;
use crate::streams::StreamsVerb;
use crate::trace::TraceArgs;
use crate::variables::ConfigVerb;
use crate::verify::VerifyArgs;

/// Event-sourced ingestion of Meta webhooks: Instagram Direct, Messenger, comments.
#[derive(Debug, Parser)]
#[command(name = "hookline", version, after_help = variables_help())]
pub struct Arguments {
    /// A TOML file with the same names as the environment variables; the environment wins.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: HooklineVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HooklineVerb {
    /// All roles in one process, with private nats-server and Postgres under ./.hookline for what has no URL
    #[command(after_help = "Example:\n  hookline up --simulate")]
    Up {
        /// With a simulated Meta: a demo account and traffic
        #[arg(long)]
        simulate: bool,
    },
    /// Meta's door: verify, store, say 200
    #[command(after_help = "Example:\n  hookline ingest")]
    Ingest,
    /// The only role that calls Meta: normalise, resolve, enrich, send
    #[command(after_help = "Example:\n  hookline worker")]
    Worker,
    /// Events into read models
    #[command(after_help = "Example:\n  hookline projector")]
    Projector,
    /// The inbox API
    #[command(after_help = "Example:\n  hookline api")]
    Api,
    /// What operators ask by HTTP: the api has it done by this role
    #[command(after_help = "Example:\n  hookline ops")]
    Ops,
    /// The Meta simulator alone: Graph API and signed webhook deliveries
    #[command(
        after_help = "Example:\n  hookline simulate\n\nVariables:\n  SIMULATOR_LISTEN (127.0.0.1:8085)  SIMULATOR_SEED (1)  SIMULATOR_WEBHOOK_URL  META_APP_SECRETS"
    )]
    Simulate,
    /// Accounts we may speak for
    #[command(subcommand, after_help = "Example:\n  hookline accounts list")]
    Accounts(AccountsVerb),
    /// Outgoing webhooks: who gets events by HTTP
    #[command(subcommand, after_help = "Example:\n  hookline endpoints list")]
    Endpoints(EndpointsVerb),
    /// Lag per stage, waiting room, dead letters, unknown sends
    #[command(
        after_help = "Examples:\n  hookline status\n  hookline status --watch\n  hookline status --watch 10 --output json"
    )]
    Status(StatusArgs),
    /// Whether the log has what Graph shows, by account and hour; `heal` imports what is missing
    #[command(
        after_help = "Examples:\n  hookline completeness\n  hookline completeness --account instagram/17841400000000001 --since 7d --output json\n  hookline completeness heal --since 7d\n\nExit code 1: messages cannot be reached, or no webhook of a field comes."
    )]
    Completeness(CompletenessArgs),
    /// The whole story of one id: raw bytes, events, resolution, rows, replies, echoes
    #[command(
        after_help = "Examples:\n  hookline trace evt_0123…\n  hookline trace rpl_0123… --output json\n  hookline trace aWdf… --reveal --reason 'the person asked what we stored'"
    )]
    Trace(TraceArgs),
    /// Checks the whole set-up; each finding comes with its fix
    #[command(after_help = "Example:\n  hookline doctor")]
    Doctor(OutputArgs),
    /// Asks a role on this machine whether it is ready: for containers and scripts
    #[command(
        after_help = "Examples:\n  hookline health\n  hookline health --live --at 127.0.0.1:8082\n\nExit code 0: ready, 1: not ready, 4: nobody answers."
    )]
    Health(HealthArgs),
    /// The variables: as they are, what one means, what a role lacks
    #[command(subcommand, after_help = "Example:\n  hookline config list")]
    Config(ConfigVerb),
    /// Sends with unknown outcome: list, settle
    #[command(subcommand, after_help = "Example:\n  hookline replies list")]
    Replies(RepliesVerb),
    /// The outbound kill switch
    #[command(subcommand, after_help = "Example:\n  hookline send freeze")]
    Send(SendVerb),
    /// Raw webhooks through today's normaliser again: a plan first, then only the difference; cannot send
    #[command(after_help = replay::HELP)]
    Replay(Box<ReplayArgs>),
    /// Parked work: list, show, try again, give up
    #[command(subcommand, after_help = "Example:\n  hookline redrive list")]
    Redrive(RedriveVerb),
    /// The streams as they are beside what they should be
    #[command(subcommand, after_help = "Example:\n  hookline streams plan")]
    Streams(StreamsVerb),
    /// A Postgres role for each service: what is missing, what is too much
    #[command(subcommand, after_help = "Example:\n  hookline db plan")]
    Db(DbVerb),
    /// Jobs that operators started: list, pause, give up, go on
    #[command(subcommand, after_help = "Example:\n  hookline jobs list")]
    Jobs(JobsVerb),
    /// What operators did, and why
    #[command(after_help = "Example:\n  hookline audit --limit 20")]
    Audit(AuditArgs),
    /// Prints the completions of a shell
    #[command(
        after_help = "Examples:\n  hookline completions bash > /etc/bash_completion.d/hookline\n  hookline completions zsh > ~/.zfunc/_hookline"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Prints the manual page, or writes one page per verb into a folder
    #[command(
        after_help = "Examples:\n  hookline man | man -l -\n  hookline man --dir /usr/local/share/man/man1"
    )]
    Man {
        /// The folder
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// A fresh read model beside the serving one: build, compare, swap, go back
    #[command(
        after_help = "Examples:\n  hookline rebuild\n  hookline rebuild --swap --reason 'a row was wrong'\n  hookline rebuild revert"
    )]
    Rebuild(RebuildArgs),
    /// An empty Postgres from the streams: facts, ledger, waiting room, read model; sends nothing
    #[command(
        after_help = "Examples:\n  hookline recover --dry-run\n  hookline recover --reason 'the disk of Postgres failed'\n\nStop all workers first. Tokens must be added again afterwards: the accounts are listed. The same command run again continues an\ninterrupted recovery."
    )]
    Recover(RecoverArgs),
    /// A person or a message, everywhere and for good: plan, progress, audit
    #[command(
        after_help = "Examples:\n  hookline erase --account 17841400000000001 --contact 5200000000000011 --dry-run\n  hookline erase --account 17841400000000001 --contact 5200000000000011 --reason 'asked for by mail'\n  hookline erase --account 17841400000000001 --message aWdf… --reason 'sent by mistake'\n  hookline erase --again --reason 'META_RAW was restored'\n\nIt cannot be undone. What the person does later is a new conversation. Interrupted, the same command goes on, or a worker does."
    )]
    Erase(EraseArgs),
    /// Read model against the stream: digests, rows that differ, the events that made them
    #[command(after_help = "Examples:\n  hookline verify\n  hookline verify --sample 50")]
    Verify(VerifyArgs),
}

fn variables_help() -> String {
    let mut text = String::from("Variables (also in .env and --config FILE.toml):\n");
    for variable in runtime::config::VARIABLES {
        let default = if variable.default.is_empty() {
            String::new()
        } else {
            format!(" [{}]", variable.default)
        };
        text.push_str(&format!("  {:<28} {}{default}\n", variable.name, variable.meaning));
    }
    text
}
