//! Random batches: the encoder against a slow obvious translation, and splitting.

use std::collections::BTreeMap;

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use otelpipe_core::metric::{Histogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{Exemplar, HistogramPoint, NumberPoint};
use otelpipe_core::resource::{Resource, Scope};
use otelpipe_prom::normalize::LabelNamer;
use otelpipe_prom::remote_write::{Message, RemoteWriteConfig, RemoteWriteOptions};
use proptest::prelude::*;
use prost::Message as _;

use crate::proto;
use crate::read::{Series, encode, encoder, lines, show};

fn attributes() -> impl Strategy<Value = Attributes> {
    let key =
        prop_oneof!["[a-c]", "[a-c][._]{1,2}[a-c]", Just("job".into()), Just("le".into()), Just("Z".into())];
    let value = prop_oneof!["[x-z]{0,2}", "[x-z]{100,140}"];
    proptest::collection::btree_map(key, value, 0..5).prop_map(|map| map.into_iter().collect())
}

fn number() -> impl Strategy<Value = NumberPoint> {
    let exemplar = (attributes(), -5.0..5.0_f64).prop_map(|(filtered_attributes, value)| Exemplar {
        filtered_attributes,
        value: value.into(),
        time_ns: 7_000_000,
        ..Exemplar::default()
    });
    let value = prop_oneof![Just(0.0), Just(-0.0), Just(f64::INFINITY), -9.0..9.0_f64];
    (attributes(), value, 0_u64..4, proptest::collection::vec(exemplar, 0..2)).prop_map(
        |(attributes, value, at_ms, exemplars)| NumberPoint {
            attributes,
            exemplars,
            ..NumberPoint::new(value, at_ms * 1_000_000)
        },
    )
}

fn metric() -> impl Strategy<Value = Metric> {
    let histogram = (attributes(), proptest::collection::vec(0_u64..200, 0..4)).prop_map(
        |(attributes, bucket_counts)| {
            let explicit_bounds = [0.5, 1.0, 2.0][..bucket_counts.len().saturating_sub(1)].to_vec();
            let point = HistogramPoint {
                attributes,
                time_ns: 9_000_000,
                count: bucket_counts.iter().sum(),
                bucket_counts,
                explicit_bounds,
                ..HistogramPoint::default()
            };
            MetricData::Histogram(Histogram { points: vec![point], temporality: Temporality::Cumulative })
        },
    );
    let numbers = || proptest::collection::vec(number(), 0..4);
    let data = prop_oneof![
        numbers().prop_map(MetricData::Gauge),
        (numbers(), any::<bool>()).prop_map(|(points, delta)| {
            let temporality = if delta { Temporality::Delta } else { Temporality::Cumulative };
            MetricData::Sum(Sum { points, temporality, is_monotonic: true })
        }),
        histogram,
    ];
    ("[g-h]\\.[a-b]{1,2}", data).prop_map(|(name, data)| Metric::new(name, data))
}

prop_compose! {
    fn batch()(
        parts in proptest::collection::vec((attributes(), proptest::collection::vec(metric(), 0..4)), 0..3),
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

fn config(message: Message, converts: bool) -> RemoteWriteConfig {
    let mut config =
        RemoteWriteConfig { protobuf_message: message.proto().into(), ..RemoteWriteConfig::default() };
    config.target_info.enabled = false;
    config.resource_to_telemetry_conversion.enabled = converts;
    config
}

/// Labels by rules applied one after the other to a map, as upstream does it.
fn slow_labels(
    resource: &Resource,
    scope: &Scope,
    point: &Attributes,
    converts: bool,
    own: &[(&str, &str)],
) -> BTreeMap<String, String> {
    let mut attributes: BTreeMap<String, String> = BTreeMap::new();
    let with_resource = resource.attributes.iter().filter(|_| converts);
    for (key, value) in point.iter().chain(with_resource) {
        attributes.insert(key.to_string(), value.str_or_empty().to_owned());
    }
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in attributes.into_iter().filter(|(_, value)| !value.is_empty()) {
        let mut name = String::new();
        LabelNamer::default().write(&key, &mut name).expect("the names here are good");
        match labels.get_mut(&name) {
            Some(other) if *other != value => *other = format!("{other};{value}"),
            Some(_) => {}
            None => drop(labels.insert(name, value)),
        }
    }
    let job = resource.attributes.get_str("service.name").unwrap_or_default();
    if !job.is_empty() {
        labels.insert("job".into(), job.into());
    }
    labels.insert("otel_scope_name".into(), scope.name.to_string());
    labels.extend(own.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    labels
}

/// The lines of all samples, made one by one.
fn slow_lines(batch: &MetricBatch, converts: bool) -> Vec<String> {
    let mut series: BTreeMap<BTreeMap<String, String>, Vec<(i64, f64)>> = BTreeMap::new();
    for (resource, scope) in batch.scopes() {
        for metric in &scope.metrics {
            let mut add = |attributes: &Attributes, own: &[(&str, &str)], at_ms: i64, value: f64| {
                let labels = slow_labels(resource, &scope.scope, attributes, converts, own);
                series.entry(labels).or_default().push((at_ms, value));
            };
            let name = metric.name.replace('.', "_");
            match &metric.data {
                MetricData::Gauge(points) => points.iter().for_each(|point| {
                    add(&point.attributes, &[("__name__", &name)], ms(point.time_ns), point.value.as_f64());
                }),
                MetricData::Sum(sum) if sum.temporality == Temporality::Cumulative => {
                    let name = format!("{name}_total");
                    sum.points.iter().for_each(|point| {
                        add(
                            &point.attributes,
                            &[("__name__", &name)],
                            ms(point.time_ns),
                            point.value.as_f64(),
                        );
                    });
                }
                MetricData::Histogram(histogram) => histogram.points.iter().for_each(|point| {
                    let (bucket, count) = (format!("{name}_bucket"), format!("{name}_count"));
                    add(&point.attributes, &[("__name__", &count)], ms(point.time_ns), point.count as f64);
                    for (at, bound) in point.explicit_bounds.iter().enumerate() {
                        let value: u64 = point.bucket_counts[..=at].iter().sum();
                        let own = [("__name__", bucket.as_str()), ("le", &bound.to_string())];
                        add(&point.attributes, &own, ms(point.time_ns), value as f64);
                    }
                    let own = [("__name__", bucket.as_str()), ("le", "+Inf")];
                    add(&point.attributes, &own, ms(point.time_ns), point.count as f64);
                }),
                _ => {}
            }
        }
    }
    let mut lines: Vec<String> = series
        .into_iter()
        .map(|(labels, mut samples)| {
            samples.sort_by_key(|(at, _)| *at);
            let sample = |(timestamp, value)| proto::Sample { value, timestamp, start_timestamp: 0 };
            let samples = samples.into_iter().map(sample).collect();
            show(&Series { labels: labels.into_iter().collect(), samples, ..Series::default() })
        })
        .collect();
    lines.sort();
    lines
}

fn ms(at_ns: u64) -> i64 {
    i64::try_from(at_ns / 1_000_000).unwrap()
}

proptest! {
    #[test]
    fn series_are_those_of_a_slow_translation(batch in batch(), converts: bool) {
        for message in [Message::V1, Message::V2] {
            let (mut requests, _) =
                encode(&mut encoder(&config(message, converts), RemoteWriteOptions::default()), &batch);
            requests.iter_mut().flat_map(|request| &mut request.series).for_each(|s| s.exemplars.clear());
            prop_assert_eq!(lines(&requests), slow_lines(&batch, converts), "{}", message);
        }
    }

    #[test]
    fn any_split_is_lossless(batch in batch(), limit in 1_i64..2_000, max_request_series in 1_usize..6) {
        for message in [Message::V1, Message::V2] {
            let whole = config(message, true);
            let parts = RemoteWriteConfig { max_batch_size_bytes: limit, ..whole.clone() };
            let options = RemoteWriteOptions { max_request_series, ..RemoteWriteOptions::default() };
            let (one, _) = encode(&mut encoder(&whole, RemoteWriteOptions::default()), &batch);
            let (many, _) = encode(&mut encoder(&parts, options), &batch);
            let series = |requests: &[crate::read::Request]| -> Vec<Series> {
                requests.iter().flat_map(|request| request.series.clone()).collect()
            };
            prop_assert_eq!(series(&many), series(&one));
            for request in &many {
                let fits = request.raw.len() < usize::try_from(limit).unwrap();
                prop_assert!(fits || request.series.len() == 1, "{} of {limit}", request.raw.len());
                prop_assert!(request.series.len() <= max_request_series);
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_prost(batch in batch()) {
        let (requests, _) =
            encode(&mut encoder(&config(Message::V1, true), RemoteWriteOptions::default()), &batch);
        for request in requests {
            let decoded = proto::WriteRequest::decode(&request.raw[..]).expect("a message");
            // `prost` leaves -0 out, as Go does; ours arrives.
            let has_minus_zero = decoded.timeseries.iter().flat_map(|series| &series.samples)
                .any(|sample| sample.value == 0.0 && sample.value.is_sign_negative());
            if !has_minus_zero {
                prop_assert_eq!(decoded.encode_to_vec(), request.raw);
            }
        }
        let (requests, _) =
            encode(&mut encoder(&config(Message::V2, true), RemoteWriteOptions::default()), &batch);
        for request in requests {
            let decoded = proto::RequestV2::decode(&request.raw[..]).expect("a message");
            let has_minus_zero = decoded.timeseries.iter().flat_map(|series| &series.samples)
                .any(|sample| sample.value == 0.0 && sample.value.is_sign_negative());
            if !has_minus_zero {
                prop_assert_eq!(decoded.encode_to_vec(), request.raw);
            }
        }
    }

    #[test]
    fn series_can_be_looked_at_without_requests(batch in batch()) {
        for message in [Message::V1, Message::V2] {
            let config = config(message, true);
            let (requests, _) = encode(&mut encoder(&config, RemoteWriteOptions::default()), &batch);
            let sent: Vec<_> = requests.iter().flat_map(|request| &request.series).map(|series| {
                let samples: Vec<(i64, f64)> =
                    series.samples.iter().map(|sample| (sample.timestamp, sample.value)).collect();
                (series.labels.clone(), samples)
            }).collect();
            let mut seen = Vec::new();
            encoder(&config, RemoteWriteOptions::default()).each_series(&batch, |series| {
                let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                let labels: Vec<_> = series.labels().into_iter().map(owned).collect();
                seen.push((labels, series.samples()));
            });
            prop_assert_eq!(seen, sent);
        }
    }

    #[test]
    fn an_encoder_remembers_nothing_of_the_batch_before(first in batch(), second in batch()) {
        for message in [Message::V1, Message::V2] {
            let mut used = encoder(&config(message, false), RemoteWriteOptions::default());
            encode(&mut used, &first);
            let (again, _) = encode(&mut used, &second);
            let mut fresh = encoder(&config(message, false), RemoteWriteOptions::default());
            let (once, _) = encode(&mut fresh, &second);
            let raw = |requests: Vec<crate::read::Request>| -> Vec<Vec<u8>> {
                requests.into_iter().map(|request| request.raw).collect()
            };
            prop_assert_eq!(raw(again), raw(once));
        }
    }
}
