//! The disk under the log is full: nothing more is accepted, nothing accepted is lost, and it goes on when there is room.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use servers::{NatsOptions, NatsServer};
use tests::body::{IG, instagram, now, text};
use tests::client::holds;
use tests::{Lab, Role, eventually};

/// A file system of a few megabytes; gone with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// All but so many bytes are taken by somebody else.
    fn leave(&self, bytes: u64) {
        let free = rustix::fs::statvfs(&self.0).unwrap();
        let taken = (free.f_bavail * free.f_frsize).saturating_sub(bytes);
        let mut file = std::fs::File::create(self.0.join("others")).unwrap();
        let block = vec![1_u8; 1 << 20];
        for _ in 0..taken >> 20 {
            std::io::Write::write_all(&mut file, &block).unwrap();
        }
    }

    /// They leave.
    fn free(&self) {
        std::fs::remove_file(self.0.join("others")).unwrap();
    }

    /// `None`: this user may not mount.
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&at)
            .output();
        done.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server that was there may still be on its way out.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_loses_nothing_and_is_left_behind_when_there_is_room() {
    let mut lab = Lab::start().await;
    let Some(disk) = SmallDisk::mount(lab.folder().join("small"), "200m") else {
        eprintln!("notice: skipped, this user may not mount a small file system");
        return;
    };
    let mut nats = NatsServer::start(NatsOptions::new(disk.0.join("nats"))).await.unwrap();
    lab.set("NATS_URL", &nats.url());
    lab.set("NATS_MONITOR_URL", &nats.monitor_url());
    lab.run_all().await;
    lab.add_account("instagram", "instagram", IG, "no-graph-needed", &[]).await;
    let meta = lab.meta();
    disk.leave(12 << 20);
    // Incompressible enough, and large enough to fill it soon: the log takes each twice, as it came and as events.
    let hello = |n: usize| {
        let words = format!("{n:08} ").repeat(10_000);
        instagram(text(IG, "5200000000000001", &format!("mid.{n}"), now(), &words))
    };
    let mut accepted = Vec::new();
    let mut refused = 0;
    for n in 0..600 {
        match meta.post("/webhooks/instagram", &hello(n)).await {
            200 => (accepted, refused) = ([accepted, vec![n]].concat(), 0),
            503 => refused += 1,
            other => panic!("{other} for a signed webhook"),
        }
        if refused == 5 {
            break;
        }
    }
    assert!(refused == 5 && accepted.len() > 20, "{} accepted, {refused}", accepted.len());
    lab.not_ready(Role::Ingest, "had no answer", Duration::from_secs(30)).await;

    disk.free();
    // A failed write is sticky: nats-server itself asks for a restart (see ARCHITECTURE.md).
    nats.stop().await.unwrap();
    nats.restart().await.unwrap();
    lab.all_ready().await;
    meta.deliver("/webhooks/instagram", &hello(1_000_000)).await;
    accepted.push(1_000_000);
    let rows = async || {
        let rows: Vec<String> = sqlx::query_scalar("select message_id from inbox.messages")
            .fetch_all(lab.pool())
            .await
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(rows)
    };
    eventually("every accepted message has its row", Duration::from_secs(60), async || {
        let rows = rows().await?;
        let missing: Vec<_> =
            accepted.iter().filter(|n| !rows.contains(&format!("mid.{n}"))).collect();
        holds(missing.is_empty(), || format!("missing {missing:?}"))
    })
    .await;
    let mut rows = rows().await.unwrap();
    let all = rows.len();
    rows.sort();
    rows.dedup();
    assert_eq!(rows.len(), all, "doubled rows");
    nats.stop().await.unwrap();
}
