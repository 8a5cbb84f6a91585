//! Who gets an automatic reply, and who does not.

use std::time::Duration;

use serde_json::json;
use simulator::CallKind;
use tests::{Lab, eventually};

use super::{connections, conversation};

#[tokio::test(flavor = "multi_thread")]
async fn automatic_replies_answer_new_messages_of_people_and_nothing_else() {
    let lab = Lab::with_all_roles().await;
    for account in connections(&lab, &["--auto-reply", "We are on it."]).await {
        // Nobody may be answered for these.
        let mut quiet = Vec::new();
        let stale = account.person("Stale Person");
        stale.ago(chrono::TimeDelta::minutes(11)).says("an old question").accepted().await.unwrap();
        quiet.push(stale);
        let standby = account.person("Standby Person");
        standby.thread_elsewhere(true);
        standby.says("for another app").accepted().await.unwrap();
        quiet.push(standby);
        let unsent = account.person("Unsent Person");
        let held = unsent.held().says("never mind");
        let gone = unsent.held().unsends(held.mid());
        let answers = lab.simulator.deliver_together(&[&gone, &held]).await;
        assert!(answers.iter().all(|status| *status == Some(200)), "{answers:?}");
        quiet.push(unsent);
        let unseen = account.person("Imported Person");
        let silent = unseen.reported(simulator::Telling::Silent).says("nobody told you");
        drop(silent);
        quiet.push(unseen.clone());
        let (status, synced) = lab
            .api()
            .post(&format!("/v1/accounts/{}/sync?wait=20s", account.id()), json!({}))
            .await;
        assert_eq!((status, &synced["status"]), (200, &json!("done")), "{synced}");
        conversation(&lab, &unseen).await;
        let read = account.person("Reading Person");
        read.reacts("m_unknown", "❤").accepted().await.unwrap();
        quiet.push(read);
        let served = account.person("Served Person");
        let typed = account.types_by_hand(&served, "hello, I am a person");
        typed.accepted().await.unwrap();
        lab.settled().await;
        served.says("thank you").accepted().await.unwrap();
        // The control: it comes last, so all the others were considered before it is answered.
        let control = account.person("Fresh Person");
        control.says("a new question").accepted().await.unwrap();
        eventually("the new question is answered", Duration::from_secs(20), async || {
            let received = control.texts_received();
            if received == ["We are on it."] { Ok(()) } else { Err(format!("{received:?}")) }
        })
        .await;
        lab.settled().await;
        for person in quiet {
            assert_eq!(
                person.texts_received(),
                Vec::<String>::new(),
                "{} of {}",
                person.name(),
                account.id()
            );
        }
        assert_eq!(served.texts_received(), ["hello, I am a person"], "{}", account.id());
        assert_eq!(control.texts_received(), ["We are on it."]);
        // Echoes of automatic replies, own comments and replays start no new round.
        assert_eq!(account.count(CallKind::Send), 1, "{}", account.id());
    }
}
