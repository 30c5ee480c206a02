//! Questions to whoever sits at the terminal.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, ensure};

/// Asks a question. Only `y` and `yes` agree; an empty line, any other word and the end of the input do not.
///
/// # Errors
/// Nobody sits there; `alternative` says what to do then.
pub(crate) fn agreed(question: &str, alternative: &str) -> anyhow::Result<bool> {
    let input = std::io::stdin();
    ask(question, alternative, input.is_terminal(), &mut input.lock(), &mut std::io::stderr())
}

fn ask(
    question: &str,
    alternative: &str,
    is_terminal: bool,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> anyhow::Result<bool> {
    // What a pipe happens to have in it is nobody's answer.
    ensure!(is_terminal, "nobody can be asked here: {alternative}");
    write!(output, "{question} [y/N] ").and_then(|()| output.flush()).context("the question cannot be shown")?;
    let mut answer = String::new();
    input.read_line(&mut answer).context("the answer cannot be read")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_agrees() {
        let answered = |answer: &str| {
            let mut shown = Vec::new();
            let agreed = ask("Do it?", "say --yes", true, &mut answer.as_bytes(), &mut shown).unwrap();
            assert_eq!(String::from_utf8(shown).unwrap(), "Do it? [y/N] ");
            agreed
        };
        for yes in ["y\n", "Y\n", "yes\n", " YES \r\n", "y"] {
            assert!(answered(yes), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "no\n", "yess\n", "n\ny\n"] {
            assert!(!answered(no), "{no:?}");
        }
    }

    #[test]
    fn who_is_no_terminal_is_not_asked() {
        let mut shown = Vec::new();
        let refused = ask("Do it?", "say --yes", false, &mut "y\n".as_bytes(), &mut shown).unwrap_err();
        assert_eq!(refused.to_string(), "nobody can be asked here: say --yes");
        assert!(shown.is_empty());
    }
}
