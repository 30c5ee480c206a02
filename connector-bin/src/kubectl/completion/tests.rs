use super::*;

fn ask(words: &[&str]) -> Answer {
    let mut cli = Command::new("plugin")
        .subcommand(Command::new("install").visible_alias("connect").args([
            Arg::new("name").value_name("CONTROL-PLANE"),
            Arg::new("context").long("context").value_name("NAME"),
            Arg::new("namespace").short('n').long("namespace"),
            Arg::new("values").short('f').long("values").value_name("FILE"),
            Arg::new("output").short('o').value_parser(["json", "yaml"]),
            Arg::new("dry-run").long("dry-run").action(clap::ArgAction::SetTrue),
        ]))
        .subcommand(Command::new("secret").hide(true));
    cli.build();
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let (begun, before) = words.split_last().unwrap();
    answer(&cli, before, begun, &|| vec!["prod".to_owned(), "test".to_owned()])
}

fn words(words: &[&str]) -> Answer {
    Answer { words: words.iter().map(|&word| word.to_owned()).collect(), directive: NO_FILES }
}

#[test]
fn commands_are_completed() {
    assert_eq!(ask(&["conn"]), words(&["connect"]));
    assert_eq!(ask(&[""]), words(&["install", "connect", "help"]));
}

#[test]
fn options_and_their_values_are_completed() {
    assert_eq!(ask(&["connect", "--d"]), words(&["--dry-run"]));
    assert_eq!(ask(&["install", "-o", ""]), words(&["json", "yaml"]));
    assert_eq!(ask(&["install", "--context", "p"]), words(&["prod"]));
    assert_eq!(ask(&["install", "--context=p"]), words(&["--context=prod"]));
    assert_eq!(ask(&["install", "-n", ""]), words(&[]));
    assert_eq!(ask(&["install", "-f", ""]), Answer { words: Vec::new(), directive: FILES });
}

#[test]
fn a_control_plane_is_a_context() {
    assert_eq!(ask(&["install", "--dry-run", "t"]), words(&["test"]));
    assert_eq!(ask(&["install", "test", ""]), words(&[]));
}
