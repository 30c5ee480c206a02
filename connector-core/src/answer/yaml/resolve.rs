//! What a reader of YAML would take a plain text for, and how numbers are written: the rules of the reference encoder
//! (go-yaml v2, `resolve.go` and `encode.go`).

/// Whether a text that is written plain is read as that text again, and not as a number, a time or the like.
pub(super) fn stays_text(text: &str) -> bool {
    match text.as_bytes().first() {
        None => false,
        Some(b'.') => !WORDS.contains(&text) && !is_fraction(text),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            !(WORDS.contains(&text) || is_time(text) || is_number(&text.replace('_', "")) || is_base_60(text))
        }
        Some(_) => !WORDS.contains(&text),
    }
}

/// How a JSON number is written; `None` where it is none.
pub(super) fn number(text: &str) -> Option<String> {
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        return None;
    }
    if let Ok(integer) = text.parse::<i64>() {
        return Some(integer.to_string());
    }
    if let Ok(integer) = text.parse::<u64>() {
        return Some(integer.to_string());
    }
    let float: f64 = text.parse().ok()?;
    if !float.is_finite() {
        return Some(text.to_owned());
    }
    // The control plane writes as many digits as are needed, so they stay; only the form changes, to that of Go's `g`.
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |unsigned| ("-", unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0').trim_end_matches('0');
    if float == 0.0 {
        return Some(format!("{sign}0"));
    }
    let leading = all.len() - all.trim_start_matches('0').len();
    // Of the first digit.
    let exponent = exponent.parse::<i32>().ok()? + i32::try_from(whole.len()).ok()? - i32::try_from(leading).ok()? - 1;
    Some(match usize::try_from(exponent) {
        Ok(exponent @ 0..6) if exponent + 1 >= digits.len() => {
            format!("{sign}{digits}{}", "0".repeat(exponent + 1 - digits.len()))
        }
        Ok(exponent @ 0..6) => format!("{sign}{}.{}", &digits[..=exponent], &digits[exponent + 1..]),
        Err(_) if exponent >= -4 => format!("{sign}0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1)),
        _ => {
            let (first, behind) = digits.split_at(1);
            let point = if behind.is_empty() { "" } else { "." };
            let negative = if exponent < 0 { '-' } else { '+' };
            format!("{sign}{first}{point}{behind}e{negative}{:02}", exponent.unsigned_abs())
        }
    })
}

/// What is no text, apart from numbers and times.
const WORDS: &[&str] = &[
    "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", "n", "N", "no", "No", "NO", "false",
    "False", "FALSE", "off", "Off", "OFF", "~", "null", "Null", "NULL", ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF",
    "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF",
];

/// `.5`, with underscores between digits.
fn is_fraction(text: &str) -> bool {
    let parts = text[1..].split('_');
    let between_digits = |part: &str| {
        let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
        is_digit(part.bytes().next()) && is_digit(part.bytes().next_back())
    };
    (!text.contains('_') || parts.into_iter().all(between_digits)) && is_float(&text.replace('_', ""))
}

/// An integer of 64 bits, with any prefix that Go knows, or a float.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (digits, radix) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&unsigned[2..], 16),
        [b'0', b'b' | b'B', ..] => (&unsigned[2..], 2),
        [b'0', b'o' | b'O', ..] => (&unsigned[2..], 8),
        [b'0', b'0'..=b'9', ..] => (&unsigned[1..], 8),
        _ => (unsigned, 10),
    };
    let max = match text.as_bytes().first() {
        Some(b'-') => 1 << 63,
        Some(b'+') => (1 << 63) - 1,
        _ => u64::MAX,
    };
    let is_integer = !digits.starts_with('+') && u64::from_str_radix(digits, radix).is_ok_and(|value| value <= max);
    // What follows `0b` may have a sign of its own.
    let is_binary = || text.strip_prefix("0b").is_some_and(|digits| i64::from_str_radix(digits, 2).is_ok());
    is_integer || is_float(text) || is_binary()
}

/// A decimal number that a double can hold.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    unsigned.starts_with(|c: char| c == '.' || c.is_ascii_digit()) && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// `190:20:30.15`, which YAML 1.1 takes for a number.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_loose = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let is_sixtieth = |part: &str| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    let Some((first, rest)) = whole.split_once(':') else { return false };
    let leads = first.starts_with(|c: char| c.is_ascii_digit()) && is_loose(first);
    leads && rest.split(':').all(is_sixtieth) && is_loose(fraction)
}

/// `2001-2-3`, `2001-2-3T4:5:6.7Z` or `2001-2-3 4:5:6.7`, as far as Go's `time.Parse` takes them.
fn is_time(text: &str) -> bool {
    let rest = match date(text.as_bytes()) {
        None => return false,
        Some([]) => return true,
        Some([b'T' | b't', rest @ ..]) => clock(rest).and_then(zone),
        Some(rest @ [b' ', ..]) => clock(&rest[rest.iter().take_while(|byte| **byte == b' ').count()..]),
        Some(_) => None,
    };
    rest.is_some_and(<[u8]>::is_empty)
}

/// What is behind a date.
fn date(text: &[u8]) -> Option<&[u8]> {
    let (year, rest) = text.split_first_chunk::<4>()?;
    let year = decimal(year)?;
    let (month, rest) = part(rest.strip_prefix(b"-")?, 12)?;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        0 => return None,
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let (day, rest) = part(rest.strip_prefix(b"-")?, days)?;
    (day > 0).then_some(rest)
}

/// What is behind a time of the day, with a fraction of its second or without.
fn clock(text: &[u8]) -> Option<&[u8]> {
    let (_, rest) = part(text, 23)?;
    let (_, rest) = part(rest.strip_prefix(b":")?, 59)?;
    let (_, rest) = part(rest.strip_prefix(b":")?, 59)?;
    match rest {
        [b'.' | b',', fraction @ ..] if fraction.first().is_some_and(u8::is_ascii_digit) => {
            Some(&fraction[fraction.iter().take_while(|byte| byte.is_ascii_digit()).count()..])
        }
        _ => Some(rest),
    }
}

/// What is behind a time zone.
fn zone(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'Z', rest @ ..] => Some(rest),
        [b'+' | b'-', tens, ones, b':', rest @ ..] => {
            part(&[*tens, *ones], 24)?.1.is_empty().then_some(())?;
            let (minutes, rest) = rest.split_first_chunk::<2>()?;
            part(minutes, 60)?.1.is_empty().then_some(rest)
        }
        _ => None,
    }
}

/// A number of one digit or two, and what is behind it.
fn part(text: &[u8], max: u32) -> Option<(u32, &[u8])> {
    let digits = text.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    let number = decimal(number)?;
    (number <= max).then_some((number, rest))
}

/// The number that digits make, and nothing but digits.
fn decimal(digits: &[u8]) -> Option<u32> {
    let are_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    are_digits.then(|| digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}
