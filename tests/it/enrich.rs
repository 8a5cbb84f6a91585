//! Profiles: a name where Meta gives one, the placeholder where it does not, and never a storm of calls.

use std::time::Duration;

use simulator::{AccountSpec, CallKind, ProfileAnswer};
use tests::body::{IG, PAGE};
use tests::{Lab, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn every_class_of_profile_answer_gives_the_right_name_with_few_calls() {
    let lab = Lab::with_all_roles().await;
    let instagram = lab.simulator.add_account(AccountSpec::instagram(IG)).unwrap();
    let page = lab.simulator.add_account(AccountSpec::messenger(PAGE)).unwrap();
    lab.add_account("instagram", "instagram", IG, &instagram.token(), &[]).await;
    lab.add_account("messenger", "facebook", PAGE, &page.token(), &[]).await;

    let cases = [
        (&instagram, ProfileAnswer::Ok, true),
        (&instagram, ProfileAnswer::NoConsent, false),
        (&page, ProfileAnswer::Ok, true),
        (&page, ProfileAnswer::Empty, false),
        (&page, ProfileAnswer::Unsupported, false),
        (&page, ProfileAnswer::PhoneAccount, false),
        (&page, ProfileAnswer::NoPermission, false),
        (&page, ProfileAnswer::ServerError, false),
    ];
    let mut people = Vec::new();
    for (n, (account, answer, named)) in cases.into_iter().enumerate() {
        let person = account.person(&format!("Real Name {n}"));
        person.set_profile(answer);
        person.says("hello").accepted().await.unwrap();
        person.says("anybody?").accepted().await.unwrap();
        people.push((person, named, answer));
    }
    let api = lab.api();
    eventually(
        "names and placeholders are as the rules say",
        Duration::from_secs(30),
        async || {
            let conversations = api.conversations().await;
            for (person, named, answer) in &people {
                let Some(conversation) =
                    conversations.iter().find(|c| c["contact"]["id"] == person.id())
                else {
                    return Err(format!("{answer:?}: no conversation"));
                };
                let name = conversation["contact"]["name"].as_str().unwrap_or_default().to_owned();
                let placeholder = if conversation["channel"] == "instagram" {
                    format!("IG User {}", &person.id()[person.id().len() - 4..])
                } else {
                    format!("User {}", &person.id()[person.id().len() - 6..])
                };
                let expected = if *named { person.name() } else { placeholder };
                if name != expected {
                    return Err(format!("{answer:?}: `{name}` instead of `{expected}`"));
                }
            }
            Ok(())
        },
    )
    .await;
    // Long enough for a storm, had there been one: the shortest retry is 100 ms here.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (person, _, answer) in &people {
        let calls = lab.simulator.calls(Some(CallKind::Profile), None);
        let count = calls
            .iter()
            .filter(|call| {
                call.target.as_deref().is_some_and(|target| target.contains(person.id()))
            })
            .count();
        let most = if *answer == ProfileAnswer::ServerError { 12 } else { 2 };
        assert!((1..=most).contains(&count), "{answer:?}: {count} calls");
    }
    // An outage that ends: the name comes without another message.
    let (late, ..) = people.last().unwrap();
    late.set_profile(ProfileAnswer::Ok);
    eventually("the name comes once Graph is well", Duration::from_secs(30), async || {
        let conversations = api.conversations().await;
        let name = conversations.iter().find(|c| c["contact"]["id"] == late.id()).unwrap()["contact"]["name"].clone();
        if name == late.name() { Ok(()) } else { Err(name.to_string()) }
    })
    .await;
}
