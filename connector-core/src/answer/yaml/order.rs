//! The order of keys: that of the reference encoder (go-yaml v2, `sorter.go`), which counts (`a2` before `a10`) and puts letters
//! last.

/// Whether a key comes before another; digits are the ASCII ones.
///
/// It is no order of everything: `10` comes before `1a`, that before `2`, and that before `10`.
pub(super) fn precedes(one: &str, other: &str) -> bool {
    let differs = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    let at = differs.map(|(char, _)| char.len_utf8()).sum();
    let (common, one) = one.split_at(at);
    let other = &other[at..];
    let (Some(first), Some(second)) = (one.chars().next(), other.chars().next()) else {
        return one.len() < other.len();
    };
    match (first.is_alphabetic(), second.is_alphabetic()) {
        (true, true) => first < second,
        (false, false) => {
            let before = &common[common.trim_end_matches(|c: char| c.is_ascii_digit()).len()..];
            // What a zero is worth depends on the digits before it.
            let leads = (first == '0' || second == '0') && before.bytes().any(|digit| digit != b'0');
            let number = |text| (value(text, leads), digits(text).len());
            (number(one), first) < (number(other), second)
        }
        (_, is_letter) => is_letter,
    }
}

/// Sorts by [`precedes`], which the sorts of the standard library may refuse.
pub(super) fn sort<T: Copy>(items: &mut [T], precedes: &impl Fn(&T, &T) -> bool) {
    if items.len() < 2 {
        return;
    }
    let middle = items.len() / 2;
    let (first, second) = items.split_at_mut(middle);
    sort(first, precedes);
    sort(second, precedes);
    if !precedes(&items[middle], &items[middle - 1]) {
        return;
    }
    let halves = items.to_vec();
    let (first, second) = halves.split_at(middle);
    let (mut first, mut second) = (first.iter().peekable(), second.iter().peekable());
    for item in items {
        let takes_second = match (first.peek(), second.peek()) {
            (Some(one), Some(other)) => precedes(other, one),
            (one, _) => one.is_none(),
        };
        let next = if takes_second { second.next() } else { first.next() };
        *item = *next.unwrap_or(item);
    }
}

/// The digits that a text begins with.
fn digits(text: &str) -> &str {
    &text[..text.bytes().take_while(u8::is_ascii_digit).count()]
}

/// What they are worth; Go's integers wrap.
fn value(text: &str, leads: bool) -> i64 {
    let digits = digits(text).bytes().map(|digit| i64::from(digit - b'0'));
    digits.fold(i64::from(leads), |value, digit| value.wrapping_mul(10).wrapping_add(digit))
}

#[cfg(test)]
mod tests {
    use super::{precedes, sort};

    #[test]
    fn numbers_count_and_letters_come_last() {
        let sorted =
            ["", "-", ".", "/", "0", "00", "1", "01", "2x", "10", "a", "a-", "a1", "a2", "a02", "a10", "b", "é"];
        for (at, one) in sorted.iter().enumerate() {
            for (then, other) in sorted.iter().enumerate() {
                assert_eq!(precedes(one, other), at < then, "{one:?} and {other:?}");
            }
        }
        let mut keys: Vec<&str> = sorted.iter().copied().rev().collect();
        sort(&mut keys, &|one, other| precedes(one, other));
        assert_eq!(keys, sorted);
    }

    #[test]
    fn what_has_no_order_is_sorted_too() {
        assert!(precedes("10", "1a") && precedes("1a", "2") && precedes("2", "10"));
        let mut keys: Vec<String> =
            (0..200).map(|n| ["10", "1a", "2"][n % 3].to_owned() + &"x".repeat(n % 7)).collect();
        let mut keys: Vec<&str> = keys.iter_mut().map(|key| &**key).collect();
        let before = {
            let mut all = keys.clone();
            all.sort_unstable();
            all
        };
        sort(&mut keys, &|one, other| precedes(one, other));
        keys.sort_unstable();
        assert_eq!(keys, before, "nothing is lost");
    }
}
