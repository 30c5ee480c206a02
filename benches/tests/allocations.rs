//! An answer of any length takes no more allocations, and no more memory, than a short one.

use std::sync::Mutex;

use benches::{asked, chunks, list, long_list, partial_list, table, watch};
use bytes::Bytes;
use connector_core::answer::{Rewriter, RowObject, Shape};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// There is one profiler in a process.
static ONE: Mutex<()> = Mutex::new(());

/// Blocks that are allocated while an answer is rewritten, and the most bytes that were allocated at once.
fn cost(shape: Shape, document: impl Iterator<Item = Bytes>) -> (u64, usize) {
    let profiler = dhat::Profiler::builder().testing().build();
    let mut rewriter = Rewriter::new(asked(), shape);
    let mut parts = Vec::new();
    for chunk in document {
        rewriter.push(chunk, &mut parts).unwrap();
        parts.clear();
    }
    rewriter.finish().unwrap();
    let stats = dhat::HeapStats::get();
    drop(profiler);
    (stats.total_blocks, stats.max_bytes)
}

type Document = fn(usize) -> Bytes;

#[test]
fn nothing_is_allocated_for_an_object() {
    let _one = ONE.lock().unwrap();
    let shapes: [(Shape, Document); 4] = [
        (Shape::List, list),
        (Shape::List, partial_list),
        (Shape::Table(RowObject::Show), table),
        (Shape::Watch, watch),
    ];
    for (shape, document) in shapes {
        let [(few, few_chunks), (many, many_chunks)] = [100, 400].map(|count| {
            let chunks = chunks(&document(count));
            let count = chunks.len() as u64;
            (cost(shape, chunks.into_iter()).0, count)
        });
        // What grows has grown after some dozens of objects. A watch keeps no buffer from chunk to chunk, since most are idle.
        let for_chunks = if shape == Shape::Watch { 3 * (many_chunks - few_chunks) } else { 2 };
        assert!(many <= few + for_chunks, "{shape:?}: {few} allocations for 100 objects, {many} for 400");
        assert!(few < 100, "{shape:?}: {few} allocations");
    }
}

#[test]
fn a_long_list_takes_no_more_memory() {
    let _one = ONE.lock().unwrap();
    let [short, long] = [1, 30].map(|times| cost(Shape::List, long_list(100, times)));
    assert!(long.1 <= short.1 + 4096, "{short:?} and {long:?}");
}

#[test]
fn a_stream_has_a_small_state() {
    assert!(size_of::<Rewriter>() <= 512, "{}", size_of::<Rewriter>());
}
