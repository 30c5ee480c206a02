//! The engine alone: `engine <shape> <objects> <rounds>` rewrites a document again and again and prints the best round, beside copying
//! the same chunks; `engine long <megabytes>` rewrites one list of that length and prints the most memory that the process
//! ever had. README.md says what the numbers mean; `instructions` counts them with it.
#![allow(clippy::print_stdout, reason = "it prints its result")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::{asked, asked_one, chunks, list, long_list, object, partial_list, rewrite, rewrite_into_parts, table, watch};
use connector_core::answer::{Rewriter, RowObject, Shape};

const WELL_FORMED: &str = "a generated document is well-formed";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let shape = arguments.next().unwrap_or_else(|| "list".to_owned());
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    match shape.as_str() {
        "long" => long(number(295)),
        shape => {
            let (count, rounds) = (number(50), number(300));
            again_and_again(shape, count, rounds);
        }
    }
}

fn again_and_again(name: &str, count: usize, rounds: usize) {
    let (asked, shape, document) = match name {
        "list" => (asked(), Shape::List, list(count)),
        "partial" => (asked(), Shape::List, partial_list(count)),
        "table" => (asked(), Shape::Table(RowObject::Show), table(count)),
        "watch" => (asked(), Shape::Watch, watch(count)),
        "object" => (asked_one(7), Shape::Object, object(7)),
        _ => panic!("no such shape"),
    };
    let chunks = chunks(&document);
    let (mut parts, mut out) = (Vec::new(), Vec::with_capacity(document.len()));
    let (mut best, mut best_parts, mut best_copy) = (Duration::MAX, Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        out.clear();
        let start = Instant::now();
        rewrite(&asked, shape, black_box(&chunks), &mut out).expect(WELL_FORMED);
        best = best.min(start.elapsed());
        let start = Instant::now();
        rewrite_into_parts(&asked, shape, black_box(&chunks), &mut parts).expect(WELL_FORMED);
        best_parts = best_parts.min(start.elapsed());
        out.clear();
        let start = Instant::now();
        for chunk in black_box(&chunks) {
            out.extend_from_slice(chunk);
        }
        black_box(&out);
        best_copy = best_copy.min(start.elapsed());
    }
    let rate = |time: Duration| document.len() as f64 / 1e6 / time.as_secs_f64();
    let ratio = best.as_secs_f64() / best_copy.as_secs_f64();
    let (best, best_parts, best_copy) = (rate(best), rate(best_parts), rate(best_copy));
    println!("{name}: {best:.0} MB/s, {best_parts:.0} in parts; memcpy {best_copy:.0} MB/s; 1/{ratio:.1}");
}

fn long(megabytes: usize) {
    let (mut bytes, mut parts) = (0, Vec::new());
    let mut out = Vec::with_capacity(1 << 20);
    let mut rewriter = Rewriter::new(asked(), Shape::List);
    // A thousand claims are 3.5 MB.
    let document = long_list(1_000, (2 * megabytes).div_ceil(7));
    let start = Instant::now();
    for chunk in document {
        bytes += chunk.len();
        rewriter.push(chunk, &mut parts).expect(WELL_FORMED);
        out.clear();
        for part in parts.drain(..) {
            out.extend_from_slice(&part);
        }
        black_box(&out);
    }
    rewriter.finish().expect(WELL_FORMED);
    let rate = bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("not known").trim();
    println!("list of {:.0} MB: {rate:.0} MB/s; peak memory of the process {peak}", bytes as f64 / 1e6);
}
