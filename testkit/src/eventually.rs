//! Waiting for conditions.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a wait lasts at most, if nothing else is said: long enough for a busy machine of two cores.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// Polls `check` until it answers `Ok(Ok(value))`, for [`DEADLINE`] at most.
///
/// # Errors
///
/// The first `Err` of `check`; or, after the deadline, `what` was waited for together with the state that `check` saw last
/// (its `Ok(Err(state))`).
pub async fn eventually<T, F>(what: &str, check: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Result<T, String>>>,
{
    eventually_within(DEADLINE, what, check).await
}

/// [`eventually`] with a deadline of one's own.
///
/// # Errors
///
/// As [`eventually`].
pub async fn eventually_within<T, F>(deadline: Duration, what: &str, mut check: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Result<T, String>>>,
{
    let end = Instant::now() + deadline;
    let mut pause = Duration::from_millis(10);
    let mut state = "nothing yet".to_owned();
    loop {
        // A check that hangs must not outlive the deadline either.
        let left = end.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, check()).await {
            Ok(Ok(Ok(value))) => return Ok(value),
            Ok(Ok(Err(seen))) => state = seen,
            Ok(Err(error)) => return Err(error).with_context(|| format!("while waiting for {what}")),
            Err(_) => bail!("waited {deadline:?} for {what}; the last state seen: {state}"),
        }
        if Instant::now() + pause > end {
            bail!("waited {deadline:?} for {what}; the last state seen: {state}");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_millis(250));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_value_comes_as_soon_as_it_is_there() {
        let mut left = 3;
        let value = eventually("three tries", || {
            left -= 1;
            let now = left;
            async move { Ok(if now == 0 { Ok("there") } else { Err(format!("{now} left")) }) }
        });
        assert_eq!(value.await.expect("the value"), "there");
    }

    #[tokio::test]
    async fn the_error_tells_the_last_state() {
        let wait = eventually_within::<(), _>(Duration::from_millis(50), "the moon", || async {
            Ok(Err("behind a cloud".to_owned()))
        });
        let error = wait.await.expect_err("never").to_string();
        assert!(error.contains("the moon") && error.ends_with("behind a cloud"), "{error}");
    }

    #[tokio::test]
    async fn a_check_that_hangs_is_given_up() {
        let wait = eventually_within::<(), _>(Duration::from_millis(50), "an answer", || async {
            std::future::pending().await
        });
        assert!(wait.await.is_err());
    }
}
