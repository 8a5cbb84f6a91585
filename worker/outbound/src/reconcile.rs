//! Reading back what Meta has, where no answer told whether a send took effect.

use std::time::Duration;

use runtime::db::within;
use runtime::failpoint;
use schemas::{Channel, Timestamp};
use sqlx::{PgConnection, Row};

use super::attempt::Next;
use super::decide::{self, AfterLook, Look, State};
use super::ledger::{self, CommandRow, PartRow, SettledBy, time};
use super::matching::{Item, SKEW, Wanted};
use super::outcome::own_error;
use super::plan::{self, Payload};
use super::sender::{LEDGER_WITHIN, Sender};
use facts::accounts::Connected;
use facts::accounts::directory::Account;
use facts::follow_up::content;
use graph::reads::{MESSAGES_SHOWN, text_of};
use graph::{Call, Class, Conversation, GraphError, Lane};

/// How long a read is put off while the account is stopped; a new token wakes it earlier.
const STOPPED_PAUSE: Duration = Duration::from_secs(60);
/// How long a read may be put off that is not allowed now: then it counts as one that told nothing.
const WAIT_FOR_READ_MAX: Duration = Duration::from_secs(24 * 3600);

impl Sender {
    /// Looks once, and writes down what follows.
    pub(super) async fn look(&self, command: CommandRow, part: PartRow) -> anyhow::Result<Next> {
        let (begun_at, echo) = within(LEDGER_WITHIN, self.among_echoes(&command, &part)).await?;
        // What an echo has told already needs no call; it may have been examined while the part was still in flight.
        let looked = match echo {
            Some(item) => Read::Told(Look::Found { item_id: Some(item.id), time: Some(item.time) }),
            None => {
                let connected = self.accounts.get(command.channel, &command.account_id);
                match within(LEDGER_WITHIN, connected).await? {
                    Some(connected) if connected.account.stopped => {
                        Read::Later(STOPPED_PAUSE, "account_stopped")
                    }
                    Some(connected) => {
                        failpoint!("look.before_read");
                        let read = self.read_back(&connected, &command, &part).await?;
                        failpoint!("look.after_read");
                        read
                    }
                    None => Read::Told(Look::Inconclusive),
                }
            }
        };
        // No read, so nothing is counted; but that does not go on for ever either.
        let (look, later) = match looked {
            Read::Told(look) => (look, None),
            Read::Later(pause, why) => {
                let since = part.started_at.map(|at| begun_at.since(at));
                let later = since.filter(|since| *since < WAIT_FOR_READ_MAX);
                (Look::Inconclusive, later.map(|_| (pause, Some(why))))
            }
            Read::Unanswered => {
                let journal = part.journal(command.created_at);
                let pause = decide::read_again(&journal, &self.decision_waits(), begun_at);
                (Look::Inconclusive, pause.map(|pause| (pause, None)))
            }
        };
        if let Some((pause, why)) = later {
            within(LEDGER_WITHIN, self.look_later(&command, pause, why)).await?;
            return Ok(Next::Idle);
        }
        metrics::counter!("hookline_reconcile_looks_total", "found" => word(&look)).increment(1);
        within(LEDGER_WITHIN, self.settle_look(&command, &part, look, begun_at)).await
    }

    async fn look_later(
        &self,
        command: &CommandRow,
        pause: Duration,
        why: Option<&str>,
    ) -> sqlx::Result<()> {
        let mut conn = self.pool.acquire().await?;
        let until = ledger::now(&mut conn).await?.plus(pause);
        ledger::wait(&mut conn, &command.identity, until, why).await
    }

    async fn read_back(
        &self,
        connected: &Connected,
        command: &CommandRow,
        part: &PartRow,
    ) -> anyhow::Result<Read> {
        let read = match &part.payload {
            Payload::Message { .. } => self.read_thread(connected, command, part).await,
            Payload::CommentHide { comment_id, hidden } => {
                self.read_hidden(connected, comment_id, *hidden).await
            }
            Payload::CommentDelete { comment_id } => self.read_deleted(connected, comment_id).await,
            Payload::CommentReply { comment_id, .. } => {
                self.read_comments(connected, command, part, comment_id, true).await
            }
            Payload::CommentCreate { media_id, .. } => {
                self.read_comments(connected, command, part, media_id, false).await
            }
            // The thread of a private reply is not known before its answer; its echo tells.
            Payload::PrivateReply { .. } | Payload::SenderAction { .. } => Ok(Look::Inconclusive),
        };
        match read {
            Ok(look) => Ok(Read::Told(look)),
            Err(ReadError::Graph(error)) => {
                tracing::debug!(account.id = %command.account_id, %error, "Could not read back a send");
                Ok(match error.class {
                    Class::Account => {
                        let reason = error.to_string();
                        within(LEDGER_WITHIN, self.accounts.stop(connected, &reason)).await?;
                        Read::Later(STOPPED_PAUSE, "account_stopped")
                    }
                    Class::Limited(_) => {
                        Read::Later(error.retry_after.unwrap_or(self.waits.retry_min), "budget")
                    }
                    Class::Retry => Read::Unanswered,
                    _ => Read::Told(Look::Inconclusive),
                })
            }
            Err(ReadError::Database(error)) => Err(error.into()),
        }
    }

    async fn read_thread(
        &self,
        connected: &Connected,
        command: &CommandRow,
        part: &PartRow,
    ) -> Result<Look, ReadError> {
        let Some(contact) = command.contact_id.as_deref() else { return Ok(Look::Inconclusive) };
        let page = self.graph.conversations(connected, Some(contact), None, 5, Lane::Reply).await?;
        // Narrowed by Graph to one person; checked again, for a wrong thread would prove a wrong absence.
        let Some(thread) = page.conversations.iter().find(|thread| {
            thread.participants.iter().any(|party| party.id.as_deref() == Some(contact))
                || thread.messages.iter().any(|message| {
                    message
                        .to
                        .iter()
                        .chain(&message.from)
                        .any(|party| party.id.as_deref() == Some(contact))
                })
        }) else {
            return Ok(Look::Inconclusive);
        };
        let Some(wanted) = wanted(command, part) else { return Ok(Look::Inconclusive) };
        let (mut items, complete) = outbound(thread, &connected.account, contact, wanted.first_at);
        within(LEDGER_WITHIN, self.mark_claimed(command, &wanted, &mut items)).await?;
        Ok(wanted.look(&items, complete))
    }

    async fn read_comments(
        &self,
        connected: &Connected,
        command: &CommandRow,
        part: &PartRow,
        under: &str,
        answers: bool,
    ) -> Result<Look, ReadError> {
        let Some(wanted) = wanted(command, part) else { return Ok(Look::Inconclusive) };
        let (edge, fields) = match (command.channel, answers) {
            (Channel::Instagram, true) => ("replies", "id,text,timestamp,from,username"),
            (Channel::Instagram, false) => ("comments", "id,text,timestamp,from,username"),
            (Channel::Messenger, _) => ("comments", "id,message,created_time,from"),
        };
        let call = Call::new("comments", Lane::Moderate);
        let query = [("fields", fields), ("limit", "50")];
        let answer = self.graph.get(connected, call, &[under, edge], &query).await?;
        let mut items = Vec::new();
        for comment in answer["data"].as_array().into_iter().flatten() {
            let (Some(id), Some(time)) = (
                text_of(comment.get("id")),
                ["timestamp", "created_time"].into_iter().find_map(|name| {
                    text_of(comment.get(name)).as_deref().and_then(Timestamp::parse_meta)
                }),
            ) else {
                continue;
            };
            // Only the account's own; where Graph names no author, the text alone would take somebody else's for ours.
            let own = text_of(comment.pointer("/from/id"))
                .is_some_and(|id| connected.account.is_self(&id));
            let text = ["text", "message"].into_iter().find_map(|name| text_of(comment.get(name)));
            if own && let Some(text) = text {
                items.push(Item {
                    id,
                    content: content::of_text(&text),
                    peer: part.peer.clone(),
                    time,
                    claimed: false,
                });
            }
        }
        within(LEDGER_WITHIN, self.mark_claimed(command, &wanted, &mut items)).await?;
        // The absence of a comment is never proven.
        Ok(wanted.look(&items, false))
    }

    async fn read_hidden(
        &self,
        connected: &Connected,
        comment: &str,
        hidden: bool,
    ) -> Result<Look, ReadError> {
        let field = match connected.account.channel {
            Channel::Instagram => "hidden",
            Channel::Messenger => "is_hidden",
        };
        let call = Call::new("comment", Lane::Moderate);
        let answer = self
            .graph
            .get(connected, call, &[comment], &[("fields", &format!("id,{field}"))])
            .await?;
        Ok(match answer[field].as_bool() {
            Some(now) if now == hidden => Look::Found { item_id: None, time: None },
            _ => Look::Inconclusive,
        })
    }

    async fn read_deleted(&self, connected: &Connected, comment: &str) -> Result<Look, ReadError> {
        let call = Call::new("comment", Lane::Moderate);
        match self.graph.get(connected, call, &[comment], &[("fields", "id")]).await {
            Ok(_) => Ok(Look::Inconclusive),
            // 100/33: the object is missing or not visible, which is what was wanted.
            Err(error) if error.code == Some(100) && error.subcode == Some(33) => {
                Ok(Look::Found { item_id: None, time: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The time, and an unclaimed echo that fits the part.
    async fn among_echoes(
        &self,
        command: &CommandRow,
        part: &PartRow,
    ) -> sqlx::Result<(Timestamp, Option<Item>)> {
        let mut conn = self.pool.acquire().await?;
        let now = ledger::now(&mut conn).await?;
        // Messenger's own echoes carry our key and are claimed by it; others there are not ours.
        let keyed = command.channel == Channel::Messenger
            && matches!(part.payload, Payload::Message { .. });
        let Some(wanted) = wanted(command, part).filter(|_| !keyed) else { return Ok((now, None)) };
        let mut items = unclaimed(&mut conn, command, &wanted).await?;
        drop(conn);
        // One that a part was answered with is that part's, claimed or not: it may still wait to be compared.
        self.mark_claimed(command, &wanted, &mut items).await?;
        let found = wanted.choose(&items).cloned();
        Ok((now, found))
    }

    async fn settle_look(
        &self,
        command: &CommandRow,
        part: &PartRow,
        look: Look,
        begun_at: Timestamp,
    ) -> anyhow::Result<Next> {
        let mut tx = self.pool.begin().await?;
        let Some(command) = ledger::lock(&mut tx, &command.identity).await? else {
            return Ok(Next::Idle);
        };
        let parts = ledger::parts(&mut tx, &command.identity).await?;
        let now = ledger::now(&mut tx).await?;
        // Somebody may have settled it meanwhile; looks of another attempt prove nothing about this one.
        let Some(current) = parts.into_iter().find(|one| {
            one.n == part.n
                && one.state == State::Sending
                && one.attempt == part.attempt
                && one.looks == part.looks
        }) else {
            return Ok(Next::Again);
        };
        let journal = current.journal(command.created_at);
        let next = match decide::after_look(&journal, look, begun_at, &self.decision_waits(), now) {
            AfterLook::Sent { item_id, time } => {
                if let Some(id) = &item_id
                    && !adopt(&mut tx, &command, &current, id, time.unwrap_or(now)).await?
                {
                    // Claimed by another part between the look and now: look again.
                    ledger::wait(&mut tx, &command.identity, now, None).await?;
                    tx.commit().await?;
                    return Ok(Next::Again);
                }
                let at = time.unwrap_or(now);
                ledger::mark_sent(
                    &mut tx,
                    &command,
                    part.n,
                    item_id.as_deref(),
                    at,
                    SettledBy::Read,
                )
                .await?;
                self.conclude_or_go_on(&mut tx, &command, now).await?
            }
            AfterLook::Again { at, absent_at } => {
                sqlx::query(
                    "update worker.parts set looks = looks + 1, absent_at = $3, not_before = $4
                      where identity = $1 and n = $2 and state = 'sending'",
                )
                .bind(&command.identity)
                .bind(part.n)
                .bind(absent_at.map(Timestamp::to_datetime))
                .bind(at.to_datetime())
                .execute(&mut *tx)
                .await?;
                ledger::wait(&mut tx, &command.identity, at, None).await?;
                Next::Idle
            }
            AfterLook::Repeat => {
                tracing::info!(command.id = %command.command_id, "Proven absent: command `{}` is attempted again", command.command_id);
                metrics::counter!("hookline_send_repeats_total").increment(1);
                sqlx::query(
                    "update worker.parts set state = 'refused', uncertain = true, not_before = null
                      where identity = $1 and n = $2 and state = 'sending'",
                )
                .bind(&command.identity)
                .bind(part.n)
                .execute(&mut *tx)
                .await?;
                ledger::wait(&mut tx, &command.identity, now, None).await?;
                Next::Again
            }
            AfterLook::Park => {
                let error = own_error(
                    "outcome_unknown",
                    "unknown",
                    "nobody can tell whether Meta took it: look there, then `hookline replies resolve`",
                );
                ledger::mark_unknown(&mut tx, &command.identity, part.n, &error).await?;
                ledger::conclude(&mut tx, &command, None).await?;
                tracing::warn!(command.id = %command.command_id, "Parked command `{}`: its outcome is unknown", command.command_id);
                metrics::counter!("hookline_send_parked_total").increment(1);
                Next::Ended
            }
        };
        failpoint!("look.before_commit");
        tx.commit().await?;
        failpoint!("look.after_commit");
        Ok(next)
    }

    pub(super) async fn conclude_or_go_on(
        &self,
        conn: &mut PgConnection,
        command: &CommandRow,
        now: Timestamp,
    ) -> sqlx::Result<Next> {
        if ledger::conclude(conn, command, None).await? {
            return Ok(Next::Ended);
        }
        ledger::wait(conn, &command.identity, now, None).await?;
        Ok(Next::Again)
    }
}

/// What trying to read gave.
enum Read {
    /// A look.
    Told(Look),
    /// No call may be made now: again after this pause, for this reason.
    Later(Duration, &'static str),
    /// No answer, or one that says: again. Trouble on the way tells nothing about the send.
    Unanswered,
}

enum ReadError {
    Graph(GraphError),
    Database(sqlx::Error),
}

impl From<GraphError> for ReadError {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

const fn word(look: &Look) -> &'static str {
    match look {
        Look::Found { .. } => "found",
        Look::Absent => "absent",
        Look::Inconclusive => "inconclusive",
    }
}

/// What is looked for.
pub(super) fn wanted(command: &CommandRow, part: &PartRow) -> Option<Wanted> {
    Some(Wanted {
        key: plan::key(&command.identity, part.n),
        content: part.content,
        peer: part.peer.clone(),
        first_at: part.first_at?,
        deadline: part.deadline?,
        in_flight: false,
    })
}

/// The account's own messages of a thread, and whether the read is complete: it reaches back before `since` and withholds nothing since.
fn outbound(
    thread: &Conversation,
    account: &Account,
    contact: &str,
    since: Timestamp,
) -> (Vec<Item>, bool) {
    // Where these are all there are, clocks do not matter: one from before the attempt shows that something was read, and what is newer
    // is not left out. Nothing at all proves nothing: whoever is answered has written before.
    let all = thread.messages.len() < MESSAGES_SHOWN && !thread.more;
    let reaches = if all { since } else { since.minus(SKEW) };
    let (mut reaches_back, mut withheld, mut items) = (false, false, Vec::new());
    for message in &thread.messages {
        let time = message.created_time;
        reaches_back |= time.is_some_and(|time| time < reaches);
        let from = message.from.as_ref().and_then(|party| party.id.as_deref());
        match (from, time) {
            (Some(from), _) if from == contact && !account.is_self(from) => {}
            // Instagram may name the account by an app-scoped id: whoever is not the person is the account, in a thread of two.
            (Some(_), Some(time)) => items.push(Item {
                id: message.id.to_string(),
                content: content::of_message(message.text.as_deref(), &message.attachments),
                peer: contact.to_owned(),
                time,
                claimed: false,
            }),
            // One whose author or time Graph withholds could be the one.
            _ => withheld |= time.is_none_or(|time| since.minus(SKEW) <= time),
        }
    }
    (items, reaches_back && !withheld)
}

impl Sender {
    /// Marks what is known to be something else: what belongs to other parts, what was told before the first attempt, and a Messenger
    /// echo without our key.
    async fn mark_claimed(
        &self,
        command: &CommandRow,
        wanted: &Wanted,
        items: &mut [Item],
    ) -> sqlx::Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
        let taken: Vec<String> = sqlx::query_scalar(
            "select item_id from worker.echoes
              where channel = $1 and account_id = $2 and item_id = any($3)
                and ((claimed_by is not null and claimed_by <> $4)
                     or seen_at < $5
                     or (channel = 'messenger' and kind = 'message' and examined and app_id is not null
                         and metadata is distinct from $4))
             union
             select p.message_id from worker.parts p join worker.commands c using (identity)
              where p.message_id = any($3) and c.channel = $1 and c.account_id = $2",
        )
        .bind(command.channel.as_str())
        .bind(command.account_id.as_str())
        .bind(&ids)
        .bind(&wanted.key)
        // Both by the clock of the database, which may be another machine's since.
        .bind(wanted.first_at.minus(SKEW).to_datetime())
        .fetch_all(&self.pool)
        .await?;
        for item in items.iter_mut() {
            item.claimed = taken.contains(&item.id);
        }
        Ok(())
    }
}

/// Echoes nobody claims that may be the part's effect.
async fn unclaimed(
    conn: &mut PgConnection,
    command: &CommandRow,
    wanted: &Wanted,
) -> sqlx::Result<Vec<Item>> {
    let rows = sqlx::query(
        "select item_id, content, peer, time from worker.echoes
          where channel = $1 and account_id = $2 and peer = $3 and content = $4 and claimed_by is null",
    )
    .bind(command.channel.as_str())
    .bind(command.account_id.as_str())
    .bind(&wanted.peer)
    .bind(wanted.content.to_vec())
    .fetch_all(conn)
    .await?;
    let item = |row: &sqlx::postgres::PgRow| -> sqlx::Result<Item> {
        Ok(Item {
            id: row.try_get("item_id")?,
            content: ledger::content(row)?,
            peer: row.try_get("peer")?,
            time: time(row, "time")?.unwrap_or(Timestamp::EPOCH),
            claimed: false,
        })
    };
    rows.iter().map(item).collect()
}

/// Keeps what a read found as an echo claimed by the part, so that no other part can take it. `false`: another has it.
async fn adopt(
    conn: &mut PgConnection,
    command: &CommandRow,
    part: &PartRow,
    item: &str,
    at: Timestamp,
) -> sqlx::Result<bool> {
    let kind = if matches!(part.payload, Payload::Message { .. } | Payload::PrivateReply { .. }) {
        "message"
    } else {
        "comment"
    };
    let done = sqlx::query(
        "insert into worker.echoes as e (channel, account_id, item_id, kind, peer, content, time, claimed_by, examined)
         select $1, $2, $3, $4, $5, $6, $7, $8, true
          where not exists (select from worker.parts p join worker.commands c using (identity)
                             where p.message_id = $3 and c.channel = $1 and c.account_id = $2)
         on conflict (channel, account_id, item_id) do update set claimed_by = excluded.claimed_by, examined = true
          where e.claimed_by is null or e.claimed_by = excluded.claimed_by",
    )
    .bind(command.channel.as_str())
    .bind(command.account_id.as_str())
    .bind(item)
    .bind(kind)
    .bind(&part.peer)
    .bind(part.content.to_vec())
    .bind(at.to_datetime())
    .bind(plan::key(&command.identity, part.n))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::accounts::directory::Login;
    use graph::{FoundMessage, Party};

    const CONTACT: &str = "5200000000000011";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + seconds * 1000)
    }

    fn account() -> Account {
        Account {
            channel: Channel::Instagram,
            id: "17841400000000101".into(),
            login: Login::Instagram,
            app: None,
            page_id: None,
            aliases: Vec::new(),
            name: None,
            auto_reply: None,
            stopped: false,
        }
    }

    fn message(id: &str, from: &str, text: &str, time: i64) -> FoundMessage {
        FoundMessage {
            id: id.into(),
            created_time: Some(at(time)),
            from: Some(Party { id: Some(from.to_owned()), username: None }),
            text: Some(text.to_owned()),
            detailed: true,
            ..FoundMessage::default()
        }
    }

    fn look(messages: Vec<FoundMessage>) -> Look {
        look_at(Conversation { messages, ..Conversation::default() })
    }

    fn look_at(thread: Conversation) -> Look {
        let wanted = Wanted {
            key: "k".to_owned(),
            content: content::of_text("ok"),
            peer: CONTACT.to_owned(),
            first_at: at(100),
            deadline: at(120),
            in_flight: false,
        };
        let (items, complete) = outbound(&thread, &account(), CONTACT, wanted.first_at);
        wanted.look(&items, complete)
    }

    #[test]
    fn our_text_after_the_attempt_began_is_found_even_under_an_app_scoped_id() {
        let found = look(vec![
            message("m2", "25500000000000101", "ok", 101),
            message("m1", CONTACT, "ok", 99),
        ]);
        assert_eq!(found, Look::Found { item_id: Some("m2".to_owned()), time: Some(at(101)) });
    }

    /// What the person wrote before the attempt.
    fn question() -> FoundMessage {
        message("m0", CONTACT, "open?", 99)
    }

    #[test]
    fn the_persons_own_words_are_never_ours() {
        let words = message("m1", CONTACT, "ok", 101);
        assert_eq!(look(vec![words.clone(), question()]), Look::Absent);
        // Whatever they sent, and whenever: it is not ours.
        let sticker = FoundMessage { text: None, created_time: None, ..words };
        assert_eq!(look(vec![sticker, question()]), Look::Absent);
    }

    #[test]
    fn a_read_that_does_not_reach_back_proves_nothing() {
        assert_eq!(look(Vec::new()), Look::Inconclusive);
        assert_eq!(look(vec![message("m1", CONTACT, "hi", 101)]), Look::Inconclusive);
        assert_eq!(look(vec![question()]), Look::Absent);
        let part = Conversation { messages: vec![question()], more: true, ..Default::default() };
        assert_eq!(look_at(part.clone()), Look::Inconclusive);
        let mut messages = part.messages.clone();
        messages.push(message("m", CONTACT, "hi", 94));
        assert_eq!(look_at(Conversation { messages, ..part }), Look::Absent);
        let many: Vec<_> =
            (0..20).map(|n| message(&format!("m{n}"), CONTACT, "hi", 115 - n)).collect();
        assert_eq!(look(many.clone()), Look::Inconclusive);
        let mut old = many;
        old[19].created_time = Some(at(50));
        assert_eq!(look(old), Look::Absent);
    }

    #[test]
    fn a_message_that_is_withheld_altered_or_out_of_time_proves_nothing() {
        let own = message("m1", "17841400000000101", "ok", 101);
        let nobody = FoundMessage { detailed: false, from: None, ..own.clone() };
        let named = Party { id: None, username: Some("shop".to_owned()) };
        let handle = FoundMessage { from: Some(named), ..own.clone() };
        let timeless = FoundMessage { created_time: None, ..own.clone() };
        let bare = FoundMessage { text: None, ..own.clone() };
        let altered = FoundMessage { text: Some("o.k.".to_owned()), ..own.clone() };
        let early = FoundMessage { created_time: Some(at(93)), ..own };
        for one in [nobody, handle, timeless, bare, altered, early] {
            assert_eq!(look(vec![one.clone(), question()]), Look::Inconclusive, "{one:?}");
        }
    }
}
