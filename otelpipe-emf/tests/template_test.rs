//! Documents that are known but for their numbers are those that a new encoder writes.

#![allow(clippy::unwrap_used, clippy::std_instead_of_core, reason = "a test")]

use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::{MetricBatch, ResourceMetrics, ScopeMetrics};
use otelpipe_core::metric::{Histogram, Metric, MetricData, Sum, Temporality};
use otelpipe_core::point::{HistogramPoint, NumberPoint, Quantile, SummaryPoint};
use otelpipe_core::resource::{Resource, Scope};
use otelpipe_emf::config::{EmfConfig, MetricDeclarationConfig};
use otelpipe_emf::encoder::EmfEncoder;
use otelpipe_emf::log_event::LogEvent;
use otelpipe_emf::options::EmfOptions;
use proptest::prelude::*;

/// One scrape: which pods, metrics and values, at which times.
#[derive(Clone, Debug)]
struct Scrape {
    /// Pod, metric, value, time in ms.
    points: Vec<(usize, usize, f64, u64)>,
}

fn scrape() -> impl Strategy<Value = Scrape> {
    let value = prop_oneof![Just(1e15), Just(-0.0), Just(f64::NAN), Just(1e-7), -1e3..1e3_f64];
    let point = (0..4_usize, 0..6_usize, value, 1..3_u64);
    proptest::collection::vec(point, 1..25).prop_map(|mut points| {
        points.sort_by_key(|(_, metric, ..)| *metric);
        Scrape { points }
    })
}

fn lists() -> Vec<Attributes> {
    let list = |pod: usize| {
        let mut list: Attributes =
            [("Type", "Pod"), ("PodName", ["a", "b", "a\"b", ""][pod])].into_iter().collect();
        if pod == 1 {
            list.insert("kubernetes", r#"{"x": 1}"#);
        }
        list
    };
    (0..4).map(list).collect()
}

fn batch(scrape: &Scrape, resource: &Resource, lists: &[Attributes]) -> MetricBatch {
    let mut metrics: Vec<Metric> = Vec::new();
    for (pod, metric, value, time) in &scrape.points {
        let (attributes, time_ns) = (lists[*pod].clone(), 1_700_000_000_000_000_000 + time * 1_000_000);
        let name = ["cpu", "mem", "PodName", "latency", "age", "cpu"][*metric];
        if metrics.last().is_none_or(|last| last.name != name) {
            let data = match metric {
                0 | 2 => MetricData::Gauge(Vec::new()),
                3 => MetricData::Histogram(Histogram::default()),
                4 => MetricData::Summary(Vec::new()),
                _ => MetricData::Sum(Sum { temporality: Temporality::Delta, ..Sum::default() }),
            };
            let unit = ["By", "", "%", "s", "", "other"][*metric].into();
            metrics.push(Metric { unit, ..Metric::new(name, data) });
        }
        match &mut metrics.last_mut().unwrap().data {
            MetricData::Gauge(points) | MetricData::Sum(Sum { points, .. }) => {
                points.push(NumberPoint { attributes, ..NumberPoint::new(*value, time_ns) });
            }
            MetricData::Histogram(histogram) => histogram.points.push(HistogramPoint {
                attributes,
                time_ns,
                count: 3,
                sum: Some(*value),
                ..HistogramPoint::default()
            }),
            MetricData::Summary(points) => points.push(SummaryPoint {
                attributes,
                time_ns,
                sum: *value,
                quantiles: vec![Quantile { quantile: 0.5, value: *value }],
                ..SummaryPoint::default()
            }),
            _ => unreachable!(),
        }
    }
    let scopes = vec![ScopeMetrics { scope: Scope::default(), metrics }];
    MetricBatch { resources: vec![ResourceMetrics { resource: resource.clone(), scopes }] }
}

fn encoder(config: &EmfConfig, options: &EmfOptions) -> EmfEncoder {
    EmfEncoder::compile(config, options.clone()).unwrap().0
}

fn encode(encoder: &mut EmfEncoder, batch: &MetricBatch, now_ms: i64) -> (Vec<LogEvent>, u64, String) {
    let mut events = Vec::new();
    let mut report = encoder.encode(batch, now_ms, &mut events);
    let spliced = report.spliced;
    report.spliced = 0;
    (events, spliced, format!("{report:?}"))
}

proptest! {
    #[test]
    fn a_warm_encoder_writes_what_a_new_one_writes(
        scrapes in proptest::collection::vec(scrape(), 1..4),
        declares in any::<bool>(),
        detailed in any::<bool>(),
        fargate in any::<bool>(),
        most_bytes in prop_oneof![Just(1_000_000_usize), 150..700_usize],
        version in prop_oneof![Just("0"), Just("1")],
    ) {
        let mut config = EmfConfig {
            detailed_metrics: detailed,
            eks_fargate_container_insights_enabled: fargate,
            log_stream_name: "{PodName}".into(),
            version: version.into(),
            ..EmfConfig::default()
        };
        config.resource_to_telemetry_conversion.enabled = true;
        if declares {
            config.metric_declarations = vec![MetricDeclarationConfig {
                dimensions: vec![vec!["PodName".into()], vec!["PodName".into(), "job".into()]],
                metric_name_selectors: vec!["cpu".into(), "latency".into()],
                ..MetricDeclarationConfig::default()
            }];
        }
        let options = EmfOptions { max_message_bytes: most_bytes, ..EmfOptions::default() };
        let lists = lists();
        let attributes: Attributes = [("job", "kubelet"), ("ClusterName", "c")].into_iter().collect();
        let resource = Resource { attributes, ..Resource::default() };
        let mut warm = encoder(&config, &options);
        for round in 0..4_u32 {
            for scrape in &scrapes {
                let mut scrape = scrape.clone();
                for (_, _, value, time) in &mut scrape.points {
                    (*value, *time) = (*value + f64::from(round), *time + 1_000 * u64::from(round));
                }
                let batch = batch(&scrape, &resource, &lists);
                let now_ms = 1_700_000_000_000 + i64::from(round);
                let (ours, spliced, report) = encode(&mut warm, &batch, now_ms);
                let (theirs, _, expected) = encode(&mut encoder(&config, &options), &batch, now_ms);
                prop_assert_eq!(&ours, &theirs);
                prop_assert_eq!(report, expected);
                if most_bytes > 10_000 && round > 1 && !detailed && scrapes.len() == 1 {
                    let names: Vec<_> = scrape.points.iter().map(|(pod, metric, _, at)| (pod, metric % 5, at)).collect();
                    let repeats = (1..names.len()).any(|at| names[..at].contains(&names[at]));
                    if !repeats && scrape.points.iter().all(|(_, _, value, _)| value.is_finite()) {
                        prop_assert_eq!(spliced, ours.len() as u64);
                    }
                }
            }
        }
    }
}
