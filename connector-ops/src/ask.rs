//! One question to a cluster: bounded in time, and with a reason for people when there is no answer.

use std::time::Duration;

use kube::core::Status;
use thiserror::Error;

/// How long one question may take. Longer than a request waits in the connector for a connection to the control plane (15 s), so
/// that what it has to say about that arrives.
const PATIENCE: Duration = Duration::from_secs(20);

/// A cluster did not answer a question.
#[derive(Debug, Error)]
pub enum Unanswered {
    /// It was asked, and answered nothing in time. The way to it, or the cluster, is at fault.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    /// It refused. The message is the cluster's own.
    #[error("{}", said(.0))]
    Refused(Box<Status>),
    /// It was not reached, or what it answered was not understood.
    #[error("{}", chain(.0))]
    Failed(kube::Error),
}

impl Unanswered {
    /// The HTTP status of a refusal.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused(status) => Some(status.code),
            Self::Late | Self::Failed(_) => None,
        }
    }

    /// Whether the cluster was reached and said no because of who asked.
    pub fn is_forbidden(&self) -> bool {
        self.code() == Some(403)
    }
}

/// Waits for an answer, but not for ever.
///
/// # Errors
/// See [`Unanswered`].
pub(crate) async fn ask<T>(question: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Unanswered> {
    match tokio::time::timeout(PATIENCE, question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(Unanswered::Refused(status)),
        Ok(Err(error)) => Err(Unanswered::Failed(error)),
        Err(_) => Err(Unanswered::Late),
    }
}

/// What a refusal says; some say nothing but their code.
fn said(status: &Status) -> String {
    match status.message.trim() {
        "" => format!("HTTP status {}", status.code),
        message => message.to_owned(),
    }
}

/// An error and its causes in one line, each said once: the client's own words repeat them.
fn chain(error: &kube::Error) -> String {
    let mut source: Option<&(dyn std::error::Error + 'static)> = match error {
        // That it was no answer is known.
        kube::Error::Service(cause) => Some(cause.as_ref()),
        other => Some(other),
    };
    let mut text = String::new();
    while let Some(error) = source {
        let cause = error.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}
