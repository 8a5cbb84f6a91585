//! A client of the broker that checks nothing: what no client library would send.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::servers::Broker;

/// A connection.
pub struct RawNats(BufReader<TcpStream>);

impl RawNats {
    /// Connects with user and password.
    pub async fn connect(broker: &Broker) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", broker.port())).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let mut raw = Self(BufReader::new(socket));
        let (user, pass) = broker.credentials();
        let options = serde_json::json!({
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true, "user": user, "pass": pass,
        });
        assert!(raw.line().await.starts_with(b"INFO "));
        raw.send(format!("CONNECT {options}\r\n").as_bytes()).await;
        raw.flush().await;
        raw
    }

    /// Publishes with these bytes as the header block; none where it is empty.
    pub async fn publish(&mut self, subject: &[u8], headers: &[u8], body: &[u8]) {
        let mut bytes = Vec::with_capacity(subject.len() + headers.len() + body.len() + 64);
        let verb: &[u8] = if headers.is_empty() { b"PUB " } else { b"HPUB " };
        bytes.extend_from_slice(verb);
        bytes.extend_from_slice(subject);
        let sizes = match headers.len() {
            0 => format!(" {}\r\n", body.len()),
            length => format!(" {length} {}\r\n", length + body.len()),
        };
        bytes.extend_from_slice(sizes.as_bytes());
        bytes.extend_from_slice(headers);
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(b"\r\n");
        self.send(&bytes).await;
    }

    /// Subscribes to all that this user may see.
    pub async fn subscribe(&mut self, subject: &str) {
        self.send(format!("SUB {subject} 1\r\n").as_bytes()).await;
        self.flush().await;
    }

    /// Waits until the broker has read all of it.
    pub async fn flush(&mut self) {
        self.send(b"PING\r\n").await;
        while self.line().await != b"PONG\r\n" {}
    }

    /// The next line of the broker, as it is.
    pub async fn line(&mut self) -> Vec<u8> {
        loop {
            let mut line = Vec::new();
            let read = self.0.read_until(b'\n', &mut line).await.unwrap();
            assert!(read > 0, "the broker closed the connection");
            if line == b"PING\r\n" {
                self.send(b"PONG\r\n").await;
                continue;
            }
            return line;
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }
}
