//! Many accounts with many people who have written, replies to them, and the one question of sending: what did the people see?

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use schemas::{Channel, ConversationId};
use serde_json::{Value, json};
use simulator::{AccountHandle, AccountSpec, Person};

use crate::body::{IG, PAGE};
use crate::client::{Api, eventually};
use crate::lab::Lab;

/// Requests to the API at once.
const POSTS_MAX: usize = 16;
/// Accounts that are connected at once, by a verb each.
const OPENED_AT_ONCE: usize = 5;
/// How long the API may say 503.
const ASKED_WITHIN: Duration = Duration::from_secs(60);

/// An account with the people who wrote to it.
pub struct Shop {
    pub channel: Channel,
    pub account: AccountHandle,
    pub people: Vec<Person>,
}

/// Connects one account of Instagram and one of Messenger, with Meta behind them.
pub async fn connect_both(lab: &Lab) -> (AccountHandle, AccountHandle) {
    let instagram = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    let page = lab.simulator.add_account(AccountSpec::messenger(PAGE)).unwrap();
    lab.add_account("instagram", "instagram", IG, &instagram.token(), &[]).await;
    lab.add_account("messenger", "facebook", PAGE, &page.token(), &[]).await;
    (instagram, page)
}

/// A worker that looked until it gave up leaves exactly this; reaching it by waiting takes minutes, so the last look is brought forward.
/// Everything before it (claim, call, lost answer) and everything after it is the real thing.
pub async fn give_up(lab: &Lab, reply: &str) {
    eventually("its answer is lost", Duration::from_secs(60), async || {
        let done = sqlx::query(
            "update worker.parts p set looks = 7, deadline = least(deadline, clock_timestamp())
               from worker.commands c where c.identity = p.identity and c.command_id = $1 and p.state = 'sending' and p.lost",
        )
        .bind(reply)
        .execute(lab.pool())
        .await
        .unwrap();
        if done.rows_affected() == 1 { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
}

/// A person who has written; the id of the conversation.
pub async fn writes(lab: &Lab, account: &AccountHandle, name: &str) -> (Person, String) {
    let person = account.person(name);
    person.says("hello?").accepted().await.unwrap();
    let api = lab.api();
    let id = eventually("the conversation is there", Duration::from_secs(20), async || {
        let all = api.conversations().await;
        let found = all.iter().find(|c| c["contact"]["id"] == person.id());
        found.map(|c| c["id"].as_str().unwrap().to_owned()).ok_or_else(|| format!("{all:?}"))
    })
    .await;
    (person, id)
}

/// A reply once its status is one of `wanted`.
pub async fn reaches(lab: &Lab, reply: &str, wanted: &[&str], within: Duration) -> Value {
    let api = lab.api();
    eventually(&format!("the reply is {wanted:?}"), within, async || {
        let (status, reply) = api.get(&format!("/v1/replies/{reply}")).await;
        match reply["status"].as_str() {
            Some(state) if status == 200 && wanted.contains(&state) => Ok(reply),
            _ => Err(format!("{status} {reply}")),
        }
    })
    .await
}

/// A reply that the API has accepted.
#[derive(Clone)]
pub struct Asked {
    pub reply_id: String,
    pub person: Person,
    pub text: String,
}

impl Shop {
    /// Account number `n`: by turns Instagram Login, Instagram by a Page, Messenger.
    pub async fn open(lab: &Lab, n: usize, more: &[&str]) -> Self {
        let ig = format!("178414000000{n:05}");
        let page = format!("1030000000{n:05}");
        let (channel, login, spec) = match n % 3 {
            0 => (Channel::Instagram, "instagram", AccountSpec::instagram(&ig)),
            1 => (Channel::Instagram, "facebook", AccountSpec::instagram_by_page(&ig, &page)),
            _ => (Channel::Messenger, "facebook", AccountSpec::messenger(&page)),
        };
        let mut more = more.to_vec();
        if n % 3 == 1 {
            more.extend(["--page-id", &page]);
        }
        let (id, token) = (spec.id.clone(), spec.token.clone());
        let account = lab.simulator.add_account(spec).unwrap();
        lab.add_account(channel.as_str(), login, &id, &token, &more).await;
        Self { channel, account, people: Vec::new() }
    }

    /// Stores a token anew, as an operator does.
    pub async fn reconnect(&self, lab: &Lab) {
        let spec = self.account.spec().unwrap();
        let login = match spec.login {
            simulator::Login::Instagram => "instagram",
            simulator::Login::Facebook => "facebook",
        };
        let page = spec.page_id.clone();
        let more: Vec<&str> = page.iter().flat_map(|page| ["--page-id", page.as_str()]).collect();
        lab.add_account(self.channel.as_str(), login, &spec.id, &spec.token, &more).await;
    }

    /// People number 0 to `count` write once.
    pub async fn meets(&mut self, count: usize) {
        let people: Vec<Person> =
            (0..count).map(|n| self.account.person(&format!("Person {n}"))).collect();
        let acts: Vec<_> = people.iter().map(|person| person.says("hello?")).collect();
        for act in &acts {
            act.accepted().await.unwrap();
        }
        self.people.extend(people);
    }

    /// The id of the conversation with somebody.
    pub fn conversation(&self, person: &Person) -> String {
        let (account, contact) = (self.account.id().into(), person.id().into());
        ConversationId::of(self.channel, &account, &contact).into_string()
    }
}

/// Shops number `from` to `to`, with as many people each.
pub async fn open(lab: &Lab, numbers: std::ops::Range<usize>, people: usize) -> Vec<Shop> {
    let opening = futures::stream::iter(numbers.map(|n| Shop::open(lab, n, &[])));
    let mut shops: Vec<Shop> = opening.buffered(OPENED_AT_ONCE).collect().await;
    for shop in &mut shops {
        shop.meets(people).await;
    }
    let wanted: usize = shops.iter().map(|shop| shop.people.len()).sum();
    eventually("the API knows all conversations", Duration::from_secs(60), async || {
        let known: i64 = sqlx::query_scalar("select count(*) from inbox.conversations")
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
        crate::client::holds(known >= i64::try_from(wanted).unwrap(), || {
            format!("{known} of {wanted}")
        })
    })
    .await;
    shops
}

/// A reply that is wished for: whose, to whom, its text, and the person's key for it.
pub type Wish<'a> = (&'a Shop, &'a Person, String, String);

/// Asks for replies, a few at a time but those to one person in order.
pub async fn ask(lab: &Lab, wishes: Vec<Wish<'_>>) -> Vec<Asked> {
    ask_at(&lab.api(), wishes).await
}

/// The same, of an API that may be away for a while.
pub async fn ask_at(api: &Api, wishes: Vec<Wish<'_>>) -> Vec<Asked> {
    let mut by_person: BTreeMap<&str, Vec<Wish>> = BTreeMap::new();
    for wish in wishes {
        by_person.entry(wish.1.id()).or_default().push(wish);
    }
    let asked = futures::stream::iter(by_person.into_values().map(|wishes| {
        let api = api.clone();
        async move {
            let mut asked = Vec::new();
            for (shop, person, text, key) in wishes {
                let path = format!("/v1/conversations/{}/messages", shop.conversation(person));
                // A key is the account's, not the conversation's.
                let key = format!("{key}-{}", person.id());
                let deadline = Instant::now() + ASKED_WITHIN;
                let body = loop {
                    match api.try_post_once(&path, &key, json!({ "text": text })).await {
                        Ok((200 | 202, body)) => break body,
                        // As the answer says, and as for one that did not come: again, with the same key.
                        Ok((503, _)) | Err(_) if Instant::now() < deadline => {
                            tokio::time::sleep(Duration::from_millis(200)).await;
                        }
                        other => panic!("{other:?}"),
                    }
                };
                let reply_id = body["reply_id"].as_str().unwrap().to_owned();
                asked.push(Asked { reply_id, person: person.clone(), text });
            }
            asked
        }
    }));
    let asked: Vec<Vec<Asked>> = asked.buffer_unordered(POSTS_MAX).collect().await;
    asked.into_iter().flatten().collect()
}

/// Waits until the names of `count` people were read from Graph: from then on it is asked for sends only.
pub async fn named(lab: &Lab, count: i64) {
    eventually("their names are read", Duration::from_secs(30), async || {
        let named = "select count(*) from inbox.contacts where enriched_at is not null";
        let named: i64 = sqlx::query_scalar(named)
            .fetch_one(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
        crate::client::holds(count <= named, || format!("{named} of {count}"))
    })
    .await;
}

/// Waits until every command has ended and its outcome is published. Gives how long it took.
pub async fn all_ended(lab: &Lab, count: usize, within: Duration) -> Duration {
    let began = Instant::now();
    eventually("every command has an outcome", within, async || {
        let asked = Instant::now();
        let (ended, open): (i64, i64) = sqlx::query_as(
            "select count(*) filter (where state <> 'open' and outcome_published),
                    count(*) filter (where state = 'open' or not outcome_published) from worker.commands",
        )
        .fetch_one(lab.pool())
        .await
        .map_err(|error| error.to_string())?;
        let all = open == 0 && ended >= i64::try_from(count).unwrap();
        if !all {
            // Counting a large ledger is not what is measured.
            tokio::time::sleep(asked.elapsed() * 10).await;
        }
        crate::client::holds(all, || format!("{ended} ended, {open} open, {count} wanted"))
    })
    .await;
    began.elapsed()
}

/// How the replies ended, by status.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally(pub BTreeMap<String, usize>);

impl Tally {
    /// How many ended so.
    pub fn of(&self, status: &str) -> usize {
        self.0.get(status).copied().unwrap_or(0)
    }
}

/// Compares what the API says of each reply with what its person saw. Every text must have been asked for as often as it is in
/// `asked`: nobody sees one more often, `sent` and `failed` are true, and the message ids are those of Meta.
pub async fn audit(lab: &Lab, asked: &[Asked]) -> Tally {
    let api = lab.api();
    let states: Vec<(Asked, Value)> = futures::stream::iter(asked.iter().cloned().map(|one| {
        let api = api.clone();
        async move {
            let path = format!("/v1/replies/{}", one.reply_id);
            // Faults of the test may have left the api without connections for a moment.
            let reply = eventually("the api answers", Duration::from_secs(30), async || {
                let (status, reply) = api.get(&path).await;
                assert!(status == 200 || status == 503, "{status}: {reply}");
                if status == 200 { Ok(reply) } else { Err(reply.to_string()) }
            })
            .await;
            (one, reply)
        }
    }))
    .buffer_unordered(POSTS_MAX)
    .collect()
    .await;
    // By person and text: asked for, sent, failed.
    let mut wanted: BTreeMap<(String, String), (usize, Vec<String>, usize)> = BTreeMap::new();
    let mut seen: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut tally = Tally::default();
    for (one, reply) in &states {
        let key = (one.person.id().to_owned(), one.text.clone());
        seen.entry(key.clone()).or_insert_with(|| {
            let received = one.person.received();
            received
                .into_iter()
                .filter(|message| message.text.as_deref() == Some(one.text.as_str()))
                .map(|message| message.mid)
                .collect()
        });
        let wanted = wanted.entry(key).or_default();
        wanted.0 += 1;
        let status = reply["status"].as_str().unwrap();
        *tally.0.entry(status.to_owned()).or_default() += 1;
        match status {
            "sent" => wanted.1.push(reply["message_id"].as_str().unwrap_or_default().to_owned()),
            "failed" => wanted.2 += 1,
            "unknown" => {}
            other => panic!("{} is {other}: {reply}", one.reply_id),
        }
    }
    for (key, (asked, mut sent, failed)) in wanted {
        let mut mids = seen.remove(&key).unwrap_or_default();
        let what = format!(
            "`{}` asked {asked} times, seen as {mids:?}, sent as {sent:?}, {failed} failed",
            key.1
        );
        assert!(mids.len() <= asked, "doubled: {what}");
        assert!(sent.len() <= mids.len(), "said to be sent: {what}");
        assert!(mids.len() <= asked - failed, "said to have failed: {what}");
        mids.sort();
        sent.sort();
        if sent.len() == mids.len() {
            assert_eq!(sent, mids, "other message ids: {what}");
        } else {
            assert!(sent.iter().all(|mid| mids.contains(mid)), "other message ids: {what}");
        }
    }
    tally
}
