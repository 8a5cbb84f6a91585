//! A stream that is made anew stops its readers visibly until an operator adopts it: nothing is withdrawn and nothing sent by that.
//! A stream that is restored from a backup goes on by itself.

mod publish;
mod restored;

use std::time::Duration;

use runtime::config::{NatsConfig, Settings};
use runtime::streams::{self, Era, StreamName};
use schemas::Timestamp;
use schemas::subjects::{INBOX_ATTEMPTS, INBOX_COMMANDS, INBOX_EVENTS, META_RAW};
use serde_json::{Value, json};
use simulator::CallKind;
use tests::crowd::{self, Asked, Shop, all_ended, ask};
use tests::{Lab, Role, eventually};

const WITHIN: Duration = Duration::from_secs(60);
/// How soon a role says that it does not go on (docs/contract.md 4 and 12).
const VISIBLE: Duration = Duration::from_secs(10);

/// All roles apart, and three accounts with people who have written and got an answer.
async fn stage() -> (Lab, Vec<Shop>, Vec<Asked>) {
    let mut lab = Lab::start().await;
    lab.run_apart().await;
    let shops = crowd::open(&lab, 0..3, 2).await;
    let asked = reply_to_all(&lab, &shops, "before").await;
    all_ended(&lab, asked.len(), WITHIN).await;
    assert!(lab.simulator.settled(Duration::from_secs(20)).await);
    lab.settled().await;
    (lab, shops, asked)
}

async fn reply_to_all(lab: &Lab, shops: &[Shop], what: &str) -> Vec<Asked> {
    let wishes = shops.iter().flat_map(|shop| {
        let people = shop.people.iter();
        people.map(move |person| (shop, person, what.to_owned(), what.to_owned()))
    });
    ask(lab, wishes.collect()).await
}

/// A role says within ten seconds that it does not go on, and names the stream.
async fn stopped(lab: &Lab, role: Role, stream: &str) {
    lab.not_ready(role, stream, VISIBLE).await;
}

/// An operator's tool removes a stream, and may make an empty one of its name.
async fn lose(lab: &Lab, stream: &str, made_anew: bool) {
    let js = lab.jetstream().await;
    let mut config = js.get_stream(stream).await.unwrap().cached_info().config.clone();
    js.delete_stream(stream).await.unwrap();
    if made_anew {
        config.metadata.clear();
        js.create_stream(config).await.unwrap();
    }
}

/// Every time the stream is not the known one, operators see it: `status` does not know the lag, `doctor` names the stream with the fix.
async fn operators_see_it(lab: &Lab, stream: &str, stages: &[&str]) {
    let (_, out, err) = lab.hookline(&["status", "--output", "json"]).await;
    let status: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    for name in stages {
        let all = status["stages"].as_array().unwrap();
        let stage = all.iter().find(|stage| stage["stage"] == **name).unwrap();
        assert!(stage["lag"].is_null(), "lag is not known: {stage}");
    }
    for name in stages {
        let (role, gauge) = match *name {
            "normalize" => (Role::Worker, "hookline_normalize_lag_messages{shard=\"00\"}"),
            "commands" => (Role::Worker, "hookline_commands_lag_messages"),
            "automate" => (Role::Worker, "hookline_automate_lag_messages"),
            _ => (Role::Projector, "hookline_projector_lag_messages"),
        };
        // The reader finds it by itself, which may be after the check of the connection that `/readyz` reported.
        eventually(&format!("{gauge} is not known"), VISIBLE, async || {
            let text = lab.metrics(role).await;
            match text.lines().find(|line| line.starts_with(gauge)) {
                Some(line) if line.ends_with("NaN") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
    let (code, out, err) = lab.hookline(&["doctor", "--output", "json"]).await;
    assert_eq!(code, 1, "{out}{err}");
    let findings: Value = serde_json::from_str(&out).unwrap();
    let named = findings.as_array().unwrap().iter().any(|one| {
        one["level"] == "problem"
            && one["check"].as_str().unwrap().contains(stream)
            && one["fix"].as_str().unwrap().contains("streams adopt")
    });
    assert!(named, "{findings}");
}

/// `streams adopt`: refused without a reason, first looked at, then done.
async fn adopt(lab: &Lab, stream: &str) {
    let (code, ..) = lab.hookline(&["streams", "adopt", stream]).await;
    assert_eq!(code, 2, "a reason is needed");
    let words = ["streams", "adopt", stream, "--reason", "the disk was lost", "--output", "json"];
    let mut plan = words.to_vec();
    plan.push("--dry-run");
    let plan: Value = serde_json::from_str(&lab.hookline_ok(&plan).await).unwrap();
    assert_eq!((&plan["stream"], &plan["adopted"]), (&json!(stream), &json!(false)), "{plan}");
    let done: Value = serde_json::from_str(&lab.hookline_ok(&words).await).unwrap();
    assert_eq!(done["adopted"], json!(true), "{done}");
    let audit = lab.hookline_ok(&["audit", "--output", "json"]).await;
    assert!(audit.contains("streams adopt") && audit.contains("the disk was lost"), "{audit}");
    lab.all_ready().await;
    // A second time there is nothing to adopt.
    let again: Value = serde_json::from_str(&lab.hookline_ok(&words).await).unwrap();
    assert_eq!(again["adopted"], json!(false), "{again}");
}

async fn number(lab: &Lab, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(lab.pool()).await.unwrap()
}

/// What people and operators would miss: rows, facts, withdrawals.
async fn known(lab: &Lab) -> (i64, i64, i64) {
    (
        number(lab, "select count(*) from inbox.messages").await,
        number(lab, "select count(*) from worker.facts").await,
        number(lab, "select count(*) from worker.withdrawn").await,
    )
}

/// New messages come in, new replies go out, and nothing else was sent since `sends`.
async fn flows(lab: &Lab, shops: &[Shop], asked: &[Asked], sends: u64, what: &str) {
    for person in shops.iter().flat_map(|shop| &shop.people) {
        person.says(&format!("{what}?")).accepted().await.unwrap();
    }
    let rows = "select count(*) from inbox.messages where text like '%?' and text like $1 || '%'";
    let people = shops.iter().map(|shop| shop.people.len()).sum::<usize>();
    eventually("new messages show", WITHIN, async || {
        let count: i64 = sqlx::query_scalar(rows)
            .bind(what)
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
        tests::client::holds(count == i64::try_from(people).unwrap(), || count.to_string())
    })
    .await;
    let new = reply_to_all(lab, shops, what).await;
    all_ended(lab, asked.len() + new.len(), WITHIN).await;
    assert!(lab.simulator.settled(Duration::from_secs(20)).await);
    lab.settled().await;
    assert_eq!(lab.simulator.count(CallKind::Send), sends + new.len() as u64);
    let mut all = asked.to_vec();
    all.extend(new);
    let tally = crowd::audit(lab, &all).await;
    assert_eq!(tally.of("sent"), all.len(), "{tally:?}");
}

/// A replay over everything finds nothing to withdraw.
async fn replay_withdraws_nothing(lab: &Lab) {
    let words = ["replay", "--since", "1h", "--output", "json"];
    let done: Value = serde_json::from_str(&lab.hookline_ok(&words).await).unwrap();
    for part in ["plan", "result"] {
        let kinds = done[part]["kinds"].as_object().unwrap();
        for (kind, counts) in kinds {
            assert_eq!(counts["withdrawn"], json!(0), "{part} {kind}: {done}");
        }
    }
    assert_eq!(number(lab, "select count(*) from worker.withdrawn").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_webhooks_made_anew_stop_visibly_and_go_on_when_adopted() {
    let (lab, shops, asked) = stage().await;
    let before = known(&lab).await;
    let sends = lab.simulator.count(CallKind::Send);
    let event: String = sqlx::query_scalar(
        "select event_id from worker.facts where kind = 'message.received' order by raw_seq limit 1",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    lose(&lab, META_RAW, true).await;
    for role in [Role::Worker, Role::Ingest] {
        stopped(&lab, role, META_RAW).await;
    }
    operators_see_it(&lab, META_RAW, &["normalize"]).await;
    let (code, out, err) = lab.hookline(&["replay", "--since", "1h", "--dry-run"]).await;
    assert!(code == 3 && err.contains("streams adopt"), "{code} {out}{err}");
    adopt(&lab, META_RAW).await;
    flows(&lab, &shops, &asked, sends, "after").await;
    replay_withdraws_nothing(&lab).await;
    assert!(before.1 < known(&lab).await.1, "what was known stays known");
    // Another webhook has the number now, from which the event came.
    let trace: Value =
        serde_json::from_str(&lab.hookline_ok(&["trace", &event, "--output", "json"]).await)
            .unwrap();
    assert_eq!(trace["raws"][0]["kept"], json!(false), "{trace}");
    // What takes webhooks in is no exception.
    lose(&lab, META_RAW, false).await;
    for role in [Role::Worker, Role::Ingest] {
        stopped(&lab, role, META_RAW).await;
    }
    let gone = lab.jetstream().await.get_stream(META_RAW).await.is_err();
    assert!(gone, "no role makes it anew");
    let (code, _, err) = lab.hookline(&["streams", "apply"]).await;
    assert!(code == 3 && err.contains("streams adopt"), "{code} {err}");
    adopt(&lab, META_RAW).await;
    replay_withdraws_nothing(&lab).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_made_anew_are_not_carried_out_twice() {
    let (lab, shops, asked) = stage().await;
    let before = known(&lab).await;
    let sends = lab.simulator.count(CallKind::Send);
    let old = lab.messages(INBOX_COMMANDS).await;
    lose(&lab, INBOX_COMMANDS, true).await;
    for role in [Role::Worker, Role::Api] {
        stopped(&lab, role, INBOX_COMMANDS).await;
    }
    operators_see_it(&lab, INBOX_COMMANDS, &["commands"]).await;
    adopt(&lab, INBOX_COMMANDS).await;
    // They come again, under other numbers, as from a client that repeats itself.
    let client = lab.nats_client().await;
    for message in old.iter().rev() {
        let headers = message.headers.clone().unwrap_or_default();
        let (subject, body) = (message.subject.clone(), message.payload.clone());
        client.publish_with_headers(subject, headers, body).await.unwrap();
    }
    client.flush().await.unwrap();
    flows(&lab, &shops, &asked, sends, "after").await;
    assert_eq!(known(&lab).await.2, before.2);
    // The log of attempts has positions, too.
    let (sends, all) = (lab.simulator.count(CallKind::Send), asked.len() * 2);
    lose(&lab, INBOX_ATTEMPTS, false).await;
    stopped(&lab, Role::Worker, INBOX_ATTEMPTS).await;
    reply_to_all(&lab, &shops, "held").await;
    assert_eq!(lab.simulator.count(CallKind::Send), sends, "nothing is sent that is not logged");
    adopt(&lab, INBOX_ATTEMPTS).await;
    all_ended(&lab, all + asked.len(), WITHIN).await;
    assert_eq!(lab.simulator.count(CallKind::Send), sends + asked.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_made_anew_keep_their_rows() {
    let (lab, shops, asked) = stage().await;
    let before = known(&lab).await;
    let sends = lab.simulator.count(CallKind::Send);
    let seen = last_event_id(&lab).await;
    let aside = "insert into inbox_v1.parked (seq, event_id, kind, cause, detail)
                 values (3, 'evt_lost', 'message.received', 'fold_failed', '')";
    sqlx::query(aside).execute(lab.pool()).await.unwrap();
    lose(&lab, INBOX_EVENTS, true).await;
    for role in [Role::Worker, Role::Projector, Role::Api] {
        stopped(&lab, role, INBOX_EVENTS).await;
    }
    operators_see_it(&lab, INBOX_EVENTS, &["project", "automate"]).await;
    adopt(&lab, INBOX_EVENTS).await;
    flows(&lab, &shops, &asked, sends, "after").await;
    let after = known(&lab).await;
    assert!(before.0 < after.0 && before.1 < after.1 && after.2 == before.2, "{after:?}");
    let (code, _, err) = lab.hookline(&["rebuild"]).await;
    assert!(code == 3 && err.contains("does not hold"), "{code} {err}");
    let (code, _, err) = lab.hookline(&["verify"]).await;
    assert!(code == 3 && err.contains("does not hold"), "{code} {err}");
    // What was set aside is not folded from another event that has its number now.
    let aside = number(&lab, "select seq from inbox.parked where event_id = 'evt_lost'").await;
    assert!(aside < 0, "{aside}");
    assert_eq!(lab.hookline(&["redrive", "run", "--stage", "projector"]).await.0, 1);
    let words = ["redrive", "discard", &aside.to_string(), "--stage", "projector"];
    lab.hookline_ok(&[&words[..], &["--reason", "its event is lost"]].concat()).await;
    // A client that resumes is not given other events than it asked for.
    let url = format!("{}/v1/live?last_event_id={seen}", lab.url(Role::Api));
    let api = lab.api();
    let answer = api.http.get(&url).bearer_auth(&api.token).send().await.unwrap();
    let (status, problem) = (answer.status(), answer.json::<Value>().await.unwrap());
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("stream_reset")), "{problem}");
    replay_withdraws_nothing(&lab).await;
}

/// Streams from before eras: whoever looks first, and however many do, each gets one era, which follows from its making, and keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn streams_from_before_get_one_era() {
    let mut lab = Lab::start().await;
    let js = lab.jetstream().await;
    let config = NatsConfig::from_settings(&Settings::from_pairs(lab.settings.clone())).unwrap();
    let mut eras = Vec::new();
    for name in StreamName::ALL {
        let stream = js.create_stream(streams::desired(name, &config)).await.unwrap();
        let info = stream.cached_info();
        assert!(!streams::is_marked(info));
        let made = Timestamp::from_nanos(info.created.unix_timestamp_nanos());
        eras.push((name.as_str(), Era::derived(name.as_str(), made)));
    }
    for n in 0..2 {
        lab.run_nth(Role::Worker, n).await;
    }
    lab.run(Role::Ingest).await;
    lab.ready(Role::Ingest).await;
    for n in 0..2 {
        lab.ready_nth(Role::Worker, n).await;
    }
    for (name, era) in eras {
        let stream = js.get_stream(name).await.unwrap();
        let info = stream.cached_info();
        assert_eq!((streams::is_marked(info), streams::era_of(info)), (true, era), "{name}");
        let stored: Option<String> = sqlx::query_scalar(
            "select string_agg(era, ' ') from worker.stream_eras where stream = $1",
        )
        .bind(name)
        .fetch_one(lab.pool())
        .await
        .unwrap();
        let expected = (name != "INBOX_DEAD").then(|| era.to_string());
        assert_eq!(stored, expected, "{name}");
    }
}

/// What was parked of raw webhooks that are lost is not carried out with those that have their numbers now.
#[tokio::test(flavor = "multi_thread")]
async fn parked_work_of_a_lost_stream_reads_no_other_webhook() {
    let (lab, shops, _) = stage().await;
    let account = shops[0].account.id().to_owned();
    lose(&lab, META_RAW, true).await;
    stopped(&lab, Role::Worker, META_RAW).await;
    // As a release parked it that kept no bytes.
    let parked = "insert into worker.parked (shard, lane, raw_seq, channel, account_id, role, cause, retry_at, fingerprint)
                  values (0, 'raw/1', 1, 'instagram', $1, 'failed', 'panic', null, 'raw/1')";
    sqlx::query(parked).bind(&account).execute(lab.pool()).await.unwrap();
    adopt(&lab, META_RAW).await;
    let facts = "select count(*) from worker.facts";
    for person in &shops[0].people {
        person.says("again?").accepted().await.unwrap();
    }
    lab.settled().await;
    let before = number(&lab, facts).await;
    let (code, out, err) = lab.hookline(&["redrive", "run", "--output", "json"]).await;
    assert_eq!(code, 1, "{out}{err}");
    let cause: String = sqlx::query_scalar("select cause from worker.parked where lane = 'raw/1'")
        .fetch_one(lab.pool())
        .await
        .unwrap();
    assert_eq!((cause.as_str(), number(&lab, facts).await), ("raw_of_another_era", before));
}

/// Positions from before eras get theirs by the migration, and streams theirs by the program: both must find the same.
#[tokio::test]
async fn the_era_of_an_old_stream_is_the_same_for_the_migration() {
    let lab = Lab::start().await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../worker/migrations/0014_eras.sql");
    let sql = std::fs::read_to_string(file).unwrap();
    let from = sql.find("create function worker.era_of_created").unwrap();
    let (function, _) = sql[from..].split_once("$$;").unwrap();
    let function = sqlx::AssertSqlSafe(format!("{function}$$"));
    sqlx::raw_sql(function).execute(lab.pool()).await.unwrap();
    for millis in [1_795_000_200_007, 0, 1_700_000_000_999] {
        let made = Timestamp::from_millis(millis);
        let era: Era = sqlx::query_scalar("select worker.era_of_created('META_RAW', $1)")
            .bind(made)
            .fetch_one(lab.pool())
            .await
            .unwrap();
        assert_eq!(era, Era::derived(META_RAW, made));
    }
}

/// The id of an event that a client of `/v1/live` saw.
async fn last_event_id(lab: &Lab) -> String {
    let api = lab.api();
    let url = format!("{}/v1/live?last_event_id=1", lab.url(Role::Api));
    let mut answer = api.http.get(&url).bearer_auth(&api.token).send().await.unwrap();
    let mut text = String::new();
    loop {
        let found = text.lines().find_map(|line| line.strip_prefix("id:"));
        if let Some(id) = found.filter(|_| text.contains("\n\n")) {
            return id.trim().to_owned();
        }
        let chunk = answer.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}
