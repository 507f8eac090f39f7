//! EMF documents: whatever the metrics are called and hold, each document is one line
//! with one JSON object within the limits, and no point is lost without a count.
//!
//! An input is text. Its first line configures the encoder: letters switch features on
//! (see `config`), after a space comes the log stream's name. Each further line is a
//! point: `NAME VALUE TIME_MS KEY=TEXT KEY=TEXT …`, VALUE with a `+` in front for a
//! cumulative sum, with a `~` for an exponential histogram of that scale; a NAME of `@`
//! makes a new resource of the labels, a line without value a new scope of that name.

use std::collections::BTreeMap;

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use otelpipe_core::metric::{ExponentialHistogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{ExponentialBuckets, ExponentialHistogramPoint, NumberPoint};
use otelpipe_core::time::ns_from_ms;
use otelpipe_emf::config::{EmfConfig, MetricDeclarationConfig};
use otelpipe_emf::encoder::EmfEncoder;
use otelpipe_emf::options::EmfOptions;
use otelpipe_emf::put_log_events::read_answer;

const MAX_MESSAGE_BYTES: usize = 4096;
const NOW_MS: i64 = 1_795_255_030_000;

/// Encodes the points of `data` twice and reads `data` as an answer of the service.
///
/// # Panics
///
/// If a promise is broken.
pub fn run(data: &[u8]) {
    let _ = read_answer(200, None, data);
    let _ = read_answer(400, None, data).map_err(|error| error.kind());
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let (config, sticky_names) = config(lines.next().unwrap_or_default());
    let batch = batch(lines);
    let options = EmfOptions { max_message_bytes: MAX_MESSAGE_BYTES, sticky_names, ..EmfOptions::default() };
    let Ok((mut encoder, _)) = EmfEncoder::compile(&config, options.clone()) else { return };
    let (mut again, _) = EmfEncoder::compile(&config, options).expect("it compiled once");
    // The second round finds the values of the first one.
    for _ in 0..2 {
        let (mut events, mut repeated) = (Vec::new(), Vec::new());
        let report = encoder.encode(&batch, NOW_MS, &mut events);
        assert_eq!(report, again.encode(&batch, NOW_MS, &mut repeated), "reports are the same each time");
        assert_eq!(events, repeated, "documents are the same each time");
        assert_eq!(report.points, batch.point_count() as u64);
        assert_eq!(report.points + report.parts, report.values + report.dropped_count());
        assert_eq!(report.documents, events.len() as u64);
        for event in events {
            assert!(event.message.len() <= MAX_MESSAGE_BYTES && !event.message.contains('\n'));
            let object = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(&event.message);
            assert!(object.is_ok(), "{object:?}: {}", event.message);
        }
    }
}

fn config(line: &str) -> (EmfConfig, bool) {
    let (switches, stream) = line.split_once(' ').unwrap_or((line, ""));
    let on = |switch: char| switches.contains(switch);
    let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut config = EmfConfig {
        log_stream_name: stream.into(),
        log_group_name: if on('g') { stream.into() } else { String::new() },
        eks_fargate_container_insights_enabled: on('f'),
        retain_initial_value_of_delta_metric: on('i'),
        version: if on('0') { "0".into() } else { "1".into() },
        parse_json_encoded_attr_values: if on('j') { texts(&["j", "a", "kubernetes"]) } else { Vec::new() },
        ..EmfConfig::default()
    };
    config.resource_to_telemetry_conversion.enabled = on('r');
    if on('n') {
        config.dimension_rollup_option = "NoDimensionRollup".into();
    }
    if on('d') {
        let dimensions = vec![texts(&["a", "b"]), texts(&["a"]), Vec::new()];
        for selector in ["m", "n$"] {
            config.metric_declarations.push(MetricDeclarationConfig {
                dimensions: dimensions.clone(),
                metric_name_selectors: texts(&[selector]),
                ..Default::default()
            });
        }
    }
    (config, on('s'))
}

fn batch<'t>(lines: impl Iterator<Item = &'t str>) -> MetricBatch {
    let mut batch = MetricBatch::default();
    for line in lines {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let Some(value) = words.next() else {
            if batch.is_empty() {
                batch.resources.push(ResourceMetrics::default());
            }
            let mut scope = ScopeMetrics::default();
            scope.scope.name = name.into();
            batch.resources.last_mut().expect("one was pushed if there was none").scopes.push(scope);
            continue;
        };
        let time_ns = ns_from_ms(words.next().and_then(|time| time.parse().ok()).unwrap_or(0));
        let attributes: Attributes = words.filter_map(|word| word.split_once('=')).collect();
        if name == "@" {
            let mut resource = ResourceMetrics::default();
            resource.resource.attributes = attributes;
            batch.resources.push(resource);
            continue;
        }
        let number = |text: &str| NumberPoint {
            attributes: attributes.clone(),
            ..NumberPoint::new(text.parse::<f64>().unwrap_or(0.5), time_ns)
        };
        let data = if let Some(value) = value.strip_prefix('+') {
            let points = vec![number(value)];
            MetricData::Sum(Sum { points, temporality: Temporality::Cumulative, is_monotonic: true })
        } else if let Some(scale) = value.strip_prefix('~') {
            let counts = line.bytes().map(|byte| u64::from(byte % 4)).collect();
            let point = ExponentialHistogramPoint {
                attributes: attributes.clone(),
                time_ns,
                count: 7,
                scale: scale.parse().unwrap_or(0),
                zero_count: u64::from(line.len() % 2 == 0),
                positive: ExponentialBuckets { offset: -3, bucket_counts: counts },
                ..ExponentialHistogramPoint::default()
            };
            MetricData::ExponentialHistogram(ExponentialHistogram {
                points: vec![point],
                temporality: Temporality::Delta,
            })
        } else {
            MetricData::Gauge(vec![number(value)])
        };
        batch.scope_mut().metrics.push(Metric::new(name, data));
    }
    batch
}
