use super::to_json;

#[test]
fn what_go_reads() {
    for (yaml, json) in [
        ("", "null"),
        ("---\n", "null"),
        ("a", r#""a""#),
        ("'1'", r#""1""#),
        ("!!str 1", r#""1""#),
        ("!!int \"1\"", "1"),
        ("[!!binary aGVsbG8=, !!binary YQ==, !!binary '', !own x]", r#"["hello","a","","x"]"#),
        ("{a: ---, b: '...', d: .}", r#"{"a":"---","b":"...","d":"."}"#),
        (
            "[~, null, Null, yes, No, on, OFF, y, true, False]",
            r#"[null,null,null,true,false,true,false,true,true,false]"#,
        ),
        (
            "[0x1F, 0o17, 017, 1_000, 1__0, +5, -5, 1.50, .5, 1e3, 12345678901234567890]",
            "[31,15,15,1000,10,5,-5,1.5,0.5,1000,12345678901234567890]",
        ),
        ("[.._., .5_, y_es, ~_, n_ull, -_1, 1_]", r#"[".._.",".5_","y_es","~_","n_ull",-1,1]"#),
        ("[2001-01-01, 1:30, 1.2.3, 0x, -x]", r#"["2001-01-01","1:30","1.2.3","0x","-x"]"#),
        ("1: a\ntrue: b\n1.5: c\n", r#"{"1":"a","true":"b","1.5":"c"}"#),
        ("a: |\n  x\n  y", r#"{"a":"x\ny"}"#),
        ("a: |\n  x\n", r#"{"a":"x\n"}"#),
        ("a: >-\n  x\n  y\n", r#"{"a":"x y"}"#),
        ("# c\na: 1 # d\n", r#"{"a":1}"#),
        ("a: 1\na: 2\n", r#"{"a":1,"a":2}"#),
        ("a: &x {b: [1]}\nc: *x\nd: [*x, *x]\n", r#"{"a":{"b":[1]},"c":{"b":[1]},"d":[{"b":[1]},{"b":[1]}]}"#),
        ("&k a: 1\nb: *k\n*k : 2\n", r#"{"a":1,"b":"a","a":2}"#),
        ("x: &x {a: 1, b: 2}\nq: {<<: *x, b: 3}\n", r#"{"x":{"a":1,"b":2},"q":{"b":3,"a":1}}"#),
        ("x: {<<: [{a: 1}, {a: 2, b: 2}]}\n", r#"{"x":{"a":1,"b":2}}"#),
        ("x: {b: 0, <<: &m {a: &n [1]}}\nq: *m\nz: *n\n", r#"{"x":{"b":0,"a":[1]},"q":{"a":[1]},"z":[1]}"#),
        ("x: {'<<': 1}\n", r#"{"x":{"<<":1}}"#),
        ("a: 1\n---\nb: [", r#"{"a":1}"#),
        ("{\"a\": \"\\u00e9\\n\"}", "{\"a\":\"\u{e9}\\n\"}"),
        ("- a\n- - b\n  - {}\n- []\n", r#"["a",["b",{}],[]]"#),
    ] {
        assert_eq!(to_json(yaml).as_deref(), Ok(json), "{yaml:?}");
    }
}

#[test]
fn what_go_does_not_read() {
    for yaml in [
        "a: [",
        "{a: b",
        "a: b: c",
        "*x",
        "&x [*x]",
        "[a]: b",
        "{{a: b}: c}",
        "~: a",
        "x: {<<: 1}",
        "x: {<<: [1]}",
        "a:\n\t- b: c\n\td",
        "a: 'b",
        "!!binary a",
        "!!binary 'a?=='",
    ] {
        assert!(to_json(yaml).is_err(), "{yaml:?}: {:?}", to_json(yaml));
    }
}

/// On a thread with little stack, as deep as Go reads.
#[test]
fn nesting_costs_no_stack() {
    let flow = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let maps = |depth: usize| format!("{}1{}", "{a: ".repeat(depth), "}".repeat(depth));
    let block = |depth: usize| (0..depth).map(|at| format!("{}a:\n", " ".repeat(at))).collect::<String>();
    let deep = move || {
        assert_eq!(to_json(&flow(10_000)), Ok(flow(10_000)));
        assert!(to_json(&maps(10_000)).is_ok());
        assert!(to_json(&block(1_000)).is_ok());
        assert!(to_json(&flow(10_001)).is_err() && to_json(&maps(1_000_000)).is_err());
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(deep).unwrap().join().unwrap();
}

#[test]
fn aliases_do_not_multiply() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for at in 1..20 {
        let before = format!("*a{}, ", at - 1).repeat(9);
        bomb.push_str(&format!("a{at}: &a{at} [{before}]\n"));
    }
    assert!(to_json(&bomb).is_err());
    let text = "x".repeat(100_000);
    let merged = format!("{}\"{text}\"{}", "{<<: {a: &a ".repeat(500), "}}".repeat(500));
    assert!(to_json(&merged).is_err());
}
