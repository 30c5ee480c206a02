//! Errors for people.

use std::error::Error;
use std::fmt;

/// Prints an error with all its causes on one line, each once: `what failed: why: why that`.
///
/// Many libraries repeat the cause in their own message; what was said already is left out.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said.push_str(&text);
            }
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
