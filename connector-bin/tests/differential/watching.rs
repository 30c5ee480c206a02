//! A watch that stays open while other things are asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt;
use kube::Client;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::exchange::{Answer, Request};

/// The annotation of an object that ends a watch.
pub(crate) const MARK: &str = "example.org/ends";

/// How long an event may take.
const LIMIT: Duration = Duration::from_secs(20);

/// It is read as it comes, by a task, so that it holds up nobody.
pub(crate) struct Watching {
    answer: Answer,
    seen: Arc<Mutex<String>>,
    more: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Watching {
    /// Opens a watch, everything in its request expanded already, and comes back when it has begun.
    pub(crate) async fn open(request: &Request, client: &Client) -> Self {
        let (seen, more) = (Arc::new(Mutex::new(String::new())), Arc::new(Notify::new()));
        let (answer, body) = match request.open(client).await {
            Ok((answer, body)) => (answer, Some(body)),
            Err(error) => (Answer { status: 0, headers: Vec::new(), body: format!("{error:?}") }, None),
        };
        let (into, tell) = (Arc::clone(&seen), Arc::clone(&more));
        let task = tokio::spawn(async move {
            let Some(mut body) = body else { return };
            while let Some(Ok(frame)) = body.frame().await {
                let text = frame.data_ref().map(|data| String::from_utf8_lossy(data).into_owned());
                into.lock().expect("nobody panics with the lock").push_str(&text.unwrap_or_default());
                tell.notify_one();
            }
        });
        Self { answer, seen, more, task }
    }

    /// Everything up to an event that holds a text, or what came in time.
    pub(crate) async fn until(mut self, mark: &str) -> Answer {
        let all = tokio::time::timeout(LIMIT, async {
            while !self.task.is_finished() && !self.lines().contains(mark) {
                tokio::select! {
                    () = self.more.notified() => {}
                    _ = &mut self.task => return,
                }
            }
        });
        // What came so far tells enough.
        let _: Result<(), _> = all.await;
        let mut answer =
            std::mem::replace(&mut self.answer, Answer { status: 0, headers: Vec::new(), body: String::new() });
        answer.body.push_str(&self.lines());
        answer
    }

    /// The events that are whole.
    fn lines(&self) -> String {
        let seen = self.seen.lock().expect("nobody panics with the lock");
        seen[..seen.rfind('\n').map_or(0, |end| end + 1)].to_owned()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}
