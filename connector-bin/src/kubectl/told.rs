//! Progress for people, on standard error.

use connector_ops::Change;
use connector_ops::progress::Event;

/// Tells an event. What did not change is not news.
pub(crate) fn tell(event: Event) {
    match event {
        Event::Reached { side, server, version } => eprintln!("{side}: {} ({version})", server.trim_end_matches('/')),
        Event::Warning(warning) => eprintln!("warning: {warning}"),
        Event::Object { change: Change::Unchanged, .. } => {}
        Event::Object { side, object, change } => eprintln!("{side}: {object} {change}"),
        Event::Issued { account, expires } => {
            eprintln!("control plane: token of ServiceAccount {account} issued, good until {expires}");
        }
        Event::Waiting { what } => eprintln!("waiting: {what}"),
    }
}

/// A number of things, as `1 claim` or `2 claims`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
