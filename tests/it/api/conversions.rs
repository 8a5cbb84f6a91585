//! Conversions through the API: counted once or left to a person, and nobody's name, mail or number in clear anywhere.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{AccountSpec, CallKind, Fault, FaultRule};
use tests::body::{IG, PAGE};
use tests::{Api, Lab, Role, eventually};

use super::{has_fields, is_problem, lab_without_accounts};

const REPORT: &str = "/v1/conversions?wait=25s";
const DATASET: &str = "660000000000001";
const AD: &str = "120200000000000001";
/// Reported through the api: hashed before anything keeps it.
const CANARY: &str = "qzxcanary.api";
/// Published past the api: refused, and not kept by us.
const PUBLISHED: &str = "qzxcanary.direct";

fn event(person: &str, name: &str) -> Value {
    json!({
        "account_id": PAGE, "action_source": "business_messaging", "contact_id": person, "dataset_id": DATASET,
        "event_name": name, "event_time": runtime::now().as_millis() / 1000,
        "custom_data": {"currency": "EUR", "value": 49.9}, "test_event_code": "TEST1",
        "user_data": {"em": format!("{CANARY}@example.com"), "fn": CANARY, "client_ip_address": "192.0.2.7"},
    })
}

async fn report(api: &Api, key: &str, body: Value) -> Value {
    let (status, state) = api.post_once(REPORT, key, body).await;
    assert_eq!((status, &state["command"]), (200, &json!("conversion_event")), "{state}");
    state
}

/// Counted with the ids of the thread and its last ad; the same key is one event. Returns the hash of the address.
async fn counts_once(lab: &Lab, person: &str) -> String {
    let (api, meta) = (lab.api(), &lab.simulator);
    let body = event(person, "Purchase");
    let done = report(&api, "one", body.clone()).await;
    assert_eq!(
        (&done["status"], &done["result"]["events_received"]),
        (&json!("done"), &json!(1)),
        "{done}"
    );
    assert!(done["result"]["fbtrace_id"].is_string(), "{done}");
    assert_eq!(done["result"]["ad_id"], AD, "{done}");
    assert_eq!(report(&api, "one", body).await["command_id"], done["command_id"]);
    let counted = meta.conversions();
    assert_eq!(counted.len(), 1, "{counted:?}");
    let sent = &counted[0].event;
    assert_eq!(
        (&sent["user_data"]["page_id"], &sent["user_data"]["page_scoped_user_id"]),
        (&json!(PAGE), &json!(person)),
        "{sent}"
    );
    assert_eq!(
        (&sent["messaging_channel"], &sent["custom_data"]["ad_id"]),
        (&json!("messenger"), &json!(AD)),
        "{sent}"
    );
    assert_eq!(
        (&sent["event_id"], counted[0].test_event_code.as_deref()),
        (&done["command_id"], Some("TEST1"))
    );
    let hashed = schemas::ids::sha256_hex(format!("{CANARY}@example.com").as_bytes());
    assert_eq!(sent["user_data"]["em"], json!(hashed), "{sent}");
    assert_eq!(sent["user_data"]["client_ip_address"], "192.0.2.7", "never hashed");
    hashed
}

/// What Meta did not answer, or in part, waits for a person; what it did not take is reported later.
async fn is_never_repeated(lab: &Lab, person: &str) {
    let (api, meta) = (lab.api(), &lab.simulator);
    meta.fault(FaultRule::new(Fault::TimeoutAfter).on(CallKind::Conversion).times(1));
    let lost = report(&api, "lost", event(person, "LeadSubmitted")).await;
    assert_eq!(
        (&lost["status"], &lost["error"]["code"]),
        (&json!("unknown"), &json!("outcome_unknown")),
        "{lost}"
    );
    assert_eq!(meta.conversions().len(), 2, "one of it at Meta");
    assert_eq!(meta.count(CallKind::Conversion), 2, "asked for once");
    meta.answer_conversions_in_part(1);
    let partial = report(&api, "partial", event(person, "AddToCart")).await;
    assert_eq!(
        (&partial["status"], &partial["error"]["code"]),
        (&json!("unknown"), &json!("in_part")),
        "{partial}"
    );
    meta.fault(FaultRule::new(Fault::RateLimited).on(CallKind::Conversion).times(1));
    let late = report(&api, "late", event(person, "ViewContent")).await;
    assert_eq!(late["status"], "done", "{late}");
    let names: Vec<_> =
        meta.conversions().iter().map(|one| one.event["event_name"].clone()).collect();
    assert_eq!(names, ["Purchase", "LeadSubmitted", "ViewContent"]);
    // One that is wrong fails alone.
    let mut old = event(person, "Purchase");
    old["event_time"] = json!(runtime::now().as_millis() / 1000 - 8 * 86_400);
    let failed = report(&api, "old", old).await;
    assert_eq!(
        (&failed["status"], &failed["error"]["subcode"]),
        (&json!("failed"), &json!(2_804_003)),
        "{failed}"
    );
}

/// What cannot be reported is refused by the api; what was published past it, by the worker.
async fn is_refused(lab: &Lab, person: &str, hashed: &str) {
    let api = lab.api();
    let mut wrong = event(person, "Purchase");
    wrong["user_data"]["country"] = json!(CANARY);
    is_problem(&api.post_once(REPORT, "w", wrong).await, 422, "invalid");
    let mut by_instagram = event("5200000000000011", "Purchase");
    by_instagram["account_id"] = json!(IG);
    let refused = api.post_once(REPORT, "i", by_instagram).await;
    is_problem(&refused, 422, "invalid");
    assert!(refused.1["detail"].as_str().unwrap().contains("Facebook Login"), "{refused:?}");
    let js = lab.jetstream().await;
    let clear = format!("{PUBLISHED}@example.com");
    for (id, channel, account, mail) in
        [("cnv-clear", "messenger", PAGE, clear.as_str()), ("cnv-login", "instagram", IG, hashed)]
    {
        let data = json!({"action_source": "website", "dataset_id": DATASET, "event_name": "Lead",
            "event_time": runtime::now().as_millis() / 1000, "user_data": {"em": mail}});
        let command = json!({"id": id, "channel": channel, "account_id": account, "command": "conversion_event",
            "requested_by": {"kind": "automation", "name": "test"}, "requested_at": runtime::now(), "data": data});
        let subject = format!("inbox.v1.command.00.{channel}.{account}.conversion_event");
        js.publish(subject, command.to_string().into()).await.unwrap().await.unwrap();
    }
    for (id, code) in [("cnv-clear", "invalid"), ("cnv-login", "login_not_supported")] {
        eventually("it is refused", Duration::from_secs(20), async || {
            let (_, state) = api.get(&format!("/v1/commands/{id}")).await;
            if state["error"]["code"] == code { Ok(()) } else { Err(state.to_string()) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversion_counts_once_or_waits_for_a_person_and_names_nobody() {
    let lab = lab_without_accounts().await;
    let page = lab.simulator.add_account(AccountSpec::messenger(PAGE)).unwrap();
    lab.add_account("messenger", "facebook", PAGE, &page.token(), &[]).await;
    let instagram = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &instagram.token(), &[]).await;
    let api = lab.api();
    let ann = page.person("Ann Berg");
    ann.says_from_ad("the green lamp?", AD, "autumn").accepted().await.unwrap();
    eventually("the ad is known", Duration::from_secs(20), async || {
        let known: Option<Option<String>> =
            sqlx::query_scalar("select ad_id from worker.conversations where contact_id = $1")
                .bind(ann.id())
                .fetch_optional(lab.pool())
                .await
                .unwrap();
        known.flatten().ok_or_else(|| "not yet".to_owned())
    })
    .await;
    let hashed = counts_once(&lab, ann.id()).await;
    is_never_repeated(&lab, ann.id()).await;
    is_refused(&lab, ann.id(), &hashed).await;

    let (_, list) = api.get("/v1/conversions").await;
    let rows = list["conversions"].as_array().unwrap();
    assert_eq!(rows.len(), 7, "{list}");
    has_fields(
        &rows[0],
        "command_id status channel account_id contact_id dataset_id event_name event_id event_time test_event_code result error requested_at finished_at",
    );
    let (_, unknown) = api.get("/v1/conversions?status=unknown").await;
    assert_eq!(unknown["conversions"].as_array().unwrap().len(), 2, "{unknown}");
    is_problem(&api.get("/v1/conversions?status=lost").await, 422, "invalid");

    lab.settled().await;
    assert_eq!(lab.places_of(&[CANARY]).await, Vec::<String>::new());
    let places = lab.places_of(&[PUBLISHED]).await;
    let as_published = places.iter().all(|place| place.starts_with("INBOX_COMMANDS: "));
    assert!(!places.is_empty() && as_published, "as it was published: {}", places.join("\n"));
    for role in [Role::Api, Role::Worker] {
        let log = lab.log(role);
        assert!(!log.contains(CANARY) && !log.contains(PUBLISHED), "{log}");
    }
}
