//! Write requests of a scraped batch, per sample: translation, protobuf and snappy by our
//! encoder; the same of frames whose shape is known; and in the same run the usual way from
//! series that are already translated, owned `prost` messages and snappy.
//!
//! Labels of a series, bytes and the ratio to generic snappy are printed: the requests of a
//! batch are those of its frame, compressed the generic way.

use core::hint::black_box;
use std::collections::HashMap;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use otelpipe_benches::{ThreadTime, body, criterion};
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::Frame;
use otelpipe_core::label::LabelSet;
use otelpipe_core::point::NumberValue;
use otelpipe_prom::remote_write::{Encoder, Message, RemoteWriteConfig, RemoteWriteOptions, Translator};
use otelpipe_prom::scrape::{
    Answer, GlobalConfig, ScrapeConfig, ScrapeOptions, ScrapeRules, Target, TargetScraper,
};
use prost::Message as _;

use proto::{Label, MetadataV2, RequestV2, Sample, TimeSeries, TimeSeriesV2, WriteRequest};

#[path = "../../otelpipe-prom/tests/remote_write/proto.rs"]
#[allow(dead_code, missing_docs, reason = "the test messages of otelpipe-prom")]
mod proto;

const BODIES: [(&str, &str); 2] = [
    ("cadvisor", "kubernetes-1_33-kubelet-metrics-cadvisor"),
    ("node_exporter", "node_exporter-e2e-output.txt"),
];

const T0_MS: i64 = 1_800_000_000_000;

fn scraped(body: &[u8]) -> MetricBatch {
    let mut job = ScrapeConfig::default();
    job.job_name = "j".into();
    let rules = ScrapeRules::compile(&job, &GlobalConfig::default(), &ScrapeOptions::default());
    let rules = Arc::new(rules.expect("the job compiles"));
    let discovered = [("__address__", "10.0.0.5:10250")].into_iter().collect();
    let target = Target::from_discovered(&discovered, &LabelSet::new(), &rules);
    let target = target.expect("a good target").expect("no rule drops it");
    let mut batch = MetricBatch::default();
    let answer = Answer::Body { body, content_type: Some("text/plain"), duration_s: 0.01 };
    let report = TargetScraper::new(rules, target).scrape(answer, T0_MS, &mut batch);
    assert!(report.up, "{:?}", report.error);
    batch
}

fn encoder(message: Message) -> Encoder {
    let config =
        RemoteWriteConfig { protobuf_message: message.proto().into(), ..RemoteWriteConfig::default() };
    Encoder::new(Translator::compile(&config, RemoteWriteOptions::default()).expect("good settings").0)
}

/// Four scrapes: time goes on, and about 60 % of the values.
fn frames(batch: MetricBatch) -> Vec<Frame> {
    let mut frames = vec![Frame::of(batch)];
    let mut seed = 7_u64;
    for _ in 1..4 {
        let mut frame = frames[frames.len() - 1].clone();
        for number in &mut frame.columns_mut().numbers {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let roll = u32::try_from(seed >> 33).expect("31 bits");
            number.time_ns += 5_000_000_000;
            number.value = match number.value {
                NumberValue::Double(value) if roll % 10 < 6 && value != 0.0 => {
                    let more = f64::from(roll % 997);
                    let more = if value.fract() == 0.0 { more } else { more / 1_000.0 };
                    NumberValue::Double(value + more)
                }
                value => value,
            };
        }
        frames.push(frame);
    }
    frames
}

#[expect(clippy::cast_precision_loss, reason = "counts of a bench are small")]
fn ratio(count: usize, of: usize) -> f64 {
    count as f64 / of as f64
}

/// Series as an agent without an encoder of its own holds them.
type Owned = Vec<(Vec<(String, String)>, Vec<(i64, f64)>)>;

fn owned(batch: &MetricBatch) -> Owned {
    let mut series = Vec::new();
    encoder(Message::V1).each_series(batch, |view| {
        let labels = view.labels().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        series.push((labels.collect(), view.samples()));
    });
    series
}

fn samples(samples: &[(i64, f64)]) -> Vec<Sample> {
    samples
        .iter()
        .map(|(timestamp, value)| Sample { value: *value, timestamp: *timestamp, start_timestamp: 0 })
        .collect()
}

fn prost_v1(series: &Owned) -> Vec<u8> {
    let timeseries = series
        .iter()
        .map(|(labels, points)| TimeSeries {
            labels: labels
                .iter()
                .map(|(name, value)| Label { name: name.clone(), value: value.clone() })
                .collect(),
            samples: samples(points),
            ..TimeSeries::default()
        })
        .collect();
    compressed(&WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec())
}

fn prost_v2(series: &Owned) -> Vec<u8> {
    let mut symbols = vec![String::new()];
    let mut numbers: HashMap<&str, u32> = HashMap::from([("", 0)]);
    let timeseries = series
        .iter()
        .map(|(labels, points)| {
            let texts = labels.iter().flat_map(|(name, value)| [name, value]);
            let labels_refs = texts
                .map(|text| {
                    *numbers.entry(text).or_insert_with(|| {
                        symbols.push(text.clone());
                        u32::try_from(symbols.len() - 1).expect("few symbols")
                    })
                })
                .collect();
            let metadata = Some(MetadataV2::default());
            TimeSeriesV2 { labels_refs, samples: samples(points), metadata, ..TimeSeriesV2::default() }
        })
        .collect();
    compressed(&RequestV2 { symbols, timeseries }.encode_to_vec())
}

fn compressed(raw: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(raw).expect("below 4 GiB")
}

fn bench(criterion: &mut Criterion<ThreadTime>) {
    for (name, file) in BODIES {
        let batch = scraped(&body(file));
        let series = owned(&batch);
        let frames = frames(batch);
        // Two frames later, as the values that are measured.
        let batch = frames[2].to_batch();
        let labels: usize = series.iter().map(|(labels, _)| labels.len()).sum();
        println!("remote_write/{name}: {:.1} labels a series", ratio(labels, series.len()));
        let mut group = criterion.benchmark_group(format!("remote_write/{name}"));
        for message in [Message::V1, Message::V2] {
            let version = if message == Message::V1 { "v1" } else { "v2" };
            let (mut of_batches, mut of_frames) = (encoder(message), encoder(message));
            for frame in &frames[..2] {
                of_frames.encode_frame(frame, |_| {});
            }
            let (mut generic, mut bytes) = (0, 0);
            let report = of_batches.encode(&batch, |request| generic += request.body.len());
            assert_eq!(report.dropped_count(), 0);
            let samples = usize::try_from(report.samples).expect("few samples");
            of_frames.encode_frame(&frames[2], |request| bytes += request.body.len());
            println!(
                "remote_write/{name}/{version}: {:.1} bytes a sample of a frame, {:.1} with generic snappy \
                 ({:.2}), in {} requests",
                ratio(bytes, samples),
                ratio(generic, samples),
                ratio(bytes, generic),
                report.requests
            );
            group.throughput(Throughput::Elements(report.samples));
            group.bench_function(format!("{version}/batch to body"), |bencher| {
                bencher.iter(|| {
                    of_batches.encode(black_box(&batch), |request| {
                        black_box(request.body);
                    })
                });
            });
            let mut next = frames.iter().cycle();
            group.bench_function(format!("{version}/frame to body"), |bencher| {
                bencher.iter(|| {
                    of_frames.encode_frame(black_box(next.next().expect("it has no end")), |request| {
                        black_box(request.body);
                    })
                });
            });
            assert_eq!(of_frames.frame_counts().as_batch, 1, "only the first one");
            let prost = if message == Message::V1 { prost_v1 } else { prost_v2 };
            group.bench_function(format!("{version}/prost from translated series"), |bencher| {
                bencher.iter(|| prost(black_box(&series)));
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = bench
}
criterion_main!(benches);
