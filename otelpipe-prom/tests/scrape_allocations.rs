//! What a scrape of known series allocates: its batch, and nothing for a sample; or its frame,
//! and nothing at all.
#![expect(unsafe_code, reason = "a counting allocator is one by nature; it forwards to the system's")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::fmt::Write as _;
use std::alloc::System;
use std::sync::Arc;

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::{Columns, Metrics};
use otelpipe_core::label::LabelSet;
use otelpipe_core::relabel::RelabelConfig;
use otelpipe_prom::scrape::{
    Answer, GlobalConfig, ScrapeConfig, ScrapeOptions, ScrapeRules, Target, TargetScraper,
};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promise is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above; `place` came from the system allocator.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const METRICS: usize = 20;

/// Twenty metrics of `series` series each.
fn body(series: usize, value: usize) -> String {
    let mut body = String::new();
    for metric in 0..METRICS {
        writeln!(body, "# HELP m{metric} help\n# TYPE m{metric} counter").expect("a string takes all");
        for at in 0..series {
            writeln!(body, "m{metric}{{container=\"c{at}\",pod=\"pod-{at}\"}} {value} 1700000000000")
                .expect("a string takes all");
        }
    }
    body
}

fn scraper() -> TargetScraper {
    let mut job = ScrapeConfig::default();
    job.job_name = "j".into();
    job.metric_relabel_configs = vec![RelabelConfig {
        source_labels: vec!["pod".into()],
        target_label: "copy".into(),
        ..RelabelConfig::default()
    }];
    let rules = ScrapeRules::compile(&job, &GlobalConfig::default(), &ScrapeOptions::default());
    let rules = Arc::new(rules.expect("the job compiles"));
    let discovered = [("__address__", "h")].into_iter().collect();
    let target = Target::from_discovered(&discovered, &LabelSet::new(), &rules);
    TargetScraper::new(rules, target.expect("a good target").expect("no rule drops it"))
}

/// Allocations of the second and the third scrape of so many series a metric.
fn allocations(series: usize) -> [usize; 2] {
    let mut scraper = scraper();
    let mut scrape = |value| {
        let body = body(series, value);
        let answer = Answer::Body { body: body.as_bytes(), content_type: None, duration_s: 0.0 };
        let mut batch = MetricBatch::default();
        let before = COUNT.get();
        let report = scraper.scrape(answer, 1_700_000_000_000, &mut batch);
        let allocations = COUNT.get() - before;
        assert_eq!((report.up, batch.point_count()), (true, METRICS * series + 5));
        (report.relabeled, allocations)
    };
    let (relabeled, first) = scrape(1);
    assert_eq!(usize::try_from(relabeled), Ok(METRICS * series));
    assert!(first > METRICS * series, "new series cost something, else this test counts nothing");
    [2, 3].map(|value| {
        let (relabeled, allocations) = scrape(value);
        assert_eq!(relabeled, 0);
        allocations
    })
}

#[test]
fn a_known_series_costs_no_allocation() {
    let few = allocations(1);
    let many = allocations(500);
    assert_eq!(few, many, "whatever the number of series");
    let [second, third] = many;
    assert!(second <= 20 * (METRICS + 5), "{second} allocations: families are found again once");
    assert!(third <= 2 * (METRICS + 5), "{third} allocations: a batch of 25 metrics");
}

#[test]
fn a_frame_of_known_series_in_columns_used_before_costs_no_allocation() {
    let mut scraper = scraper();
    let mut spare = Columns::default();
    let mut allocations = Vec::new();
    for value in 1..8 {
        let mut body = body(100, value);
        writeln!(body, "# TYPE h histogram").expect("a string takes all");
        for at in 0..20 {
            for bound in ["0.5", "1", "+Inf"] {
                writeln!(body, "h_bucket{{at=\"{at}\",le=\"{bound}\"}} {value}").expect("a string takes all");
            }
            writeln!(body, "h_sum{{at=\"{at}\"}} {value}\nh_count{{at=\"{at}\"}} {value}")
                .expect("a string takes all");
        }
        writeln!(
            body,
            "# TYPE s summary\ns{{quantile=\"0.5\"}} NaN\ns_sum 0.1234567890123456789\ns_count {value}"
        )
        .expect("a string takes all");
        let content_type = Some("text/plain; version=0.0.4; charset=utf-8");
        let answer = Answer::Body { body: body.as_bytes(), content_type, duration_s: 0.5 };
        let before = COUNT.get();
        let (metrics, report) = scraper.scrape_metrics(answer, 1_700_000_000_000, spare);
        allocations.push(COUNT.get() - before);
        assert_eq!((report.up, metrics.point_count()), (true, METRICS * 100 + 20 + 1 + 5));
        spare = match metrics {
            Metrics::Frame(frame) => frame.into_parts().1,
            _ => Columns::default(),
        };
    }
    assert_eq!(scraper.frames(), 5);
    assert!(allocations[0] > METRICS * 100, "else this test counts nothing");
    let rests = allocations.remove(3);
    assert!(rests < METRICS * 100 / 4, "once, and not for every series: {rests}");
    assert_eq!(allocations[2..], [0; 4], "{allocations:?}");
}
