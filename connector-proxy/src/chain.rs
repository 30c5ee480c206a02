//! Errors for people.

use std::error::Error;
use std::fmt;

/// Prints an error with all its causes on one line, each once: `what failed: why: why that`.
///
/// Many libraries repeat the cause in their own message; what was said already is left out.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = text(self.0);
        f.write_str(&said)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = text(error);
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said.push_str(&text);
            }
            source = error.source();
        }
        Ok(())
    }
}

/// An error's own words. What a cluster answered is told in its message; the library would show the whole `Status`, for programmers.
fn text(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut at = Some(error);
    while let Some(error) = at {
        let status = match error.downcast_ref() {
            Some(kube::Error::Api(status)) => Some(&**status),
            _ => error.downcast_ref::<Box<kube::core::Status>>().map(|status| &**status),
        };
        if let Some(status) = status.filter(|status| !status.message.is_empty()) {
            let whole = format!("ApiError: {status} ({status:?})");
            text = text.replace(&whole, &status.message).replace(&status.to_string(), &status.message);
        }
        at = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cluster_answered_is_told_in_its_words() {
        let status = kube::core::Status::failure("nodes is forbidden", "Forbidden").with_code(403);
        let error = kube::Error::Api(status.boxed());
        assert_eq!(Chain(&error).to_string(), "nodes is forbidden");
        let error = kube::runtime::watcher::Error::InitialListFailed(error);
        assert_eq!(Chain(&error).to_string(), "failed to perform initial object list: nodes is forbidden");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    #[test]
    fn each_cause_is_told_once() {
        let root = Link { text: "no such file", source: None };
        let middle = Link { text: "cannot read: no such file", source: Some(Box::new(root)) };
        let top = Link { text: "cannot start", source: Some(Box::new(middle)) };
        assert_eq!(Chain(&top).to_string(), "cannot start: cannot read: no such file");
    }
}
