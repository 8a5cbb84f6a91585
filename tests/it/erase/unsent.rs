//! What was unsent is erased after a while, by the worker.

use serde_json::json;
use tests::body::{IG, body, echo, entry, now, text};
use tests::client::holds;
use tests::{Lab, Role, eventually};

use super::WITHIN;

const ANN: &str = "5200000000000011";

/// A reply of two messages, of which the first is `mid.3`, as the ledger has it while it is not sent as a whole.
async fn an_open_reply(lab: &Lab) {
    sqlx::raw_sql(
        "insert into worker.commands (identity, command_id, channel, account_id, lane, command, data, body_digest, requester, requester_name,
                                      requested_at, stream_seq, due_at, outcome_published)
         values ('open', 'open', 'instagram', '17841400000000101', 'open', 'reply', '{\"text\": \"canary-replied, the rest\"}', '', 'person',
                 'a test', now(), 0, now() + interval '1 day', true);
         insert into worker.parts (identity, n, lane, state, payload, content, peer, message_id, sent_at)
         values ('open', 0, 'open', 'sent', '{\"op\": \"message\", \"message\": {\"text\": \"canary-replied\"}}', sha256('1'), 'x', 'mid.3', now()),
                ('open', 1, 'open', 'planned', '{\"op\": \"message\", \"message\": {\"text\": \"the rest\"}}', sha256('2'), 'x', null, null)",
    )
    .execute(lab.pool())
    .await
    .unwrap();
}

/// A reply that was sent as two messages, `mid.4` and `mid.5`, whose outcome is to be published.
async fn a_sent_reply(lab: &Lab) {
    let conversation =
        schemas::ConversationId::of(schemas::Channel::Instagram, &IG.into(), &ANN.into());
    sqlx::query(
        "insert into worker.commands (identity, command_id, channel, account_id, contact_id, conversation_id, lane, command, data, body_digest,
                                      requester, requester_name, requested_at, stream_seq, due_at, state, finished_at, outcome_published)
         values ('both', 'both', 'instagram', $1, $2, $3, 'both', 'reply', '{\"text\": \"canary-part, its other part\"}', '', 'person', 'a test',
                 now(), 0, now(), 'sent', now(), false)",
    )
    .bind(IG)
    .bind(ANN)
    .bind(&conversation)
    .execute(lab.pool())
    .await
    .unwrap();
    sqlx::query(
        "insert into worker.parts (identity, n, lane, state, payload, content, peer, message_id, sent_at)
         values ('both', 0, 'both', 'sent', '{\"op\": \"message\", \"message\": {\"text\": \"canary-part\"}}', sha256('3'), $1, 'mid.4', now()),
                ('both', 1, 'both', 'sent', '{\"op\": \"message\", \"message\": {\"text\": \"its other part\"}}', sha256('4'), $1, 'mid.5', now())",
    )
    .bind(ANN)
    .execute(lab.pool())
    .await
    .unwrap();
    eventually("its outcome is in the log", WITHIN, async || {
        let sent = outcomes(lab).await;
        holds(sent.len() == 1, || format!("{sent:?}"))
    })
    .await;
    let text = outcomes(lab).await.concat();
    assert!(text.contains("canary-part") && text.contains("its other part"), "{text}");
}

/// What the log says of it.
async fn outcomes(lab: &Lab) -> Vec<String> {
    let events = lab.events().await;
    let of_reply = events.iter().filter(|event| event["data"]["reply_id"] == "both");
    of_reply.map(ToString::to_string).collect()
}

/// One of its messages was unsent: what is said of the other stays, in the log, in the inbox, and in the ledger.
async fn its_other_part_stays(lab: &Lab) {
    let outcome = outcomes(lab).await;
    assert_eq!(outcome.len(), 1, "{outcome:?}");
    assert!(outcome[0].contains("its other part") && outcome[0].contains("mid.4"), "{outcome:?}");
    let parts: i64 = sqlx::query_scalar(
        "select count(*) from worker.parts where identity = 'both' and payload::text like '%its other part%'",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    assert_eq!(parts, 1);
}

/// Its rest fails: nobody needs its words any more.
async fn it_ends(lab: &Lab) {
    sqlx::raw_sql(
        "update worker.parts set state = 'failed' where identity = 'open' and n = 1;
         update worker.commands set state = 'partial', finished_at = now() where identity = 'open'",
    )
    .execute(lab.pool())
    .await
    .unwrap();
}

async fn gone(lab: &Lab, word: &str) {
    eventually(&format!("{word} is gone"), WITHIN, async || {
        let found = lab.places_of(&[word]).await;
        holds(found.is_empty(), || found.join("\n"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsent_message_is_erased_and_the_others_stay() {
    let mut lab = Lab::start().await;
    lab.set("ERASE_UNSENT_AFTER", "1s");
    lab.run_all().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let at = now();
    let items = [
        text(IG, ANN, "mid.1", at, "stays here"),
        text(IG, ANN, "mid.2", at + 1, "canary-regretted"),
        echo(IG, ANN, "mid.3", at + 2, "canary-replied"),
    ];
    an_open_reply(&lab).await;
    let unsent = [
        json!({"sender": {"id": ANN}, "recipient": {"id": IG}, "timestamp": at + 3,
               "message": {"mid": "mid.2", "is_deleted": true}}),
        json!({"sender": {"id": IG}, "recipient": {"id": ANN}, "timestamp": at + 3,
               "message": {"mid": "mid.3", "is_deleted": true, "is_echo": true}}),
    ];
    for items in [&items[..], &unsent] {
        let body = body("instagram", &[entry(IG, at, items)]);
        assert_eq!(lab.meta().post("/webhooks/instagram", &body).await, 200);
    }
    a_sent_reply(&lab).await;
    let removed = json!({"sender": {"id": IG}, "recipient": {"id": ANN}, "timestamp": at + 4,
               "message": {"mid": "mid.4", "is_deleted": true, "is_echo": true}});
    let removed = body("instagram", &[entry(IG, at, &[removed])]);
    assert_eq!(lab.meta().post("/webhooks/instagram", &removed).await, 200);
    gone(&lab, "canary-part").await;
    // The open reply holds up nothing but its own message.
    gone(&lab, "canary-regretted").await;
    assert!(!lab.places_of(&["canary-replied"]).await.is_empty(), "what is still needed stays");
    it_ends(&lab).await;
    gone(&lab, "canary-replied").await;
    let rest: i64 = sqlx::query_scalar(
        "select count(*) from worker.parts where identity = 'open' and payload::text like '%the rest%'",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    assert_eq!(rest, 1, "the other message of the reply is not erased");
    eventually("nothing is left to do", WITHIN, async || {
        let open: i64 =
            sqlx::query_scalar("select count(*) from worker.erasures where finished_at is null")
                .fetch_one(lab.pool())
                .await
                .map_err(|error| error.to_string())?;
        holds(open == 0, || format!("{open} erasures"))
    })
    .await;
    lab.settled().await;
    let texts: Vec<Option<String>> = sqlx::query_scalar(
        "select text from inbox.messages where contact_id = $1 and text is not null",
    )
    .bind(ANN)
    .fetch_all(lab.pool())
    .await
    .unwrap();
    let mut texts: Vec<&str> = texts.iter().flatten().map(String::as_str).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["its other part", "stays here"]);
    its_other_part_stays(&lab).await;
    assert!(lab.readyz(Role::Worker).await.0 == 200);
}
