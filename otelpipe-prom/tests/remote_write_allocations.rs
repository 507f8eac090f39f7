//! What a frame of known shape allocates, which is nothing, and what an encoder keeps.
#![expect(unsafe_code, reason = "a counting allocator is one by nature; it forwards to the system's")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::{Frame, OtherPoint};
use otelpipe_core::metric::{Histogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{HistogramPoint, NumberPoint};
use otelpipe_prom::remote_write::{Encoder, Message, RemoteWriteConfig, RemoteWriteOptions, Translator};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        LIVE.set(LIVE.get() + bytes(layout));
        // SAFETY: the caller's promise is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - bytes(layout));
        // SAFETY: as above; `place` came from the system allocator.
        unsafe { System.dealloc(place, layout) }
    }
}

fn bytes(layout: Layout) -> i64 {
    i64::try_from(layout.size()).unwrap_or(i64::MAX)
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const METRICS: usize = 50;
const NOW_NS: u64 = 1_800_000_000_000_000_000;

/// Fifty metrics and a histogram of so many containers, as cAdvisor has them.
fn frame(containers: usize) -> Frame {
    let id = |at: usize| format!("/kubepods.slice/kubepods-burstable.slice/pod{at:032x}/cri-{at:064x}.scope");
    let mut batch = MetricBatch::default();
    batch.scope_mut();
    batch.resources[0].resource.attributes =
        [("service.name", "kubelet"), ("service.instance.id", "10.0.0.5:10250"), ("url.scheme", "https")]
            .into_iter()
            .collect();
    for metric in 0..METRICS {
        let points = (0..containers).map(|at| {
            NumberPoint::new(1.5, NOW_NS)
                .with("container", "app")
                .with("id", id(at))
                .with("image", "registry.example/team/app:v1.2.3")
                .with("name", format!("{at:064x}"))
                .with("namespace", format!("team-{}", at % 7))
                .with("pod", format!("app-{at:08x}"))
        });
        let data = MetricData::Sum(Sum {
            points: points.collect(),
            temporality: Temporality::Cumulative,
            is_monotonic: true,
        });
        batch.scope_mut().metrics.push(Metric::new(format!("container_number{metric}_total"), data));
    }
    let histogram = HistogramPoint {
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, 1.0],
        sum: Some(2.5),
        count: 6,
        time_ns: NOW_NS,
        ..HistogramPoint::default()
    };
    let data = Histogram { points: vec![histogram], temporality: Temporality::Cumulative };
    batch.scope_mut().metrics.push(Metric::new("duration", MetricData::Histogram(data)));
    Frame::of(batch)
}

/// Lets time go on, and values change.
fn step(frame: &mut Frame) {
    let columns = frame.columns_mut();
    for (number, value) in columns.numbers.iter_mut().zip(0_i64..) {
        number.time_ns += 5_000_000_000;
        number.value = (value * 17).into();
    }
    if let Some((_, OtherPoint::Histogram(point))) = columns.others.first_mut() {
        point.time_ns += 5_000_000_000;
        point.bucket_counts[1] += 1;
    }
}

fn encoder(message: Message, limit: i64) -> Encoder {
    let config = RemoteWriteConfig {
        protobuf_message: message.proto().into(),
        max_batch_size_bytes: limit,
        send_metadata: true,
        ..RemoteWriteConfig::default()
    };
    Encoder::new(Translator::compile(&config, RemoteWriteOptions::default()).expect("good settings").0)
}

#[test]
fn a_frame_of_known_shape_costs_no_allocation() {
    // With the smaller limit protocol 1.0 takes several requests.
    for (message, limit) in [(Message::V1, 3_000_000), (Message::V1, 200_000), (Message::V2, 3_000_000)] {
        let mut frame = frame(20);
        let mut encoder = encoder(message, limit);
        let before = COUNT.get();
        for _ in 0..3 {
            step(&mut frame);
            encoder.encode_frame(&frame, |_| {});
        }
        assert!(COUNT.get() - before > METRICS, "a new shape costs something, else this test counts nothing");
        step(&mut frame);
        let (mut requests, before) = (0, COUNT.get());
        let report = encoder.encode_frame(&frame, |_| requests += 1);
        let allocations = COUNT.get() - before;
        assert_eq!((report.samples, report.points), (20 * 50 + 5 + 1, 20 * 50 + 1));
        assert_eq!(requests > 2, limit < 3_000_000, "{requests} requests");
        assert_eq!(allocations, 0, "{message} {limit}");
    }
}

#[test]
fn an_encoder_keeps_less_than_256_bytes_a_series() {
    for message in [Message::V1, Message::V2] {
        let kept = |containers: usize| {
            let mut frame = frame(containers);
            let before = LIVE.get();
            let mut encoder = encoder(message, 3_000_000);
            for _ in 0..5 {
                step(&mut frame);
                encoder.encode_frame(&frame, |_| {});
            }
            assert_eq!(encoder.frame_counts().known, 4);
            LIVE.get() - before
        };
        let (few, many) = (kept(20), kept(180));
        let per_series = (many - few) / (160 * 50);
        println!("{message}: {per_series} bytes a series");
        assert!(per_series < 256, "{message}: {per_series}");
    }
}

#[test]
fn a_shape_that_is_gone_is_forgotten() {
    let mut encoder = encoder(Message::V1, 3_000_000);
    let mut keep_one = || {
        let mut frame = frame(20);
        for _ in 0..3 {
            step(&mut frame);
            encoder.encode_frame(&frame, |_| {});
        }
        drop(frame);
        LIVE.get()
    };
    let first = keep_one();
    for _ in 0..5 {
        keep_one();
    }
    let last = keep_one();
    assert!((last - first).abs() < 4_000, "{first} {last}");
}
