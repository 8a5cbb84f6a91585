//! The servers that the tests of a run share go with the run, also where nobody ends it in order.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use tests::client::holds;
use tests::eventually;
use tests::lab::hookline_binary;
use tests::shared::files;
use tests::up::Folder;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_leaves_no_server_behind() {
    let folder = Folder::new("run");
    let mut run = Command::new("sleep").arg("600").spawn().unwrap();
    let binaries = hookline_binary().parent().unwrap().to_owned();
    let mut keeper = Command::new(binaries.join("test-servers"))
        .arg(folder.path())
        .arg(run.id().to_string())
        .arg(&binaries)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let servers = eventually("the servers run", Duration::from_secs(60), async || {
        files::servers(folder.path()).ok_or("not yet".to_owned())
    })
    .await;
    let listening = |port: u16| TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(listening(servers.nats_port) && listening(servers.postgres_port));
    run.kill().unwrap();
    run.wait().unwrap();
    eventually("they are gone", Duration::from_secs(20), async || {
        let there = [servers.nats_port, servers.postgres_port].map(listening);
        holds(there == [false, false] && !folder.path().exists(), || format!("{there:?}"))
    })
    .await;
    assert!(keeper.wait().unwrap().success());
}
