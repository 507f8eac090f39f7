//! Frames of known shape are written without an allocation.
#![expect(unsafe_code, reason = "a counting allocator is one by nature; it forwards to the system's")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;
use std::sync::Arc;

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::{Columns, Frame, Metrics, Shape};
use otelpipe_core::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{
    ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint, NumberPoint, Quantile, SummaryPoint,
};
use otelpipe_emf::config::EmfConfig;
use otelpipe_emf::encoder::EmfEncoder;
use otelpipe_emf::options::EmfOptions;

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
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: as above; `place` came from the system allocator.
        unsafe { System.realloc(place, layout, size) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PODS: u64 = 200;

/// Two gauges, a counter, two kinds of histograms and a summary of each pod.
fn batch(round: u64) -> MetricBatch {
    let time_ns = 1_700_000_000_000_000_000 + round * 60_000_000_000;
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let value = move |pod: u64| (pod * round) as f64 * 1.25;
    let numbers = || {
        let pods =
            (0..PODS).map(|pod| NumberPoint::new(value(pod), time_ns).with("pod", format!("pod-{pod}")));
        pods.collect::<Vec<_>>()
    };
    let sum = Sum { points: numbers(), temporality: Temporality::Cumulative, is_monotonic: true };
    let histograms = numbers().into_iter().map(|point| HistogramPoint {
        attributes: point.attributes,
        time_ns,
        count: round,
        sum: Some(point.value.as_f64()),
        ..HistogramPoint::default()
    });
    let summaries = numbers().into_iter().map(|point| SummaryPoint {
        attributes: point.attributes,
        time_ns,
        count: round,
        sum: point.value.as_f64(),
        quantiles: vec![Quantile { quantile: 0.5, value: 0.1 }],
        ..SummaryPoint::default()
    });
    let exponentials = numbers().into_iter().map(|point| ExponentialHistogramPoint {
        attributes: point.attributes,
        time_ns,
        count: round,
        sum: Some(point.value.as_f64()),
        positive: ExponentialBuckets { offset: 1, bucket_counts: vec![round; 120] },
        ..ExponentialHistogramPoint::default()
    });
    let exponential =
        ExponentialHistogram { points: exponentials.collect(), ..ExponentialHistogram::default() };
    let histogram = Histogram { points: histograms.collect(), ..Histogram::default() };
    let mut batch = MetricBatch::default();
    batch.scope_mut().metrics = vec![
        Metric::new("cpu", MetricData::Gauge(numbers())),
        Metric::new("memory", MetricData::Gauge(numbers())),
        Metric::new("requests", MetricData::Sum(sum)),
        Metric::new("latency", MetricData::Histogram(histogram)),
        Metric::new("sizes", MetricData::ExponentialHistogram(exponential)),
        Metric::new("age", MetricData::Summary(summaries.collect())),
    ];
    batch.resources[0].resource.attributes.insert("receiver", "prometheus");
    batch
}

fn frame(shape: &Arc<Shape>, round: u64) -> Metrics {
    let frame = Frame::of_shape(shape, batch(round), Columns::default());
    Metrics::Frame(frame.expect("the batches are built alike"))
}

#[test]
fn known_frames_are_written_without_an_allocation() {
    for (detailed_metrics, is_escaped) in [(false, false), (true, false), (false, true), (true, true)] {
        let config =
            EmfConfig { detailed_metrics, log_stream_name: "{PodName}".into(), ..EmfConfig::default() };
        let (mut encoder, _) = EmfEncoder::compile(&config, EmfOptions::default()).expect("it is valid");
        let shapes = [Arc::new(Shape::of(&batch(0))), Arc::new(Shape::of(&batch(0)))];
        let (mut bytes, mut last) = (0, 0);
        for round in 1..6 {
            // Two targets, whose points have other times.
            let parts = [frame(&shapes[0], 2 * round), frame(&shapes[1], 2 * round + 1)];
            let before = COUNT.get();
            let now_ms = 1_700_000_000_000;
            let report = if is_escaped {
                encoder.encode_frames_escaped(&parts, now_ms, |event| bytes += event.escaped.len())
            } else {
                encoder.encode_frames(&parts, now_ms, |event| bytes += event.message.len())
            };
            last = COUNT.get() - before;
            assert_eq!(report.dropped_count() > 0, round == 1, "{report:?}");
            assert_eq!(report.spliced > 0, round > 1);
        }
        assert_eq!(last, 0, "{:?}", encoder.frame_counts());
        assert!(bytes > 100_000);
    }
}
