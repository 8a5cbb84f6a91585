//! The load, the same for all: as fast as so many connections get answers, or so many webhooks a second whatever the answers do.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bench::Samples;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::LocalSet;

use crate::candidate::{Candidate, Used};
use crate::webhook::{Webhooks, answered};

/// Not measured: connections are opened, queues fill.
const WARM_UP: Duration = Duration::from_millis(500);
/// An open load is spread over so many connections. What waits for its connection counts as waiting.
const OPEN_CONNECTIONS: u32 = 64;

/// How webhooks come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many connections, each with one webhook at a time.
    Closed(u64),
    /// So many a second. Latency counts from the moment a webhook was due, so a stall counts for all that were due in it.
    Open(u32),
}

/// A load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    /// `sync_interval: always`, and hookline insists on it.
    pub(crate) sync: bool,
    /// Size of bodies, bytes.
    pub(crate) body: usize,
    pub(crate) pace: Pace,
}

/// What one round showed.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) latency: Samples,
    /// Milliseconds of CPU time per 1,000 webhooks.
    pub(crate) process_cpu_ms: f64,
    /// The same of the broker.
    pub(crate) broker_cpu_ms: f64,
    pub(crate) resident_mib: f64,
    /// Webhooks that were not answered 200.
    pub(crate) refused: u64,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.0}/s, p50 {:.2?}, p99 {:.2?}, CPU {:.1} ms and broker {:.1} ms per 1,000, {:.0} MiB",
            self.per_second,
            self.latency.at(0.5),
            self.latency.at(0.99),
            self.process_cpu_ms,
            self.broker_cpu_ms,
            self.resident_mib
        )?;
        if self.refused > 0 { write!(f, ", {} refused", self.refused) } else { Ok(()) }
    }
}

impl Load {
    /// One round.
    pub(crate) async fn run(&self, candidate: &Candidate, length: Duration) -> Figures {
        match self.pace {
            Pace::Closed(connections) => self.closed(candidate, length, connections).await,
            Pace::Open(per_second) => self.open(candidate, length, per_second),
        }
    }

    async fn closed(&self, candidate: &Candidate, length: Duration, connections: u64) -> Figures {
        let shared = Rc::new(Shared {
            webhooks: RefCell::new(Webhooks::new(self.body, first(), 1)),
            samples: RefCell::default(),
            refused: Cell::new(0),
            open: Cell::new(true),
        });
        let local = LocalSet::new();
        for _ in 0..connections {
            let (shared, address) = (shared.clone(), candidate.address.clone());
            local.spawn_local(async move { shared.connection(&address).await });
        }
        let watch = async {
            tokio::time::sleep(WARM_UP).await;
            shared.samples.borrow_mut().clear();
            let (started, before) = (Instant::now(), candidate.used());
            tokio::time::sleep(length).await;
            let (took, used) = (started.elapsed(), candidate.used());
            shared.open.set(false);
            let samples = shared.samples.borrow().clone();
            figures(samples, took, before, used, shared.refused.get())
        };
        let figures = local.run_until(watch).await;
        local.await;
        NUMBER.store(shared.webhooks.borrow().next(), Ordering::Relaxed);
        figures
    }

    fn open(&self, candidate: &Candidate, length: Duration, per_second: u32) -> Figures {
        let gap = Duration::from_secs(1) / per_second;
        let first = first();
        let start = Instant::now() + Duration::from_millis(50);
        let (warm, end) = (start + WARM_UP, start + WARM_UP + length);
        let (mut samples, mut refused) = (Vec::new(), 0);
        let (mut before, mut used, mut took) = (candidate.used(), candidate.used(), length);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..OPEN_CONNECTIONS)
                .map(|n| {
                    let due = start + gap * n;
                    let webhooks =
                        Webhooks::new(self.body, first + u64::from(n), u64::from(OPEN_CONNECTIONS));
                    let address = &candidate.address;
                    scope.spawn(move || {
                        paced(address, webhooks, (due, warm, end), gap * OPEN_CONNECTIONS)
                    })
                })
                .collect();
            sleep_until(warm);
            let measured = Instant::now();
            before = candidate.used();
            sleep_until(end);
            (used, took) = (candidate.used(), measured.elapsed());
            for thread in threads {
                let (more, refusals) = thread.join().unwrap();
                samples.extend(more);
                refused += refusals;
            }
        });
        NUMBER.store(first + 1_000_000, Ordering::Relaxed);
        figures(samples, took, before, used, refused)
    }
}

/// No body comes twice.
static NUMBER: AtomicU64 = AtomicU64::new(0);

fn first() -> u64 {
    NUMBER.load(Ordering::Relaxed)
}

fn figures(
    samples: Vec<Duration>,
    took: Duration,
    before: Used,
    used: Used,
    refused: u64,
) -> Figures {
    #[allow(clippy::cast_precision_loss)] // small
    let (count, resident) = (samples.len() as f64, used.resident_kib as f64);
    let per_thousand = |used: Duration, before: Duration| {
        used.saturating_sub(before).as_secs_f64() * 1e6 / count.max(1.0)
    };
    Figures {
        per_second: count / took.as_secs_f64(),
        latency: samples.into_iter().collect(),
        process_cpu_ms: per_thousand(used.process, before.process),
        broker_cpu_ms: per_thousand(used.broker, before.broker),
        resident_mib: resident / 1024.0,
        refused,
    }
}

/// What the connections of a closed load share. They run in one thread.
struct Shared {
    webhooks: RefCell<Webhooks>,
    samples: RefCell<Vec<Duration>>,
    refused: Cell<u64>,
    open: Cell<bool>,
}

impl Shared {
    async fn connection(&self, address: &str) {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut request, mut answer) = (Vec::new(), vec![0; 4096]);
        while self.open.get() {
            self.webhooks.borrow_mut().write(&mut request);
            let started = Instant::now();
            stream.write_all(&request).await.unwrap();
            let mut length = 0;
            let right = loop {
                match stream.read(&mut answer[length..]).await.unwrap() {
                    0 => panic!("the connection was closed"),
                    read => length += read,
                }
                if let Some(right) = answered(&answer[..length]) {
                    break right;
                }
            };
            if right {
                self.samples.borrow_mut().push(started.elapsed());
            } else {
                self.refused.set(self.refused.get() + 1);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the runtime has nothing to do while threads send")]
fn sleep_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}

/// A thread that sends a webhook whenever one is due. A thread, because the clock of the runtime is too coarse.
fn paced(
    address: &str,
    mut webhooks: Webhooks,
    (mut due, warm, end): (Instant, Instant, Instant),
    gap: Duration,
) -> (Vec<Duration>, u64) {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut request, mut answer) = (Vec::new(), vec![0; 4096]);
    let (mut samples, mut refused) = (Vec::new(), 0);
    while due < end {
        webhooks.write(&mut request);
        sleep_until(due);
        stream.write_all(&request).unwrap();
        let mut length = 0;
        let right = loop {
            length += stream.read(&mut answer[length..]).unwrap();
            if let Some(right) = answered(&answer[..length]) {
                break right;
            }
        };
        match right {
            true if warm <= due => samples.push(due.elapsed()),
            true => {}
            false => refused += 1,
        }
        due += gap;
    }
    (samples, refused)
}
