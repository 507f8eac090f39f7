//! EMF documents of a recorded EKS pipeline (Container Insights), per metric value: our
//! encoder, and in the same run the obvious way over label maps and a JSON value tree.

use core::hint::black_box;
use std::collections::{BTreeMap, HashMap};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use otelpipe_benches::{ThreadTime, body, criterion};
use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::frame::{Frame, Metrics};
use otelpipe_core::metric::{MetricData, MetricKind};
use otelpipe_core::otlp_json;
use otelpipe_core::time::ms_from_ns;
use otelpipe_emf::encoder::EmfEncoder;
use otelpipe_emf::log_batch::{LogBatcher, LogLimits};
use otelpipe_emf::options::EmfOptions;
use otelpipe_emf::put_log_events::{LogsCall, NewLogGroup, write_body};
use serde_json::{Value, json};

#[path = "../../otelpipe-emf/tests/eks_stages/mod.rs"]
mod eks_stages;

use eks_stages::{DIMENSIONS, SELECTORS};

const BATCHES: &str = "../../otelpipe-emf/tests/data/eks-stages/batches.jsonl";
const NOW_MS: i64 = 1_795_257_420_000;

fn encoder() -> EmfEncoder {
    EmfEncoder::compile(&eks_stages::config(), EmfOptions::default()).expect("the configuration is valid").0
}

/// The obvious way: a map of labels per point, a map of groups, a JSON tree per group.
#[derive(Default)]
struct ValueTrees {
    extracted: HashMap<String, bool>,
}

type GroupKey = (i64, BTreeMap<String, String>);

impl ValueTrees {
    fn encode(&mut self, batch: &MetricBatch, mut emit: impl FnMut(&str)) {
        let mut order: Vec<GroupKey> = Vec::new();
        let mut groups: HashMap<GroupKey, BTreeMap<String, (String, f64)>> = HashMap::new();
        for (resource, scope) in batch.scopes() {
            for metric in &scope.metrics {
                let MetricData::Gauge(points) = &metric.data else { panic!("only gauges were kept") };
                for point in points.iter().filter(|point| !point.flags.no_recorded_value()) {
                    let mut labels = BTreeMap::new();
                    for (key, value) in point.attributes.iter().chain(&resource.attributes) {
                        labels.insert(key.to_string(), value.str_or_empty().to_string());
                    }
                    labels.insert("OTelLib".into(), scope.scope.name.to_string());
                    let value = point.value.as_f64();
                    if !value.is_finite() {
                        continue;
                    }
                    let key = (ms_from_ns(point.time_ns), labels);
                    if !groups.contains_key(&key) {
                        order.push(key.clone());
                    }
                    let metrics = groups.entry(key).or_default();
                    metrics
                        .entry(metric.name.to_string())
                        .or_insert_with(|| (metric.unit.to_string(), value));
                }
            }
        }
        for key in order {
            let metrics = &groups[&key];
            emit(&self.document(key.0, key.1, metrics).to_string());
        }
    }

    fn document(
        &mut self,
        at_ms: i64,
        labels: BTreeMap<String, String>,
        metrics: &BTreeMap<String, (String, f64)>,
    ) -> Value {
        let mut kubernetes = json!({});
        for (member, label) in [
            ("container_name", "container"),
            ("host", "NodeName"),
            ("namespace_name", "Namespace"),
            ("pod_name", "PodName"),
        ] {
            if let Some(text) = labels.get(label).filter(|text| !text.is_empty()) {
                kubernetes[member] = text.as_str().into();
            }
        }
        if let Some(id) = labels.get("container_id").filter(|text| !text.is_empty()) {
            kubernetes["docker"]["container_id"] = id.as_str().into();
        }
        let sets: Vec<Value> = DIMENSIONS
            .iter()
            .filter(|set| set.iter().all(|name| labels.contains_key(*name)))
            .map(|set| json!(set))
            .collect();
        let mut root = serde_json::Map::new();
        let mut definitions = Vec::new();
        for (name, (unit, value)) in metrics {
            #[expect(clippy::cast_possible_truncation, reason = "whole values of the data are small")]
            let number = if value.fract() == 0.0 { json!(*value as i64) } else { json!(value) };
            root.insert(name.clone(), number);
            let known = self.extracted.get(name).copied();
            let extracted = known.unwrap_or_else(|| {
                let extracted = SELECTORS.iter().any(|selector| name.contains(selector));
                self.extracted.insert(name.clone(), extracted);
                extracted
            });
            if extracted {
                definitions.push(json!({"Name": name, "Unit": unit, "StorageResolution": 60}));
            }
        }
        for (key, text) in labels {
            root.insert(key, Value::String(text));
        }
        root.insert("kubernetes".into(), kubernetes);
        if !definitions.is_empty() && !sets.is_empty() {
            let measurement =
                json!({"Namespace": "ContainerInsights", "Dimensions": sets, "Metrics": definitions});
            root.insert("Version".into(), "1".into());
            root.insert("_aws".into(), json!({"CloudWatchMetrics": [measurement], "Timestamp": at_ms}));
        }
        Value::Object(root)
    }
}

/// Makes one list of equal lists, as scraper and transforms hand them over: the metrics of
/// a container share theirs.
fn share_lists(batch: &mut MetricBatch) {
    let mut lists: Vec<Attributes> = Vec::new();
    for metric in batch.resources.iter_mut().flat_map(|r| &mut r.scopes).flat_map(|s| &mut s.metrics) {
        metric.each_point_mut(|point| {
            let known = lists.iter().find(|list| *list == point.attributes()).cloned();
            *point.attributes_mut() = known.unwrap_or_else(|| {
                lists.push(point.attributes().clone());
                point.attributes().clone()
            });
        });
    }
}

/// Both must have written the same documents, or the comparison says nothing.
fn check(batches: &[MetricBatch]) -> u64 {
    let (mut ours, mut trees) = (encoder(), ValueTrees::default());
    let mut values = 0;
    for batch in batches {
        let (mut our_documents, mut tree_documents): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
        let report = ours.encode_with(batch, NOW_MS, |event| {
            our_documents.push(serde_json::from_str(event.message).expect("a document is JSON"));
        });
        trees.encode(batch, |text| {
            tree_documents.push(serde_json::from_str(text).expect("a document is JSON"))
        });
        for (ours, tree) in our_documents.iter().zip(&tree_documents) {
            assert_eq!(ours, tree);
        }
        assert_eq!(our_documents.len(), tree_documents.len());
        values += report.values;
    }
    values
}

fn bench(criterion: &mut Criterion<ThreadTime>) {
    let text = String::from_utf8(body(BATCHES)).expect("OTLP JSON is UTF-8");
    let mut batches: Vec<MetricBatch> =
        text.lines().map(|line| otlp_json::read(line).expect("the data is valid")).collect();
    // Two counters are left in the data; taking their increases is not what is measured.
    batches.iter_mut().for_each(|batch| batch.retain_metrics(|_, metric| metric.kind() == MetricKind::Gauge));
    batches.iter_mut().for_each(share_lists);
    let values = check(&batches);
    let mut group = criterion.benchmark_group("emf");
    group.throughput(Throughput::Elements(values));

    let mut ours = encoder();
    group.bench_function("encoder", |bencher| {
        bencher.iter(|| {
            for batch in &batches {
                ours.encode_with(black_box(batch), NOW_MS, |event| {
                    black_box(event.message);
                });
            }
        });
    });
    let frames: Vec<Metrics> = batches.iter().cloned().map(|batch| Frame::of(batch).into()).collect();
    let mut of_frames = encoder();
    group.bench_function("frame", |bencher| {
        bencher.iter(|| {
            for frame in &frames {
                of_frames.encode_frames(black_box(frame.parts()), NOW_MS, |event| {
                    black_box(event.message);
                });
            }
        });
    });
    assert_all_spliced(&mut of_frames, &frames);
    group.bench_function("frame, first sight of its shape", |bencher| {
        bencher.iter(|| {
            let mut of_frames = encoder();
            for frame in [&frames, &frames].into_iter().flatten() {
                of_frames.encode_frames(black_box(frame.parts()), NOW_MS, |event| {
                    black_box(event.message);
                });
            }
        });
    });
    let mut trees = ValueTrees::default();
    group.bench_function("serde_json value tree", |bencher| {
        bencher.iter(|| {
            for batch in &batches {
                trees.encode(black_box(batch), |text| {
                    black_box(text);
                });
            }
        });
    });
    let mut body = String::new();
    group.bench_function("encoder, batches and request bodies", |bencher| {
        bencher.iter(|| {
            let mut batcher = LogBatcher::new(LogLimits::default());
            for batch in &batches {
                ours.encode_with(black_box(batch), NOW_MS, |event| {
                    let closed = batcher.push(event, NOW_MS).expect("the events are of now");
                    assert!(closed.is_none(), "the batch is small");
                });
            }
            for batch in batcher.flush() {
                body.clear();
                write_body(LogsCall::PutLogEvents, &batch, &NewLogGroup::default(), &mut body);
                black_box(&body);
            }
        });
    });
    let mut escaping = encoder();
    group.bench_function("frame, batches and request bodies", |bencher| {
        bencher.iter(|| {
            let mut batcher = LogBatcher::new(LogLimits::default());
            for frame in &frames {
                escaping.encode_frames_escaped(black_box(frame.parts()), NOW_MS, |event| {
                    let closed = batcher.push_escaped(event, NOW_MS).expect("the events are of now");
                    assert!(closed.is_none(), "the batch is small");
                });
            }
            for batch in batcher.flush() {
                body.clear();
                write_body(LogsCall::PutLogEvents, &batch, &NewLogGroup::default(), &mut body);
                black_box(&body);
            }
        });
    });
    group.finish();
}

/// Otherwise the figure is not that of frames of known shape.
fn assert_all_spliced(encoder: &mut EmfEncoder, frames: &[Metrics]) {
    let before = encoder.frame_counts();
    let (mut documents, mut values, mut bytes) = (0, 0, 0);
    for frame in frames {
        let report = encoder.encode_frames(frame.parts(), NOW_MS, |event| bytes += event.message.len());
        assert_eq!(report.spliced, report.documents);
        (documents, values) = (documents + report.documents, values + report.values);
    }
    let counts = encoder.frame_counts();
    assert_eq!(counts.spliced - before.spliced, frames.len() as u64);
    println!(
        "{values} values in {documents} documents of {bytes} bytes; {} bytes kept for {} documents of {} shapes",
        counts.kept_bytes, counts.kept_documents, counts.kept_shapes
    );
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = bench
}
criterion_main!(benches);
