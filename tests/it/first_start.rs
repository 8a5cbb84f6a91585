//! What a first start shows: nobody has to be alarmed, and who refuses is quoted.

use std::time::Duration;

use tests::{Lab, LabOptions, Role};

#[tokio::test(flavor = "multi_thread")]
async fn with_the_deployed_users_roles_wait_for_the_worker_without_an_alarm() {
    let mut lab = Lab::start_with(LabOptions::EMPTY).await;
    let mut nats =
        tests::servers::nats_with_deployed_users(lab.data_folder().join("nats-with-users")).await;
    lab.set("NATS_MONITOR_URL", &nats.monitor_url());
    let at = nats.url().replace("nats://", "");
    for role in [Role::Ingest, Role::Api, Role::Projector, Role::Worker] {
        if role == Role::Worker {
            // The others look for their streams meanwhile.
            tokio::time::sleep(Duration::from_secs(4)).await;
            let door = lab.log(Role::Ingest);
            assert!(door.contains("META_RAW is not there yet"), "{door}");
        }
        lab.set("NATS_URL", &format!("nats://{0}:{0}@{at}", role.name()));
        lab.run(role).await;
    }
    lab.all_ready().await;
    for role in Role::ALL {
        let log = lab.log(role);
        let alarms: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
        assert!(alarms.is_empty(), "{}: {alarms:#?}", role.name());
    }
    for role in Role::ALL {
        lab.stop(role).await;
    }
    nats.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgres_says_to_whom_it_refuses_is_passed_on() {
    let mut lab = Lab::start().await;
    let name = format!("full_{:08x}", rand::random::<u32>());
    let make = format!("create role {name} login password 'full' connection limit 0");
    sqlx::query(sqlx::AssertSqlSafe(make)).execute(lab.pool()).await.unwrap();
    let direct = lab.settings["DATABASE_URL"].clone();
    let mut url = url::Url::parse(&direct).unwrap();
    url.set_username(&name).unwrap();
    url.set_password(Some("full")).unwrap();
    lab.set("DATABASE_URL", url.as_str());
    lab.run(Role::Api).await;
    let reason = "too many connections for role";
    lab.not_ready(Role::Api, reason, Duration::from_secs(15)).await;
    let (code, out, err) = lab.hookline(&["status"]).await;
    assert_eq!(code, 4, "{out}{err}");
    assert!(err.contains("too many connections for role"), "{err}");
    lab.stop(Role::Api).await;
    let drop = format!("drop role {name}");
    sqlx::query(sqlx::AssertSqlSafe(drop)).execute(lab.pool()).await.unwrap();
}
