//! Message templates through the API: written, submitted, decided by webhook or by asking, sent once.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{AccountHandle, AccountSpec, CallKind, Fault, FaultRule, Person};
use tests::body::{IG, PAGE};
use tests::lab::WAITS;
use tests::{Api, Lab, eventually};

use super::{has_fields, is_problem};

fn template(name: &str) -> Value {
    json!({"account_id": PAGE, "name": name, "language": "en_US", "components": [
        {"type": "BODY", "text": "Good news, order {{1}} left our shop and arrives on {{2}}. Thank you!",
            "example": {"body_text": [["A-1001", "Friday"]]}}]})
}

async fn ask(api: &Api, path: &str, key: &str, body: Value) -> Value {
    let (status, state) = api.post_once(&format!("{path}?wait=25s"), key, body).await;
    assert_eq!(status, 200, "{path}: {state}");
    state
}

async fn has_status(api: &Api, id: &str, status: &str) -> Value {
    eventually(&format!("it is {status}"), Duration::from_secs(30), async || {
        let (_, template) = api.get(&format!("/v1/templates/{id}")).await;
        if template["status"] == status { Ok(template) } else { Err(template.to_string()) }
    })
    .await
}

/// Sent without a window, by the rule that allows it; its answer is lost, and its echo settles it.
async fn is_sent_once(lab: &Lab, path: &str, ann: &Person) {
    let (api, meta) = (lab.api(), &lab.simulator);
    let whom = json!({"contact_id": ann.id(), "parameters": [{"text": "A-7"}, {"text": "Monday"}]});
    meta.fault(FaultRule::new(Fault::TimeoutAfter).on(CallKind::Send).times(1));
    let sent = ask(&api, &format!("{path}/send"), "once", whom.clone()).await;
    assert_eq!(
        (&sent["status"], &sent["command"]),
        (&json!("done"), &json!("template_send")),
        "{sent}"
    );
    let same = ask(&api, &format!("{path}/send"), "once", whom.clone()).await;
    assert_eq!(same["command_id"], sent["command_id"]);
    let said = "Good news, order A-7 left our shop and arrives on Monday. Thank you!";
    assert_eq!(ann.texts_received(), [said]);
    let rule: Option<String> = sqlx::query_scalar(
        "select rule from worker.commands where command = 'template_send' and state = 'sent'",
    )
    .fetch_one(lab.pool())
    .await
    .unwrap();
    assert_eq!(rule.as_deref(), Some("template.utility"));
    eventually("the echo is a message of the conversation", Duration::from_secs(20), async || {
        let all = api.conversations().await;
        let mine =
            all.iter().find(|one| one["contact"]["id"] == ann.id()).cloned().unwrap_or_default();
        let messages = api.messages(mine["id"].as_str().unwrap_or_default()).await;
        let found =
            messages.iter().any(|one| one["text"] == said && one["direction"] == "outbound");
        if found { Ok(()) } else { Err(format!("{messages:?}")) }
    })
    .await;
    let few = json!({"contact_id": ann.id(), "parameters": [{"text": "A-7"}]});
    is_problem(&api.post_once(&format!("{path}/send"), "few", few).await, 422, "invalid");
}

/// Without a webhook Meta is asked; and on command. A submission whose answer is lost is read back.
async fn is_read_back(lab: &Lab, page: &AccountHandle) {
    let (api, meta) = (lab.api(), &lab.simulator);
    let (_, offer) = api.post("/v1/templates", template("Autumn offer")).await;
    let offer_id = offer["id"].as_str().unwrap();
    ask(&api, &format!("/v1/templates/{offer_id}/submit"), "o", json!({})).await;
    let _unreported =
        page.decides_template("autumn_offer", "REJECTED", Some("TAG_SHOULD_BE_MARKETING"));
    let rejected = has_status(&api, offer_id, "REJECTED").await;
    assert_eq!(rejected["reason"], "TAG_SHOULD_BE_MARKETING", "{rejected}");
    let read = ask(&api, &format!("/v1/templates/{offer_id}/refresh"), "r", json!({})).await;
    assert_eq!(read["result"]["status"], "REJECTED", "{read}");
    is_problem(
        &api.post(
            "/v1/templates",
            json!({"account_id": PAGE, "name": "Autumn offer", "language": "en_US",
            "components": [{"type": "BODY", "text": "Another text."}]}),
        )
        .await,
        409,
        "exists",
    );

    // A submission whose answer is lost is read back, not repeated.
    meta.fault(FaultRule::new(Fault::TimeoutAfter).on(CallKind::TemplateSubmit).times(1));
    let (_, lost) = api.post("/v1/templates", template("Lost answer")).await;
    let lost_id = lost["id"].as_str().unwrap();
    let submitted = ask(&api, &format!("/v1/templates/{lost_id}/submit"), "l", json!({})).await;
    assert_eq!(submitted["status"], "done", "{submitted}");
    assert_eq!(page.templates().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_submitted_approved_by_webhook_and_sent_once() {
    let mut lab = Lab::start().await;
    super::set_tokens(&mut lab);
    lab.set(runtime::waits::ENV, &format!("{WAITS};upkeep=1h;template_look=2s"));
    lab.run_all().await;
    let page = lab.simulator.add_account(AccountSpec::messenger(PAGE)).unwrap();
    lab.add_account("messenger", "facebook", PAGE, &page.token(), &[]).await;
    let instagram = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    lab.add_account("instagram", "instagram", IG, &instagram.token(), &[]).await;
    let (api, meta) = (lab.api(), &lab.simulator);
    let ann = page.person("Ann Berg");
    ann.says("has it left?").accepted().await.unwrap();
    meta.review_templates_slowly(true);

    // Written: checked, not submitted.
    let (status, draft) = api.post("/v1/templates", template("Order shipped (v1)")).await;
    assert_eq!(status, 201, "{draft}");
    has_fields(
        &draft,
        "id channel account_id name slug language category components parameter_format status reason meta_template_id approved created_at",
    );
    assert_eq!(
        (&draft["slug"], &draft["status"], &draft["approved"]),
        (&json!("order_shipped_v1"), &json!("DRAFT"), &json!(false)),
        "{draft}"
    );
    assert_eq!(
        api.post("/v1/templates", template("Order shipped (v1)")).await,
        (200, draft.clone())
    );
    let id = draft["id"].as_str().unwrap();
    let path = format!("/v1/templates/{id}");
    let whom = json!({"contact_id": ann.id(), "parameters": [{"text": "A-7"}, {"text": "Monday"}]});
    let early = api.post_once(&format!("{path}/send"), "early", whom.clone()).await;
    is_problem(&early, 409, "template_not_approved");

    // Submitted: Meta looks at it, and says so later.
    let submitted = ask(&api, &format!("{path}/submit"), "s", json!({})).await;
    assert_eq!(
        (&submitted["status"], &submitted["result"]["status"]),
        (&json!("done"), &json!("PENDING")),
        "{submitted}"
    );
    has_status(&api, id, "PENDING").await;
    let decision = page.decides_template("order_shipped_v1", "APPROVED", None);
    decision.release().accepted().await.unwrap();
    let approved = has_status(&api, id, "APPROVED").await;
    assert_eq!(
        (&approved["approved"], &approved["meta_template_id"]),
        (&json!(true), &submitted["result"]["id"])
    );
    // The same once more: it is there, and read.
    let again = ask(&api, &format!("{path}/submit"), "s2", json!({})).await;
    assert_eq!(
        (&again["result"]["existed"], &again["result"]["id"]),
        (&json!(true), &submitted["result"]["id"]),
        "{again}"
    );
    assert_eq!(page.templates().len(), 1);

    is_sent_once(&lab, &path, &ann).await;
    is_read_back(&lab, &page).await;

    let (_, list) = api.get("/v1/templates").await;
    assert_eq!(list["templates"].as_array().unwrap().len(), 3, "{list}");
    let (_, list) = api.get("/v1/templates?status=APPROVED").await;
    assert_eq!(list["templates"].as_array().unwrap().len(), 1, "{list}");
    for (body, field) in [
        (json!({"account_id": IG, "name": "a", "language": "en_US", "components": []}), "channel"),
        (json!({"account_id": PAGE, "name": "!", "language": "en_US", "components": []}), "name"),
        (
            json!({"account_id": PAGE, "name": "a", "language": "en_US", "components": []}),
            "components.type",
        ),
    ] {
        let answer = api.post("/v1/templates", body).await;
        is_problem(&answer, 422, "invalid");
        assert_eq!(answer.1["field"], field, "{answer:?}");
    }
    is_problem(&api.get("/v1/templates/tpl_404").await, 404, "not_found");

    is_refused_on_instagram(&lab).await;
}

/// Published past the api, Instagram is refused with the reason.
async fn is_refused_on_instagram(lab: &Lab) {
    let api = lab.api();
    let js = lab.jetstream().await;
    let command = json!({"id": "tpl-ig", "channel": "instagram", "account_id": IG, "contact_id": "5200000000000011",
        "command": "template_send", "requested_by": {"kind": "automation", "name": "test"}, "requested_at": runtime::now(),
        "data": {"name": "order_shipped_v1", "language": "en_US"}});
    let subject = format!("inbox.v1.command.00.instagram.{IG}.template_send");
    js.publish(subject, command.to_string().into()).await.unwrap().await.unwrap();
    eventually("it is refused", Duration::from_secs(20), async || {
        let (_, state) = api.get("/v1/commands/tpl-ig").await;
        let said = state["error"]["message"].as_str().unwrap_or_default();
        if said.contains("HUMAN_AGENT") { Ok(()) } else { Err(state.to_string()) }
    })
    .await;
}
