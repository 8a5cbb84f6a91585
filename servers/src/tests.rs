//! The real servers: started, stopped, killed, orphaned, started again.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use sqlx::{Connection, PgConnection};

use crate::testing::Scratch;
use crate::{NatsOptions, NatsServer, PgOptions, Postgres, process};

/// Set for the helper process that starts servers and is then killed.
const PARENT_DIR: &str = "HOOKLINE_TEST_PARENT_DIR";

fn template_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("test binary");
    let target = exe.ancestors().find(|dir| dir.ends_with("target"));
    target.map_or_else(std::env::temp_dir, PathBuf::from).join("postgres-template")
}

fn pg_options(scratch: &Scratch) -> PgOptions {
    PgOptions {
        fsync: false,
        template_dir: Some(template_dir()),
        ..PgOptions::new(scratch.path().join("postgres"))
    }
}

async fn sql(postgres: &Postgres, statement: &'static str) {
    let mut connection = PgConnection::connect(&postgres.url("app")).await.expect("connect");
    sqlx::query(statement).execute(&mut connection).await.expect(statement);
    connection.close().await.expect("close");
}

async fn count(postgres: &Postgres) -> i64 {
    let mut connection = PgConnection::connect(&postgres.url("app")).await.expect("connect");
    let count = sqlx::query_scalar("select count(*) from kept").fetch_one(&mut connection).await;
    connection.close().await.expect("close");
    count.expect("count")
}

async fn client(nats: &NatsServer) -> async_nats::Client {
    let (user, password) = nats.credentials().expect("a password");
    let options = async_nats::ConnectOptions::with_user_and_password(user.into(), password.into());
    options.connect(nats.url()).await.expect("connect")
}

async fn jetstream(nats: &NatsServer) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(client(nats).await)
}

async fn publish(nats: &NatsServer) {
    let js = jetstream(nats).await;
    let stream = async_nats::jetstream::stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept".into()],
        ..Default::default()
    };
    js.get_or_create_stream(stream).await.expect("stream");
    js.publish("kept", "one".into()).await.expect("publish").await.expect("ack");
}

async fn stored(nats: &NatsServer) -> u64 {
    let js = jetstream(nats).await;
    let mut stream = js.get_stream("KEPT").await.expect("stream");
    stream.info().await.expect("info").state.messages
}

#[tokio::test]
async fn nats_keeps_its_data_over_stop_crash_and_a_new_run() {
    let scratch = Scratch::new("nats");
    let options = NatsOptions::new(scratch.path().join("nats"));
    let mut nats = NatsServer::start(options.clone()).await.expect("start");
    publish(&nats).await;
    let (url, pid) = (nats.url(), nats.pid().expect("pid"));

    nats.kill9().await.expect("kill");
    assert!(!process::is_running(pid) && !nats.is_running());
    nats.restart().await.expect("restart");
    assert_eq!(nats.url(), url, "same port, same password");
    assert_ne!(nats.pid(), Some(pid));
    assert_eq!(stored(&nats).await, 1);

    nats.stop().await.expect("stop");
    drop(nats);
    let mut nats = NatsServer::start(options).await.expect("a new run");
    assert_eq!(stored(&nats).await, 1);
    nats.stop().await.expect("stop");
}

#[tokio::test]
async fn nats_is_configured_as_asked_and_closed_to_strangers() {
    let scratch = Scratch::new("nats-config");
    let mut nats = NatsServer::start(NatsOptions {
        extra_config: Some("max_connections: 7".into()),
        ..NatsOptions::new(scratch.path())
    })
    .await
    .expect("start");
    let client = client(&nats).await;
    assert_eq!(client.server_info().max_payload, 8 * 1024 * 1024);
    drop(client);
    let get = async |path: &str| monitor(&nats, path).await;
    assert!(get("/jsz").await.contains("\"sync_always\": true"));
    assert!(get("/varz").await.contains("\"max_connections\": 7"));
    let stranger = format!("nats://127.0.0.1:{}", nats.port());
    let refusal = async_nats::connect(stranger).await.expect_err("no password").to_string();
    assert!(refusal.contains("authorization violation"), "{refusal}");

    nats.options_mut().sync_always = false;
    nats.restart().await.expect("restart");
    assert!(!monitor(&nats, "/jsz").await.contains("\"sync_always\": true"));
    nats.stop().await.expect("stop");
}

async fn monitor(nats: &NatsServer, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = nats.monitor_url().replace("http://", "");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("monitor");
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answer");
    answer
}

#[tokio::test]
async fn a_refused_start_carries_the_servers_own_words() {
    let scratch = Scratch::new("refused");
    let held = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = Some(held.local_addr().expect("address").port());
    let nats = NatsOptions { port, ..NatsOptions::new(scratch.path().join("nats")) };
    let error = NatsServer::start(nats).await.expect_err("port is taken").to_string();
    assert!(error.contains("address already in use"), "{error}");
    let error = Postgres::start(PgOptions { port, ..pg_options(&scratch) }).await;
    let error = error.expect_err("port is taken").to_string();
    assert!(error.contains("Address already in use"), "{error}");
}

#[tokio::test]
async fn a_folder_in_use_is_refused_and_its_server_left_alone() {
    let scratch = Scratch::new("in-use");
    let options = NatsOptions::new(scratch.path());
    let mut nats = NatsServer::start(options.clone()).await.expect("start");
    let error = NatsServer::start(options).await.expect_err("in use").to_string();
    assert!(error.contains("another hookline"), "{error}");
    assert!(nats.is_running());
    nats.stop().await.expect("stop");
}

#[tokio::test]
async fn postgres_keeps_its_data_over_stop_crash_and_a_new_run() {
    let scratch = Scratch::new("postgres");
    let mut postgres = Postgres::start(pg_options(&scratch)).await.expect("start");
    postgres.create_database("app").await.expect("database");
    postgres.create_database("app").await.expect("again");
    sql(&postgres, "create table kept (n int)").await;
    sql(&postgres, "insert into kept values (1)").await;
    let (url, pid) = (postgres.url("app"), postgres.pid().expect("pid"));
    let open = PgConnection::connect(&url).await.expect("a client that stays");

    postgres.kill9().await.expect("kill");
    assert!(!process::is_running(pid));
    postgres.restart().await.expect("restart");
    assert_eq!(postgres.url("app"), url);
    assert_eq!(count(&postgres).await, 1);
    drop(open);

    let open = PgConnection::connect(&url).await.expect("a client that stays");
    postgres.stop().await.expect("stop does not wait for clients");
    drop((open, postgres));
    let mut postgres = Postgres::start(pg_options(&scratch)).await.expect("a new run");
    assert_eq!(count(&postgres).await, 1);
    postgres.stop().await.expect("stop");
}

#[tokio::test]
async fn postgres_made_from_scratch_is_closed_to_strangers() {
    let scratch = Scratch::new("initdb");
    let options = PgOptions::new(scratch.path().join("postgres"));
    let mut postgres = Postgres::start(options).await.expect("start");
    assert!(postgres.create_database("Robert\"; --").await.is_err());
    let own = postgres.url("postgres");
    let mut connection = PgConnection::connect(&own).await.expect("connect");
    let setting: String =
        sqlx::query_scalar("show fsync").fetch_one(&mut connection).await.expect("show");
    assert_eq!(setting, "on");
    connection.close().await.expect("close");
    let (_, host) = own.split_once('@').expect("a password");
    let stranger = format!("postgres://hookline:guess@{host}");
    let error = PgConnection::connect(&stranger).await.expect_err("a guess").to_string();
    assert!(error.contains("password authentication failed"), "{error}");
    postgres.stop().await.expect("stop");
}

#[tokio::test]
async fn a_lock_file_with_somebody_elses_pid_is_cleared() {
    let scratch = Scratch::new("stale-pid");
    let mut postgres = Postgres::start(pg_options(&scratch)).await.expect("start");
    let pid_file = postgres.data_dir().join("postmaster.pid");
    let text = fs::read_to_string(&pid_file).expect("pid file");
    let ours = postgres.pid().expect("pid").to_string();
    postgres.kill9().await.expect("kill");
    drop(postgres);
    // Since the crash the pid went to another process of the same user; Postgres believes it a postmaster.
    let user = crate::user::for_postgres().expect("user");
    let mut other = crate::user::command("sleep", user.as_ref());
    other.arg("600").stdout(Stdio::null());
    let mut other = tokio::process::Command::from(other).kill_on_drop(true).spawn().expect("sleep");
    let stranger = other.id().expect("running");
    fs::write(&pid_file, text.replacen(&ours, &stranger.to_string(), 1)).expect("write");
    let mut postgres = Postgres::start(pg_options(&scratch)).await.expect("start");
    postgres.stop().await.expect("stop");

    let nats_dir = scratch.path().join("nats");
    fs::create_dir(&nats_dir).expect("mkdir");
    fs::write(nats_dir.join("nats.pid"), stranger.to_string()).expect("write");
    let mut nats = NatsServer::start(NatsOptions::new(&nats_dir)).await.expect("start");
    nats.stop().await.expect("stop");
    assert!(process::is_running(stranger), "a stranger is left alone");
    other.kill().await.expect("kill");
}

/// Not a test by itself: the process that is killed by the two tests below.
#[tokio::test]
#[ignore = "started by other tests, as the process they kill"]
async fn parent_to_be_killed() {
    let Some(dir) = std::env::var_os(PARENT_DIR).map(PathBuf::from) else { return };
    let nats = NatsServer::start(NatsOptions::new(dir.join("nats"))).await.expect("nats");
    publish(&nats).await;
    let options = PgOptions {
        fsync: false,
        template_dir: Some(template_dir()),
        ..PgOptions::new(dir.join("postgres"))
    };
    let postgres = Postgres::start(options).await.expect("postgres");
    postgres.create_database("app").await.expect("database");
    sql(&postgres, "create table kept (n int)").await;
    sql(&postgres, "insert into kept values (1)").await;
    let pids = [nats.pid(), postgres.pid()].map(|pid| pid.expect("running").to_string());
    fs::write(dir.join("pids"), pids.join(" ")).expect("write");
    // To its own line: the test runner may have begun this one.
    #[allow(clippy::print_stdout)]
    {
        println!("\nready");
    }
    std::future::pending::<()>().await;
}

/// Runs `parent_to_be_killed` until both servers are up, kills it, and gives the servers' pids.
fn kill_a_parent(scratch: &Scratch, before: impl Fn(&[u32])) -> Vec<u32> {
    let mut parent = Command::new(std::env::current_exe().expect("test binary"))
        .args(["--exact", "tests::parent_to_be_killed", "--ignored", "--nocapture"])
        .env(PARENT_DIR, scratch.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start parent");
    let stdout = BufReader::new(parent.stdout.take().expect("piped"));
    let ready = stdout.lines().map_while(Result::ok).any(|line| line == "ready");
    assert!(ready, "the parent starts both servers");
    let text = fs::read_to_string(scratch.path().join("pids")).expect("pids");
    let pids: Vec<u32> = text.split(' ').map(|pid| pid.parse().expect("pid")).collect();
    assert!(pids.iter().all(|pid| process::is_running(*pid)));
    before(&pids);
    parent.kill().expect("kill -9");
    parent.wait().expect("reap");
    pids
}

#[tokio::test]
async fn servers_die_with_a_parent_that_is_killed() {
    let scratch = Scratch::new("parent");
    let pids = kill_a_parent(&scratch, |_| ());
    assert!(process::wait_gone(&pids, Duration::from_secs(10)), "the guardian stops them");
}

#[tokio::test]
async fn orphans_whose_guardian_died_too_are_stopped_by_the_next_start() {
    let scratch = Scratch::new("orphans");
    let pids = kill_a_parent(&scratch, |pids| {
        for pid in pids {
            // The shell that guards a server leads its process group; both it and its watcher go.
            let raw = rustix::process::Pid::from_raw(*pid as i32).expect("pid");
            let group = rustix::process::getpgid(Some(raw)).expect("group");
            let shell = group.as_raw_nonzero().get() as u32;
            for member in process::children(shell).into_iter().chain([shell]) {
                if member != *pid {
                    process::signal(member, Signal::KILL);
                }
            }
        }
    });
    assert!(pids.iter().all(|pid| process::is_running(*pid)), "nobody stopped them");

    let nats_options = NatsOptions::new(scratch.path().join("nats"));
    let mut nats = NatsServer::start(nats_options).await.expect("nats");
    let mut postgres = Postgres::start(pg_options(&scratch)).await.expect("postgres");
    assert!(!pids.iter().any(|pid| process::is_running(*pid)), "the orphans are gone");
    assert_eq!(stored(&nats).await, 1);
    assert_eq!(count(&postgres).await, 1);
    nats.stop().await.expect("stop");
    postgres.stop().await.expect("stop");
}
