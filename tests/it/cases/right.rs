//! What is right for each case (`tests/fixtures/cases/README.md`).

use std::collections::BTreeMap;

use schemas::{Event, EventId};
use serde_json::{Value, json};

/// What a case ends in.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Every event in its last revision, as JSON.
    pub(crate) events: Vec<Value>,
    /// Rows of messages.
    pub(crate) messages: Vec<Value>,
    /// Rows of comments.
    pub(crate) comments: Vec<Value>,
    /// Unread messages by contact.
    pub(crate) unread: BTreeMap<String, i64>,
}

/// The last revision of each event.
pub(crate) fn latest(events: Vec<Event>) -> Vec<Value> {
    let mut last: BTreeMap<EventId, Event> = BTreeMap::new();
    for event in events {
        let kept = last.entry(event.id.clone()).or_insert_with(|| event.clone());
        if kept.revision() <= event.revision() {
            *kept = event;
        }
    }
    last.into_values().map(|event| serde_json::to_value(event).unwrap()).collect()
}

impl Outcome {
    fn events(&self, kind: &str, of: &str) -> Vec<&Value> {
        let name = format!("hookline.{kind}.v1");
        let is = |event: &&Value| {
            let data = &event["data"];
            event["type"] == name.as_str() && (data["contact_id"] == of || data["comment_id"] == of)
        };
        self.events.iter().filter(is).collect()
    }

    fn messages(&self, contact: &str) -> Vec<&Value> {
        self.messages.iter().filter(|row| row["contact_id"] == contact).collect()
    }

    fn comment(&self, id: &str) -> Result<&Value, String> {
        let rows: Vec<&Value> =
            self.comments.iter().filter(|row| row["comment_id"] == id).collect();
        match rows.as_slice() {
            [row] => Ok(row),
            rows => Err(format!("{} rows of comment {id}", rows.len())),
        }
    }

    fn unread(&self, contact: &str) -> i64 {
        self.unread.get(contact).copied().unwrap_or(0)
    }
}

/// A case and what is right after all of its bodies.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    check: fn(&Outcome) -> Result<(), String>,
}

impl Case {
    /// What is wrong.
    pub(crate) fn wrong(&self, outcome: &Outcome) -> Option<String> {
        (self.check)(outcome).err().map(|wrong| format!("{}: {wrong}", self.name))
    }
}

pub(crate) const CASES: [Case; 9] = [
    Case { name: "b03", check: taps_on_one_template },
    Case { name: "b04", check: a_tap_for_two_apps },
    Case { name: "b08", check: comments_that_are_files },
    Case { name: "b22", check: linked_and_unlinked },
    Case { name: "b24", check: hidden_shown_hidden },
    Case { name: "b25", check: red_green_red },
    Case { name: "b36", check: a_message_for_two_apps },
    Case { name: "b38", check: a_boosted_post },
    Case { name: "b39", check: a_live_comment },
];

fn expect(what: &str, found: &Value, right: &Value) -> Result<(), String> {
    if found == right { Ok(()) } else { Err(format!("{what}: {found}, not {right}")) }
}

fn count(what: &str, found: usize, right: usize) -> Result<(), String> {
    expect(what, &json!(found), &json!(right))
}

fn taps_on_one_template(outcome: &Outcome) -> Result<(), String> {
    let contact = "6622000000000003";
    let mut taps: Vec<String> = outcome
        .events("postback.received", contact)
        .iter()
        .map(|event| format!("{} {}", event["data"]["title"], event["data"]["payload"]))
        .collect();
    taps.sort();
    expect(
        "taps",
        &json!(taps),
        &json!(["\"Cancel\" \"ORDER_CANCEL\"", "\"Keep\" \"ORDER_KEEP\""]),
    )?;
    let rows = outcome.messages(contact);
    count("rows", rows.len(), 3)?;
    let template: Vec<&&Value> =
        rows.iter().filter(|row| row["message_id"] == "mid.b03.tpl").collect();
    count("rows of the template's mid", template.len(), 1)?;
    expect("its direction", &template[0]["direction"], &json!("outbound"))?;
    expect("its attachment", &template[0]["attachments"][0]["type"], &json!("template"))?;
    expect("its text", &template[0]["text"], &Value::Null)?;
    let mut texts: Vec<&Value> =
        rows.iter().filter(|row| row["direction"] == "inbound").map(|row| &row["text"]).collect();
    texts.sort_by_key(|text| text.to_string());
    expect("rows of the taps", &json!(texts), &json!(["Cancel", "Keep"]))
}

fn a_tap_for_two_apps(outcome: &Outcome) -> Result<(), String> {
    let contact = "2502200000000004";
    let taps = outcome.events("postback.received", contact);
    count("facts", taps.len(), 1)?;
    let data = &taps[0]["data"];
    expect("payload", &data["payload"], &json!("HOURS"))?;
    expect("standby", &data["standby"], &Value::Null)?;
    let rows = outcome.messages(contact);
    count("rows", rows.len(), 1)?;
    expect("standby of the row", &rows[0]["standby"], &json!(false))?;
    expect(
        "postback of the row",
        &rows[0]["postback"],
        &json!({"title": "Opening hours", "payload": "HOURS"}),
    )?;
    expect("unread", &json!(outcome.unread(contact)), &json!(1))
}

fn comments_that_are_files(outcome: &Outcome) -> Result<(), String> {
    let photo = outcome.comment("550000000000008_660000000000081")?;
    expect("words", &photo["text"], &json!("now with words"))?;
    let newer = "https://cdn.example/t31/b08.jpg?oh=2";
    expect("photo", &photo["attachment"], &json!({"type": "image", "url": newer}))?;
    expect("link of the photo", &photo["photo"], &json!(newer))?;
    let film = outcome.comment("550000000000008_660000000000082")?;
    expect(
        "film",
        &film["attachment"],
        &json!({"type": "video", "url": "https://cdn.example/v/b08.mp4"}),
    )
}

fn linked_and_unlinked(outcome: &Outcome) -> Result<(), String> {
    let mut links = outcome.events("account_link.changed", "2502200000000022");
    count("facts", links.len(), 4)?;
    links.sort_by_key(|event| event["time"].to_string());
    let states: Vec<&Value> = links.iter().map(|event| &event["data"]["status"]).collect();
    expect("states", &json!(states), &json!(["linked", "unlinked", "linked", "unlinked"]))
}

fn hidden_shown_hidden(outcome: &Outcome) -> Result<(), String> {
    let id = "550000000000024_660000000000024";
    count("hidden", outcome.events("comment.hidden", id).len(), 2)?;
    count("shown again", outcome.events("comment.unhidden", id).len(), 1)?;
    let row = outcome.comment(id)?;
    expect("state", &row["hidden"], &json!(true))?;
    expect("words", &row["text"], &json!("buy followers"))
}

fn red_green_red(outcome: &Outcome) -> Result<(), String> {
    let id = "550000000000025_660000000000025";
    count("edits", outcome.events("comment.edited", id).len(), 4)?;
    expect("words", &outcome.comment(id)?["text"], &json!("red"))
}

fn a_message_for_two_apps(outcome: &Outcome) -> Result<(), String> {
    let contact = "2502200000000036";
    let messages = outcome.events("message.received", contact);
    count("facts", messages.len(), 1)?;
    expect("standby", &messages[0]["data"]["standby"], &Value::Null)?;
    expect("text", &messages[0]["data"]["text"], &json!("and who now?"))?;
    let rows = outcome.messages(contact);
    count("rows", rows.len(), 1)?;
    expect("standby of the row", &rows[0]["standby"], &json!(false))?;
    expect("unread", &json!(outcome.unread(contact)), &json!(1))
}

fn a_boosted_post(outcome: &Outcome) -> Result<(), String> {
    for id in ["17990000000003801", "17990000000003802"] {
        let created = outcome.events("comment.created", id);
        count("facts", created.len(), 1)?;
        let row = outcome.comment(id)?;
        for found in [&created[0]["data"], row] {
            expect("ad", &found["ad"]["ad_id"], &json!("120200000000000038"))?;
            expect("title of the ad", &found["ad"]["ad_title"], &json!("Sale"))?;
            expect("media", &found["media_id"], &json!("17991000000003800"))?;
        }
        let revisions = created[0]["data"]["origin"]["revision"].as_u64();
        if revisions > Some(1) {
            return Err(format!("{revisions:?} revisions of {id}"));
        }
    }
    Ok(())
}

fn a_live_comment(outcome: &Outcome) -> Result<(), String> {
    let id = "17990000000003901";
    let created = outcome.events("comment.created", id);
    count("facts", created.len(), 1)?;
    expect("live", &created[0]["data"]["live"], &json!(true))?;
    expect("live in the row", &outcome.comment(id)?["live"], &json!(true))
}
