//! Rows as they can be compared: without when they were written, and of commands only those that have ended.

use std::collections::{BTreeMap, BTreeSet};

use tests::Lab;

/// What a recovery itself fills.
const FILLED: [(&str, &str); 15] = [
    ("facts", "select event_id, revision, kind, channel, account_id, contact_id, message_id, encode(digest, 'hex') as digest, rank, time,
                      time_approximate, raw_seq, raw_index, raw_era, event_seq, event_era, merged, silent from worker.facts"),
    ("withdrawn", "select event_id, reason, superseded_by from worker.withdrawn"),
    // Not its time: of an echo and an outcome whichever was recorded later gives it.
    ("messages", "select channel, account_id, message_id, contact_id, direction, thread_id from worker.messages"),
    ("reports", "select event_id, raw_era, raw_seq, raw_index, encode(digest, 'hex') as digest from worker.reports"),
    ("secrets", "select event_id, name from worker.secrets"),
    ("waiting", "select channel, account_id, message_id, num_edit, state, method, time, thread_id, raw_seq, raw_index, text,
                        unresolved_event, unresolved_contact from worker.waiting"),
    ("resolutions", "select channel, account_id, message_id, method, contact_id, direction, evidence, event_id from worker.resolutions"),
    ("contacts", "select channel, account_id, contact_id, last_trigger_at, answer, date_trunc('milliseconds', enriched_at) as enriched_at,
                         encode(profile_digest, 'hex') as digest from worker.contacts"),
    ("conversations of the policy", "select conversation_id, channel, account_id, contact_id, opened_at, opened_event, last_inbound_at,
                                            last_inbound_id, other_owns, owner_at, owner_event from worker.conversations"),
    ("commands", "select identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data,
                         encode(body_digest, 'hex') as digest, requester, requester_name, requested_at, caused_by, traceparent, stream_seq,
                         stream_era, state, rule, error, result, outcome_published from worker.commands where state <> 'open'"),
    ("parts", "select p.identity, p.n, p.lane, p.state, p.payload, encode(p.content, 'hex') as content, p.peer, p.attempt, p.message_id,
                      date_trunc('milliseconds', p.sent_at) as sent_at
                 from worker.parts p join worker.commands c using (identity) where c.state <> 'open'"),
    ("inbox.messages", "select * from inbox.messages"),
    ("inbox.conversations", "select * from inbox.conversations"),
    ("inbox.contacts", "select * from inbox.contacts"),
    ("inbox.comments", "select * from inbox.comments"),
];
/// What a worker finds out afterwards.
const FOUND_LATER: [(&str, &str); 3] = [
    ("echoes", "select channel, account_id, item_id, kind, peer, encode(content, 'hex') as content, metadata, app_id, time, claimed_by
                  from worker.echoes"),
    ("who replied", "select conversation_id, others_replied_at from worker.conversations"),
    // Its position goes on with what is sent afterwards.
    ("news", "select conversation_id, event_era from worker.news"),
];

pub(super) struct Tables(BTreeMap<&'static str, BTreeSet<String>>);

impl Tables {
    /// What a recovery fills.
    pub(super) async fn read(lab: &Lab) -> Self {
        let mut tables = Self(BTreeMap::new());
        for (name, sql) in FILLED.iter().chain(&FOUND_LATER) {
            tables.add(lab, name, sql).await;
        }
        tables
    }

    /// Of a day of which all tables have rows.
    pub(super) fn must_be_full(&self) {
        let empty: Vec<_> =
            self.0.iter().filter(|(_, rows)| rows.is_empty()).map(|(name, _)| *name).collect();
        assert_eq!(empty, ["secrets", "withdrawn"]);
    }

    async fn add(&mut self, lab: &Lab, name: &'static str, sql: &str) {
        let sql = format!("select to_jsonb(t)::text from ({sql}) t");
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(lab.pool()).await.unwrap();
        self.0.insert(name, rows.into_iter().collect());
    }

    pub(super) fn must_equal(&self, other: &Self) {
        let mut wrong = Vec::new();
        for (name, _) in FILLED {
            wrong.extend(missing(name, "is gone", &self.0[name], &other.0[name]));
            wrong.extend(missing(name, "is new", &other.0[name], &self.0[name]));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(!self.0["facts"].is_empty());
    }

    /// Rows of what only grows.
    pub(super) fn must_be_within(&self, other: &Self) {
        let grow =
            ["facts", "withdrawn", "messages", "reports", "resolutions", "commands", "parts"];
        let names = grow.into_iter().chain(FOUND_LATER.map(|(name, _)| name));
        let wrong: Vec<String> = names
            .flat_map(|name| missing(name, "is gone", &self.0[name], &other.0[name]))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    pub(super) fn event_ids(&self) -> BTreeSet<String> {
        let id = |row: &String| {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            row["event_id"].as_str().unwrap().to_owned()
        };
        self.0["facts"].iter().map(id).collect()
    }
}

fn missing(
    name: &str,
    what: &str,
    from: &BTreeSet<String>,
    within: &BTreeSet<String>,
) -> Vec<String> {
    from.difference(within).take(5).map(|row| format!("{name} {what}: {row}")).collect()
}
