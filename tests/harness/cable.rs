//! A TCP connection between two processes that a test can cut, freeze and mend.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
    /// What the client says passes, what it is answered does not.
    Deaf,
}

/// Forwards a port to another until cut.
pub struct Cable {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    /// Counted up to strand what is connected.
    stranded: Arc<watch::Sender<u32>>,
    /// Connections that pass everything in both directions.
    whole: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Cable {
    /// A cable to `target`, on a free port of its own.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, _) = watch::channel(State::Whole);
        let state = Arc::new(state);
        let stranded = Arc::new(watch::channel(0).0);
        let stop = CancellationToken::new();
        let whole = Arc::new(AtomicUsize::new(0));
        let counted = whole.clone();
        let (states, strandings, stopped) = (state.clone(), stranded.clone(), stop.clone());
        tokio::spawn(async move {
            loop {
                let client = tokio::select! {
                    () = stopped.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                if let Ok((client, _)) = client {
                    tokio::spawn(forward(
                        client,
                        target,
                        states.subscribe(),
                        strandings.subscribe(),
                        counted.clone(),
                        stopped.clone(),
                    ));
                }
            }
        });
        Self { address, state, stranded, whole, stop }
    }

    /// A cable to a port of this machine.
    pub async fn to_port(port: u16) -> Self {
        Self::to(SocketAddr::from(([127, 0, 0, 1], port))).await
    }

    /// A URL with the cable in place of the host and port it leads to.
    pub fn instead_of(&self, url: &str) -> String {
        let mut url = url::Url::parse(url).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.to_string()
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

    /// Lets pass what the client says, and nothing of what it is answered, while connections seem open. Returns once that holds.
    pub async fn deafen(&self) {
        self.state.send_replace(State::Deaf);
        while self.whole.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What is connected now seems open for ever and passes nothing, as when a middle box forgot it; new connections pass.
    pub fn strand(&self) {
        self.stranded.send_modify(|count| *count += 1);
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
    mut stranded: watch::Receiver<u32>,
    whole: Arc<AtomicUsize>,
    stop: CancellationToken,
) {
    stranded.mark_unchanged();
    let now = *state.borrow();
    if now == State::Whole {
        let Ok(mut server) = TcpStream::connect(target).await else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        whole.fetch_add(1, Ordering::SeqCst);
        let is_stranded = tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => None,
            () = stop.cancelled() => None,
            _ = state.wait_for(|state| *state != State::Whole) => Some(false),
            _ = stranded.changed() => Some(true),
        };
        whole.fetch_sub(1, Ordering::SeqCst);
        let Some(is_stranded) = is_stranded else { return };
        if is_stranded {
            stop.cancelled().await;
            return;
        }
        if *state.borrow() == State::Deaf {
            let (_answers, mut says) = server.split();
            tokio::select! {
                _ = tokio::io::copy(&mut client, &mut says) => {}
                _ = state.wait_for(|state| *state != State::Deaf) => {}
                () = stop.cancelled() => return,
            }
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
