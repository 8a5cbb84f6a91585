//! A process that really dies at every failpoint of the send path: nobody gets anything twice, nothing is lost, every command ends, and
//! what the API says is what people saw.
//!
//! Deaths roll: as soon as a process has died, the next one is started to die at the next failpoint, while the work of the rounds before
//! is still going on. So a command may see several deaths, which is harder than one, and nobody waits for the slow proofs in between.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use runtime::failpoint::{POINTS, Point};
use schemas::{AccountId, Channel, ContactId, ConversationId};
use serde_json::{Value, json};
use simulator::{AccountHandle, AccountSpec, CallKind, Fault, FaultRule, Person};
use tests::client::Api;
use tests::{Lab, Role, eventually};
use tokio::task::JoinSet;

/// How long a process may live before it must have died at its failpoint.
const DIES_WITHIN: Duration = Duration::from_secs(60);
/// How long a command may take to end: three attempts with a proof of absence after each, and deaths in between.
const ENDS_WITHIN: Duration = Duration::from_secs(300);
/// People who talk at once; more would only make everything slow.
const TALKS_MAX: usize = 60;
const THANKS: &str = "Thanks, we will answer soon.";

/// A place where a process dies, at the N-th time it gets there.
#[derive(Clone, Copy, Debug)]
struct Death {
    point: Point,
    at: u64,
}

impl Death {
    fn role(self) -> Role {
        *Role::ALL.iter().find(|role| role.name() == self.point.role).unwrap()
    }

    fn text(self) -> String {
        format!("{}=kill@{}", self.point.name, self.at)
    }
}

/// Somebody who wrote, and what is answered: key and text, in order.
struct Talk {
    person: Person,
    conversation: String,
    wishes: Vec<(String, String)>,
}

/// A talk with how its replies ended.
struct Told {
    talk: Talk,
    replies: Vec<Value>,
}

/// Accounts: channel, and whether answers get lost there or the automatic reply is on.
struct Cast {
    quiet: [AccountHandle; 2],
    auto: [AccountHandle; 2],
    lossy: [AccountHandle; 2],
}

#[derive(Debug, Default)]
struct Tally {
    deaths: usize,
    /// Failpoints that were not reached so often.
    survived: usize,
    commands: usize,
    messages: usize,
    unknown: usize,
    longest: Duration,
}

async fn stage() -> (Lab, Cast) {
    let mut lab = Lab::start().await;
    lab.trust().await;
    let short = [
        ("GRAPH_TIMEOUT", "1s"),
        ("SEND_LEASE", "2s"),
        ("RECONCILE_AFTER", "300ms"),
        ("RETRY_MIN", "50ms"),
    ];
    for (name, value) in short {
        lab.set(name, value);
    }
    lab.run_all().await;
    lab.simulator.set_policy(|policy| policy.echo_before_rate = 0.5).unwrap();
    let cast = Cast {
        quiet: pair(&lab, 1, &[]).await,
        auto: pair(&lab, 2, &["--auto-reply", THANKS]).await,
        lossy: pair(&lab, 3, &[]).await,
    };
    (lab, cast)
}

/// An Instagram account and a Page.
async fn pair(lab: &Lab, n: u32, more: &[&str]) -> [AccountHandle; 2] {
    let instagram = AccountSpec::instagram(&format!("1784140000000070{n}"));
    let page = AccountSpec::messenger(&format!("10300000000070{n}"));
    let [instagram, page] = [instagram, page].map(|spec| lab.simulator.add_account(spec).unwrap());
    lab.add_account("instagram", "instagram", instagram.id(), &instagram.token(), more).await;
    lab.add_account("messenger", "facebook", page.id(), &page.token(), more).await;
    [instagram, page]
}

fn channel(account: &AccountHandle) -> Channel {
    match account.spec().unwrap().channel {
        simulator::Channel::Instagram => Channel::Instagram,
        simulator::Channel::Messenger => Channel::Messenger,
    }
}

fn talk(account: &AccountHandle, name: &str, texts: &[String]) -> Talk {
    let person = account.person(name);
    let conversation = ConversationId::of(
        channel(account),
        &AccountId::new(account.id()),
        &ContactId::new(person.id()),
    );
    let key = name.replace(' ', "-");
    let wishes = texts.iter().enumerate().map(|(n, text)| (format!("{key}/{n}"), text.clone()));
    Talk { conversation: conversation.into_string(), wishes: wishes.collect(), person }
}

/// A request that outlives the death of the api: sent again, with the same key, until it is answered.
async fn ask(api: &Api, request: impl Fn() -> reqwest::RequestBuilder) -> (u16, Value) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let sent = request().bearer_auth(&api.token).timeout(Duration::from_secs(10)).send().await;
        let last = match sent {
            Ok(answer) => {
                let (status, url) = (answer.status().as_u16(), answer.url().clone());
                match answer.json::<Value>().await {
                    Ok(body) if status < 500 => return (status, body),
                    other => format!("{url}: {status} {other:?}"),
                }
            }
            Err(error) => format!("{error:?}"),
        };
        assert!(Instant::now() < deadline, "the api never answered: {last}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// One person writes, is answered as wished, and every reply comes to its end.
async fn converse(api: Api, talk: Talk) -> Told {
    talk.person.says("hello?");
    let conversation = format!("{}/v1/conversations/{}", api.url, talk.conversation);
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let (status, body) = ask(&api, || api.http.get(&conversation)).await;
        if status == 200 {
            break;
        }
        assert!(Instant::now() < deadline, "the conversation never came: {status} {body}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut ids = Vec::new();
    for (key, text) in &talk.wishes {
        let post = || {
            let request = api.http.post(format!("{conversation}/messages"));
            request.header("idempotency-key", key).json(&json!({ "text": text }))
        };
        let (status, queued) = ask(&api, post).await;
        assert!(matches!(status, 200 | 202), "{status} {queued}");
        ids.push(queued["reply_id"].as_str().unwrap().to_owned());
    }
    let mut replies = Vec::new();
    for id in ids {
        replies.push(ended(&api, &id).await);
    }
    Told { talk, replies }
}

/// The reply at its end.
async fn ended(api: &Api, id: &str) -> Value {
    let deadline = Instant::now() + ENDS_WITHIN;
    loop {
        let (status, reply) =
            ask(api, || api.http.get(format!("{}/v1/replies/{id}", api.url))).await;
        if status == 200
            && matches!(reply["status"].as_str(), Some("sent" | "failed" | "partial" | "unknown"))
        {
            return reply;
        }
        assert!(Instant::now() < deadline, "reply `{id}` never ended: {status} {reply}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// A round: several people, long and equal texts, automatic replies, answers that get lost after delivery and before it, a command the
/// policy refuses, and one that is none.
async fn round(lab: &Lab, cast: &Cast, name: &str, talking: &mut JoinSet<Told>) -> Vec<Person> {
    let [instagram, page] = &cast.quiet;
    let long: String =
        (0..30).map(|n| format!("{name}: Zeile {n} über größere Lampen. ")).collect();
    let equal = vec!["on its way".to_owned(), "on its way".to_owned()];
    let one = |text: &str| vec![format!("{text} ({name})")];
    let after =
        [Fault::TimeoutAfter, Fault::ResetAfter, Fault::ServerErrorAfter, Fault::BadGatewayAfter];
    let fault = |account: &AccountHandle, fault: Fault| {
        lab.simulator.fault(FaultRule::new(fault).on(CallKind::Send).of(account.id()).times(1));
    };
    let turn = name.bytes().map(usize::from).sum::<usize>();
    // Fewer failures than sends: three attempts that all fail would end as unknown, which tells nothing here.
    for (n, account) in cast.lossy.iter().enumerate() {
        fault(account, after[turn % after.len()]);
        match (turn + n) % 4 {
            0 => fault(account, Fault::ServerErrorBefore),
            1 => fault(account, Fault::TemporaryBefore),
            2 => fault(account, Fault::ResetBefore),
            _ => {}
        }
    }
    let talks = [
        talk(instagram, &format!("{name} Ann"), &equal),
        talk(instagram, &format!("{name} Bob"), &[long]),
        talk(page, &format!("{name} Cleo"), &equal),
        talk(&cast.lossy[0], &format!("{name} Dan"), &equal),
        talk(&cast.lossy[0], &format!("{name} Eve"), &one("here it is")),
        talk(&cast.lossy[1], &format!("{name} Fay"), &one("there it is")),
        talk(&cast.lossy[1], &format!("{name} Gus"), &one("it is there")),
    ];
    for talk in talks {
        talking.spawn(converse(lab.api(), talk));
    }
    let greeted = cast.auto.iter().map(|account| {
        let person = account.person(&format!("{name} Hal"));
        person.says("is anybody there?");
        person
    });
    let greeted = greeted.collect();
    let js = lab.jetstream().await;
    let command = json!({
        "id": refused_id(name), "channel": "instagram", "account_id": instagram.id(),
        "contact_id": "5200000000000999", "command": "reply",
        "requested_by": {"kind": "person", "name": "tester"}, "requested_at": chrono::Utc::now().to_rfc3339(),
        "data": {"text": "nobody asked"},
    });
    let subject = format!("inbox.v1.command.00.instagram.{}.reply", instagram.id());
    js.publish(subject, command.to_string().into()).await.unwrap().await.unwrap();
    js.publish("inbox.v1.command.00.nowhere._._", "{}".into()).await.unwrap().await.unwrap();
    greeted
}

fn refused_id(round: &str) -> String {
    format!("stranger-{round}")
}

/// The places on the way of a message; those of operators' verbs are tested with the verbs.
fn on_the_way() -> Vec<Point> {
    POINTS.iter().copied().filter(|point| point.role != "operator").collect()
}

/// Lets every process of the plan die at its place while people talk; then everything is looked at.
async fn play(deaths: &[Death]) -> Tally {
    let began = Instant::now();
    let (mut lab, cast) = stage().await;
    let mut plans: BTreeMap<Role, Vec<Death>> = BTreeMap::new();
    for death in deaths.iter().rev() {
        plans.entry(death.role()).or_default().push(*death);
    }
    let (mut tally, mut talking, mut greeted, mut rounds) =
        (Tally::default(), JoinSet::new(), Vec::new(), Vec::new());
    let mut next: BTreeMap<Role, (Death, Instant)> = BTreeMap::new();
    let mut told = Vec::new();
    for role in Role::ALL {
        if plans.contains_key(&role) {
            lab.kill9(role).await;
            go_on(&mut lab, role, &mut plans, &mut next).await;
        }
    }
    while !next.is_empty() {
        let name = format!("R{}", rounds.len());
        if talking.len() < TALKS_MAX {
            greeted.extend(round(&lab, &cast, &name, &mut talking).await);
            rounds.push(name);
        }
        let began = Instant::now();
        // A round lasts until somebody has died, or has not been reached for long.
        let mut turned = false;
        while !turned {
            for role in Role::ALL {
                let Some((death, armed)) = next.get(&role).copied() else { continue };
                if lab.died(role, Duration::from_millis(20)).await {
                    tally.deaths += 1;
                } else if DIES_WITHIN < armed.elapsed() {
                    assert!(death.at > 1, "{} was never reached", death.text());
                    tally.survived += 1;
                    lab.kill9(role).await;
                } else {
                    continue;
                }
                eprintln!(
                    "{:>6.1?} {} after {:.1?}",
                    began.elapsed(),
                    death.text(),
                    armed.elapsed()
                );
                go_on(&mut lab, role, &mut plans, &mut next).await;
                turned = true;
            }
            while let Some(one) = talking.try_join_next() {
                told.push(one.unwrap());
            }
            turned |= Duration::from_secs(8) < began.elapsed();
        }
    }
    while let Some(one) = talking.join_next().await {
        told.push(one.unwrap());
    }
    for person in &greeted {
        eventually("the automatic reply came", ENDS_WITHIN, async || {
            match person.texts_received() {
                texts if texts.is_empty() => Err("nothing yet".to_owned()),
                _ => Ok(()),
            }
        })
        .await;
    }
    let api = lab.api();
    for name in &rounds {
        let refused = ended(&api, &refused_id(name)).await;
        assert_eq!(refused["status"], "failed", "{refused}");
        assert_eq!(refused["error"]["code"], "window_closed", "{refused}");
    }
    assert!(lab.simulator.settled(Duration::from_secs(30)).await);
    lab.settled().await;
    everything_is_told(&lab, rounds.len()).await;
    for one in &told {
        check(&api, one, &mut tally).await;
    }
    for person in &greeted {
        assert_eq!(person.texts_received(), [THANKS], "{}", person.name());
        tally.messages += 1;
    }
    tally.longest = began.elapsed();
    tally
}

/// Starts the next process of a role: to die at the next place, or to live.
async fn go_on(
    lab: &mut Lab,
    role: Role,
    plans: &mut BTreeMap<Role, Vec<Death>>,
    next: &mut BTreeMap<Role, (Death, Instant)>,
) {
    lab.lapse(role).await;
    match plans.get_mut(&role).and_then(Vec::pop) {
        Some(death) => {
            lab.run_to_die(role, &death.text()).await;
            next.insert(role, (death, Instant::now()));
        }
        None => {
            lab.run(role).await;
            next.remove(&role);
        }
    }
}

/// Every command has ended, with an outcome in the stream; what was none is a dead letter, once.
async fn everything_is_told(lab: &Lab, rounds: usize) {
    eventually("every command has ended and is told", ENDS_WITHIN, async || {
        let open: Vec<(String, String)> = sqlx::query_as(
            "select identity, state from worker.commands where state = 'open' or not outcome_published",
        )
        .fetch_all(lab.pool())
        .await
        .map_err(|error| error.to_string())?;
        if open.is_empty() { Ok(()) } else { Err(format!("{open:?}")) }
    })
    .await;
    let outcomes: BTreeSet<String> = lab
        .events()
        .await
        .iter()
        .filter(|event| event["type"].as_str().unwrap().starts_with("hookline.reply."))
        .map(|event| event["data"]["reply_id"].as_str().unwrap().to_owned())
        .collect();
    let commands = lab.messages("INBOX_COMMANDS").await;
    let ids: BTreeSet<String> = commands
        .iter()
        .filter_map(|message| {
            serde_json::from_slice::<Value>(&message.payload).unwrap()["id"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(outcomes, ids, "commands and outcomes differ");
    assert_eq!(lab.messages("INBOX_DEAD").await.len(), rounds, "dead letters");
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the person saw is what was wished and what the API says: each message once, in order, under its own id.
async fn check(api: &Api, told: &Told, tally: &mut Tally) {
    let received = told.talk.person.received();
    let by_mid: BTreeMap<&str, &str> =
        received.iter().map(|m| (m.mid.as_str(), m.text.as_deref().unwrap_or_default())).collect();
    let what = || {
        let seen: Vec<_> = received.iter().map(|m| (&m.mid, &m.text)).collect();
        format!("{}: saw {seen:?}; replies {:?}", told.talk.person.name(), told.replies)
    };
    let mut named = Vec::new();
    let mut unknown = 0;
    for (reply, (_, text)) in told.replies.iter().zip(&told.talk.wishes) {
        tally.commands += 1;
        // As it is now: a late echo may have told more than there was to know at its first end.
        let reply = ended(api, reply["reply_id"].as_str().unwrap()).await;
        let mids: Vec<String> = reply["parts"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|part| part["message_id"].as_str().map(str::to_owned))
            .collect();
        match reply["status"].as_str().unwrap() {
            "sent" => {
                let said: Vec<&str> = mids
                    .iter()
                    .map(|mid| *by_mid.get(mid.as_str()).unwrap_or_else(|| panic!("{}", what())))
                    .collect();
                assert_eq!(squeeze(&said.join(" ")), squeeze(text), "{}", what());
            }
            // Nobody could tell after three attempts. That is honest, and rare.
            "unknown" => {
                assert!(reply["attempts"].as_i64() >= Some(3), "{reply}: {}", what());
                unknown += 1;
            }
            other => panic!("{other}: {}", what()),
        }
        named.extend(mids);
    }
    let distinct: BTreeSet<&String> = named.iter().collect();
    assert_eq!(distinct.len(), named.len(), "one message for two: {}", what());
    assert!(
        received.len() >= named.len() && received.len() <= named.len() + unknown,
        "lost or double: {}",
        what()
    );
    if unknown == 0 {
        let order: Vec<&str> = received.iter().map(|m| m.mid.as_str()).collect();
        assert_eq!(order, named, "order: {}", what());
        let shown = api.messages(&told.talk.conversation).await;
        let shown = shown.iter().filter(|m| m["direction"] == "outbound").count();
        assert_eq!(shown, received.len(), "rows: {}", what());
    }
    tally.messages += received.len();
    tally.unknown += unknown;
}

/// What is listed and marked nowhere could never be reached.
#[test]
fn every_failpoint_is_marked() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for part in ["ingest", "worker", "projector", "api", "hookline"] {
        crate::sources::below(&root.join(part), &mut files);
    }
    let code: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    // A rule is no place.
    for point in POINTS.iter().filter(|point| point.name != "normalize.rule") {
        assert!(code.contains(&format!("failpoint!(\"{}\")", point.name)), "{}", point.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_wherever_nobody_gets_it_twice_and_nothing_is_lost() {
    let points = on_the_way();
    assert!(points.len() >= 30);
    // Not in their order along the path: a row of deaths at its beginning would let nothing through to its end.
    let stride = (5..).find(|stride| !points.len().is_multiple_of(*stride)).unwrap();
    let deaths: Vec<Death> = (0..points.len())
        .map(|n| Death { point: points[n * stride % points.len()], at: 1 })
        .collect();
    let distinct: BTreeSet<&str> = deaths.iter().map(|death| death.point.name).collect();
    assert_eq!(distinct.len(), points.len());
    let tally = play(&deaths).await;
    eprintln!("{tally:?}");
    assert_eq!(tally.deaths, points.len());
    // A command may see three deaths in the middle of its call. Nobody can tell then, and more than a few would be a fault.
    assert!(tally.unknown * 20 <= tally.commands, "{tally:?}");
}

/// A worker dies after it has published a message and before its own database has it. Whoever answers what they see must not be told that
/// this person has never written, however late the shard is taken up again.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_published_by_a_dying_worker_may_be_answered() {
    let (mut lab, cast) = stage().await;
    lab.kill9(Role::Worker).await;
    lab.lapse(Role::Worker).await;
    lab.run_to_die(Role::Worker, "inbound.after_publish=kill").await;
    let talk = talk(&cast.quiet[0], "Ann Berg", &["three are left".to_owned()]);
    let person = talk.person.clone();
    let talking = tokio::spawn(converse(lab.api(), talk));
    assert!(lab.died(Role::Worker, DIES_WITHIN).await, "nothing was published");
    lab.lapse(Role::Worker).await;
    // The next one takes commands at once, and the shards long after.
    let later = "update worker.leases set expires_at = clock_timestamp() + interval '6 seconds' where name like 'raw-%'";
    sqlx::query(later).execute(lab.pool()).await.unwrap();
    lab.run(Role::Worker).await;
    let told = talking.await.unwrap();
    assert_eq!(told.replies[0]["status"], "sent", "{:?}", told.replies);
    assert_eq!(person.texts_received(), ["three are left"]);
}

/// `HOOKLINE_ROUNDS` times (1000 unless set) through all failpoints, in another order each time, at the first to fourth time a place is
/// reached. `HOOKLINE_SEED` repeats a run as far as the order goes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes long: make soak"]
async fn soak_failpoints() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let times = number("HOOKLINE_ROUNDS").unwrap_or(1000);
    let seed = number("HOOKLINE_SEED").unwrap_or_else(rand::random);
    eprintln!("HOOKLINE_SEED={seed} HOOKLINE_ROUNDS={times}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut all = Tally::default();
    for time in 0..times {
        let mut deaths: Vec<Death> = on_the_way()
            .into_iter()
            .map(|point| Death { point, at: random.random_range(1..=4) })
            .collect();
        deaths.shuffle(&mut random);
        let tally = play(&deaths).await;
        eprintln!("{} of {times}: {tally:?}", time + 1);
        all.deaths += tally.deaths;
        all.survived += tally.survived;
        all.commands += tally.commands;
        all.messages += tally.messages;
        all.unknown += tally.unknown;
        all.longest = all.longest.max(tally.longest);
    }
    eprintln!("HOOKLINE_SEED={seed}: {all:?}");
}
