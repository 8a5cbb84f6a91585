//! The accept loop: header time-out, limits on connections, draining. `axum::serve` has no header time-out, so we own it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;

use crate::BoxFuture;

/// A client that takes nothing of what waits for it for this long is cut.
const STALLED: Duration = Duration::from_secs(60);

/// Limits of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a client may take to send the head of a request.
    pub header_timeout: Duration,
    /// Open connections; more are answered 503 and closed.
    pub connections_max: usize,
    /// How long open connections may finish after shutdown.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            connections_max: 4096,
            drain: Duration::from_secs(9),
        }
    }
}

/// Binds an address.
///
/// # Errors
/// Names the variable and the address.
pub async fn bind(variable: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        anyhow::anyhow!("{variable}: cannot listen on {address}: {error}; stop what uses it or choose another port")
    })
}

/// Serves `router` until `shutdown`, then lets open requests finish for `limits.drain`.
pub fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> BoxFuture<'static, ()> {
    Box::pin(accept_all(listener, router, limits, shutdown))
}

async fn accept_all(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let connections = Arc::new(Semaphore::new(limits.connections_max));
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, _) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or a client that went away: neither is a reason to stop.
                    tracing::warn!(%error, "Could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let Ok(permit) = connections.clone().try_acquire_owned() else {
            metrics::counter!("hookline_http_connections_refused_total").increment(1);
            tokio::spawn(refuse(stream));
            continue;
        };
        let _ = stream.set_nodelay(true);
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            // Enough for any honest head; every open connection may hold as much.
            .max_buf_size(16 << 10)
            .serve_connection(
                TokioIo::new(cut_when_stalled(stream, STALLED)),
                TowerToHyperService::new(router.clone()),
            );
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // Errors here are the client's: cut connections, malformed heads.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "A connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("Some connections did not finish in time");
    }
}

/// Answers a client beyond the limit: come back later.
async fn refuse(mut stream: TcpStream) {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(answer)).await;
}

/// A connection whose writes fail once the peer has taken nothing for `patience`: a stalled reader must not hold memory and a place for ever.
fn cut_when_stalled<T: AsyncWrite>(stream: T, patience: Duration) -> Pin<Box<TimeoutWriter<T>>> {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(patience));
    Box::pin(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_cut_and_one_that_reads_is_not() {
        let (ours, theirs) = tokio::io::duplex(8);
        let mut stalled = cut_when_stalled(ours, Duration::from_millis(50));
        let error = stalled.write_all(&[0; 64]).await.err().map(|error| error.kind());
        assert_eq!(error, Some(io::ErrorKind::TimedOut));
        drop(theirs);

        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut read = cut_when_stalled(ours, Duration::from_secs(5));
        let reader = tokio::spawn(async move {
            let mut bytes = [0; 64];
            theirs.read_exact(&mut bytes).await.map(|_| ())
        });
        assert!(read.write_all(&[0; 64]).await.is_ok());
        assert!(reader.await.is_ok_and(|read| read.is_ok()));
    }
}
