//! Signed webhooks, each with a body of its own, made so cheaply that they do not weigh on what is measured.

use std::io::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What signs every webhook.
pub(crate) const SECRET: &str = "bench-secret";
const ACCOUNTS: u64 = 50;

/// Makes the webhooks of one round.
pub(crate) struct Webhooks {
    /// By account: the body up to what is different in each, and the state of its signature there.
    beginnings: Vec<(Vec<u8>, Hmac<Sha256>)>,
    next: u64,
    step: u64,
}

impl Webhooks {
    /// Number `first`, `first + step`, … of webhooks with bodies of `size` bytes.
    pub(crate) fn new(size: usize, first: u64, step: u64) -> Self {
        let key = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        let beginnings = (0..ACCOUNTS).map(|account| {
            let mut body = format!(
                r#"{{"object":"instagram","entry":[{{"time":1764000000000,"id":"178414000000{account:05}","messaging":[{{"sender":{{"id":"10000000000{account:05}"}},"recipient":{{"id":"178414000000{account:05}"}},"timestamp":1764000000000,"message":{{"text":""#
            );
            let filler = size.saturating_sub(body.len() + ending(0).len());
            body.extend(std::iter::repeat_n('x', filler));
            let signed = key.clone().chain_update(&body);
            (body.into_bytes(), signed)
        });
        Self { beginnings: beginnings.collect(), next: first, step }
    }

    /// The number of the next one.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Writes the next request over what `request` holds.
    pub(crate) fn write(&mut self, request: &mut Vec<u8>) {
        let (number, account) = (self.next, usize::try_from(self.next % ACCOUNTS).unwrap());
        self.next += self.step;
        let (beginning, signed) = &self.beginnings[account];
        let ending = ending(number);
        let signature = signed.clone().chain_update(&ending).finalize().into_bytes();
        request.clear();
        write!(
            request,
            "POST /webhook HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: {}\r\nX-Hub-Signature-256: sha256={}\r\n\r\n",
            beginning.len() + ending.len(),
            hex::encode(signature)
        )
        .unwrap();
        request.extend_from_slice(beginning);
        request.extend_from_slice(ending.as_bytes());
    }
}

fn ending(number: u64) -> String {
    format!(r#"","mid":"aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlEOjE3{number:016x}"}}}}]}}]}}"#)
}

/// Where an answer ends and whether it is a 200, once `read` holds all of it.
pub(crate) fn answered(read: &[u8]) -> Option<bool> {
    let head = read.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&read[..head]).unwrap().to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |value| value.trim().parse().unwrap());
    (head + 4 + length <= read.len()).then(|| text.split(' ').nth(1) == Some("200"))
}
