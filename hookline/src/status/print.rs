//! The status for people: a screen, or one line for a log.

use worker::outbound::admin;

use super::lag::Stage;
use super::read::Status;
use super::sending::Sending;
use crate::output::{say, table};

/// Prints the screen.
pub(crate) fn screen(status: &Status) {
    let rows: Vec<Vec<String>> = status
        .stages
        .iter()
        .map(|stage| {
            let oldest = stage
                .oldest_seconds
                .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
            vec![stage.stage.clone(), lag(stage), oldest]
        })
        .collect();
    table(&["stage", "lag", "oldest"], &rows);
    say("");
    say(format!("events          {:.1}/s, head {}", status.events_per_second, status.events_head));
    say(format!("durability      {}", status.durability));
    for risk in &status.postgres_risks {
        say(format!("postgres        NOT DURABLE: {risk}"));
    }
    say(format!("waiting room    {} ({} unresolved)", status.waiting_room, status.unresolved));
    say(format!("open commands   {}", status.commands_open));
    say(format!("dead letters    {}", status.dead_letters));
    for (cause, count) in &status.dead_letters_by_cause {
        say(format!("  {cause:<40} {count}"));
    }
    if status.unpublished_outcomes > 0 {
        say(format!("outcomes to publish {}", status.unpublished_outcomes));
    }
    for (job, state) in &status.jobs {
        say(format!("job             {job}: {state}"));
    }
    for endpoint in &status.endpoints {
        let why = endpoint.last_error.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        say(format!(
            "endpoint        {} is {}, {} held{why}: `hookline endpoints show {}`",
            endpoint.id, endpoint.state, endpoint.held, endpoint.id
        ));
    }
    print_completeness(status);
    print_sending(&status.sending, status.unknown_sends);
}

/// What is missing, and by which field nothing comes.
fn print_completeness(status: &Status) {
    for (account, one) in &status.completeness {
        if one.known < one.shown {
            say(format!(
                "completeness    {account}: of {} messages that Graph shows of the last day {} were missing ({} imported, {} unreachable)",
                one.shown,
                one.shown - one.known,
                one.healed,
                one.unreachable
            ));
        }
        if let (Some(field), Some(since)) = (&one.lost_field, one.lost_since) {
            say(format!(
                "lost            {account}: Graph shows messages since {since}, and no webhook of field {field} comes: `hookline accounts check`"
            ));
        }
        if let Some(error) = &one.error {
            say(format!("completeness    {account}: not compared: {error}"));
        }
    }
}

/// `unknown` where the stream is not the one whose positions are stored: `hookline doctor` says why.
fn lag(stage: &Stage) -> String {
    stage.lag.map_or_else(|| "unknown".to_owned(), |lag| lag.to_string())
}

pub(crate) fn line(status: &Status) -> String {
    let lag: Vec<String> =
        status.stages.iter().map(|stage| format!("{} {}", stage.stage, lag(stage))).collect();
    format!(
        "{} {:.1} events/s, lag: {}; waiting room {}, dead letters {}, unknown sends {}",
        status.at,
        status.events_per_second,
        lag.join(", "),
        status.waiting_room,
        status.dead_letters,
        status.unknown_sends
    )
}

/// What is not as it should be with sending; `unknown` is the number of sends with unknown outcome.
fn print_sending(sending: &Sending, unknown: i64) {
    let oldest = match sending.oldest_unknown_seconds {
        Some(seconds) => format!(" (oldest {seconds} s: `hookline replies list`)"),
        None => String::new(),
    };
    say(format!("unknown sends   {unknown}{oldest}"));
    if !sending.held.is_empty() {
        let held: Vec<_> =
            sending.held.iter().map(|(why, count)| format!("{why} {count}")).collect();
        say(format!("held commands   {}", held.join(", ")));
    }
    say(format!("window refusals {} in the last day", sending.window_refusals));
    if let Some(behind) = &sending.behind_log {
        say(format!(
            "frozen: {} since {} ({} sends are being settled)",
            behind.frozen, behind.since, behind.attempts
        ));
    }
    for (host, clock) in sending.graph_clocks.iter().filter(|(_, clock)| !clock.agrees) {
        say(format!(
            "clocks          Graph's ({host}) is {} ms ahead of Postgres's: absence of a send is not concluded",
            clock.ahead_ms
        ));
    }
    for freeze in &sending.freezes {
        let why = freeze.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let admin::Freeze { scope, since, by, .. } = freeze;
        say(format!("frozen          {scope} since {since} by {by}{why}"));
    }
    for stopped in &sending.accounts_stopped {
        let since = stopped.since.map_or_else(String::new, |since| format!(" since {since}"));
        say(format!(
            "stopped         {}{since}: {} ({} waiting)",
            stopped.account, stopped.reason, stopped.waiting
        ));
    }
    for one in &sending.accounts_to_tend {
        if let (Some(how), Some(days)) = (one.token, one.days_left) {
            let why = one.refresh_error.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            say(format!("token           {how}: {} ends in {days:.1} days{why}", one.account));
        }
        if let Some(since) = one.silent_since {
            say(format!(
                "silent          {}: no webhook since {since}: `hookline accounts check`",
                one.account
            ));
        }
        for (field, since) in &one.fields_silent {
            say(format!(
                "silent          {}: nothing by field {field} since {since}: `hookline accounts check`",
                one.account
            ));
        }
        if !one.fields_withheld.is_empty() {
            let fields = one.fields_withheld.join(", ");
            say(format!("fields          {}: withheld by Meta: {fields}", one.account));
        }
    }
    for account in &sending.accounts_blocked {
        say(format!("blocked by Meta {account}: see its support inbox"));
    }
}
