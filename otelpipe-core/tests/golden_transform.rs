//! metricstransform and metricsgeneration against what ADOT v0.49 gave for the same batches.
#![cfg(all(feature = "otlp-json", feature = "serde"))]

mod notation;

use std::io::Read;

use notation::lines;
use otelpipe_core::batch::MetricBatch;
use otelpipe_core::generate::{Generation, GenerationOptions, GenerationRuleConfig};
use otelpipe_core::otlp_json;
use otelpipe_core::transform::{TransformConfig, Transforms};

#[test]
fn label_1_renames_labels_as_upstream() {
    compare_transforms("metricstransform/label_1", "00-raw", "01-metricstransform_label_1");
}

#[test]
fn rename_copies_what_upstream_copies() {
    compare_transforms("metricstransform/rename", "02-resourcedetection", "03-metricstransform_rename");
}

#[test]
fn label_2_labels_and_renames_as_upstream() {
    compare_transforms("metricstransform/label_2", "08-metricsgeneration_2", "09-metricstransform_label_2");
}

/// A scraper keeps the lists of known series, so that rules see the same ones again and again.
#[test]
fn lists_that_are_shared_between_scrapes_give_the_same() {
    for (id, before) in [
        ("metricstransform/label_1", "00-raw"),
        ("metricstransform/rename", "02-resourcedetection"),
        ("metricstransform/label_2", "08-metricsgeneration_2"),
    ] {
        let configs: Vec<TransformConfig> = processor(id);
        let compiled = || Transforms::compile(&configs, "v0.49.0").expect("a good configuration");
        let mut remembers = compiled();
        for (mut own, kept) in stage(before).into_iter().zip(stage(before)) {
            let arrived = lines(&kept);
            compiled().apply(&mut own);
            for _ in 0..3 {
                let mut shared = kept.clone();
                remembers.apply(&mut shared);
                assert_eq!(lines(&shared), lines(&own), "{id}");
            }
            assert_eq!(lines(&kept), arrived, "{id} changes copies only");
        }
    }
}

#[test]
fn generation_1_computes_what_upstream_computes() {
    compare_generation("metricsgeneration/1", "06-deltatorate", "07-metricsgeneration_1");
}

#[test]
fn generation_2_computes_what_upstream_computes() {
    compare_generation("metricsgeneration/2", "07-metricsgeneration_1", "08-metricsgeneration_2");
}

#[track_caller]
fn compare_transforms(id: &str, before: &str, after: &str) {
    let configs: Vec<TransformConfig> = processor(id);
    let mut transforms = Transforms::compile(&configs, "v0.49.0").expect("a good configuration");
    compare(before, after, |batch| {
        let points = batch.point_count();
        let report = transforms.apply(batch);
        let inserted: usize = report.rules.iter().map(|rule| rule.inserted).sum();
        assert_eq!(points + inserted, batch.point_count());
        assert_eq!((report.warnings.len(), report.dropped()), (0, 0));
    });
}

#[track_caller]
fn compare_generation(id: &str, before: &str, after: &str) {
    let configs: Vec<GenerationRuleConfig> = processor(id);
    // That run had no gate: the second operand is the first point of metric2.
    let generation = Generation::compile(&configs, GenerationOptions::default()).expect("good rules");
    let mut generated = 0;
    compare(before, after, |batch| generated += generation.apply(batch).generated);
    assert!(generated > 0, "some scrape gave operands");
}

#[track_caller]
fn compare(before: &str, after: &str, mut apply: impl FnMut(&mut MetricBatch)) {
    let (arrive, wanted) = (stage(before), stage(after));
    assert_eq!((arrive.len(), wanted.len()), (7, 7), "one line a scrape");
    for (line, (mut batch, wanted)) in arrive.into_iter().zip(wanted).enumerate() {
        apply(&mut batch);
        let (got, wanted) = (lines(&batch), lines(&wanted));
        assert_eq!(got.len(), wanted.len(), "scrape {line}");
        for (got, wanted) in got.iter().zip(&wanted) {
            assert_eq!(got, wanted, "scrape {line}");
        }
    }
}

fn processor<C: serde::de::DeserializeOwned>(id: &str) -> Vec<C> {
    let text = include_str!("data/golden/eks-stages/processors.json");
    let mut all: serde_json::Value = serde_json::from_str(text).expect("JSON");
    serde_json::from_value(all[id].take()).expect("a configuration")
}

fn stage(name: &str) -> Vec<MetricBatch> {
    let path = format!("{}/tests/data/golden/eks-stages/{name}.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    let file = std::fs::File::open(&path).expect("the file is part of the tests");
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("gzip of text");
    text.lines().map(|line| otlp_json::read(line).expect("OTLP JSON")).collect()
}
