//! Results on standard output, progress and errors on standard error.
//!
//! A pipe that nobody reads any more, as after `head`, is no reason to stop in the middle of something, and no error.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use connector_ops::Change;
use connector_ops::progress::Event;

/// A line on standard error.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A result, on standard output.
///
/// # Errors
/// It cannot be written, as to a full disk.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Tells an event. What did not change is not news.
pub(crate) fn tell(event: Event) {
    match event {
        Event::Reached { side, server, version } => {
            say(format_args!("{side}: {} ({version})", server.trim_end_matches('/')));
        }
        Event::Warning(warning) => say(format_args!("warning: {warning}")),
        Event::Object { change: Change::Unchanged, .. } => {}
        Event::Object { side, object, change } => say(format_args!("{side}: {object} {change}")),
        Event::Issued { account, expires } => {
            say(format_args!("control plane: token of ServiceAccount {account} issued, good until {expires}"));
        }
        Event::Waiting { what } => say(format_args!("waiting: {what}")),
    }
}

/// A number of things, as `1 claim` or `2 claims`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
