//! Frames of known shape against the same frames as batches.

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use otelpipe_core::frame::{Columns, Frame, Metrics, Number, OtherPoint};
use otelpipe_core::metric::{ExponentialHistogram, Histogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{
    Exemplar, ExponentialBuckets, ExponentialHistogramPoint, Flags, HistogramPoint, NumberPoint, Quantile,
    SummaryPoint,
};
use otelpipe_core::resource::{Resource, Scope};
use otelpipe_prom::remote_write::{FrameCounts, KeptPlans, Message, RemoteWriteConfig, RemoteWriteOptions};
use proptest::prelude::*;

use crate::read::{encode, encode_frame, encode_metrics, encoder};

fn attributes(most: usize) -> impl Strategy<Value = Attributes> {
    let key = prop_oneof![
        4 => "[a-c]",
        1 => "[a-c][._]{1,2}[a-c]",
        1 => prop_oneof![Just("job".into()), Just("le".into()), Just("Z".into()), Just("__x__".into())],
    ];
    let value = prop_oneof![4 => "[x-z]{0,2}", 1 => "[x-z]{100,140}"];
    proptest::collection::btree_map(key, value, 0..most).prop_map(|map| map.into_iter().collect())
}

fn metric() -> impl Strategy<Value = Metric> {
    let points = || proptest::collection::vec(attributes(4), 0..5);
    let temporality = || prop_oneof![4 => Just(Temporality::Cumulative), 1 => Just(Temporality::Delta)];
    let number = |attributes: Vec<Attributes>| -> Vec<NumberPoint> {
        attributes
            .into_iter()
            .map(|attributes| NumberPoint { attributes, ..NumberPoint::default() })
            .collect()
    };
    let data = prop_oneof![
        Just(MetricData::Empty),
        points().prop_map(move |points| MetricData::Gauge(number(points))),
        (points(), temporality(), any::<bool>()).prop_map(move |(points, temporality, is_monotonic)| {
            MetricData::Sum(Sum { points: number(points), temporality, is_monotonic })
        }),
        (points(), temporality()).prop_map(|(points, temporality)| {
            let points = points
                .into_iter()
                .map(|attributes| HistogramPoint { attributes, ..HistogramPoint::default() });
            MetricData::Histogram(Histogram { points: points.collect(), temporality })
        }),
        (points(), temporality()).prop_map(|(points, temporality)| {
            let points = points.into_iter().map(|attributes| ExponentialHistogramPoint {
                attributes,
                ..ExponentialHistogramPoint::default()
            });
            MetricData::ExponentialHistogram(ExponentialHistogram { points: points.collect(), temporality })
        }),
        points().prop_map(|points| {
            let points =
                points.into_iter().map(|attributes| SummaryPoint { attributes, ..SummaryPoint::default() });
            MetricData::Summary(points.collect())
        }),
    ];
    let name =
        prop_oneof![8 => "[g-h]\\.[a-b]{1,2}", 1 => Just("___".into()), 1 => Just("target_info".into())];
    (name, prop_oneof!["", "s", "By"], data).prop_map(|(name, unit, data)| Metric {
        unit: unit.into(),
        description: "what".into(),
        ..Metric::new(name, data)
    })
}

prop_compose! {
    /// A batch without values and times.
    fn structure()(
        parts in proptest::collection::vec((attributes(4), proptest::collection::vec(metric(), 0..5)), 0..4),
        service in "[a-b]?",
    ) -> MetricBatch {
        let resources = parts.into_iter().map(|(mut attributes, metrics)| {
            attributes.insert("service.name", service.as_str());
            let resource = Resource { attributes, ..Resource::default() };
            let scope = Scope { name: "s".into(), ..Scope::default() };
            ResourceMetrics { resource, scopes: vec![ScopeMetrics { scope, metrics }] }
        });
        MetricBatch { resources: resources.collect() }
    }
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn value(&mut self) -> f64 {
        let few = [0.0, 0.0, -0.0, 1.0, 2.0, 0.1, f64::NAN, f64::INFINITY, 1e300];
        few[usize::try_from(self.roll(9)).unwrap()]
    }

    fn time_ns(&mut self) -> u64 {
        let times = [0, 5_000_000, 7_000_000, 1_800_000_000_000_000_000, 1_800_000_000_001_000_000];
        times[usize::try_from(self.roll(5)).unwrap()]
    }

    fn flags(&mut self) -> Flags {
        Flags(u32::from(self.roll(8) == 0))
    }

    fn exemplars(&mut self, many: bool) -> Vec<Exemplar> {
        let count = if many { self.roll(3) } else { 0 };
        let exemplar = |dice: &mut Self| Exemplar {
            filtered_attributes: Attributes::from_iter([("q", "r")]),
            time_ns: dice.time_ns(),
            value: dice.value().into(),
            trace_id: [u8::try_from(dice.roll(2)).unwrap(); 16],
            ..Exemplar::default()
        };
        (0..count).map(|_| exemplar(self)).collect()
    }
}

/// What a frame has besides numbers that may change.
#[derive(Clone, Copy, Debug)]
struct Mood {
    /// All times are the same, and set.
    one_time: bool,
    exemplars: bool,
    /// Bounds, sums and scales are not what they were.
    unlike: bool,
}

fn mood() -> impl Strategy<Value = Mood> {
    (prop_oneof![2 => Just(true), 1 => Just(false)], prop_oneof![3 => Just(false), 1 => Just(true)])
        .prop_flat_map(|(one_time, exemplars)| {
            prop_oneof![9 => Just(false), 1 => Just(true)].prop_map(move |unlike| Mood {
                one_time,
                exemplars,
                unlike,
            })
        })
}

/// Fills the columns with values.
fn fill(columns: &mut Columns, seed: u64, mood: Mood) {
    let mut dice = Dice(seed);
    let now = 1_800_000_000_000_000_000 + (seed % 7) * 1_000_000;
    let time = |dice: &mut Dice| if mood.one_time { now } else { dice.time_ns() };
    let Columns { numbers, others, exemplars } = columns;
    exemplars.clear();
    for (slot, number) in (0..).zip(numbers.iter_mut()) {
        let value = match dice.roll(2) {
            0 => dice.value().into(),
            _ => i64::try_from(dice.roll(300)).unwrap().into(),
        };
        *number =
            Number { value, start_time_ns: dice.time_ns(), time_ns: time(&mut dice), flags: dice.flags() };
        let list = dice.exemplars(mood.exemplars);
        if !list.is_empty() && others.binary_search_by_key(&slot, |(slot, _)| *slot).is_err() {
            exemplars.push((slot, list));
        }
    }
    let odd = u64::from(mood.unlike);
    for (slot, point) in others {
        let slot = u64::from(*slot);
        match point {
            OtherPoint::Histogram(point) => {
                let bounds = usize::try_from((slot + odd) % 4).unwrap();
                point.explicit_bounds = [0.5, 1.0, 2.5, 9.0][..bounds].to_vec();
                point.bucket_counts = (0..=bounds).map(|_| dice.roll(300)).collect();
                point.count = dice.roll(1000);
                point.sum = ((slot + odd) % 3 > 0).then(|| dice.value());
                (point.time_ns, point.start_time_ns, point.flags) =
                    (time(&mut dice), dice.time_ns(), dice.flags());
                point.exemplars = dice.exemplars(mood.exemplars);
            }
            OtherPoint::Exponential(point) => {
                point.scale = if mood.unlike && dice.roll(2) == 0 { -5 } else { 1 };
                let bucket_counts = (0..dice.roll(9)).map(|_| dice.roll(3)).collect();
                point.positive = ExponentialBuckets { offset: 1, bucket_counts };
                point.count = dice.roll(1000);
                (point.time_ns, point.start_time_ns, point.flags) =
                    (time(&mut dice), dice.time_ns(), dice.flags());
                point.exemplars = dice.exemplars(mood.exemplars);
            }
            OtherPoint::Summary(point) => {
                let quantiles = [0.5, 0.9, 0.99].into_iter().take(usize::try_from((slot + odd) % 4).unwrap());
                point.quantiles =
                    quantiles.map(|quantile| Quantile { quantile, value: dice.value() }).collect();
                (point.sum, point.count) = (dice.value(), dice.roll(1000));
                (point.time_ns, point.start_time_ns, point.flags) =
                    (time(&mut dice), dice.time_ns(), dice.flags());
            }
        }
    }
}

fn config(message: Message) -> impl Strategy<Value = (RemoteWriteConfig, RemoteWriteOptions)> {
    let limits = prop_oneof![
        2 => Just((3_000_000, 10_000)),
        1 => (1_i64..3_000, Just(10_000_usize)),
        1 => (Just(3_000_000_i64), 1_usize..9),
    ];
    (limits, any::<[bool; 5]>()).prop_map(move |((limit, max_request_series), flags)| {
        let [converts, info, scope, metadata, starts] = flags;
        let mut config = RemoteWriteConfig {
            protobuf_message: message.proto().into(),
            max_batch_size_bytes: limit,
            disable_scope_info: scope,
            send_metadata: metadata,
            namespace: if info { "n".into() } else { String::new() },
            ..RemoteWriteConfig::default()
        };
        config.external_labels.insert("region".into(), "eu".into());
        config.target_info.enabled = info;
        config.resource_to_telemetry_conversion.enabled = converts;
        let options =
            RemoteWriteOptions { max_request_series, start_timestamps: starts, ..Default::default() };
        (config, options)
    })
}

fn any_config() -> impl Strategy<Value = (RemoteWriteConfig, RemoteWriteOptions)> {
    prop_oneof![config(Message::V1), config(Message::V2)]
}

proptest! {
    #[test]
    fn frames_give_the_requests_of_their_batches(
        structures in proptest::collection::vec(structure(), 1..3),
        history in proptest::collection::vec((0_usize..2, any::<u64>(), mood()), 1..8),
        (config, options) in any_config(),
    ) {
        let mut frames: Vec<Frame> = structures.into_iter().map(Frame::of).collect();
        let mut used = encoder(&config, options);
        let mut reference = encoder(&config, options);
        for (which, seed, mood) in history {
            let which = which % frames.len();
            let frame = &mut frames[which];
            fill(frame.columns_mut(), seed, mood);
            let (requests, report) = encode_frame(&mut used, frame);
            let (wanted, wanted_report) = encode(&mut reference, &frame.to_batch());
            prop_assert_eq!(report, wanted_report);
            prop_assert_eq!(requests.len(), wanted.len());
            for (request, wanted) in requests.iter().zip(&wanted) {
                // `prost` sees NaN, which is not itself: equal bytes are more than equal messages.
                prop_assert_eq!(&request.raw, &wanted.raw);
            }
        }
    }
}

proptest! {
    #[test]
    fn parts_share_requests_and_lose_nothing(
        structures in proptest::collection::vec(structure(), 2..5),
        seeds in proptest::collection::vec((any::<u64>(), mood()), 1..4),
        (config, options) in any_config(),
    ) {
        let mut frames: Vec<Frame> = structures.into_iter().map(Frame::of).collect();
        let (mut used, mut reference) = (encoder(&config, options), encoder(&config, options));
        for (seed, mood) in seeds {
            let mut parts: Vec<Metrics> = Vec::new();
            for frame in &mut frames {
                fill(frame.columns_mut(), seed, mood);
                parts.push(frame.clone().into());
            }
            parts[0] = frames[0].to_batch().into();
            let metrics = Metrics::Parts(parts);
            let (requests, report) = encode_metrics(&mut used, &metrics);
            let raw = |requests: &[crate::read::Request]| -> Vec<u8> {
                requests.iter().flat_map(|request| request.raw.clone()).collect()
            };
            if config.protobuf_message == Message::V2.proto() {
                let (wanted, wanted_report) = encode(&mut reference, &metrics.into_batch());
                prop_assert_eq!((raw(&requests), report), (raw(&wanted), wanted_report));
                continue;
            }
            let (mut wanted, mut count) = (Vec::new(), 0);
            for part in metrics.parts() {
                let (requests, _) = encode(&mut reference, &part.clone().into_batch());
                count += requests.len();
                wanted.extend(raw(&requests));
            }
            prop_assert_eq!(raw(&requests), wanted);
            prop_assert!(requests.len() <= count);
            let limit = usize::try_from(config.max_batch_size_bytes).unwrap();
            for request in &requests {
                prop_assert!(request.raw.len() < limit || request.series.len() <= 1);
                prop_assert!(request.series.len() <= options.max_request_series);
            }
        }
    }
}

#[test]
fn small_frames_share_one_request() {
    let config =
        RemoteWriteConfig { protobuf_message: Message::V1.proto().into(), ..RemoteWriteConfig::default() };
    let mut encoder = encoder(&config, RemoteWriteOptions::default());
    let mut frames = [gauges(2, 3), gauges(1, 4), gauges(3, 1)];
    for seed in 0..3 {
        let mood = Mood { one_time: true, exemplars: false, unlike: false };
        frames.iter_mut().for_each(|frame| fill(frame.columns_mut(), seed, mood));
        let metrics = Metrics::Parts(frames.iter().cloned().map(Metrics::from).collect());
        let (requests, report) = encode_metrics(&mut encoder, &metrics);
        assert_eq!((requests.len(), report.requests, requests[0].series.len()), (1, 1, 13));
    }
    assert_eq!(encoder.frame_counts().known, 6);
}

/// Gauges of so many series each, in the order of an exposition.
fn gauges(metrics: usize, series: usize) -> Frame {
    let mut batch = MetricBatch::default();
    for metric in 0..metrics {
        let points = (0..series).map(|at| {
            NumberPoint::new(0.0, 1_800_000_000_000_000_000)
                .with("container", format!("c{at}"))
                .with("id", format!("/kubepods/burstable/pod{at}/{at:064}"))
                .with("pod", format!("pod-{at}"))
        });
        let data = MetricData::Gauge(points.collect());
        batch.scope_mut().metrics.push(Metric::new(format!("container.metric.number{metric}"), data));
    }
    Frame::of(batch)
}

#[test]
fn a_known_shape_is_translated_once_and_a_frame_of_it_is_known() {
    for message in [Message::V1, Message::V2] {
        let config =
            RemoteWriteConfig { protobuf_message: message.proto().into(), ..RemoteWriteConfig::default() };
        let mut encoder = encoder(&config, RemoteWriteOptions::default());
        let mut frame = gauges(3, 5);
        for seed in 0..4 {
            let mood = Mood { one_time: true, exemplars: false, unlike: false };
            fill(frame.columns_mut(), seed, mood);
            encode_frame(&mut encoder, &frame);
        }
        assert_eq!(encoder.frame_counts(), FrameCounts { known: 3, as_batch: 1, translated: 1 });
    }
}

#[test]
fn what_is_kept_of_shapes_is_told_and_goes_with_them() {
    for message in [Message::V1, Message::V2] {
        let config =
            RemoteWriteConfig { protobuf_message: message.proto().into(), ..RemoteWriteConfig::default() };
        let mut encoder = encoder(&config, RemoteWriteOptions::default());
        let mut kept = Vec::new();
        let frames = [gauges(3, 5), gauges(3, 50)];
        for frame in &frames {
            encode_frame(&mut encoder, frame);
            kept.push(encoder.kept_plans());
            encode_frame(&mut encoder, frame);
            kept.push(encoder.kept_plans());
        }
        assert_eq!(kept[0], KeptPlans::default(), "{message:?}");
        assert_eq!(
            [kept[1], kept[2], kept[3]].map(|kept| (kept.shapes, kept.series)),
            [(1, 15), (1, 15), (2, 165)]
        );
        let (small, large) = (kept[1].bytes, kept[3].bytes - kept[1].bytes);
        assert!(small > 15 * 8 && large > 5 * small, "{message:?}: {small} and {large} bytes");

        drop(frames);
        encode_frame(&mut encoder, &gauges(1, 1));
        assert_eq!(encoder.kept_plans(), KeptPlans::default(), "{message:?}");
    }
}

#[test]
fn long_frames_are_split_as_their_batches_are() {
    let mut frame = gauges(30, 100);
    for message in [Message::V1, Message::V2] {
        for (limit, max_request_series) in [(100_000, 10_000), (3_000_000, 700), (3_000_000, 10_000)] {
            let config = RemoteWriteConfig {
                protobuf_message: message.proto().into(),
                max_batch_size_bytes: limit,
                ..RemoteWriteConfig::default()
            };
            let options = RemoteWriteOptions { max_request_series, ..RemoteWriteOptions::default() };
            let (mut used, mut reference) = (encoder(&config, options), encoder(&config, options));
            for seed in 0..3 {
                let mood = Mood { one_time: seed > 1, exemplars: false, unlike: false };
                fill(frame.columns_mut(), seed, mood);
                let (requests, report) = encode_frame(&mut used, &frame);
                let (wanted, wanted_report) = encode(&mut reference, &frame.to_batch());
                assert_eq!(report, wanted_report);
                let raw = |requests: &[crate::read::Request]| -> Vec<Vec<u8>> {
                    requests.iter().map(|request| request.raw.clone()).collect()
                };
                assert!(raw(&requests) == raw(&wanted), "{message} {limit} {max_request_series} {seed}");
            }
        }
    }
}

/// Encodes three frames of these points, the last one with exemplars.
#[track_caller]
fn check_exemplars(message: Message, counts: FrameCounts) {
    let mut frame = gauges(1, 4);
    let point = HistogramPoint { time_ns: 5_000_000, ..HistogramPoint::default() };
    let data = Histogram { points: vec![point], temporality: Temporality::Cumulative };
    let mut batch = frame.to_batch();
    batch.scope_mut().metrics.push(Metric::new("h", MetricData::Histogram(data)));
    batch.scope_mut().metrics.push(Metric::new(
        "c",
        MetricData::Sum(Sum {
            points: vec![NumberPoint::new(1.0, 5_000_000)],
            temporality: Temporality::Cumulative,
            is_monotonic: true,
        }),
    ));
    frame = Frame::of(batch);
    let config = RemoteWriteConfig { protobuf_message: message.proto().into(), ..Default::default() };
    let (mut used, mut reference) =
        (encoder(&config, Default::default()), encoder(&config, Default::default()));
    for (seed, exemplars) in [(1, false), (2, false), (3, true)] {
        fill(frame.columns_mut(), seed, Mood { one_time: true, exemplars, unlike: false });
        let exemplar = Exemplar { value: 0.75.into(), trace_id: [7; 16], ..Exemplar::default() };
        if let (true, (_, OtherPoint::Histogram(point))) = (exemplars, &mut frame.columns_mut().others[0]) {
            point.exemplars = vec![exemplar.clone(); 2];
            frame.columns_mut().exemplars = vec![(5, vec![exemplar])];
        }
        let (requests, report) = encode_frame(&mut used, &frame);
        let (wanted, wanted_report) = encode(&mut reference, &frame.to_batch());
        assert_eq!((&report, &requests[0].raw), (&wanted_report, &wanted[0].raw), "{seed}");
        assert_eq!(report.exemplars, if exemplars { 3 } else { 0 }, "{seed}");
    }
    assert_eq!(used.frame_counts(), counts);
}

#[test]
fn exemplars_of_protocol_1_need_no_batch() {
    check_exemplars(Message::V1, FrameCounts { known: 2, as_batch: 1, translated: 1 });
}

#[test]
fn exemplars_of_protocol_2_have_symbols_of_their_own() {
    check_exemplars(Message::V2, FrameCounts { known: 1, as_batch: 2, translated: 1 });
}
