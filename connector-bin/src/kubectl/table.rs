//! Tables and times as kubectl prints them.

use k8s_openapi::jiff::Timestamp;

/// Rows under headers, three spaces between columns, nothing behind the last.
pub(crate) struct Table {
    widths: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headers: &[&str]) -> Self {
        let mut table = Self::without_headers(headers.len());
        table.row(headers.iter().map(|&header| header.to_owned()).collect());
        table
    }

    pub(crate) fn without_headers(columns: usize) -> Self {
        Self { widths: vec![0; columns], rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
        self.rows.push(cells);
    }

    /// All lines; `widths` of an earlier table keep later rows under its headers.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.rows.iter().map(|row| {
            let cells = row.iter().zip(&self.widths).map(|(cell, width)| format!("{cell:width$}   "));
            cells.collect::<String>().trim_end().to_owned()
        })
    }

    /// Empties the table; later rows keep to the widths of the former.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }
}

/// How long ago something was, as `kubectl get` prints ages (`apimachinery/pkg/util/duration: HumanDuration`).
pub(crate) fn age(of: Option<Timestamp>, now: Timestamp) -> String {
    match of {
        Some(of) => human(now.as_second() - of.as_second()),
        None => "<unknown>".to_owned(),
    }
}

/// Seconds, as kubectl prints them: at most two units, and only one when it is large.
pub(crate) fn human(seconds: i64) -> String {
    let (minute, hour, day, year) = (60, 3600, 86_400, 365 * 86_400);
    let two = |one: i64, unit: &str, rest: i64, small: &str| match rest {
        0 => format!("{one}{unit}"),
        rest => format!("{one}{unit}{rest}{small}"),
    };
    match seconds {
        // A clock of another machine may be a little ahead.
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(seconds / minute, "m", seconds % minute, "s"),
        600..10_800 => format!("{}m", seconds / minute),
        10_800..28_800 => two(seconds / hour, "h", seconds % hour / minute, "m"),
        28_800..172_800 => format!("{}h", seconds / hour),
        172_800..691_200 => two(seconds / day, "d", seconds % day / hour, "h"),
        691_200..63_072_000 => format!("{}d", seconds / day),
        63_072_000..252_288_000 => two(seconds / year, "y", seconds % year / day, "d"),
        _ => format!("{}y", seconds / year),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of kubectl's own test (`duration_test.go`), and its borders.
    #[test]
    fn ages_are_kubectls() {
        for (seconds, text) in [
            (-1, "0s"),
            (1, "1s"),
            (70, "70s"),
            (190, "3m10s"),
            (120, "2m"),
            (70 * 60, "70m"),
            (47 * 3600, "47h"),
            (49 * 3600, "2d1h"),
            (4 * 3600 + 20 * 60, "4h20m"),
            (8 * 86_400 + 2 * 3600, "8d"),
            (367 * 86_400, "367d"),
            (4 * 365 * 86_400, "4y"),
            (4 * 365 * 86_400 + 2 * 86_400, "4y2d"),
            (9 * 365 * 86_400, "9y"),
        ] {
            assert_eq!(human(seconds), text);
        }
    }

    #[test]
    fn columns_are_aligned_and_lines_end_clean() {
        let mut table = Table::new(&["NAME", "READY", "MESSAGE"]);
        table.row(vec!["a-long-name".into(), "True".into(), String::new()]);
        let lines: Vec<String> = table.lines().collect();
        assert_eq!(lines, ["NAME          READY   MESSAGE", "a-long-name   True"]);
        table.clear();
        table.row(vec!["b".into(), "False".into(), "why".into()]);
        assert_eq!(table.lines().collect::<Vec<_>>(), ["b             False   why"]);
    }
}
