//! ◆ Pure: arguments of `replay`, and what they ask for.

use clap::Args;
use schemas::{AccountId, Timestamp};
use serde_json::{Value, json};
use worker::inbound::replay::apply::ApplyOptions;
use worker::inbound::replay::{BadTarget, Scope, Slice, Target};

use crate::args::{ChannelArg, CommonArgs};
use crate::exit::Failure;
use crate::{account_name, since};

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Only what was received since: RFC 3339, or a duration ago such as 2h
    #[arg(long, value_name = "T")]
    since: Option<String>,
    /// Only what was received before: RFC 3339, or a duration ago such as 10m
    #[arg(long, value_name = "T")]
    until: Option<String>,
    /// Only these positions of META_RAW
    #[arg(long, value_name = "A..B")]
    seq: Option<String>,
    /// Only events of this channel
    #[arg(long, value_enum)]
    channel: Option<ChannelArg>,
    /// Only events of this account, as ID or CHANNEL/ID; an alias does as well
    #[arg(long)]
    account: Option<String>,
    /// `events`, or a subject of your own that gets the events of the slice and is not recorded
    #[arg(long, default_value = "events", value_name = "events|SUBJECT")]
    to: String,
    /// Everything goes out again, not only the difference
    #[arg(long)]
    all: bool,
    /// At most so many raw webhooks per second, as N or N/s
    #[arg(long, value_name = "N/s")]
    rate: Option<String>,
    /// Does not ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// What the arguments ask for.
pub(crate) struct Wanted {
    pub(crate) slice: Slice,
    pub(crate) scope: Scope,
    pub(crate) how: ApplyOptions,
    /// Raw webhooks per second.
    pub(crate) rate: Option<f64>,
}

/// Reads the arguments; durations count back from `now`.
///
/// # Errors
/// Exit code 2 for arguments that cannot be understood, 3 for a subject of hookline's own.
pub(crate) fn understand(args: &ReplayArgs, now: Timestamp) -> anyhow::Result<Wanted> {
    let time = |name: &str, text: &Option<String>| since::read(name, text.as_deref(), now);
    let (since, until) = (time("--since", &args.since)?, time("--until", &args.until)?);
    if let (Some(since), Some(until)) = (since, until)
        && until <= since
    {
        return Err(Failure::usage("--until is not after --since"));
    }
    let seq = args.seq.as_deref().map(positions).transpose()?;
    let whose =
        args.account.as_deref().map(|text| account_name::parse("--account", text)).transpose()?;
    let channel = args.channel.map(ChannelArg::channel);
    let of_account = whose.as_ref().and_then(|whose| whose.channel);
    if let (Some(one), Some(other)) = (channel, of_account)
        && one != other
    {
        return Err(Failure::usage("--channel and --account name different channels"));
    }
    let target = Target::parse(&args.to).map_err(|error| match error {
        BadTarget::NotASubject => Failure::usage(format!("--to: `{}` is {error}", args.to)),
        BadTarget::Ours => Failure::refused(format!("--to: `{}` {error}", args.to)),
    })?;
    let rate = args.rate.as_deref().map(rate).transpose()?;
    Ok(Wanted {
        slice: Slice { since, until, seq },
        scope: Scope {
            channel: channel.or(of_account),
            account: whose.map(|whose| AccountId::new(whose.account.as_str())),
        },
        how: ApplyOptions { target, all: args.all },
        rate,
    })
}

fn positions(text: &str) -> anyhow::Result<(u64, u64)> {
    let parsed = text.split_once("..").and_then(|(one, last)| {
        let last = last.strip_prefix('=').unwrap_or(last);
        Some((one.parse::<u64>().ok()?, last.parse::<u64>().ok()?))
    });
    match parsed {
        Some((one, last)) if 0 < one && one <= last => Ok((one, last)),
        _ => Err(Failure::usage("--seq: use A..B, the first and the last position, from 1 on")),
    }
}

fn rate(text: &str) -> anyhow::Result<f64> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse::<f64>();
    number.ok().filter(|rate| rate.is_finite() && *rate > 0.0).ok_or_else(|| {
        Failure::usage("--rate: use a number above 0 of raw webhooks per second, such as 50/s")
    })
}

/// What identifies a job: what it does, not how fast or why.
pub(crate) fn job_arguments(args: &ReplayArgs) -> Value {
    json!({
        "since": args.since, "until": args.until, "seq": args.seq,
        "channel": args.channel.map(|channel| channel.channel()), "account": args.account, "to": args.to,
        "all": args.all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_rates_are_read() {
        assert_eq!(positions("3..9").unwrap(), (3, 9));
        for wrong in ["9..3", "0..3", "3", "a..b", "..", "3.."] {
            assert!(positions(wrong).is_err(), "{wrong}");
        }
        assert!((rate("50/s").unwrap() - 50.0).abs() < f64::EPSILON);
        for wrong in ["0", "-1", "x", "NaN", "inf/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
