//! Work that goes on when nobody waits for it any more.

use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that is dropped before its end goes on as a task. While it is waited for it is none, which saves a detour.
pub(crate) struct Detach(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Detach {
    pub(crate) fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl Future for Detach {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(work) = &mut self.0 else { return Poll::Ready(()) };
        let poll = work.as_mut().poll(cx);
        if poll.is_ready() {
            self.0 = None;
        }
        poll
    }
}

impl Drop for Detach {
    fn drop(&mut self) {
        // Without a runtime the process ends, and nobody can be answered.
        if let (Some(work), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_is_dropped_goes_on_and_what_ended_does_not_begin_anew() {
        let (go, gone) = oneshot::channel::<()>();
        let (done, end) = oneshot::channel();
        let mut work = Detach::new(async move {
            let _ = gone.await;
            let _ = done.send(());
        });
        tokio::select! {
            biased;
            () = &mut work => panic!("it waits"),
            () = tokio::task::yield_now() => {}
        }
        drop(work);
        go.send(()).unwrap();
        end.await.unwrap();
        Detach::new(async {}).await;
    }
}
