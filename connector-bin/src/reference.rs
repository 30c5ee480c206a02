//! The table of options in `docs/configuration.md`, kept in step with the program.

use std::fmt::Write;
use std::path::Path;

use clap::CommandFactory;

use crate::Cli;

const BEGIN: &str =
    "<!-- The table is generated: `UPDATE_DOCS=1 cargo test -p connector-bin --bin connector reference` -->\n\n";
const END: &str = "\n<!-- The table ends -->";

/// A row for each option of `connector serve`, in the order of `--help`.
fn table() -> String {
    let mut cli = Cli::command();
    cli.build();
    let serve = cli.find_subcommand("serve").expect("it is a subcommand");
    let mut table = "| option | environment | default | meaning |\n|---|---|---|---|\n".to_owned();
    for option in serve.get_arguments().filter(|option| option.get_id() != "help" && option.get_id() != "version") {
        let help = option.get_help().expect("clippy's missing_docs is not about options, this is").to_string();
        let (meaning, default) = match help.rsplit_once(" [default: ") {
            Some((meaning, default)) => (meaning, default.strip_suffix(']').expect("nothing comes after the default")),
            None => (help.as_str(), ""),
        };
        let value = match option.get_value_names() {
            Some([value]) if option.get_num_args().is_some_and(|number| number.min_values() == 0) => {
                format!("[={value}]")
            }
            Some([value]) => format!(" {value}"),
            _ => String::new(),
        };
        let long = option.get_long().expect("every option has a long name");
        let variable = option.get_env().expect("every option has a variable").to_string_lossy();
        let cell = |text: &str| text.replace('|', "\\|").replace('<', "&lt;");
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let default = if default.contains(' ') { default.replace('`', "") } else { default };
        writeln!(table, "| `--{long}{value}` | `{variable}` | {} | {} |", cell(&default), cell(meaning))
            .expect("a String takes everything");
    }
    table
}

#[test]
fn the_reference_holds_every_option() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the page has the mark where the table begins");
    let (recorded, after) = rest.split_once(END).expect("the page has the mark where the table ends");
    let table = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(recorded, table, "write the table anew, as the comment above it says");
    }
}
