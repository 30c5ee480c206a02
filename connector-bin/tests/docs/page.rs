//! What a page tells its readers to do: the lines after `$` in its blocks of `console`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use regex::Regex;

/// A page's commands, in its order.
pub(crate) struct Page {
    pub(crate) commands: Vec<Command>,
}

/// A command, and what the page shows under it.
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) text: String,
    section: String,
    shown: Vec<String>,
}

impl Page {
    /// Every page of a folder, by its name. Some have no commands.
    pub(crate) fn all(folder: &str) -> Result<BTreeMap<String, Self>> {
        let files = std::fs::read_dir(docs().join(folder))?;
        let names = files.map(|file| Ok(format!("{folder}/{}", file?.file_name().display())));
        names.map(|name: Result<String>| name.and_then(|name| Ok((name.clone(), Self::of(&name)?)))).collect()
    }

    pub(crate) fn read(name: &str) -> Result<Self> {
        let page = Self::of(name)?;
        ensure!(!page.commands.is_empty(), "{name} has no commands");
        Ok(page)
    }

    /// The commands of one section, and those of all others, for pages that tell of several ways.
    pub(crate) fn split(self, heading: &str) -> Result<(Self, Self)> {
        let (section, others): (Vec<_>, _) = self.commands.into_iter().partition(|command| command.section == heading);
        ensure!(!section.is_empty(), "no commands under {heading:?}");
        Ok((Self { commands: section }, Self { commands: others }))
    }

    fn of(name: &str) -> Result<Self> {
        let file = docs().join(name);
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok(Self { commands: commands(&text) })
    }
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn commands(text: &str) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    let mut is_console = false;
    let mut section = String::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if let (false, Some(heading)) = (is_console, line.strip_prefix("## ")) {
            heading.clone_into(&mut section);
        } else if let (true, Some(text)) = (is_console, line.strip_prefix("$ ")) {
            let (text, section) = (text.to_owned(), section.clone());
            commands.push(Command { line: number + 1, text, section, shown: Vec::new() });
        } else if let (true, Some(command)) = (is_console, commands.last_mut()) {
            match line.strip_prefix("> ") {
                Some(more) => command.text = format!("{}\n{more}", command.text),
                None => command.shown.push(line.to_owned()),
            }
        }
    }
    commands
}

impl Command {
    /// Whether later commands of the page may use what this one sets: it begins with `NAME=`.
    pub(crate) fn sets_variable(&self) -> bool {
        let name = self.text.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    }

    /// The first line that is shown and not printed, in this order; `…` stands for anything, and columns may be wider.
    pub(crate) fn missing(&self, printed: &str) -> Option<&str> {
        let mut printed = printed.lines();
        let shown = self.shown.iter().filter(|line| !line.is_empty() && *line != "…");
        shown.map(String::as_str).find(|line| {
            let words = line.split_whitespace().map(|word| regex::escape(word).replace('…', ".*"));
            let pattern =
                Regex::new(&format!("^ *{} *$", words.collect::<Vec<_>>().join(" +"))).expect("it is escaped");
            !printed.by_ref().any(|line| pattern.is_match(line))
        })
    }
}

#[test]
fn what_is_shown_must_be_printed() {
    let page = "text\n```console\n$ one \\\n>   two\nA   B…\nC\n$ three\n```\n```sh\nnot this\n```\n";
    let found = commands(page);
    let texts: Vec<_> = found.iter().map(|command| (command.line, command.text.as_str())).collect();
    assert_eq!(texts, [(3, "one \\\n  two"), (7, "three")]);
    assert_eq!(found[0].missing("x\nA     Banana\nC\n"), None);
    assert_eq!(found[0].missing("C\nA B\n"), Some("C"));
    assert_eq!(found[0].missing("C\n"), Some("A   B…"));
}
