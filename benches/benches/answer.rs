//! How fast answers are rewritten, beside what bounds it from above (`memcpy`), what one would do first
//! (`serde_json::Value`), and what other JSON libraries make of it.

use std::hint::black_box;
use std::time::Duration;

use benches::{asked, asked_one, chunks, list, object, partial_list, raw, rewrite, table, value, watch};
use bytes::Bytes;
use connector_core::answer::{Asked, RowObject, Shape};
use criterion::{Criterion, Throughput};

const WELL_FORMED: &str = "a generated document is well-formed";

/// Objects in a document: 3 MB of whole claims, which fit a last-level cache.
const COUNT: usize = 1_000;
/// Objects in the large document: 30 MB, which come from memory on most machines.
const MANY: usize = 10_000;

type Anchor = fn(&Asked, &[u8], &mut Vec<u8>);

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let table_shape = Shape::Table(RowObject::Show);
    let lists: [(&str, Anchor); 4] = [
        ("serde_json Value", |asked, document, out| value::list(asked, document, out).expect(WELL_FORMED)),
        ("simd-json", |asked, document, out| value::list_by_simd_json(asked, document, out).expect(WELL_FORMED)),
        ("RawValue", |asked, document, out| raw::list::<raw::SerdeJson>(asked, document, out).expect(WELL_FORMED)),
        ("sonic-rs", |asked, document, out| raw::list::<raw::SonicRs>(asked, document, out).expect(WELL_FORMED)),
    ];
    let watches: [(&str, Anchor); 1] =
        [("serde_json Value", |asked, document, out| value::watch(asked, document, out).expect(WELL_FORMED))];
    let objects: [(&str, Anchor); 3] = [
        ("serde_json Value", |asked, document, out| value::object(asked, document, out).expect(WELL_FORMED)),
        ("RawValue", |asked, document, out| raw::object::<raw::SerdeJson>(asked, document, out).expect(WELL_FORMED)),
        ("sonic-rs", |asked, document, out| raw::object::<raw::SonicRs>(asked, document, out).expect(WELL_FORMED)),
    ];
    measure(&mut criterion, "list", &asked(), Shape::List, &list(COUNT), &lists);
    measure(&mut criterion, "list of 10,000", &asked(), Shape::List, &list(MANY), &[]);
    measure(&mut criterion, "partial list", &asked(), Shape::List, &partial_list(COUNT), &[]);
    measure(&mut criterion, "table", &asked(), table_shape, &table(COUNT), &[]);
    measure(&mut criterion, "watch", &asked(), Shape::Watch, &watch(COUNT), &watches);
    measure(&mut criterion, "object", &asked_one(7), Shape::Object, &object(7), &objects);
    criterion.final_summary();
}

/// Measures one shape, the anchors next to it: a machine that is slow for a while is slow for all of them.
fn measure(
    criterion: &mut Criterion,
    name: &str,
    asked: &Asked,
    shape: Shape,
    document: &Bytes,
    anchors: &[(&str, Anchor)],
) {
    let chunks = chunks(document);
    // No run grows it: the anchors and the product write into memory that is there.
    let mut out = Vec::with_capacity(document.len());
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(document.len() as u64));
    group.bench_function("Rewriter", |bencher| {
        bencher.iter(|| {
            out.clear();
            rewrite(asked, shape, black_box(&chunks), &mut out).expect(WELL_FORMED);
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
    for (name, anchor) in anchors {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                out.clear();
                anchor(asked, black_box(document), &mut out);
                black_box(&out);
            });
        });
    }
    group.finish();
}
