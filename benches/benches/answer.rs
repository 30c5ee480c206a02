//! How fast answers are rewritten, beside what bounds it from above (`memcpy`) and what one would do first
//! (`serde_json::Value`).

use std::hint::black_box;
use std::time::Duration;

use benches::{asked, asked_one, chunks, list, object, partial_list, rewrite, table, value, watch};
use bytes::Bytes;
use connector_core::answer::{Asked, RowObject, Shape};
use criterion::{Criterion, Throughput};

/// Objects in a document: 3 MB of whole claims, which fit a last-level cache.
const COUNT: usize = 1_000;
/// Objects in the large document: 30 MB, which come from memory on most machines.
const MANY: usize = 10_000;

type Anchor = fn(&Asked, &[u8], &mut Vec<u8>) -> serde_json::Result<()>;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let table_shape = Shape::Table(RowObject::Show);
    measure(&mut criterion, "list", &asked(), Shape::List, &list(COUNT), Some(value::list));
    measure(&mut criterion, "list of 10,000", &asked(), Shape::List, &list(MANY), None);
    measure(&mut criterion, "partial list", &asked(), Shape::List, &partial_list(COUNT), None);
    measure(&mut criterion, "table", &asked(), table_shape, &table(COUNT), None);
    measure(&mut criterion, "watch", &asked(), Shape::Watch, &watch(COUNT), Some(value::watch));
    measure(&mut criterion, "object", &asked_one(7), Shape::Object, &object(7), Some(value::object));
    criterion.final_summary();
}

/// Measures one shape, the anchors next to it: a machine that is slow for a while is slow for all of them.
fn measure(
    criterion: &mut Criterion,
    name: &str,
    asked: &Asked,
    shape: Shape,
    document: &Bytes,
    anchor: Option<Anchor>,
) {
    let chunks = chunks(document);
    let mut parts = Vec::new();
    // No run grows it: the anchors and the product write into memory that is there.
    let mut out = Vec::with_capacity(document.len());
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(document.len() as u64));
    group.bench_function("Rewriter", |bencher| {
        bencher.iter(|| {
            out.clear();
            rewrite(asked, shape, black_box(&chunks), &mut parts, &mut out)
                .expect("a generated document is well-formed");
            black_box(&out);
        });
    });
    group.bench_function("memcpy", |bencher| {
        bencher.iter(|| {
            out.clear();
            for chunk in black_box(&chunks) {
                out.extend_from_slice(chunk);
            }
            black_box(&out);
        });
    });
    if let Some(anchor) = anchor {
        group.bench_function("serde_json Value", |bencher| {
            bencher.iter(|| {
                out.clear();
                anchor(asked, black_box(document), &mut out).expect("a generated document is well-formed");
                black_box(&out);
            });
        });
    }
    group.finish();
}
