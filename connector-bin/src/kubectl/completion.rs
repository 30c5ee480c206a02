//! Completion in shells: scripts for the plugin called by its own name, and answers for kubectl, which asks a program
//! `kubectl_complete-connector` in the search path (kubectl 1.26 and newer).

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{Arg, Args, Command, CommandFactory, ValueEnum};
use clap_complete::Shell;
use kube::config::Kubeconfig;

use crate::told::print;
use crate::{Cli, Outcome};

/// The name of the program itself, which scripts complete.
const PROGRAM: &str = "kubectl-connector";
/// What kubectl looks for in the search path.
const HELPER: &str = "#!/bin/sh\n# Save as kubectl_complete-connector in the search path, executable: kubectl asks it.\nexec kubectl-connector __complete -- \"$@\"\n";
/// Tells kubectl not to add names of files (cobra: ShellCompDirectiveNoFileComp).
const NO_FILES: u8 = 4;
/// Tells kubectl to do as the shell does (cobra: ShellCompDirectiveDefault).
const FILES: u8 = 0;

/// Print a script that completes commands and options
///
/// `kubectl` is the script by which kubectl's own completion completes `kubectl connector`, in every shell:
///
///   kubectl connector completion kubectl > ~/.local/bin/kubectl_complete-connector
///   chmod +x ~/.local/bin/kubectl_complete-connector
///
/// The others complete the program `kubectl-connector`, called by this name:
///
///   source <(kubectl connector completion bash)
///   kubectl connector completion zsh > "${fpath[1]}/_kubectl-connector"
///   kubectl connector completion fish > ~/.config/fish/completions/kubectl-connector.fish
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CompletionArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: For,
}

#[derive(Clone, Copy, ValueEnum)]
enum For {
    Bash,
    Zsh,
    Fish,
    Kubectl,
}

/// Answer what could stand in the place of the last word, as kubectl asks it
#[derive(Args)]
pub(crate) struct CompleteArgs {
    /// The words after `kubectl connector`, the last one begun
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(crate) fn run(args: &CompletionArgs) -> Outcome {
    let mut script = Vec::new();
    let shell = match args.shell {
        For::Bash => Some(Shell::Bash),
        For::Zsh => Some(Shell::Zsh),
        For::Fish => Some(Shell::Fish),
        For::Kubectl => None,
    };
    match shell {
        // Under the program's own name; with the one of kubectl the functions would have a space in theirs.
        Some(shell) => clap_complete::generate(shell, &mut Cli::command().bin_name(PROGRAM), PROGRAM, &mut script),
        None => script.extend_from_slice(HELPER.as_bytes()),
    }
    print(&String::from_utf8(script)?)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn complete(args: &CompleteArgs) -> Outcome {
    let mut cli = Cli::command();
    cli.build();
    let (begun, before) = args.words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let Answer { words, directive } = answer(&cli, before, begun, &contexts);
    let words: String = words.iter().map(|word| format!("{word}\n")).collect();
    print(&format!("{words}:{directive}\n"))?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    words: Vec<String>,
    directive: u8,
}

/// What could stand in the place of `begun`, after `before`.
fn answer(cli: &Command, before: &[String], begun: &str, contexts: &dyn Fn() -> Vec<String>) -> Answer {
    let mut command = cli;
    let mut awaiting: Option<&Arg> = None;
    let mut positionals = 0;
    for word in before {
        if awaiting.take().is_some() {
            continue;
        }
        if word.starts_with('-') {
            let has_value = word.contains('=');
            awaiting = option(command, word).filter(|option| option.get_action().takes_values() && !has_value);
        } else if let Some(sub) = command.find_subcommand(word) {
            (command, positionals) = (sub, 0);
        } else {
            positionals += 1;
        }
    }
    let inline = begun.starts_with("--").then(|| begun.split_once('=')).flatten();
    let (prefix, values, begun) = match (awaiting, inline) {
        (Some(option), _) => (String::new(), values(option, contexts), begun),
        (None, Some((name, value))) => {
            let values = option(command, name).map_or(Values::None, |option| values(option, contexts));
            (format!("{name}="), values, value)
        }
        (None, None) if begun.starts_with('-') => (String::new(), Values::These(options(command)), begun),
        (None, None) => {
            let positional = command.get_positionals().nth(positionals);
            let mut found = positional.map_or(Values::None, |positional| values(positional, contexts));
            let names: Vec<String> = command
                .get_subcommands()
                .filter(|sub| !sub.is_hide_set())
                .flat_map(|sub| std::iter::once(sub.get_name()).chain(sub.get_visible_aliases()))
                .map(str::to_owned)
                .collect();
            if !names.is_empty() {
                found = Values::These(names);
            }
            (String::new(), found, begun)
        }
    };
    match values {
        Values::Files => Answer { words: Vec::new(), directive: FILES },
        Values::None => Answer { words: Vec::new(), directive: NO_FILES },
        Values::These(words) => {
            let words = words.into_iter().filter(|word| word.starts_with(begun));
            Answer { words: words.map(|word| format!("{prefix}{word}")).collect(), directive: NO_FILES }
        }
    }
}

enum Values {
    /// Nobody knows.
    None,
    Files,
    These(Vec<String>),
}

fn values(arg: &Arg, contexts: &dyn Fn() -> Vec<String>) -> Values {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        return Values::These(possible.iter().map(|value| value.get_name().to_owned()).collect());
    }
    match (arg.get_id().as_str(), arg.get_value_names().and_then(<[_]>::first).map(|name| name.as_str())) {
        ("context" | "control_plane_context", _) | (_, Some("CONTROL-PLANE")) => Values::These(contexts()),
        (_, Some("FILE" | "DIR")) => Values::Files,
        _ => Values::None,
    }
}

fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let name = word.split('=').next().unwrap_or(word);
    command.get_arguments().find(|arg| match name.strip_prefix("--") {
        Some(long) => arg.get_long_and_visible_aliases().is_some_and(|names| names.contains(&long)),
        None => {
            arg.get_short().is_some_and(|short| name.strip_prefix('-').is_some_and(|name| name == short.to_string()))
        }
    })
}

fn options(command: &Command) -> Vec<String> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    shown.filter_map(Arg::get_long).map(|long| format!("--{long}")).collect()
}

/// The contexts of the user's kubeconfig; none where there is no readable one.
fn contexts() -> Vec<String> {
    Kubeconfig::read()
        .map(|kubeconfig| kubeconfig.contexts.into_iter().map(|context| context.name).collect())
        .unwrap_or_default()
}
