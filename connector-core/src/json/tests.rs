//! Tests of both readers, and of plans.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::testing::write;
use super::*;

/// An event, its offset in the document, and the key where it is one.
type Seen = (Event, usize, Option<Vec<u8>>);

/// The events of a document of which all containers are entered, or none.
fn events(document: &[u8], size: usize, enter: bool) -> Result<Vec<Seen>, Error> {
    let mut scanner = Scanner::new();
    let mut all = Vec::new();
    let mut base = 0;
    for chunk in document.chunks(size) {
        let mut at = 0;
        while let Some(event) = scanner.next(chunk, &mut at)? {
            let key = (event == Event::Key).then(|| scanner.key().map(<[u8]>::to_vec)).flatten();
            all.push((event, base + at, key));
            if enter && matches!(event, Event::Value(Kind::Object | Kind::Array)) {
                scanner.enter(&mut at)?;
            }
        }
        base += chunk.len();
    }
    if scanner.is_done() { Ok(all) } else { Err(Error::Syntax { at: document.len() }) }
}

fn document() -> Value {
    json!({
        "a": [1, -2.5, true, null, "x", [], {}, [[{"b": {"c": "}\"]"}}]]],
        "long \" key that does not fit into thirty-two bytes": {"é": "😀"},
        "metadata": {"name": "n", "text": "\\\\\"", "words": "a string that is long enough for a search by vectors, and has no escape"},
    })
}

/// Offsets and events do not depend on where chunks are cut.
#[test]
fn chunks_make_no_difference() {
    for seed in 0..30 {
        let text = write(&document(), seed);
        for enter in [false, true] {
            let whole = events(&text, usize::MAX, enter).unwrap();
            assert_eq!(whole.len() > 2, enter);
            for size in 1..40 {
                assert_eq!(events(&text, size, enter).unwrap(), whole, "in chunks of {size}");
            }
        }
    }
}

/// A key is the same however it is written; one that is too long, or beyond ASCII by an escape, is none that is asked for.
#[test]
fn keys() {
    let key = |text: &str| {
        let mut found = Vec::new();
        for size in [1, 3, 100] {
            let events = events(format!("{{{text}:1}}").as_bytes(), size, true);
            found.push(events.map(|events| events[1].2.clone()).ok());
        }
        assert!(found.iter().all(|one| one == &found[0]));
        found.remove(0)
    };
    for text in [r#""name""#, r#""n\u0061me""#, r#""\u006e\u0061\u006D\u0065""#] {
        assert_eq!(key(text), Some(Some(b"name".to_vec())));
    }
    assert_eq!(key(r#""\"\\\/\b\f\n\r\t""#).unwrap().unwrap(), b"\"\\/\x08\x0c\n\r\t");
    assert_eq!(key("\"é\"").unwrap().unwrap(), "é".as_bytes());
    assert_eq!(key("\"\"").unwrap().unwrap(), b"");
    for other in [r#""\u00e9""#, r#""\ud83d\ude00""#, &format!("{:?}", "n".repeat(33))] {
        assert_eq!(key(other), Some(None), "{other}");
    }
    // The cursor does not read it either, and both must come to the same end.
    for wrong in [r#""\u00g1""#, r#""\u""#, r#""\u00""#, r#""n\ame""#] {
        assert_eq!(key(wrong), Some(None), "{wrong}");
    }
}

/// What lies in what was entered is checked; inside what is passed over only strings and brackets count.
#[test]
fn broken_documents() {
    for text in ["", "{", "[", "\"", "{\"a\"", "{\"a\":", "[1", "[\"\\\"]"] {
        assert!(events(text.as_bytes(), 1, true).is_err(), "{text}");
        assert!(Cursor::new(text.as_bytes(), 0).skip().is_err(), "{text}");
    }
    for text in [
        "[,]",
        "[1,]",
        "[1 2]",
        "{,}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{1:1}",
        "{\"a\"::1}",
        "[}",
        "{]",
        "[1}",
        "{\"a\":1]",
        "[]]",
        "{}x",
        "]",
        "+1",
        "[x]",
    ] {
        assert!(matches!(events(text.as_bytes(), 1, true), Err(Error::Syntax { .. })), "{text}");
    }
    assert_eq!(events(b"[1 2]", 1, true), Err(Error::Syntax { at: 0 }), "an offset in its chunk");
    assert_eq!(events(b"[1 2]", 9, true), Err(Error::Syntax { at: 3 }));
}

/// kube-apiserver takes 10,000 levels; nothing here recurses.
#[test]
fn depth() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let fits = nested(MAX_DEPTH as usize);
    assert_eq!(events(fits.as_bytes(), 100, false).unwrap().len(), 2);
    assert_eq!(Cursor::new(fits.as_bytes(), 0).skip(), Ok(0..fits.len()));
    let deeper = nested(MAX_DEPTH as usize + 1);
    assert_eq!(events(deeper.as_bytes(), 100, false), Err(Error::TooDeep));
    assert_eq!(Cursor::new(deeper.as_bytes(), 0).skip(), Err(Error::TooDeep));
    assert_eq!(events(nested(64).as_bytes(), 100, true).unwrap().len(), 128);
    assert_eq!(events(nested(65).as_bytes(), 100, true), Err(Error::TooDeep), "more than can be entered");
}

#[test]
fn a_scanner_is_small() {
    assert!(size_of::<Scanner>() <= 96, "{}", size_of::<Scanner>());
}

/// A value read by the cursor, member by member.
fn read(bytes: &[u8], cursor: &mut Cursor<'_>) -> Result<Value, Error> {
    let kind = cursor.kind()?;
    match kind {
        Kind::Object => {
            let mut walk = cursor.object()?;
            let mut members = serde_json::Map::new();
            while let Some(member) = cursor.member(&mut walk)? {
                let key = member.key.decode().ok_or(Error::Syntax { at: member.entry.start })?.into_owned();
                assert!(member.key.is(&key) && member.key.starts_with(&key) && !member.key.is("other"));
                members.insert(key, read(bytes, cursor)?);
            }
            Ok(members.into())
        }
        Kind::Array => {
            let mut walk = cursor.array()?;
            let mut elements = Vec::new();
            while let Some(entry) = cursor.element(&mut walk)? {
                assert!(entry.lead <= entry.start && entry.start == cursor.at());
                elements.push(read(bytes, cursor)?);
            }
            Ok(elements.into())
        }
        Kind::String => Ok(cursor.string()?.1.decode().ok_or(Error::Syntax { at: 0 })?.into_owned().into()),
        Kind::Scalar => {
            let at = cursor.at();
            let range = cursor.skip()?;
            assert_eq!(range.start, at);
            Ok(serde_json::from_slice(&bytes[range]).unwrap_or(Value::Null))
        }
    }
}

#[test]
fn cursor_reads_what_is_written() {
    for seed in 0..50 {
        let text = write(&document(), seed);
        assert_eq!(read(&text, &mut Cursor::new(&text, 0)), Ok(document()));
        let mut cursor = Cursor::new(&text, 0);
        cursor.skip().unwrap();
        assert_eq!(text[cursor.at()..].trim_ascii(), b"");
        for cut in 0..text.trim_ascii_end().len() {
            assert!(read(&text[..cut], &mut Cursor::new(&text[..cut], 0)).is_err());
        }
    }
}

/// Members are taken away in any combination, and the commas stay right.
#[test]
fn weeding() {
    for document in
        ["{}", "{\"a\":1}", "{\"a\":1,\"b\":2,\"c\":[3],\"d\":{}}", " {  \"a\" : 1 ,\n \"b\" : 2\n, \"c\":3 } "]
    {
        let full: Value = serde_json::from_str(document).unwrap();
        for chosen in 0..16_u32 {
            let mut plan = Plan::default();
            let mut weeder = Weeder::default();
            let mut cursor = Cursor::new(document.as_bytes(), 0);
            let mut walk = cursor.object().unwrap();
            let mut expected = full.clone();
            let mut index = 0;
            while let Some(member) = cursor.member(&mut walk).unwrap() {
                let mark = weeder.lead(document.as_bytes(), member.entry, &mut plan);
                cursor.skip().unwrap();
                if chosen >> index & 1 == 0 {
                    weeder.keep();
                } else {
                    weeder.remove(mark, member.entry, cursor.at(), &mut plan);
                    expected.as_object_mut().unwrap().remove(&*member.key.decode().unwrap());
                }
                index += 1;
            }
            let mut out = Vec::new();
            plan.apply(document.as_bytes(), &mut out);
            assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected, "{document} without {chosen:b}");
            assert_eq!(weeder.kept(), expected.as_object().unwrap().len());
        }
    }
}

/// The keys of an object's members that are containers, and where these begin.
fn containers(document: &[u8], by_member: bool) -> Result<Vec<(String, usize)>, Error> {
    let mut cursor = Cursor::new(document, 0);
    let mut walk = cursor.object()?;
    let mut found = Vec::new();
    loop {
        let key = if by_member {
            let Some(member) = cursor.member(&mut walk)? else { break };
            member.key
        } else {
            let Some(key) = cursor.container(&mut walk)? else { break };
            key
        };
        if matches!(cursor.kind()?, Kind::Object | Kind::Array) {
            found.push((key.decode().unwrap().into_owned(), cursor.at()));
        }
        cursor.skip()?;
    }
    assert_eq!(cursor.at(), document.len());
    Ok(found)
}

#[test]
fn members_that_are_no_containers_are_passed_over() {
    let member = prop::sample::select(vec![
        r#""a":1"#,
        r#""b":"x\\\"},{""#,
        r#""c{":[]"#,
        r#""d":{"e":{}}"#,
        r#""\u0066":{}"#,
        r#"",\"g":{}"#,
        r#""\\":[{}]"#,
        r#""h" : {}"#,
        r#" "i":"" "#,
        r#""":true"#,
    ]);
    proptest!(|(members in prop::collection::vec(member, 0..9))| {
        let document = format!("{{{}}}", members.join(","));
        prop_assert_eq!(containers(document.as_bytes(), false), containers(document.as_bytes(), true));
    });
}

proptest! {
    /// Whatever the bytes are, both readers come to an end and agree on where a value that is passed over ends.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(prop::sample::select(br#"{}[],:"\ u0an1-"#.to_vec()), 0..50), size in 1..9_usize) {
        let scanned = events(&bytes, size, false);
        let mut cursor = Cursor::new(&bytes, 0);
        match (scanned, cursor.skip()) {
            (Ok(events), Ok(range)) => prop_assert_eq!(events.last().unwrap().1, range.end),
            (Ok(_), Err(error)) => prop_assert!(false, "the cursor alone fails: {error}"),
            (Err(_), _) => {}
        }
        let _ = read(&bytes, &mut Cursor::new(&bytes, 0));
        fuzz::fuzz_json(&[&[size as u8], &bytes[..]].concat());
    }
}
