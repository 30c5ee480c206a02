//! The engine alone.
//!
//! | arguments | what it prints |
//! |---|---|
//! | `<shape> <objects> <rounds> [no-avx]` | the best round of a document that is rewritten again and again, beside copying the same chunks |
//! | `long <megabytes> <rounds> [no-avx]` | how fast one list of that length is rewritten, by processor time of all rounds, and the most memory that the process ever had |
//! | `write <folder>` | nothing: it writes the documents that other programs are measured with |
//!
//! README.md says what the numbers mean; `instructions` counts instructions with it.
#![allow(clippy::print_stdout, reason = "it prints its result")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::{
    asked, asked_one, chunks, list, long_list, object, partial_list, rewrite, rewrite_into_parts, table, watch,
};
use connector_core::answer::{Rewriter, RowObject, Shape};
use connector_core::json::fuzz::without_avx;

const WELL_FORMED: &str = "a generated document is well-formed";

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments.retain(|argument| {
        let no_avx = argument == "no-avx";
        if no_avx {
            without_avx();
        }
        !no_avx
    });
    let number = |at: usize, default| arguments.get(at).map_or(default, |text| text.parse().expect("a number"));
    match arguments.first().map_or("list", String::as_str) {
        "long" => long(number(1, 295), number(2, 5)),
        "write" => write(arguments.get(1).expect("a folder")),
        shape => again_and_again(shape, number(1, 50), number(2, 300)),
    }
}

/// Writes the documents of a thousand objects, and of one.
fn write(folder: &str) {
    let documents = [("list", list(1_000)), ("table", table(1_000)), ("watch", watch(1_000)), ("object", object(7))];
    for (name, document) in documents {
        std::fs::write(format!("{folder}/{name}.json"), document).expect("the folder can be written to");
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

fn long(megabytes: usize, rounds: usize) {
    let mut bytes = 0;
    let mut out = Vec::with_capacity(1 << 20);
    // A thousand claims are 3.5 MB.
    let document = long_list(1_000, (2 * megabytes).div_ceil(7));
    let start = nanoseconds();
    for _ in 0..rounds {
        let mut rewriter = Rewriter::new(asked(), Shape::List);
        for chunk in document.clone() {
            bytes += chunk.len();
            out.clear();
            rewriter.push_copied(&chunk, &mut out).expect(WELL_FORMED);
            black_box(&out);
        }
        rewriter.finish().expect(WELL_FORMED);
    }
    let rate = bytes as f64 * 1e3 / (nanoseconds() - start) as f64;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("not known").trim();
    let megabytes = bytes as f64 / rounds as f64 / 1e6;
    println!("list of {megabytes:.0} MB: {rate:.0} MB/s; peak memory of the process {peak}");
}

/// How long this process has been on a processor: a round of seconds is never undisturbed.
fn nanoseconds() -> u64 {
    let told = std::fs::read_to_string("/proc/self/schedstat").expect("Linux tells");
    told.split(' ').next().and_then(|time| time.parse().ok()).expect("a number")
}
