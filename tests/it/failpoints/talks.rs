//! People who write while processes die, and how their replies end.

use std::time::{Duration, Instant};

use schemas::{AccountId, Channel, ContactId, ConversationId};
use serde_json::{Value, json};
use simulator::{AccountHandle, AccountSpec, CallKind, Fault, FaultRule, Person};
use tests::Lab;
use tests::client::Api;
use tokio::task::JoinSet;

/// How long a command may take to end: three attempts with a proof of absence after each, and deaths in between.
pub(super) const ENDS_WITHIN: Duration = Duration::from_secs(300);
pub(super) const THANKS: &str = "Thanks, we will answer soon.";

/// Somebody who wrote, and what is answered: key and text, in order.
pub(super) struct Talk {
    pub(super) person: Person,
    pub(super) conversation: String,
    pub(super) wishes: Vec<(String, String)>,
}

/// A talk with how its replies ended.
pub(super) struct Answered {
    pub(super) talk: Talk,
    pub(super) replies: Vec<Value>,
}

/// Accounts: channel, and whether answers get lost there or the automatic reply is on.
pub(super) struct Cast {
    pub(super) quiet: [AccountHandle; 2],
    pub(super) auto: [AccountHandle; 2],
    pub(super) lossy: [AccountHandle; 2],
}

pub(super) async fn stage() -> (Lab, Cast) {
    let mut lab = Lab::start().await;
    let short = [
        ("GRAPH_TIMEOUT", "1s"),
        ("SEND_LEASE", "2s"),
        ("RECONCILE_AFTER", "300ms"),
        ("RETRY_MIN", "50ms"),
    ];
    for (name, value) in short {
        lab.set(name, value);
    }
    lab.run_apart().await;
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

pub(super) fn talk(account: &AccountHandle, name: &str, texts: &[String]) -> Talk {
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
pub(super) async fn converse(api: Api, talk: Talk) -> Answered {
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
    Answered { talk, replies }
}

/// The reply at its end.
pub(super) async fn ended(api: &Api, id: &str) -> Value {
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
pub(super) async fn round(
    lab: &Lab,
    cast: &Cast,
    name: &str,
    talking: &mut JoinSet<Answered>,
) -> Vec<Person> {
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
    // Fewer failures than sends: three attempts that all fail would end as unknown, which shows nothing here.
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

pub(super) fn refused_id(round: &str) -> String {
    format!("stranger-{round}")
}
