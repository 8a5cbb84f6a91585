//! A TCP connection between two processes that a test can cut, freeze and mend.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Whole,
    /// Connections break and new ones are refused.
    Cut,
    /// Connections stay open and nothing passes.
    Frozen,
}

/// Forwards a port to another until cut.
pub struct Cable {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    stop: CancellationToken,
}

impl Cable {
    /// A cable to `target`, on a free port of its own.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, _) = watch::channel(State::Whole);
        let state = Arc::new(state);
        let stop = CancellationToken::new();
        let (states, stopped) = (state.clone(), stop.clone());
        tokio::spawn(async move {
            loop {
                let client = tokio::select! {
                    () = stopped.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                if let Ok((client, _)) = client {
                    tokio::spawn(forward(client, target, states.subscribe(), stopped.clone()));
                }
            }
        });
        Self { address, state, stop }
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection and refuses new ones.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Lets nothing pass any more while connections seem open.
    pub fn freeze(&self) {
        self.state.send_replace(State::Frozen);
    }

    /// Lets new connections pass again.
    pub fn mend(&self) {
        self.state.send_replace(State::Whole);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn forward(
    mut client: TcpStream,
    target: SocketAddr,
    mut state: watch::Receiver<State>,
    stop: CancellationToken,
) {
    let now = *state.borrow();
    if now == State::Whole {
        let Ok(mut server) = TcpStream::connect(target).await else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            () = stop.cancelled() => return,
            _ = state.wait_for(|state| *state != State::Whole) => {}
        }
        // Frozen: both ends stay open until it is cut or mended; a mended cable is a new one.
        if *state.borrow() == State::Frozen {
            let _ = state.wait_for(|state| *state != State::Frozen).await;
        }
        drop((client, server));
    } else if now == State::Frozen {
        let _ = state.wait_for(|state| *state != State::Frozen).await;
    }
}
