//! A future that never runs past a point in time, even when the process was frozen in between.

use std::pin::Pin;
use std::task::{Context, Poll};

use runtime::deadline::Deadline;

/// The time was over before the future was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLate;

/// Runs `work` until `deadline`. Unlike `tokio::time::timeout`, the clock is looked at *before* each step of the work: a process
/// that was stopped past the deadline and woken, or whose machine slept, does not write its request then.
///
/// # Errors
/// [`TooLate`]; whether the work had an effect is unknown.
pub(crate) async fn until<T>(
    deadline: Deadline,
    work: impl Future<Output = T>,
) -> Result<T, TooLate> {
    let mut sleep = Box::pin(tokio::time::sleep_until(deadline.monotonic().into()));
    let mut work = Box::pin(work);
    std::future::poll_fn(move |cx: &mut Context<'_>| {
        if deadline.is_over() || sleep.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(TooLate));
        }
        Pin::new(&mut work).poll(cx).map(Ok)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runtime::deadline::Moment;

    use super::*;

    #[tokio::test]
    async fn nothing_starts_after_the_deadline() {
        let mut started = false;
        let late = until(Moment::now().plus(Duration::ZERO), async { started = true }).await;
        assert_eq!(late, Err(TooLate));
        assert!(!started);
        let soon = Moment::now().plus(Duration::from_millis(20));
        assert_eq!(until(soon, std::future::pending::<()>()).await, Err(TooLate));
        assert_eq!(until(Moment::now().plus(Duration::from_secs(5)), async { 7 }).await, Ok(7));
    }
}
