//! Messages that nobody should send: headers, bodies and subjects by chance, by seed.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tests::body::IG;

/// A message as bytes.
pub(super) struct Hostile {
    pub(super) subject: Vec<u8>,
    pub(super) headers: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// The stream it is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Raw,
    Events,
    Commands,
}

impl Target {
    pub(super) const ALL: [Self; 3] = [Self::Raw, Self::Events, Self::Commands];

    pub(super) const fn stream(self) -> &'static str {
        match self {
            Self::Raw => "META_RAW",
            Self::Events => "INBOX_EVENTS",
            Self::Commands => "INBOX_COMMANDS",
        }
    }

    /// A subject as it should be; shards and partitions by turns.
    pub(super) fn subject(self, n: usize) -> String {
        match self {
            Self::Raw => format!("meta.v1.raw.instagram.{:02}", n % 8),
            Self::Events => format!("inbox.v1.event.{:02}.instagram.{IG}.message-received", n % 64),
            Self::Commands => format!("inbox.v1.command.{:02}.instagram.{IG}.reply", n % 64),
        }
    }

    /// A body as it should be.
    pub(super) fn body(self, name: &str) -> Vec<u8> {
        match self {
            Self::Raw => {
                let item = tests::body::text(IG, "5200000000000077", name, tests::body::now(), name);
                tests::body::instagram(item)
            }
            Self::Events => json!({
                "specversion": "1.0", "id": format!("evt_{name}"), "type": "hookline.message.received.v1",
                "source": format!("/instagram/{IG}"), "time": "2026-11-21T10:00:00.000Z",
                "data": {"channel": "instagram", "account_id": IG, "contact_id": "5200000000000078", "message_id": name,
                         "text": name, "origin": {"via": "webhook", "revision": 0}},
            })
            .to_string()
            .into_bytes(),
            Self::Commands => command(name, &json!({"text": name})).to_string().into_bytes(),
        }
    }
}

fn command(id: &str, data: &Value) -> Value {
    json!({
        "id": id, "channel": "instagram", "account_id": IG, "contact_id": "5200000000000077", "command": "reply",
        "requested_by": {"kind": "person", "name": "mallory"}, "requested_at": "2026-11-21T10:00:00.000Z", "data": data,
    })
}

/// Makes them.
pub(super) struct Generator(StdRng);

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Message `n` for a stream. At least one of headers, body and subject is not as it should be.
    pub(super) fn next(&mut self, target: Target, n: usize) -> Hostile {
        let name = format!("bad.{n}");
        let wrong = self.0.random_range(1..8_u8);
        let headers = if wrong & 1 == 0 { Vec::new() } else { self.headers() };
        let body = if wrong & 2 == 0 { target.body(&name) } else { self.body(target, &name) };
        let subject =
            if wrong & 4 == 0 { target.subject(n).into_bytes() } else { self.subject(target, n) };
        Hostile { subject, headers, body }
    }

    fn headers(&mut self) -> Vec<u8> {
        const BLOCKS: [&[u8]; 17] = [
            b"NATS/1.0\r\nX: a\rb\r\n\r\n",
            b"NATS/1.0\r\nX: caf\xe9\r\n\r\n",
            b"NATS/1.0\r\ntraceparent: 00-\0\r\n\r\n",
            b"NATS/1.0\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\0\r\n\r\n",
            b"NATS/1.0\r\ntraceparent: \xff\xfe\r\n\r\n",
            b"NATS/1.0 100 Idle Heartbeat\r\n\r\n",
            b"NATS/1.0 404 No Messages\r\n\r\n",
            b"NATS/1.0 408 Request Timeout\r\n\r\n",
            b"NATS/1.0 409 Consumer Deleted\r\n\r\n",
            b"NATS/1.0 503\r\nNats-Pending-Messages: 1\r\n\r\n",
            b"NATS/1.0 abc\r\n\r\n",
            b"NATS/1.0\r\nno colon here\r\n\r\n",
            b"NATS/1.0\r\nwith space: x\r\n\r\n",
            b"NATS/1.0\r\n: empty\r\n\r\n",
            b"NATS/1.0\r\nHookline-Vouch: \x01\x02\r\nHookline-Secret: \0\r\nHookline-Path: \x1b[2J\r\nHookline-Received-At: soon\r\n\r\n",
            b"NATS/1.0\r\nHookline-Replay: \r\nX: 1\r\nX: 2\r\nx: 3\r\n\r\n",
            b"NATS/1.0\r\nA: b\r\n\rc\r\n\r\n",
        ];
        match self.0.random_range(0..20_u8) {
            // Much of it.
            0 => {
                let mut block = b"NATS/1.0\r\n".to_vec();
                for n in 0..400 {
                    block.extend_from_slice(format!("X-{n}: {}\r\n", "v".repeat(100)).as_bytes());
                }
                block.extend_from_slice(b"\r\n");
                block
            }
            // Noise between a beginning and an end as they should be.
            1..4 => {
                let mut noise = vec![0; self.0.random_range(1..64)];
                self.0.fill_bytes(&mut noise);
                [b"NATS/1.0\r\nX: ", noise.as_slice(), b"\r\n\r\n"].concat()
            }
            _ => BLOCKS.choose(&mut self.0).unwrap().to_vec(),
        }
    }

    fn body(&mut self, target: Target, name: &str) -> Vec<u8> {
        let whole = target.body(name);
        match self.0.random_range(0..13_u8) {
            0 => Vec::new(),
            1 => b"null".to_vec(),
            2 => [b"[".repeat(20_000), b"]".repeat(20_000)].concat(),
            3 => format!("{{\"id\":{}}}", "9".repeat(5_000)).into_bytes(),
            4 => whole[..whole.len() / 2].to_vec(),
            5 => {
                let mut noise = vec![0; self.0.random_range(1..2_000)];
                self.0.fill_bytes(&mut noise);
                noise
            }
            // A character that Postgres does not keep, everywhere.
            6 => replaced(&whole, name, &format!("{name}\\u0000")),
            7 => replaced(&whole, IG, "1784\\u0000"),
            8 => replaced(&whole, "5200000000000077", "a\\r\\nNats-Msg-Id: x"),
            9 => replaced(&whole, name, &format!("{name}\\r\\nX: y")),
            10 => replaced(&whole, name, &"long".repeat(20_000)),
            11 => replaced(&whole, "instagram", "telegram"),
            _ => {
                // Half of a surrogate pair.
                let mut whole = replaced(&whole, name, &format!("{name}\\ud800"));
                whole.extend_from_slice(b" trailing");
                whole
            }
        }
    }

    fn subject(&mut self, target: Target, n: usize) -> Vec<u8> {
        let good = target.subject(n);
        let mut bytes = good.clone().into_bytes();
        match self.0.random_range(0..7_u8) {
            0 => bytes.extend_from_slice(b".one.more"),
            1 => bytes = good.replace("instagram", "%00").into_bytes(),
            2 => bytes = good.replace("instagram", "caf\u{e9}").into_bytes(),
            3 => bytes = good.replace("instagram", "em\u{2003}space").into_bytes(),
            4 => bytes.extend_from_slice(b"\xff\xfe"),
            5 => bytes = good.replace(IG, &"9".repeat(2_000)).into_bytes(),
            _ => bytes = good.replace(IG, "_").into_bytes(),
        }
        bytes
    }
}

fn replaced(body: &[u8], from: &str, to: &str) -> Vec<u8> {
    String::from_utf8_lossy(body).replace(from, to).into_bytes()
}
