//! Reading lines without escapes allocates nothing.

#![expect(unsafe_code, reason = "a global allocator cannot be written without")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::hint::black_box;
use std::alloc::System;

use otelpipe_prom::text::{Entries, Entry, Format, Known, ParseOptions};

/// Counts the allocations of each thread, so that the test harness's own do
/// not disturb.
struct Counting;

std::thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often reading everything in `body` allocates.
#[track_caller]
fn allocations(body: &str, format: Format, samples: usize) -> usize {
    let options = ParseOptions { format, ..ParseOptions::default() };
    let before = ALLOCATIONS.get();
    let mut found = 0;
    for entry in Entries::new(body.as_bytes(), options) {
        if let Entry::Sample(sample) = entry.expect("the body is valid") {
            found += 1;
            black_box((sample.name(), sample.value(), sample.timestamp_ms()));
            sample.labels().for_each(|label| drop(black_box(label)));
            let exemplar = sample.exemplar();
            exemplar.iter().flat_map(|found| found.labels()).for_each(|label| drop(black_box(label)));
        }
    }
    let mut entries = Entries::new(body.as_bytes(), options);
    let mut known = 0;
    while let Some(entry) = entries.next_with(Some) {
        if let Known::Sample { key, sample } = entry.expect("the body is valid") {
            known += 1;
            black_box((key, sample.value()));
        }
    }
    let counted = ALLOCATIONS.get() - before;
    assert_eq!((found, known), (samples, samples));
    counted
}

const TEXT: &str = "\
# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000
http_requests_total{method=\"post\",code=\"400\",} 3.5e-7
# a comment
# TYPE request_seconds histogram
request_seconds_bucket{le=\"0.05\"} 24054
request_seconds_bucket{ le = \"+Inf\" , \"a b\" = \"c\" } 144320
{\"a.b\",x=\"é\"} NaN
up 1.7976931348623157e308
";

#[test]
fn lines_without_escapes_allocate_nothing() {
    assert_eq!(allocations(TEXT, Format::Text, 6), 0);
    let openmetrics = "\
# HELP foo Some help.
# TYPE foo histogram
foo_bucket{le=\"1.0\",pod=\"x\"} 17 1520879607.789 # {trace_id=\"abc\"} 0.67 1520879607.1
foo_count 17
# EOF
";
    assert_eq!(allocations(openmetrics, Format::OpenMetrics, 2), 0);
}

#[test]
fn an_escape_allocates_for_its_own_value_only() {
    assert_eq!(allocations("a{b=\"c\",d=\"\\\\\",e=\"f\"} 1\n", Format::Text, 1), 1);
}

#[test]
fn a_bound_in_another_spelling_allocates() {
    let body = "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"1.5\"} 1\na_bucket{le=\"2\"} 1\n";
    assert!((2..=4).contains(&allocations(body, Format::Text, 3)));
}
