//! What policy and queue must know about one command, read in one statement for many.

use std::time::Duration;

use schemas::{ContactId, EventId, Place, Timestamp};
use sqlx::PgConnection;

use crate::decide::LoggedAttempt;
use crate::ledger::{CommandRow, PartRow};
use crate::payload::Payload;
use policy::{SendKind, Situation};

/// Everything around a command, as of now.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct ClaimContext {
    /// The database's clock.
    pub(crate) now: Timestamp,
    /// Of all accounts: what is kept of them holds as long as it is the same.
    pub(crate) accounts_version: i64,
    /// `None`: no such account.
    pub(crate) account_stopped: Option<bool>,
    /// Its token was destroyed: nothing is sent for it any more.
    pub(crate) account_disconnected: Option<bool>,
    /// It is connected by Facebook Login.
    pub(crate) by_facebook: Option<bool>,
    /// Frozen: everything, the account, or the conversation; or the ledger is behind the log.
    pub(crate) frozen: bool,
    /// A limit was met.
    pub(crate) paused_until: Option<Timestamp>,
    /// An unknown outcome is parked in this lane.
    pub(crate) parked: bool,
    /// The event it answers is recorded (or it answers none).
    pub(crate) cause_known: bool,
    /// The conversation has something later than the command was based on.
    pub(crate) overtaken: bool,
    /// It is based on something, and a message of the account in its conversation is still to be compared with the ledger.
    pub(crate) echo_waits: bool,
    to_itself: bool,
    opened_at: Option<Timestamp>,
    other_owns: bool,
    others_replied_at: Option<Timestamp>,
    cause_deleted: bool,
    blocked: bool,
    unreachable: bool,
    own_comment: bool,
    logged_attempt: Option<i32>,
    logged_first_at: Option<Timestamp>,
    logged_started_at: Option<Timestamp>,
    logged_deadline: Option<Timestamp>,
}

/// A command and its open part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around<'a> {
    pub(crate) command: &'a CommandRow,
    pub(crate) part: Option<&'a PartRow>,
}

/// Reads what is around one command.
pub(crate) async fn read(
    conn: &mut PgConnection,
    around: Around<'_>,
) -> sqlx::Result<ClaimContext> {
    read_all(conn, &[around]).await?.pop().ok_or(sqlx::Error::RowNotFound)
}

/// Reads what is around these commands, in their order.
pub(crate) async fn read_all(
    conn: &mut PgConnection,
    around: &[Around<'_>],
) -> sqlx::Result<Vec<ClaimContext>> {
    let of = |text: fn(&CommandRow) -> &str| -> Vec<&str> {
        around.iter().map(|one| text(one.command)).collect()
    };
    let or_none = |text: fn(&CommandRow) -> Option<&str>| -> Vec<Option<&str>> {
        around.iter().map(|one| text(one.command)).collect()
    };
    let comments: Vec<Option<&str>> =
        around.iter().map(|one| one.part?.payload.comment_id()).collect();
    let ns: Vec<Option<i32>> = around.iter().map(|one| Some(one.part?.n)).collect();
    let based: Vec<Option<Place>> = around.iter().map(|one| one.command.based_on()).collect();
    let number = |of: fn(&Place) -> u64| -> Vec<Option<i64>> {
        let number = |place: &Option<Place>| place.as_ref().map(of).and_then(|n| n.try_into().ok());
        based.iter().map(number).collect()
    };
    sqlx::query_as(concat!(
        "select clock_timestamp() as now, (select version from worker.accounts_version) as accounts_version, a.state = 'stopped' as account_stopped,
                a.state = 'disconnected' as account_disconnected, a.login = 'facebook' as by_facebook, v.opened_at,
                coalesce(v.other_owns, false) as other_owns,
                coalesce(a.id = t.contact_id or a.page_id = t.contact_id, false)
                    or exists (select from (select from worker.account_aliases l
                                             where l.channel = t.channel and l.account_id = t.account_id and l.alias = t.contact_id
                                            offset 0) alias) as to_itself,
                greatest(v.others_replied_at,
                         (select max(p.requested_at) from worker.commands p
                           where p.conversation_id = t.conversation_id and p.requester = 'person' and p.command = 'reply'
                             and p.state <> 'failed' and p.requested_at > now() - interval '1 hour')) as others_replied_at,
                exists (select from (select from worker.account_policy y
                                      where y.channel = t.channel and y.account_id = t.account_id and y.blocked offset 0) policy) as blocked,
                coalesce(v.unreachable_at > coalesce(v.opened_at, '-infinity'), false) as unreachable,
                exists (select from worker.freezes f
                         where f.scope in ('*', 'account:' || t.channel || '/' || t.account_id, 'conversation:' || t.conversation_id))
                    or exists (select from worker.behind_log) as frozen,
                (select max(p.until) from worker.pauses p
                  where p.scope in ('account:' || t.channel || '/' || t.account_id, 'app:' || coalesce(a.app, 'login:' || a.login))
                    and p.until > clock_timestamp()) as paused_until,
                exists (select from (select from worker.commands u where u.lane = t.lane and u.state = 'unknown' offset 0) other) as parked,
                exists (select from (select from worker.echoes e
                                      where e.channel = t.channel and e.account_id = t.account_id and e.item_id = t.comment
                                        and e.kind = 'comment' offset 0) echo)
                    or exists (select from (select from worker.parts q where q.message_id = t.comment offset 0) part) as own_comment,
                (t.caused_by is null or exists (select from (select from worker.facts f where f.event_id = t.caused_by offset 0) cause))
                    as cause_known,
                exists (select from (select f.channel, f.account_id, f.message_id from worker.facts f
                                      where f.event_id = t.caused_by offset 0) cause
                         cross join lateral (select from worker.facts d
                                              where d.channel = cause.channel and d.account_id = cause.account_id
                                                and d.message_id = cause.message_id and d.kind = 'message.deleted' offset 0) deleted)
                    as cause_deleted,
",
        include_str!("overtaken.sql"),
        "                g.attempt as logged_attempt, g.first_at as logged_first_at, g.started_at as logged_started_at,
                g.deadline as logged_deadline
           from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int[],
                       $10::bigint[], $11::bigint[])
                with ordinality as t (channel, account_id, conversation_id, contact_id, lane, comment, caused_by, identity, n, based_era, based_seq, place)
           left join lateral (select * from worker.accounts one where one.channel = t.channel and one.id = t.account_id offset 0) a on true
           left join lateral (select * from worker.conversations one where one.conversation_id = t.conversation_id offset 0) v on true
           left join lateral (select * from worker.logged_attempts one where one.identity = t.identity and one.n = t.n offset 0) g on true
          order by t.place",
    ))
    .bind(of(|command| command.channel.as_str()))
    .bind(of(|command| command.account_id.as_str()))
    .bind(of(|command| command.conversation_id.as_ref().map_or("", |id| id.as_str())))
    .bind(or_none(|command| command.contact_id.as_ref().map(ContactId::as_str)))
    .bind(of(|command| &command.lane))
    .bind(comments)
    .bind(or_none(|command| command.caused_by.as_ref().map(EventId::as_str)))
    .bind(of(|command| &command.identity))
    .bind(ns)
    .bind(number(|place| place.era))
    .bind(number(|place| place.position))
    .fetch_all(conn)
    .await
}

impl ClaimContext {
    /// What the log has of the open part and the ledger may not know.
    pub(crate) fn logged(&self) -> Option<LoggedAttempt> {
        Some(LoggedAttempt {
            attempt: u32::try_from(self.logged_attempt?).ok()?,
            first_at: self.logged_first_at?,
            started_at: self.logged_started_at?,
            deadline: self.logged_deadline?,
        })
    }

    /// What the policy judges for one part of the command.
    pub(crate) fn situation<'a>(
        &self,
        command: &'a CommandRow,
        part: &'a PartRow,
        auto_reply_max_age: Duration,
    ) -> Situation<'a> {
        let kind = match &part.payload {
            Payload::Message { tag, .. } => {
                SendKind::Message { tag: tag.as_deref(), automatic: command.is_auto_reply() }
            }
            Payload::SenderAction { .. } => SendKind::SenderAction,
            Payload::PrivateReply { .. } => SendKind::PrivateReply,
            Payload::TemplateSend { .. } => SendKind::Template,
            Payload::TemplateSubmit { .. } => SendKind::TemplateSubmit,
            Payload::Conversion { .. } => {
                SendKind::Conversion { by_facebook: self.by_facebook == Some(true) }
            }
            _ => SendKind::Comment,
        };
        Situation {
            kind,
            requester: command.requester,
            requested_at: command.requested_at,
            auto_reply_max_age,
            contact: command.contact_id.as_ref().map_or("", |contact| contact.as_str()),
            to_itself: self.to_itself,
            opened_at: self.opened_at,
            other_owns: self.other_owns,
            others_replied_at: self.others_replied_at,
            cause_deleted: self.cause_deleted,
            blocked: self.blocked,
            unreachable: self.unreachable,
            // Whoever asks may hide or delete what the account wrote; only answers to itself would be a loop.
            own_comment: self.own_comment
                && !matches!(
                    part.payload,
                    Payload::CommentHide { .. } | Payload::CommentDelete { .. }
                ),
        }
    }
}
