//! A day of some shops: messages of all kinds, replies of all ends, and what is open when Postgres is lost.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use simulator::{CallKind, Fault, FaultRule, Person};
use tests::body::{body, entry, now, senderless, text};
use tests::crowd::{self, Asked, Shop, all_ended, ask};
use tests::{Lab, Role, eventually};

pub(super) const WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Day {
    pub(super) shops: Vec<Shop>,
    /// Replies that are sent, or are to be.
    pub(super) asked: Vec<Asked>,
    /// Commands so far.
    pub(super) commands: usize,
}

impl Day {
    /// Everything has come to its end.
    pub(super) async fn begin(lab: &Lab) -> Self {
        let mut shops = crowd::open(lab, 0..3, 2).await;
        let mut answering = Shop::open(lab, 3, &["--auto-reply", "Thanks, we will be back."]).await;
        answering.meets(1).await;
        shops.push(answering);
        let mut day = Self { shops, asked: Vec::new(), commands: 0 };
        day.people_act().await;
        day.reported_in_parts(lab).await;
        lab.settled().await;
        day.ask_all(lab, "one").await;
        day.refused(lab).await;
        day.lost(lab).await;
        // The automatic reply, three refusals, one whose outcome is unknown.
        day.commands = day.asked.len() + 1 + 3 + 1;
        all_ended(lab, day.commands, WITHIN).await;
        assert!(lab.simulator.settled(Duration::from_secs(20)).await);
        crowd::named(lab, 7).await;
        lab.settled().await;
        day
    }

    async fn people_act(&self) {
        for shop in &self.shops[..3] {
            let person = &shop.people[0];
            let said = person.says("is it there");
            said.accepted().await.unwrap();
            person.edits(said.mid(), "is it there?").accepted().await.unwrap();
            person.reacts(said.mid(), "❤").accepted().await.unwrap();
            let regretted = person.says("never mind");
            regretted.accepted().await.unwrap();
            person.unsends(regretted.mid()).accepted().await.unwrap();
            shop.account.types_by_hand(&shop.people[1], "by hand").accepted().await.unwrap();
            let media = shop.account.media("the new ones");
            person.comments(&media, "nice").accepted().await.unwrap();
        }
        let person = &self.shops[0].people[1];
        person.senderless().says("who wrote this?").accepted().await.unwrap();
    }

    /// One message that comes in `messaging` and in `standby`, and one of which nobody knows the sender.
    async fn reported_in_parts(&self, lab: &Lab) {
        let (account, person) = (self.shops[0].account.id(), &self.shops[0].people[0]);
        let (meta, at) = (lab.meta(), now());
        let item = text(account, person.id(), "mid.parts", at, "reported twice");
        let mut more = item.clone();
        more["message"]["referral"] =
            json!({"ref": "ad-1", "source": "ADS", "type": "OPEN_THREAD"});
        let standby = json!({"id": account, "time": at + 5, "standby": [more]});
        for entry in [entry(account, at, &[item]), standby] {
            assert_eq!(meta.post("/webhooks/instagram", &body("instagram", &[entry])).await, 200);
            lab.settled().await;
        }
        let nobody = entry(account, at, &[senderless("mid.of.nobody", at)]);
        assert_eq!(meta.post("/webhooks/instagram", &body("instagram", &[nobody])).await, 200);
        eventually("nobody knows the sender", WITHIN, async || {
            let kinds = lab.events().await;
            let is_there =
                kinds.iter().any(|event| event["type"] == "hookline.sender.unresolved.v1");
            tests::client::holds(is_there, || format!("{} events", kinds.len()))
        })
        .await;
    }

    async fn ask_all(&mut self, lab: &Lab, what: &str) {
        let wishes = self.shops.iter().flat_map(|shop| {
            let people = shop.people.iter().enumerate();
            people.map(move |(n, person)| {
                (shop, person, format!("{what} {n}"), format!("{what}-{n}"))
            })
        });
        let asked = ask(lab, wishes.collect()).await;
        self.asked.extend(asked);
    }

    /// A reply whose answer is lost and whose thread cannot be read: nobody knows what became of it. (Its last look is brought forward, which
    /// takes minutes otherwise.)
    async fn lost(&self, lab: &Lab) {
        // Nothing else is to meet the faults.
        all_ended(lab, self.asked.len() + 1 + 3, WITHIN).await;
        assert!(lab.simulator.settled(Duration::from_secs(20)).await);
        let shop = &self.shops[0];
        let of = |fault, kind| FaultRule::new(fault).on(kind).of(shop.account.id());
        lab.simulator.fault(of(Fault::ResetAfter, CallKind::Send).times(1));
        lab.simulator.fault(of(Fault::NoPermission, CallKind::Conversations));
        lab.simulator.set_policy(|policy| policy.echoes = false).unwrap();
        let wish = (shop, &shop.people[0], "lost".to_owned(), "lost".to_owned());
        let reply = ask(lab, vec![wish]).await.remove(0).reply_id;
        crowd::give_up(lab, &reply).await;
        crowd::reaches(lab, &reply, &["unknown"], WITHIN).await;
        lab.simulator.clear_faults();
        lab.simulator.set_policy(|policy| policy.echoes = true).unwrap();
    }

    /// Commands that fail: outside the window, malformed, under an id that is used.
    async fn refused(&self, lab: &Lab) {
        let shop = &self.shops[0];
        let old = shop.account.person("Long Ago");
        old.ago(TimeDelta::hours(30)).says("hello?").accepted().await.unwrap();
        lab.settled().await;
        let command = |text: &str| {
            json!({"id": "late-1", "channel": "instagram", "account_id": shop.account.id(), "contact_id": old.id(),
                   "command": "reply", "requested_by": {"kind": "automation", "name": "test"},
                   "requested_at": "2026-11-30T10:00:00Z", "data": {"text": text}})
        };
        let subject = format!("inbox.v1.command.00.instagram.{}.reply", shop.account.id());
        for body in [command("too late"), command("something else"), json!({"id": "bad-1"})] {
            publish(lab, &subject, &body).await;
        }
    }

    /// One reply is frozen, one was sent and nobody noted what became of it. Then all workers are dead.
    pub(super) async fn leave_something_open(&mut self, lab: &mut Lab) {
        let [instagram, _, page, ..] = &self.shops[..] else { panic!("three shops") };
        let account = format!("messenger/{}", page.account.id());
        lab.hookline_ok(&["send", "freeze", "--account", &account]).await;
        let wish = |shop, person: &'_ Person, text: &str| {
            (shop, person.clone(), text.to_owned(), text.replace(' ', "-"))
        };
        let held = wish(page, &page.people[0], "held back");
        let asked = ask(lab, vec![(held.0, &held.1, held.2, held.3)]).await;
        self.asked.extend(asked);
        eventually("it is held", WITHIN, async || {
            let held: i64 =
                sqlx::query_scalar("select count(*) from worker.commands where held = 'frozen'")
                    .fetch_one(lab.pool())
                    .await
                    .unwrap();
            tests::client::holds(held == 1, || format!("{held}"))
        })
        .await;
        lab.kill9(Role::Worker).await;
        lab.lapse(Role::Worker).await;
        lab.run_to_die(Role::Worker, "send.after_call=kill").await;
        let doubt = wish(instagram, &instagram.people[0], "in doubt");
        let asked = ask(lab, vec![(doubt.0, &doubt.1, doubt.2, doubt.3)]).await;
        self.asked.extend(asked);
        assert!(lab.died(Role::Worker, WITHIN).await);
        self.commands += 2;
    }

    /// People write, and are answered. Whose the message of nobody is turns out.
    pub(super) async fn goes_on(&mut self, lab: &Lab) {
        let (account, person) = (self.shops[0].account.id(), &self.shops[0].people[1]);
        let twin = entry(
            account,
            now(),
            &[text(account, person.id(), "mid.of.nobody", now(), "it was me")],
        );
        assert_eq!(lab.meta().post("/webhooks/instagram", &body("instagram", &[twin])).await, 200);
        for shop in &self.shops {
            for person in &shop.people {
                person.says("and today?").accepted().await.unwrap();
            }
        }
        lab.settled().await;
        let before = self.asked.len();
        self.ask_all(lab, "today").await;
        self.commands += self.asked.len() - before;
        all_ended(lab, self.commands, WITHIN).await;
        assert!(lab.simulator.settled(Duration::from_secs(20)).await);
        lab.settled().await;
        let waiting: Vec<String> =
            sqlx::query_scalar("select message_id from worker.waiting where state <> 'resolved'")
                .fetch_all(lab.pool())
                .await
                .unwrap();
        assert!(waiting.is_empty(), "{waiting:?}");
        let withdrawn: i64 = sqlx::query_scalar("select count(*) from worker.withdrawn")
            .fetch_one(lab.pool())
            .await
            .unwrap();
        assert_eq!(withdrawn, 1, "`sender.unresolved` is withdrawn");
    }

    pub(super) fn nobody_got_anything_twice(&self) {
        for person in self.shops.iter().flat_map(|shop| &shop.people) {
            let mut texts = person.texts_received();
            let count = texts.len();
            texts.sort();
            texts.dedup();
            assert_eq!(texts.len(), count, "{} got something twice: {texts:?}", person.name());
        }
    }
}

async fn publish(lab: &Lab, subject: &str, body: &Value) {
    let js = lab.jetstream().await;
    let ack = js.publish(subject.to_owned(), body.to_string().into()).await;
    ack.unwrap().await.unwrap();
}
