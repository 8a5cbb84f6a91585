use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use simulator::{AccountSpec, CallKind, Lookup, PersonSpec, ProfileAnswer, appsecret_proof};

use crate::stage::{INSTAGRAM, PAGE, Stage, eventually};

fn codes(answer: &(u16, Value)) -> (u16, i64, Option<i64>) {
    let error = &answer.1["error"];
    (answer.0, error["code"].as_i64().unwrap_or(0), error["error_subcode"].as_i64())
}

#[tokio::test]
async fn a_reply_reaches_the_person_and_comes_back_as_an_echo() {
    let stage = Stage::start().await;
    let jonas = stage.page.person("Jonas");
    jonas.says("hi").accepted().await.expect("accepted");
    let body = json!({"recipient": {"id": jonas.id()}, "messaging_type": "RESPONSE",
        "message": {"text": "hello", "metadata": "key-1"}});
    let (status, answer) = stage.post(&stage.page, &format!("{PAGE}/messages"), body).await;
    assert_eq!((status, &answer["recipient_id"]), (200, &json!(jonas.id())));
    assert_eq!(jonas.texts_received(), ["hello"]);
    let echo =
        stage.arrived_exactly(2).await[1].body["entry"][0]["messaging"][0]["message"].clone();
    assert_eq!(
        echo,
        json!({"mid": answer["message_id"], "is_echo": true, "app_id": 990_000_000_000_001_u64,
            "metadata": "key-1", "text": "hello"})
    );

    let ann = stage.shop.person("Ann Berg");
    ann.says("hi").accepted().await.expect("accepted");
    let (_, answer) = stage.send(&stage.shop, ann.id(), "hello").await;
    let echo =
        stage.arrived_exactly(4).await[3].body["entry"][0]["messaging"][0]["message"].clone();
    assert_eq!(echo, json!({"mid": answer["message_id"], "text": "hello", "is_echo": true}));
    assert_eq!(stage.meta.count(CallKind::Send), 2);
    assert_eq!(
        stage.shop.calls(Some(CallKind::Send))[0].created.as_deref(),
        answer["message_id"].as_str()
    );
}

#[tokio::test]
async fn an_echo_can_come_before_the_answer_and_receipts_after() {
    let stage = Stage::start().await;
    stage
        .meta
        .set_policy(|policy| {
            policy.echo_before_rate = 1.0;
            policy.delivered_rate = 1.0;
            policy.read_rate = 1.0;
        })
        .expect("valid");
    let jonas = stage.page.person("Jonas");
    jonas.says("hi").accepted().await.expect("accepted");
    let (_, answer) = stage.send(&stage.page, jonas.id(), "hello").await;
    assert_eq!(stage.arrived().len(), 2, "the echo is there when the answer is");
    let arrived = stage.arrived_exactly(4).await;
    let item = |index: usize| arrived[index].body["entry"][0]["messaging"][0].clone();
    assert_eq!(item(2)["delivery"]["mids"], json!([answer["message_id"]]));
    assert!(item(2).get("timestamp").is_none());
    assert_eq!(item(3)["read"]["watermark"], item(1)["timestamp"]);
}

#[tokio::test]
async fn the_window_closes_after_a_day_and_a_human_has_a_week() {
    let stage = Stage::start().await;
    for (account, closed) in
        [(&stage.shop, (403, 10, Some(2_534_022))), (&stage.page, (400, 10, Some(2_018_278)))]
    {
        let ann = account.person("Ann Berg");
        ann.ago(TimeDelta::hours(25)).says("yesterday").accepted().await.expect("accepted");
        assert_eq!(codes(&stage.send(account, ann.id(), "late").await), closed);
        let mut body =
            json!({"recipient": {"id": ann.id()}, "message": {"text": "x"}, "tag": "HUMAN_AGENT"});
        assert_eq!(stage.post(account, "me/messages", body.clone()).await.0, 200);
        body["tag"] = "ACCOUNT_UPDATE".into();
        assert_eq!(codes(&stage.post(account, "me/messages", body).await), (400, 100, None));
        let old = account.person("Old Friend");
        old.ago(TimeDelta::days(8)).says("last week").accepted().await.expect("accepted");
        let body =
            json!({"recipient": {"id": old.id()}, "message": {"text": "x"}, "tag": "HUMAN_AGENT"});
        assert_eq!(codes(&stage.post(account, "me/messages", body).await), closed);
        ann.says("again").accepted().await.expect("accepted");
        assert_eq!(stage.send(account, ann.id(), "in time").await.0, 200);
        assert_eq!(ann.texts_received(), ["x", "in time"]);
    }
}

#[tokio::test]
async fn refusals_have_metas_codes_and_no_effect() {
    let stage = Stage::start().await;
    let (ann, jonas) = (stage.shop.person("Ann Berg"), stage.page.person("Jonas"));
    ann.says("hi");
    jonas.says("hi");
    let check = async |account, person: &str, text: &str, expected| {
        assert_eq!(
            codes(&stage.send(account, person, text).await),
            expected,
            "{person} {}",
            text.len()
        );
    };
    check(&stage.shop, "5299999999999999", "x", (400, 100, Some(2_534_014))).await;
    check(&stage.page, "7399999999999999", "x", (400, 100, Some(2_018_001))).await;
    check(&stage.shop, jonas.id(), "x", (400, 100, Some(2_534_014))).await;
    // 1000 bytes on Instagram, 2000 characters on Messenger.
    check(&stage.shop, ann.id(), &"ж".repeat(501), (400, 100, None)).await;
    check(&stage.page, jonas.id(), &"ж".repeat(2001), (400, 100, None)).await;
    check(&stage.page, jonas.id(), "", (400, 100, None)).await;
    assert!(ann.received().is_empty() && jonas.received().is_empty());
    assert_eq!(stage.send(&stage.shop, ann.id(), &"ж".repeat(500)).await.0, 200);
    assert_eq!(stage.send(&stage.page, jonas.id(), &"ж".repeat(2000)).await.0, 200);
    jonas.blocks(true);
    check(&stage.page, jonas.id(), "x", (400, 551, Some(1_545_041))).await;
    ann.thread_elsewhere(true);
    check(&stage.shop, ann.id(), "x", (400, 100, Some(2_534_037))).await;
    assert_eq!((ann.received().len(), jonas.received().len()), (1, 1));
}

#[tokio::test]
async fn tokens_expire_and_are_replaced_and_belong_to_one_host() {
    let stage = Stage::start().await;
    let ann = stage.shop.person("Ann Berg");
    ann.says("hi");
    stage.shop.expire_token();
    assert_eq!(codes(&stage.send(&stage.shop, ann.id(), "x").await), (400, 190, Some(463)));
    assert_eq!(stage.shop.count(CallKind::Send), 1, "counted for the account all the same");
    stage.shop.set_token("fresh");
    assert_eq!(stage.send(&stage.shop, ann.id(), "x").await.0, 200);
    let http = reqwest::Client::new();
    let wrong_host = format!("{}/v26.0/me?access_token=fresh", stage.meta.facebook_url());
    let answer = http.get(wrong_host).send().await.expect("an answer");
    assert!(answer.headers()["www-authenticate"].as_bytes().starts_with(b"OAuth"));
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["error"]["code"], 190);
    for (proof, status) in
        [(appsecret_proof("instagram-secret", "fresh"), 200), ("00".to_owned(), 400)]
    {
        let url = format!("{}/v26.0/me", stage.meta.instagram_url());
        let query = [("access_token", "fresh"), ("appsecret_proof", proof.as_str())];
        let answer = http.get(url).query(&query).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status);
    }
    let (status, refreshed) =
        stage.get(&stage.shop, "refresh_access_token?grant_type=ig_refresh_token").await;
    assert_eq!((status, &refreshed["token_type"]), (200, &json!("bearer")));
    assert_eq!(refreshed["expires_in"], 5_183_944);
}

#[tokio::test]
async fn a_message_is_found_by_its_mid_as_far_as_graph_knows_it() {
    let stage = Stage::start().await;
    let ann = stage.shop.person("Ann Berg");
    let first = ann.senderless().says("Are you open?");
    let look = async |mid: &str| {
        stage
            .get(&stage.shop, &format!("{mid}?fields=id,created_time,from,to,message,attachments"))
            .await
    };
    let (status, found) = look(first.mid()).await;
    assert_eq!(status, 200);
    assert_eq!(found["from"], json!({"username": "ann.berg", "id": ann.id()}));
    assert_eq!(found["to"]["data"][0]["id"], INSTAGRAM);
    assert_eq!(found["message"], "Are you open?");
    assert!(found["created_time"].as_str().is_some_and(|time| time.ends_with("+0000")));
    let (_, bare) = stage.get(&stage.shop, first.mid()).await;
    assert_eq!(bare.as_object().map(serde_json::Map::len), Some(2), "{bare}");
    for (lookup, expected) in [
        (Lookup::ServerError, (500, 1, None)),
        (Lookup::ServerErrorOnInstagramHost, (500, 1, None)),
        (Lookup::Deleted, (400, 9_000_001, None)),
        (Lookup::NoCapability, (400, 3, None)),
    ] {
        let act = ann.looked_up(lookup).says("x");
        assert_eq!(codes(&look(act.mid()).await), expected);
    }
    for number in 0..20 {
        ann.says(&number.to_string());
    }
    assert_eq!(codes(&look(first.mid()).await), (400, 9_000_001, None), "not among the newest 20");
    assert_eq!(codes(&look("aWdfZAG1faXRlbToxOunknown").await).1, 100);
}

#[tokio::test]
async fn the_other_host_can_know_what_one_host_fails_on() {
    let stage = Stage::start().await;
    let spec =
        AccountSpec { token_on_both_hosts: true, ..AccountSpec::instagram("17841400000000909") };
    let both = stage.meta.add_account(spec).expect("an account");
    let act = both.person("Ann").looked_up(Lookup::ServerErrorOnInstagramHost).says("x");
    let http = reqwest::Client::new();
    let mut statuses = Vec::new();
    for base in [stage.meta.instagram_url(), stage.meta.facebook_url()] {
        let request = http.get(format!("{base}/v26.0/{}", act.mid())).bearer_auth(both.token());
        statuses.push(request.send().await.expect("an answer").status().as_u16());
    }
    assert_eq!(statuses, [500, 200]);
}

#[tokio::test]
async fn conversations_are_listed_newest_first_with_pages() {
    let stage = Stage::start().await;
    for (name, hours) in [("One", 3), ("Two", 2), ("Three", 1)] {
        stage.shop.person(name).ago(TimeDelta::hours(hours)).says(name);
    }
    stage.shop.person("Hidden").unlisted().says("nobody lists me");
    let fields =
        "fields=id,updated_time,participants,messages.limit(20){id,created_time,from,message}";
    let path = format!("me/conversations?platform=instagram&limit=2&{fields}");
    let (status, page) = stage.get(&stage.shop, &path).await;
    assert_eq!(status, 200);
    let three = &page["data"][0];
    assert_eq!(three["messages"]["data"][0]["message"], "Three");
    assert_eq!(three["participants"]["data"][0]["id"], INSTAGRAM);
    assert_eq!(three["participants"]["data"][1]["username"], "three");
    assert_eq!(three["id"], stage.shop.person("Three").conversation_id());
    let next = page["paging"]["next"].as_str().expect("a second page");
    let second: Value = reqwest::get(next).await.expect("an answer").json().await.expect("JSON");
    assert_eq!(second["data"].as_array().map(Vec::len), Some(1));
    assert!(second["paging"].get("next").is_none());
    let one = stage.shop.person("One");
    let (_, only) = stage.get(&stage.shop, &format!("me/conversations?user_id={}", one.id())).await;
    assert_eq!(only["data"][0]["id"], one.conversation_id());
    let path = format!("{}/messages?fields=message,from", one.conversation_id());
    let (_, thread) = stage.get(&stage.shop, &path).await;
    assert_eq!(thread["data"][0]["message"], "One");
    let (_, other) =
        stage.get(&stage.page, &format!("{PAGE}/conversations?platform=messenger")).await;
    assert_eq!(other, json!({"data": []}));
}

#[tokio::test]
async fn profiles_answer_in_every_class() {
    let stage = Stage::start().await;
    let read = async |profile, channel: &simulator::AccountHandle| {
        let name = format!("Person {profile:?}");
        let person = channel.add_person(PersonSpec::named(&name).profile(profile)).expect("new");
        person.says("hi");
        stage.get(channel, &format!("{}?fields=name,profile_pic", person.id())).await
    };
    let (status, ok) = read(ProfileAnswer::Ok, &stage.shop).await;
    assert_eq!((status, &ok["name"]), (200, &json!("Person Ok")));
    assert_eq!(read(ProfileAnswer::Empty, &stage.page).await, (200, json!({})));
    for (profile, expected) in [
        (ProfileAnswer::Unsupported, (400, 100, Some(33))),
        (ProfileAnswer::PhoneAccount, (400, 2_018_218, None)),
        (ProfileAnswer::NoPermission, (400, 2_018_247, None)),
        (ProfileAnswer::NoConsent, (400, 230, None)),
        (ProfileAnswer::ServerError, (500, 1, None)),
    ] {
        assert_eq!(codes(&read(profile, &stage.page).await), expected);
    }
    // Only commented: no consent yet. Writing gives it.
    let ann = stage.shop.person("Ann Berg");
    ann.comments(&stage.shop.media("post"), "nice");
    assert_eq!(codes(&stage.get(&stage.shop, ann.id()).await), (400, 230, None));
    ann.says("hi");
    assert_eq!(stage.get(&stage.shop, ann.id()).await.0, 200);
}

#[tokio::test]
async fn comments_are_answered_hidden_and_deleted() {
    let stage = Stage::start().await;
    for account in [&stage.shop, &stage.page] {
        let instagram = account.id() == INSTAGRAM;
        let post = account.media("Autumn lamps");
        let ann = account.person("Ann Berg");
        let comment = ann.comments(&post, "How much?");
        comment.accepted().await.expect("accepted");
        let id = comment.comment_id();
        let edge = if instagram { "replies" } else { "comments" };
        let (status, made) =
            stage.post(account, &format!("{id}/{edge}"), json!({"message": "29"})).await;
        assert_eq!(status, 200);
        let reply = made["id"].as_str().expect("an id").to_owned();
        let before = stage.arrived().len();
        eventually("our own comment comes back", || {
            stage
                .arrived()
                .iter()
                .any(|one| one.bytes.windows(reply.len()).any(|w| w == reply.as_bytes()))
        })
        .await;
        assert!(1 <= before);
        let hide = if instagram { "hide" } else { "is_hidden" };
        let (_, hidden) = stage.post(account, &format!("{id}?{hide}=true"), json!({})).await;
        assert_eq!(hidden, json!({"success": true}));
        let own =
            stage.post(account, &format!("{post}/comments"), json!({"message": "hello all"})).await;
        assert_eq!(own.0, 200);
        let (_, listed) = stage.get(account, &format!("{post}/comments")).await;
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(2));
        let body = json!({"recipient": {"comment_id": id}, "message": {"text": "in private"}});
        assert_eq!(stage.post(account, "me/messages", body.clone()).await.0, 200);
        assert_eq!(ann.texts_received(), ["in private"]);
        let again = codes(&stage.post(account, "me/messages", body).await);
        assert_eq!(again, if instagram { (500, -1, Some(2_534_023)) } else { (400, 10_900, None) });
        // The window opens only when the person answers.
        assert_eq!(codes(&stage.send(account, ann.id(), "x").await).1, 10);
        assert_eq!(stage.delete(account, id).await, (200, json!({"success": true})));
        assert_eq!(codes(&stage.get(account, id).await).1, 100);
        let marked = account.comments().into_iter().find(|one| one.id == id).expect("kept");
        assert!(marked.hidden && marked.deleted);
    }
}

#[tokio::test]
async fn accounts_tell_who_they_are_and_what_they_get() {
    let stage = Stage::start().await;
    let (_, me) = stage.get(&stage.shop, "me?fields=id,user_id,username,name,account_type").await;
    assert_eq!((&me["user_id"], &me["username"]), (&json!(INSTAGRAM), &json!("lumen.lamps")));
    assert_ne!(me["id"], me["user_id"], "the alias");
    let (_, page) = stage.get(&stage.page, &format!("{PAGE}?fields=access_token,name")).await;
    assert_eq!((&page["id"], &page["access_token"]), (&json!(PAGE), &json!(stage.page.token())));
    let path = format!("debug_token?input_token={}", stage.page.token());
    let (_, debug) = stage.get(&stage.page, &path).await;
    assert_eq!(
        (&debug["data"]["is_valid"], &debug["data"]["profile_id"]),
        (&json!(true), &json!(PAGE))
    );

    let fields = |list: &str| format!("me/subscribed_apps?subscribed_fields={list}");
    let bad = stage.post(&stage.shop, &fields("messages,comments,message_echoes"), json!({})).await;
    assert_eq!(codes(&bad), (400, 100, None));
    assert!(bad.1["error"]["message"].as_str().is_some_and(|m| m.contains("subscribed_fields[2]")));
    assert_eq!(stage.delete(&stage.shop, "me/subscribed_apps").await.1, json!({"success": true}));
    assert_eq!(stage.get(&stage.shop, "me/subscribed_apps").await.1, json!({"data": []}));
    let unheard = stage.shop.person("Ann Berg").says("no webhook is sent");
    assert!(unheard.accepted_within(Duration::from_millis(100)).await.is_err());
    stage.post(&stage.shop, &fields("messages"), json!({})).await;
    stage.shop.person("Ann Berg").says("now").accepted().await.expect("accepted");
    let (_, apps) = stage.get(&stage.shop, "me/subscribed_apps").await;
    assert_eq!(apps["data"][0]["subscribed_fields"], json!(["messages"]));
}

#[tokio::test]
async fn one_page_token_serves_the_page_and_its_instagram_account() {
    let stage = Stage::start().await;
    let spec =
        AccountSpec::instagram_by_page("17841400000000303", PAGE).with_token(&stage.page.token());
    let linked = stage.meta.add_account(spec).expect("an account");
    let (ann, jonas) = (linked.person("Ann"), stage.page.person("Jonas"));
    ann.says("on Instagram").accepted().await.expect("accepted");
    jonas.says("on Messenger").accepted().await.expect("accepted");
    assert_eq!(stage.arrived()[0].signed_by, Some("facebook-secret"));
    for person in [&ann, &jonas] {
        assert_eq!(stage.send(&stage.page, person.id(), "hi").await.0, 200);
        assert_eq!(person.texts_received(), ["hi"]);
    }
    let list = async |platform: &str| {
        let path = format!("{PAGE}/conversations?platform={platform}&fields=participants");
        stage.get(&stage.page, &path).await.1["data"][0]["participants"]["data"][1]["id"].clone()
    };
    assert_eq!(
        (list("instagram").await, list("messenger").await),
        (json!(ann.id()), json!(jonas.id()))
    );
}
