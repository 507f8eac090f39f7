//! metricstransform of the EKS pipeline: label_1, rename (40 inserts), label_2, over
//! 10,000 points of one node. The time is per batch; divide by the points.

use core::hint::black_box;
use std::io::Read;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use otelpipe_benches::{ThreadTime, criterion};
use otelpipe_core::attributes::Attributes;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::generate::{Generation, GenerationOptions, GenerationRuleConfig};
use otelpipe_core::metric::{MetricData, Sum};
use otelpipe_core::otlp_json;
use otelpipe_core::transform::{TransformConfig, Transforms};

const STAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../otelpipe-core/tests/data/golden/eks-stages");
const POINTS: usize = 10_000;

fn transform(c: &mut Criterion<ThreadTime>) {
    let input = node(POINTS);
    let mut chain = [rules("label_1"), rules("rename"), rules("label_2")];
    let mut group = c.benchmark_group("transform");
    group.throughput(Throughput::Elements(input.point_count() as u64));
    group.sample_size(20);
    group.bench_function("eks_chain", |b| {
        b.iter_batched_ref(
            || unshared(&input),
            |batch| {
                let [label_1, rename, label_2] = &mut chain;
                label_1.apply(batch);
                rename.apply(batch);
                batch.retain_metrics(|_, metric| {
                    metric.name.contains("new_container_") || metric.name.contains("pod_")
                });
                label_2.apply(black_box(batch));
            },
            BatchSize::LargeInput,
        );
    });
    for (at, name) in ["label_1", "rename"].into_iter().enumerate() {
        let mut before = unshared(&input);
        for transforms in &mut chain[..at] {
            transforms.apply(&mut before);
        }
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                || unshared(&before),
                |batch| chain[at].apply(black_box(batch)),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn generate(c: &mut Criterion<ThreadTime>) {
    let configs: Vec<GenerationRuleConfig> =
        serde_json::from_value(processors()["metricsgeneration/1"].take()).expect("rules");
    let options = GenerationOptions { match_attributes: true, ..GenerationOptions::default() };
    let generation = Generation::compile(&configs, options).expect("good rules");
    let mut input = node(POINTS);
    rules("label_1").apply(&mut input);
    rules("rename").apply(&mut input);
    let generated = generation.apply(&mut input.clone()).generated;
    let mut group = c.benchmark_group("generate");
    group.throughput(Throughput::Elements(generated as u64));
    group.bench_function("match_attributes", |b| {
        b.iter_batched_ref(
            || input.clone(),
            |batch| generation.apply(black_box(batch)),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn rules(name: &str) -> Transforms {
    let configs: Vec<TransformConfig> =
        serde_json::from_value(processors()[format!("metricstransform/{name}")].take()).expect("transforms");
    Transforms::compile(&configs, "0").expect("good transforms")
}

fn processors() -> serde_json::Value {
    let text = std::fs::read_to_string(format!("{STAGES}/processors.json")).expect("part of the tests");
    serde_json::from_str(&text).expect("JSON")
}

/// A scrape of the recorded EC2 node with its pods repeated until there are `points`.
fn node(points: usize) -> MetricBatch {
    let file = std::fs::File::open(format!("{STAGES}/00-raw.jsonl.gz")).expect("part of the tests");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("gzip of text");
    let mut batch = otlp_json::read(text.lines().next().expect("a scrape")).expect("OTLP JSON");
    let copies = points.div_ceil(batch.point_count());
    for metric in batch.resources.iter_mut().flat_map(|r| &mut r.scopes).flat_map(|s| &mut s.metrics) {
        let (MetricData::Gauge(points) | MetricData::Sum(Sum { points, .. })) = &mut metric.data else {
            continue;
        };
        let originals = points.clone();
        for copy in 1..copies {
            for mut point in originals.iter().cloned() {
                if let Some(pod) = point.attributes.get_str("pod") {
                    let pod = format!("{pod}-{copy}");
                    point.attributes.insert("pod", pod);
                }
                points.push(point);
            }
        }
    }
    batch
}

/// A copy whose points share their attributes with no other, as a receiver hands over.
fn unshared(batch: &MetricBatch) -> MetricBatch {
    let mut batch = batch.clone();
    for metric in batch.resources.iter_mut().flat_map(|r| &mut r.scopes).flat_map(|s| &mut s.metrics) {
        metric.each_point_mut(|point| {
            let own: Attributes = point.attributes().iter().cloned().collect();
            *point.attributes_mut() = own;
        });
    }
    batch
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = transform, generate
}
criterion_main!(benches);
