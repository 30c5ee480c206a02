//! The engine alone: `engine <shape> <objects> <rounds>` rewrites a document again and again and prints the best round, beside copying
//! the same chunks; `engine long <megabytes>` rewrites one list of that length and prints the most memory that the process
//! ever had. README.md says what the numbers mean; `instructions` counts them with it.
#![allow(clippy::print_stdout, reason = "it prints its result")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::{asked, asked_one, chunks, list, long_list, object, partial_list, rewrite, table, watch};
use connector_core::answer::{Rewriter, RowObject, Shape};

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
    let (mut best, mut best_copy) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        out.clear();
        let start = Instant::now();
        rewrite(&asked, shape, black_box(&chunks), &mut parts, &mut out).expect("a generated document is well-formed");
        best = best.min(start.elapsed());
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
    println!("{name}: {:.0} MB/s; memcpy {:.0} MB/s; 1/{ratio:.1}", rate(best), rate(best_copy));
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
        rewriter.push(chunk, &mut parts).expect("a generated document is well-formed");
        out.clear();
        for part in parts.drain(..) {
            out.extend_from_slice(&part);
        }
        black_box(&out);
    }
    rewriter.finish().expect("a generated document is well-formed");
    let rate = bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("not known").trim();
    println!("list of {:.0} MB: {rate:.0} MB/s; peak memory of the process {peak}", bytes as f64 / 1e6);
}
