//! A process that takes webhooks, and the broker that it stores them in.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use servers::{NatsOptions, NatsServer};

use crate::plain;
use crate::webhook::{SECRET, Webhooks};

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Hookline,
    Plain,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Hookline, Self::Plain];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hookline => "hookline",
            Self::Plain => "plain handler",
        }
    }

    fn command(self) -> Command {
        let this = std::env::current_exe().unwrap();
        match self {
            Self::Hookline => {
                // Beside this program, which cargo puts into `deps`.
                let beside = || this.parent().unwrap().with_file_name("hookline");
                let mut command =
                    Command::new(std::env::var_os("HOOKLINE").map_or_else(beside, PathBuf::from));
                command.arg("ingest");
                command
            }
            Self::Plain => {
                let mut command = Command::new(this);
                command.args([plain::WORD, "plain.webhook"]);
                command
            }
        }
    }
}

/// What processes have used: CPU time since their start, memory now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// CPU time of the candidate.
    pub(crate) process: Duration,
    /// CPU time of its broker.
    pub(crate) broker: Duration,
    /// Resident memory of the candidate, KiB.
    pub(crate) resident_kib: u64,
}

/// A running candidate.
pub(crate) struct Candidate {
    pub(crate) address: String,
    process: Child,
    nats: NatsServer,
    folder: PathBuf,
}

impl Candidate {
    /// Starts an empty broker and the candidate, and waits until it takes webhooks.
    pub(crate) async fn start(kind: Kind, sync: bool) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("ingest-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut options = NatsOptions::new(folder.join("nats"));
        options.sync_always = sync;
        let nats = NatsServer::start(options).await.unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let process = kind
            .command()
            .current_dir(&folder)
            .env("NATS_URL", nats.url())
            .env("NATS_MONITOR_URL", nats.monitor_url())
            .env("NATS_REQUIRE_SYNC", if sync { "true" } else { "false" })
            .env("META_APP_SECRETS", SECRET)
            .env("META_VERIFY_TOKENS", "bench-token")
            .env("INGEST_LISTEN", &address)
            .env("BENCH_LISTEN", &address)
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{kind:?}: {error}; `make bench` builds it"));
        let candidate = Self { address, process, nats, folder };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !candidate.takes_one() {
            assert!(Instant::now() < deadline, "{kind:?} takes no webhooks");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        candidate
    }

    fn takes_one(&self) -> bool {
        use std::io::{Read, Write};
        let mut request = Vec::new();
        Webhooks::new(1000, u64::MAX, 0).write(&mut request);
        let exchange = || -> std::io::Result<bool> {
            let mut stream = std::net::TcpStream::connect(&self.address)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(&request)?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer)?;
            Ok(answer.ends_with(b"200"))
        };
        exchange().unwrap_or(false)
    }

    pub(crate) fn used(&self) -> Used {
        let process = self.process.id();
        Used {
            process: cpu(process),
            broker: cpu(self.nats.pid().unwrap()),
            resident_kib: resident_kib(process),
        }
    }

    pub(crate) async fn stop(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.nats.stop().await.unwrap();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        let _ = self.process.kill();
    }
}

/// User and system time; the clock of `/proc` has ticks of 10 ms.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2);
    Duration::from_millis(10 * ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>())
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
